"""Everything that a report of a run says, as one JSON object, derived from the run's ledger alone.

The report's page and `--json` show this same object.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from wrapgen.run.report.origin import cleaned
from wrapgen.run.report.tally import MOST_TYPES, Tally
from wrapgen.run.status import errors_by_type, load
from wrapgen.run.summary import EXIT_CODES, EndState

WORDS = {
    "ok": "every item succeeded",
    "finished-with-errors": "every item is finished, some failed",
    "stopped-by-budget": "stopped: too many items failed; the same command goes on",
    "incomplete": "not finished: the same command goes on",
    "running": "still running",
    "killed": "ended without a word, as by kill -9: the same command goes on",
}
"""What each state means."""

_EXITS = {state.value: EXIT_CODES[state] for state in EndState}


def facts_of(folder: Path, *, ended: bool = False) -> dict[str, Any]:
    """The facts of the run in a folder; the same for the same ledger, and bounded in size.

    Args:
        folder: the run's.
        ended: the runner that holds the folder is the one who asks, and its session is over.

    Raises:
        RunError: there is no run, or its ledger is damaged.
    """
    tally = Tally()
    known = load(folder, tally.note)
    known = replace(known, busy=False) if ended else known
    about = known.as_json()
    errors = errors_by_type(folder) if about["failed"] else {}
    finished, seconds = about["succeeded"] + about["failed"], tally.seconds
    return {
        "run": about["run"],
        "state": about["state"],
        "meaning": WORDS[about["state"]],
        "reason": cleaned(about["reason"]),
        "exit_code": _EXITS.get(about["state"]),
        **{name: about[name] for name in ("items", "succeeded", "failed", "open")},
        "seconds": round(seconds, 3),
        "rate": round(finished / seconds, 2) if seconds else None,
        "started_at": about["started_at"],
        "ended_at": tally.ended_at,
        **tally.as_json(),
        "errors": [
            {
                "type": cleaned(kind, 100),
                "count": group["count"],
                "samples": [_sample(one) for one in group["samples"]],
            }
            for kind, group in list(errors.items())[:MOST_TYPES]
        ],
        "error_types": len(errors),
        "provenance": _provenance(known.run_state.header, tally),
    }


def _sample(one: dict[str, Any]) -> dict[str, Any]:
    return {"index": one["index"], "id": cleaned(one["id"], 200), "message": cleaned(one["message"])}


def _provenance(header: dict[str, Any], tally: Tally) -> dict[str, Any]:
    """What the run was made of, and by which command."""
    wrapper = header["wrapper"]
    return {
        "wrapper": header["reference"],
        "spec": wrapper["spec"],
        "target": wrapper["target"],
        "mode": wrapper["mode"],
        "records": cleaned(wrapper["datastore"] or ""),
        "input": cleaned(header["input"]["name"]),
        "input_digest": str(header["input"]["fingerprint"]),
        "input_bytes": header["survey"]["bytes"],
        "input_sizes": [
            {"up_to": int(size), "items": count} for size, count in header["survey"]["sizes"].items()
        ],
        "selection": {name: cleaned(value) for name, value in header["selection"].items() if value},
        **tally.origin,
    }
