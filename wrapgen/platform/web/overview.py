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
    lines = [_line(visit, each) for each in service.all() if caller.owns(each.owner)]
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
    builds = visit.platform.state.algorithms.listed(algorithm.id)
    released = [(each.version.number, each) for each in builds if each.version]
    latest = max(released, key=lambda pair: pair[0], default=(None, None))[1]
    return Line(algorithm, latest, builds[0] if builds else None)


PAGES = (WebPage(f"{ROOT}/", overview), WebPage(f"{ROOT}/find", find))
