"""An algorithm's page with its secrets, and the pages of its builds with their logs."""

from __future__ import annotations

import contextlib

from starlette.responses import Response

from wrapgen.errors import BadRequest, NotFound
from wrapgen.platform.domain.model import Released
from wrapgen.platform.web.hosted import PLACE, SHOWN, Hosted, builds, hosted, readme_of, versions
from wrapgen.platform.web.page import Visit, WebPage

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
    secrets = visit.platform.state.secrets.of_algorithm(seen.algorithm.id) if seen.managed else []
    context = {"seen": seen, "settings": shown, "readme": readme_of(visit, seen), "secrets": secrets}
    releases = {"versions": versions(visit, seen), "builds": builds(visit, seen), "shown": SHOWN}
    return visit.html("algorithm.html", {**context, **releases})


def set_secret(visit: Visit) -> Response:
    """POST a variable and its value: workers that start later have it"""
    seen, secrets = _managed(visit), visit.platform.state.secrets
    variable, value = visit.text("variable").strip(), visit.text("value")
    if not value:
        raise BadRequest(f"there is no value for {variable or 'the variable'}")
    there = {each.variable: each.id for each in secrets.of_algorithm(seen.algorithm.id)}
    if variable in there:
        secrets.update(seen.algorithm.id, there[variable], value)
    else:
        secrets.create(seen.algorithm.id, variable, value)
    return visit.go(f"{seen.place}#secrets")


def remove_secret(visit: Visit) -> Response:
    """POST the id of a secret that is not needed any more"""
    seen = _managed(visit)
    visit.platform.state.secrets.delete(seen.algorithm.id, visit.text("secret"))
    return visit.go(f"{seen.place}#secrets")


def build(visit: Visit) -> Response:
    """GET the page of a build; while it runs, a script adds what the log gains."""
    seen = hosted(visit)
    found = _build(visit, seen)
    log = visit.platform.state.builds.log(found.build)
    context = {"seen": seen, "build": found.build, "version": found.version, "start": len(log)}
    return visit.html("build.html", {**context, "log": log[-LOG_SHOWN:], "cut": len(log) > LOG_SHOWN})


def build_log(visit: Visit) -> Response:
    """GET what a log holds from a character on, and whether more will come"""
    found = _build(visit, hosted(visit))
    log = visit.platform.state.builds.log(found.build)
    start = visit.query("from", "0")
    since = int(start) if start.isdecimal() and len(start) < 12 else 0
    return visit.json({"status": found.build.status, "text": log[since:], "next": len(log)})


def _managed(visit: Visit) -> Hosted:
    """The algorithm of a form's path.

    Raises:
        NotAuthorized: the visitor may not manage it (403).
    """
    seen = hosted(visit)
    visit.platform.state.algorithms.owned(visit.caller, seen.algorithm)
    return seen


def _build(visit: Visit, seen: Hosted) -> Released:
    wanted, state = visit.word("build"), visit.platform.state
    if not seen.managed:
        raise NotFound(f"no such build: {wanted}")
    return state.algorithms.released(state.builds.get(seen.algorithm.id, wanted))


PAGES = (
    WebPage(PLACE, algorithm),
    WebPage(f"{PLACE}/secrets", set_secret, method="POST"),
    WebPage(f"{PLACE}/secrets/remove", remove_secret, method="POST"),
    WebPage(f"{PLACE}/builds/{{build}}", build),
    WebPage(f"{PLACE}/builds/{{build}}/log", build_log),
)
