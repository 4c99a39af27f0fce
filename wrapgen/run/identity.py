"""What makes a run this run: the facts that its ledger begins with, and the version of its target."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from wrapgen.errors import RunError
from wrapgen.run.hosts.host import Host
from wrapgen.run.input.items import Items
from wrapgen.run.ledger.replay import FORMAT
from wrapgen.run.ledger.resume import other_items
from wrapgen.run.report.origin import cleaned
from wrapgen.run.scheduling.replies import LossKind, Lost
from wrapgen.run.settings import Options


def facts_of_run(
    items: Items, host: Host, options: Options, kept: str | None, now: str, new_id: Callable[[], str]
) -> dict[str, Any]:
    """The facts of a run, but for what its items are.

    Args:
        items: of the whole input.
        host: executes the wrapper.
        options: of this session.
        kept: the run's id where it has begun.
        now: the moment, in ISO 8601.
        new_id: makes an id for a run that has none and is of no shard.
    """
    wrapper, shard = host.describe(), options.shard
    facts: dict[str, Any] = {
        "format": FORMAT,
        "run": items.run or options.run or kept,
        "reference": host.reference,
        "wrapper": wrapper.as_json(),
        "address": cleaned(host.address),
        "attempts": options.attempts or wrapper.attempts,
        "input": {"name": items.name, "fingerprint": items.fingerprint(), **items.origin()},
        "selection": items.selection(),
        "at": now,
    }
    if shard is not None:
        facts["input"]["shard"] = str(shard)
    return {**facts, "run": facts["run"] or (new_id() if shard is None else _shared_id(facts))}


def _shared_id(facts: dict[str, Any]) -> str:
    """The id that all shards of a run come to by themselves: one for each input, wrapper and selection."""
    shared = [facts["reference"], facts["wrapper"]["spec"], facts["input"]["fingerprint"], facts["selection"]]
    return f"shards-{sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:24]}"


def refuse_other_rows(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Makes sure that the session of a shard has the rows that its ledger tells of.

    Raises:
        RunError: it is another shard, or the input changed, which moves rows from one shard to another.
    """
    was, given = (facts["input"].get("shard") for facts in (before, now))
    if was != given:
        kinds = [f"shard {one}" if one else "a whole run" for one in (was, given)]
        raise RunError(
            f"this is the state of {kinds[0]}, not of {kinds[1]}",
            hint=f"say --shard {was}" if was else "name another output, or another --state",
        )
    if was and other_items(before, now):
        raise RunError(
            f"the input {now['input']['name']} or its selection changed, which moves rows between shards",
            hint="start all shards over: --fresh with a new --run ID",
        )


class VersionPin:
    """Keeps the first version that an answer reported, over all sessions of a run. Safe in several threads.

    Attributes:
        version: that one; None until an answer reports any.
    """

    def __init__(self) -> None:
        self.version: str | None = None
        self._lock = threading.Lock()

    def note(self, entry: Mapping[str, Any]) -> None:
        """Takes an entry of the ledger of an earlier session."""
        self.refusal(entry.get("target") or {})

    def refusal(self, told: Mapping[str, Any]) -> Lost | None:
        """Why the outcomes of an answer are refused, by its `$summary`; None where they are not."""
        versions = told.get("versions")
        with self._lock:
            for version in versions if isinstance(versions, dict) else ():
                self.version = self.version or version
                if version != self.version:
                    said = f"the target reports version {version}, and this run began with {self.version}"
                    return Lost(LossKind.STOPPED, "VersionChanged", said)
        return None
