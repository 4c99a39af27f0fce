"""What an algorithm is created with: its environment, its rights, who may call it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from wrapgen.client import Algorithms, Environment
from wrapgen.errors import UsageError
from wrapgen.publish.cases import Case
from wrapgen.publish.project import Project

NEWEST_HOSTED = (3, 9)
"""The newest Python that the vendor's clusters host; a later one is taken only where there is no other."""


def environment(algorithms: Algorithms, language: str, name: str | None) -> Environment:
    """The runtime to build in.

    Args:
        algorithms: the platform's management calls.
        language: of the project, such as `python3`.
        name: the one that was asked for, such as `python38`, by its name, label or id; None takes the newest
            that is offered.

    Raises:
        UsageError: it is not offered; the message lists those that are.
    """
    family = _family(language)
    offered = [
        each
        for known in algorithms.languages()
        if _family(known) == family
        for each in algorithms.environments(known)
    ]
    # The plainest first: without a GPU, without libraries that its label would name.
    offered.sort(key=lambda each: (each.gpu, len(each.label)))
    if name is None:
        hosted = [each for each in offered if family != "python" or each.number <= NEWEST_HOSTED]
        chosen = max(hosted or offered, key=lambda each: (not each.gpu, each.number), default=None)
    else:
        wanted = name.lower()
        chosen = next(
            (each for each in offered if wanted in (each.name.lower(), each.label.lower(), each.id)), None
        )
    if chosen is None:
        names = ", ".join(sorted({each.name for each in offered})) or "none"
        asked = f"the environment {name}" if name else f"an environment for {language}"
        raise UsageError(f"the platform does not offer {asked}", hint=f"it offers: {names}")
    return chosen


def _family(language: str) -> str:
    """The language without its version: `python` for `python3`, `python38` and `python3-1`."""
    match = re.match(r"[a-z#+]+", language.lower())
    return match[0] if match else language.lower()


def created(project: Project, chosen: Environment) -> tuple[dict[str, Any], dict[str, Any]]:
    """Details and settings of a new algorithm."""
    details = {"label": project.reference.name}
    if project.spec is not None:
        details["tagline"] = f"Batches of {project.spec.target.algorithm or project.spec.target.source}"
    return details, {
        "source_visibility": "closed",
        "license": "apl",
        "algorithm_environment": chosen.id,
        **wanted(project),
    }


def wanted(project: Project) -> dict[str, Any]:
    """The settings that a project asks for by itself; a wrapper must be allowed to call other algorithms."""
    network = project.spec.publish.network_access if project.spec is not None else "full"
    return {"network_access": network, "pipeline_enabled": True}


def changes(project: Project, current: Mapping[str, Any], chosen: Environment | None) -> dict[str, Any]:
    """What to change in the settings of an algorithm that exists; only a wrapper's spec changes rights."""
    settings = wanted(project) if project.spec is not None else {}
    if chosen is not None:
        settings["algorithm_environment"] = chosen.id
    return {name: value for name, value in settings.items() if current.get(name) != value}


def released(project: Project) -> dict[str, Any]:
    """The settings that go with a release: who may call it."""
    if project.spec is None:
        return {}
    return {"algorithm_callability": project.spec.publish.callability}


def version_info(cases: list[Case]) -> dict[str, Any]:
    """The sample that the platform shows beside a version: the first case's input."""
    if not cases:
        return {}
    value = cases[0].value
    return {"sample_input": value if isinstance(value, str) else json.dumps(value)}
