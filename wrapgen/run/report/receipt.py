"""The receipt of a run: a file beside its output that says what was done, and can be checked elsewhere.

It holds the report's numbers, the digests of what went in and what came out, and a digest of itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from wrapgen import __version__
from wrapgen.errors import UsageError
from wrapgen.files import read_json, whole
from wrapgen.run.input.items import Items
from wrapgen.run.ledger.folder import Folder, errors_for
from wrapgen.run.output.digests import ContentDigest
from wrapgen.run.report.origin import cleaned
from wrapgen.run.status import RunStatus, load

FORMAT = 1
"""Version of the receipt's own format."""

MOST_INDEXES = 1000
"""Items without a record that are named one by one."""

_MOST_BYTES = 64 * 1024 * 1024
_TIMES = ("started_at", "ended_at", "seconds")
_SPENT = ("attempts", "tokens_in", "tokens_out", "cost")


def write_receipt(
    path: Path,
    folder: Path,
    facts: dict[str, Any],
    items: Items,
    output: tuple[Path, dict[str, Any], ContentDigest | None],
    unrecorded_why: str = "",
) -> Path:
    """Writes the receipt of a run that has ended, whole or not at all.

    Args:
        path: the file.
        folder: the run's.
        facts: of its report.
        items: what was sent.
        output: its file, its layout, and its content; None while it is not complete.
        unrecorded_why: why nothing could be recorded of items that were given up.

    Returns:
        The path.

    Raises:
        RunError: the ledger is damaged.
        OSError: a file can't be read or written.
    """
    seen = [Folder(folder).header() or {}]
    known = load(folder, lambda entry: seen.append(entry) if entry["e"] == "changed" else None)
    content = {
        "receipt": FORMAT,
        "wrapgen": __version__,
        **{name: facts[name] for name in ("run", "state", "reason", *_TIMES)},
        "sessions": facts["session_count"],
        **{name: value for name, value in known.run_state.header.items() if name == "shards"},
        "items": {
            **{name: facts[name] for name in ("items", "succeeded", "failed", "open")},
            "equal": known.counts.equal,
            "corrected": len({index for entry in known.run_state.reopened for index in entry["i"]}),
        },
        "errors": {one["type"]: one["count"] for one in facts["errors"]},
        "input": _input(known, items),
        "output": output[2] and {"name": output[0].name, "layout": output[1], **output[2].as_json()},
        "failed": _failed(errors_for(output[0])),
        **_executed(known, facts["target"], seen),
        "sends": {name: facts["calls"][name] for name in ("sent", "answered", "lost", "unanswered")},
        **{name: facts["target"][name] for name in _SPENT},
        **_recorded(known, facts["target"], unrecorded_why),
    }
    with whole(path) as file:
        file.write(json.dumps({**content, "digest": digest_of_receipt(content)}, indent=1).encode() + b"\n")
    return path


def digest_of_receipt(content: dict[str, Any]) -> str:
    """The digest that a receipt has of everything else in it."""
    rest = {name: value for name, value in content.items() if name != "digest"}
    return f"sha256:{sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()}"


def read_receipt(path: Path) -> dict[str, Any]:
    """What a receipt says; whether that is true is for `ReceiptVerification`.

    Raises:
        UsageError: the file can't be read, or is no receipt of this version.
    """
    try:
        content = read_json(path, _MOST_BYTES)
    except FileNotFoundError as error:
        raise UsageError(f"there is no {path}", hint="name the receipt of a run") from error
    if not isinstance(content, dict) or content.get("receipt") != FORMAT:
        raise UsageError(f"{path} is no receipt", hint="every run writes one: OUTPUT.receipt.json")
    return content


def _input(known: RunStatus, items: Items) -> dict[str, Any]:
    header = known.run_state.header
    told = {name: value for name, value in header["input"].items() if name != "location"}
    paths = items.paths
    content = {"files": len(paths), **ContentDigest.of(paths).as_json()} if paths else {}
    return {**told, "name": cleaned(told["name"]), "selection": header["selection"], **content}


def _failed(path: Path) -> dict[str, Any] | None:
    return {"name": path.name, **ContentDigest.of([path]).as_json()} if path.exists() else None


def _executed(known: RunStatus, target: dict[str, Any], seen: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The wrapper and the target, and every version of them that the run has had."""
    header = known.run_state.header
    about = header["wrapper"]
    return {
        "wrapper": {
            "reference": header["reference"],
            **{name: about[name] for name in ("spec", "digest", "mode") if about.get(name)},
        },
        "target": {"name": about["target"], "versions": target["versions"]},
        "earlier": [
            {"wrapper": one["reference"], **{name: one["wrapper"][name] for name in ("spec", "target")}}
            for one in seen[:-1]
        ],
    }


def _recorded(known: RunStatus, target: dict[str, Any], why: str) -> dict[str, Any]:
    """What is in which datastore, and what is in none."""
    url, given_up = known.run_state.header["wrapper"]["datastore"], sorted(known.run_state.given_up)
    if not url:
        return {
            "records": [],
            "unrecorded": {"items": known.counts.finished, "why": "the wrapper records nothing"},
        }
    records = [
        {"datastore": cleaned(url), **{name: target[name] for name in ("recorded", "refused", "unrecorded")}}
    ]
    copies = [{"datastore": copy, "copy": True, **counts} for copy, counts in target["copies"].items()]
    ignored = target["unrecorded"] or 0
    if ignored and not given_up:
        why = "the datastore was unavailable, and the spec says datastore.on_failure: ignore"
    missing = {"items": len(given_up) + ignored, "why": why, "indexes": given_up[:MOST_INDEXES]}
    return {"records": records + copies, "unrecorded": missing}
