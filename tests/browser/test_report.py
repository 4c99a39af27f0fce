"""The report of a run in a real browser: from the disk, without a network, for everybody."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from wrapgen.run.ledger.folder import folder_for, report_beside
from wrapgen.run.report.page import write_report

HOSTILE = "</style><script>document.title='taken'</script><img src=http://outside.example/x>"
_spec = importlib.util.spec_from_file_location(
    "run_conftest", Path(__file__).parents[1] / "unit" / "run" / "conftest.py"
)
assert _spec is not None and _spec.loader is not None
_shared = importlib.util.module_from_spec(_spec)
sys.modules.setdefault("run_conftest", _shared)
_spec.loader.exec_module(_shared)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run with failures, the ids of its items hostile."""
    bench = _shared.Bench(tmp_path_factory.mktemp("report"))
    wrapper = _shared.MemoryWrapper(faults={HOSTILE: ["InputError"], "7": ["AlgorithmError"]})
    rows = [{"id": HOSTILE if n == 3 else str(n), "text": "x"} for n in range(500)]
    bench.run(wrapper, rows, selection=_shared.Selection(id="id"))
    path = report_beside(bench.output)
    write_report(folder_for(bench.output), path)
    return path


def test_a_report_is_for_everybody(
    page: Page,
    report: Path,
    axe: Callable[[Page], None],
    fits: Callable[[Page], None],
    picture: Callable[..., Any],
) -> None:
    """It opens from the disk, fetches and runs nothing, axe finds nothing serious; print is light."""
    page.goto(report.as_uri())
    assert page.title() == "Run r1: every item is finished, some failed"
    assert page.get_by_role("img").count() == 8
    assert page.get_by_role("img", name="Items finished per second over time").is_visible()
    assert page.locator("#failed").inner_text() == "2"
    assert HOSTILE in page.locator("main").inner_text()
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("columnheader", name="items/s").first.is_visible(), "no table without a mouse"
    axe(page)
    fits(page)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    picture("print")
