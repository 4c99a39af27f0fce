"""The report of a run: one HTML file beside its output, with everything in it and no script.

Derived from the ledger whenever it is asked for, so it is the same for the same ledger. What it says is
decided in `report_facts`, how its charts look in `report_charts`.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrapgen.files import whole
from wrapgen.run.ledger.folder import output_of, report_beside
from wrapgen.run.ledger.replay import as_written
from wrapgen.run.report.facts import facts_of

if TYPE_CHECKING:
    from wrapgen.html import Template

REPORT = "report.html"
"""The report of a run that has no output file, in its folder."""

_PAGE = Path(__file__).parent


def report_for(folder: Path, facts: dict[str, Any]) -> Path:
    """Where the report of the run in a folder belongs: beside its output, or in it where that is not known.

    An output that exists beside its folder comes first: both may have been moved.
    """
    beside = output_of(folder)
    told = facts["provenance"].get("output")
    known = Path(told) if told else None
    for output in (beside, known):
        if output is not None and output.exists():
            return report_beside(output)
    if known is not None and known.parent.is_dir():
        return report_beside(known)
    return report_beside(beside) if beside else folder / REPORT


def write_report(folder: Path, path: Path | None, *, ended: bool = False) -> dict[str, Any]:
    """Writes the report of the run in a folder, whole or not at all.

    Args:
        folder: the run's.
        path: the file, replaced if it is there; None: where it belongs.
        ended: see `facts_of`.

    Returns:
        Its path, and what it says, as `--json` prints it.

    Raises:
        RunError: there is no run, or its ledger is damaged.
        OSError: the file can't be written.
    """
    with as_written(folder / "ledger.jsonl"):
        facts = facts_of(folder, ended=ended)
        path = path or report_for(folder, facts)
        page = page_of(facts)
    with whole(path) as file:
        file.write(page.encode("utf-8", "replace"))
    return {"path": str(path), **facts}


def page_of(facts: dict[str, Any]) -> str:
    """The HTML of a report. Pure but for reading the templates."""
    from markupsafe import Markup

    from wrapgen import charts
    from wrapgen.run.report.charts import charts_of

    style = charts.stylesheet() + (_PAGE / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return page().render(
        facts=facts,
        charts=charts_of(facts),
        style=Markup(style),  # noqa: S704 - our own file
        style_digest=digest,
    )


@cache
def page() -> Template:
    """The template of a report, read and compiled once: half of the time that the first report takes."""
    from wrapgen.html import environment
    from wrapgen.run.report.charts import FILTERS

    pages = environment(_PAGE)
    pages.filters.update(FILTERS)
    return pages.get_template("report.html")
