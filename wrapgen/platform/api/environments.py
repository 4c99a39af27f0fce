"""Endpoints of environments and their templates (platform contract, section 8)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from msgspec import Struct
from starlette.responses import Response

from wrapgen.errors import NotFound
from wrapgen.platform.api import auth
from wrapgen.platform.api.endpoint import Ask, endpoint
from wrapgen.platform.building import template

if TYPE_CHECKING:
    from wrapgen.platform import Platform

EDGE = "/v1/algorithm-environments/edge"

_SINCE = "2020-01-01T00:00:00.000Z"


class Language(Struct):
    """A language that algorithms are written in."""

    name: str
    display_name: str
    configuration: str


class EnvironmentObject(Struct):
    """An environment that algorithms run in."""

    id: str
    environment_specification_id: str
    display_name: str
    name: str
    description: str
    created_at: str
    language: Language
    machine_type: str


class EnvironmentList(Struct):
    """What a language has, wrapped as the clients need it."""

    environments: list[EnvironmentObject]


LANGUAGE = Language("python3", "Python 3.x", json.dumps({"packages": "pip"}))
"""The one language that this platform hosts."""


class EnvironmentApi:
    """Environments."""

    def __init__(self, platform: Platform) -> None:
        self._environments = platform.state.environments

    @endpoint("GET", f"{EDGE}/languages", who=auth.caller)
    def languages(self, ask: Ask) -> list[Language]:  # noqa: ARG002 - every endpoint's signature
        """Lists languages."""
        return [LANGUAGE]

    @endpoint("GET", f"{EDGE}/languages/{{language}}/environments", who=auth.caller)
    def environments(self, ask: Ask) -> EnvironmentList:
        """Lists a language's environments."""
        language = ask["language"].lower()
        if not re.fullmatch(r"python(3(-\d+)?)?", language):
            raise NotFound(f"no such language: {language}; there is python3", reason="unknown-language")
        found = [
            EnvironmentObject(
                id=each.id,
                environment_specification_id=each.specification_id,
                display_name=f"Python {each.number[0]}.{each.number[1]}",
                name=each.name,
                description=f"CPython {each.version} of this machine",
                created_at=_SINCE,
                language=LANGUAGE,
                machine_type="CPU",
            )
            for each in self._environments.offered()
        ]
        return EnvironmentList(found)

    @endpoint("GET", f"{EDGE}/environment-specifications/{{id}}/template", who=None)
    def template(self, ask: Ask) -> Response:
        """Gives the template of an environment: a gzip-compressed tar; needs no key."""
        wanted = ask["id"].lower()
        offered = self._environments.offered()
        if not any(wanted in (each.specification_id, each.id, each.name) for each in offered):
            raise NotFound(f"no such environment specification: {wanted}")
        return Response(template.archive(), media_type="application/gzip")


APIS = (EnvironmentApi,)
