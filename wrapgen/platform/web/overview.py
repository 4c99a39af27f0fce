"""The first page: the algorithms of the visitor and of their organizations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from starlette.responses import Response

from wrapgen.platform.domain.accounts import NAME
from wrapgen.platform.domain.algorithms import ALGORITHM_NAME
from wrapgen.platform.domain.model import Algorithm, Released
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import Visit, WebPage
from wrapgen.platform.web.shown import word


@dataclass(frozen=True)
class Line:
    """One algorithm of the list, with its highest version and its newest build, where it has any."""

    algorithm: Algorithm
    latest: Released | None
    newest: Released | None


def overview(visit: Visit) -> Response:
    """GET the first page"""
    service, caller = visit.platform.state.algorithms, visit.caller
    owners = sorted({caller.account.lower(), *caller.organizations})
    lines = [_line(visit, each) for owner in owners for each in service.all(owner)]
    lines.sort(key=lambda line: (line.algorithm.owner != caller.account, line.algorithm.owner.lower()))
    groups = [(owner, list(found)) for owner, found in groupby(lines, lambda line: line.algorithm.owner)]
    return visit.html("overview.html", {"groups": groups, "address": visit.address})


def find(visit: Visit) -> Response:
    """GET an algorithm by its name, as people write it"""
    words = visit.query("name").strip().removeprefix("algo://").strip("/").split("/")
    if len(words) not in (2, 3) or not (NAME.match(words[0]) and ALGORITHM_NAME.match(words[1])):
        return visit.go(f"{ROOT}/")
    path = "/".join(word(each) for each in words[:2])
    return visit.go(f"{ROOT}/algorithms/{path}" + (f"/versions/{word(words[2])}" if words[2:] else ""))


def _line(visit: Visit, algorithm: Algorithm) -> Line:
    service = visit.platform.state.algorithms
    latest = next(iter(service.highest(visit.caller, algorithm, 1)), None)
    newest = service.page(visit.caller, algorithm, None, 1)
    return Line(algorithm, latest, newest[0] if newest else None)


PAGES = (WebPage(f"{ROOT}/", overview), WebPage(f"{ROOT}/find", find))
