"""What an algorithm is created with: its rights, and who may call it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wrapgen.client import HostedEnvironment
from wrapgen.publish.cases import Case
from wrapgen.publish.project import Project

TAGLINE = "Batches of "
"""How the tagline of every wrapper starts, by which it is known on a platform."""


def created(project: Project, chosen: HostedEnvironment) -> tuple[dict[str, Any], dict[str, Any]]:
    """Details and settings of a new algorithm."""
    details = {"label": project.reference.name}
    if project.spec is not None:
        details["tagline"] = f"{TAGLINE}{project.spec.target.algorithm or project.spec.target.source}"
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


def changes(project: Project, current: Mapping[str, Any], chosen: HostedEnvironment | None) -> dict[str, Any]:
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
