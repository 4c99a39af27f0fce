"""An algorithm's page, and the pages of its builds with their logs."""

from __future__ import annotations

import contextlib

from starlette.responses import Response

from wrapgen.errors import BadRequest, NotFound
from wrapgen.platform.algorithm_table import Released
from wrapgen.platform.web.hosted import PLACE, Hosted, hosted
from wrapgen.platform.web.page import Page, Visit

SETTINGS = {
    "algorithm_environment": "Environment",
    "network_access": "Network",
    "source_visibility": "Source",
    "license": "License",
    "pipeline_enabled": "May call others",
}
"""Settings and what they are called on the page."""

LOG_SHOWN = 400_000
"""Characters of a log's end that a page shows."""


def algorithm(visit: Visit) -> Response:
    """GET the page of an algorithm"""
    seen = hosted(visit)
    settings = dict(seen.algorithm.settings)
    with contextlib.suppress(BadRequest):  # it was offered once, and no longer is
        environment = visit.platform.state.environments.named(settings["algorithm_environment"])
        settings["algorithm_environment"] = environment.name
    shown = {label: settings[name] for name, label in SETTINGS.items() if name in settings}
    return visit.html("algorithm.html", {"seen": seen, "settings": shown, "readme": seen.readme()})


def build(visit: Visit) -> Response:
    """GET the page of a build; while it runs, a script adds what the log gains."""
    seen = hosted(visit)
    found = _build(seen)
    log = visit.platform.state.builds.log(found.build)
    context = {"seen": seen, "build": found.build, "version": found.version, "start": len(log)}
    return visit.html("build.html", {**context, "log": log[-LOG_SHOWN:], "cut": len(log) > LOG_SHOWN})


def build_log(visit: Visit) -> Response:
    """GET what a log holds from a character on, and whether more will come"""
    found = _build(hosted(visit))
    log = visit.platform.state.builds.log(found.build)
    start = visit.query("from", "0")
    since = int(start) if start.isdecimal() and len(start) < 12 else 0
    return visit.json({"status": found.build.status, "text": log[since:], "next": len(log)})


def _build(seen: Hosted) -> Released:
    wanted = seen.visit.word("build")
    found = [each for each in seen.releases if each.build.id == wanted]
    if not seen.managed or not found:
        raise NotFound(f"no such build: {wanted}", status=404)
    return found[0]


PAGES = (
    Page(PLACE, algorithm),
    Page(f"{PLACE}/builds/{{build}}", build),
    Page(f"{PLACE}/builds/{{build}}/log", build_log),
)
