"""The settings of an algorithm: what they may be, and how a request changes them.

Unknown ones are ignored: the vendor's Java client sends whole objects back (platform contract, section 5).
"""

from __future__ import annotations

from typing import Any

from wrapgen.errors import BadRequest
from wrapgen.platform.building.environments import Environments

_CHOICES: dict[str, tuple[str, ...]] = {
    "algorithm_callability": ("private", "public"),
    "source_visibility": ("closed", "open"),
    "license": ("apl", "apache2", "gpl3", "mit"),
    "network_access": ("full", "isolated"),
}
"""Each setting with its possible values, the default first."""

_FLAGS = {"pipeline_enabled": True, "insights_enabled": False}


def merged_settings(
    known: dict[str, Any], asked: dict[str, Any], environments: Environments
) -> dict[str, Any]:
    """The complete settings after a request.

    Args:
        known: the settings so far; empty for a new algorithm.
        asked: the request's; may be empty.
        environments: what an algorithm can be built with.

    Raises:
        BadRequest: a value can't be; the message lists what can.
    """
    settings: dict[str, Any] = {}
    for name, choices in _CHOICES.items():
        value = asked.get(name) or known.get(name) or choices[0]
        if value not in choices:
            raise BadRequest(f"{name} can't be {value!r}; possible: {', '.join(choices)}")
        settings[name] = value
    for name, default in _FLAGS.items():
        value = asked.get(name)
        settings[name] = value if isinstance(value, bool) else known.get(name, default)
    if settings["source_visibility"] == "closed" and settings["license"] != "apl":
        raise BadRequest("closed source can only have the license apl")
    settings["algorithm_environment"] = _environment(asked, environments) or known.get(
        "algorithm_environment", ""
    )
    if not settings["algorithm_environment"]:
        settings["algorithm_environment"] = environments.default().id
    return settings


def _environment(asked: dict[str, Any], environments: Environments) -> str | None:
    """The id of the environment a request names, in the current or one of the older ways; None for none."""
    current = asked.get("algorithm_environment") or asked.get("package_set")
    if isinstance(current, str):
        return environments.named(current).id
    language = asked.get("language")
    if not isinstance(language, str) or not language:
        return None
    return environments.of_language(language).id
