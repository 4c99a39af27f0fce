"""The first page: the algorithms of whoever is signed in, and of their organizations."""

from __future__ import annotations

from starlette.responses import Response

from wrapgen.platform.web.page import ROOT, Entry, Page, Visit


def overview(visit: Visit) -> Response:
    """GET /web/"""
    found = [each for each in visit.platform.state.algorithms.all() if visit.caller.owns(each.owner)]
    return visit.html("overview.html", {"algorithms": found})


PAGES = (Page(f"{ROOT}/", overview),)
NAVIGATION = (Entry("Algorithms", f"{ROOT}/", covers=(f"{ROOT}/algorithms/",)),)
