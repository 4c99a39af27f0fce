"""`wrapgen show`: the status of one run."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import click

from wrapgen.cli import completion
from wrapgen.cli.inputs import folder_of
from wrapgen.cli.options import json_option
from wrapgen.cli.terminal import out


@click.command()
@click.argument("run", shell_complete=completion.runs)
@json_option()
def command(run: str, as_json: bool) -> None:
    """Show the status of RUN, given by its output, its folder or its id."""
    from wrapgen.cli.terminal import STATES, styled
    from wrapgen.run.ledger.replay import as_written
    from wrapgen.run.report.facts import facts_of
    from wrapgen.run.status import errors_by_type, load

    folder = folder_of(run)
    with as_written(folder / "ledger.jsonl"):
        facts = load(folder).as_json()
        facts["errors"] = errors_by_type(folder) if facts["failed"] else {}
        report = facts_of(folder) if as_json else None
        lines = _lines(facts)
    if as_json:
        out(json.dumps({**facts, "report": report}))
        return
    reason = f": {facts['reason']}" if facts["reason"] else ""
    styled(f"run {facts['run']}: ", (facts["state"], STATES.get(facts["state"], "")), reason)
    for name, value in lines:
        styled((f"  {name:<10} ", "dim"), value)


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    lost = ", ".join(f"{count:,} {kind}" for kind, count in facts["lost"].items())
    last = facts["last"]
    lines = [
        ("wrapper", f"{facts['reference']} (target {facts['target']})"),
        ("input", facts["input"] + (f", shard {facts['shard']}" if facts["shard"] else "")),
        ("output", facts["output"] or "not written yet"),
        (
            "items",
            f"{facts['items']:,}: {facts['succeeded']:,} succeeded, {facts['failed']:,} failed, "
            f"{facts['open']:,} open",
        ),
        ("calls", f"{facts['calls']:,}, {facts['calls_open']:,} open" + (f"; lost: {lost}" if lost else "")),
        ("sessions", f"{facts['sessions']}, the first at {facts['started_at']}"),
        (
            "records",
            (facts["datastore"] or "none")
            + (f"; none of {facts['unrecorded']:,} items that were given up" if facts["unrecorded"] else ""),
        ),
        ("folder", facts["folder"]),
    ]
    if last:
        lines.append(("last", datetime.fromtimestamp(last, timezone.utc).isoformat(timespec="seconds")))
    for kind, group in facts["errors"].items():
        lines.append((f"{group['count']:,} x", kind))
        lines.extend(("", f"item {one['id']}: {one['message'][:120]}") for one in group["samples"])
    return lines
