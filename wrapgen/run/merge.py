"""Merging the shards of a run: finds them, makes sure that they are one run, and opens that run.

What is merged is their state (`ledger.merging`); the files of the run are written as those of any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wrapgen.client.proxies import is_loopback
from wrapgen.errors import RunError, UsageError
from wrapgen.run.bucket import Bucket, is_remote
from wrapgen.run.hosts.description import Description
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.items import Items
from wrapgen.run.input.shards import Shard, shard_of, shard_outputs
from wrapgen.run.ledger.folder import SUFFIX, Folder, folder_for
from wrapgen.run.ledger.merging import FinishedShard, write_state
from wrapgen.run.ledger.replay import rebuild
from wrapgen.run.ledger.spool import Slots
from wrapgen.run.ledger.store import StateStore
from wrapgen.run.output.layouts import Layout
from wrapgen.run.session import Session
from wrapgen.run.settings import Options

_BESIDE = re.compile(r"\.(?:errors\.jsonl|report\.html|receipt\.json)\Z")
"""Ends of the names of files beside an output, which a pattern of the shell takes with it."""

_STATE = re.compile(r"(?:.*\.)?shard-\d+-of-\d+(?:(?:\.[^.]+)?\.run)?\Z")
"""The names of a shard's state: below --state, and beside an output."""

_TOLD = 8
"""Shards and faults that an error names one by one."""

_SAME: dict[str, tuple[str, ...]] = {
    "run id": ("run",),
    "wrapper": ("reference",),
    "target": ("wrapper", "target"),
    "spec": ("wrapper", "spec"),
    "datastore": ("wrapper", "datastore"),
    "limit of attempts": ("attempts",),
    "content of the input": ("input", "fingerprint"),
    "number of rows": ("input", "rows"),
    "selection": ("selection",),
}
"""What all shards share, as their ledgers tell it."""

_CHANGED = "source of the wrapper"
_SOURCE = {_CHANGED: ("wrapper", "digest")}
"""What they share unless the user accepts that it changed."""


def locate_shards(output: str, places: Sequence[str]) -> list[str]:
    """The folders of the shards that a user means, or the prefixes of a bucket with their states.

    Args:
        output: of the whole run; its shards are looked for beside it where no places are given.
        places: outputs or folders of shards, or folders that hold those; prefixes of a bucket likewise.

    Raises:
        UsageError: there is no shard in one of them.
        RunError: a bucket can't be listed.
    """
    if places:
        return list(dict.fromkeys(shard for place in places for shard in _shards_at(place.rstrip("/"))))
    if is_remote(output):
        prefix, _, name = output.rpartition("/")
        found = [shard for shard in _below(prefix) if _whole_of(shard) == name]
    else:
        found = list(map(str, map(folder_for, shard_outputs(Path(output)))))
    if not found:
        hint = "name their outputs, or what --state said"
        raise UsageError(f"there are no shards of {output} beside it", hint=hint)
    return found


def _shards_at(place: str) -> list[str]:
    if is_remote(place):
        return _below(place) or [_BESIDE.sub("", place)]
    path = Path(place)
    output = path.with_name(_BESIDE.sub("", path.name)) if path.name else path
    below = [*sorted(path.glob("shard-*-of-*")), *sorted(path.glob("*.shard-*-of-*.run"))]
    for folders in ([path], [folder_for(output)] if path.name else [], below):
        if found := [str(folder) for folder in folders if Folder(folder).ledger.exists()]:
            return found
    raise UsageError(f"there is no state of a shard in {path}", hint="name a shard's output or folder")


def _below(prefix: str) -> list[str]:
    """The states of shards just below a prefix of a bucket, as --state and outputs there name them."""
    try:
        names = Bucket(prefix).names()
    except OSError as error:
        raise RunError(f"{prefix} can't be listed: {error.strerror or error}") from error
    return [f"{prefix}/{name}" for name in names if _STATE.match(name)]


def _whole_of(state: str) -> str | None:
    """The name of the whole run's output, from that of a shard's folder."""
    known = shard_of(Path(state.rpartition("/")[2].removesuffix(SUFFIX)))
    return known and known[1].name


def finished_shards(
    stores: Sequence[StateStore],
    on_shard: Callable[[str], None] = lambda _: None,
    *,
    accept_changes: bool = False,
) -> list[FinishedShard]:
    """The shards of a run in their order, once it is sure that all are there and belong together.

    Args:
        stores: their states.
        on_shard: told which is read next.
        accept_changes: the wrapper's source may differ, as another version of wrapgen writes it for a spec.

    Raises:
        RunError: one is missing, not finished, damaged, at work or of another run; tells all that is wrong.
    """
    wrong: list[str] = []
    found: dict[int, FinishedShard] = {}
    with TemporaryDirectory(prefix="wrapgen-merge-") as name:
        for store in stores:
            on_shard(store.name)
            try:
                one = _read(store, Path(name) / "slots", wrong)
            except RunError as error:
                wrong.append(error.message)
                continue
            other = found.setdefault(one.shard.index, one)
            if other is not one:
                wrong.append(f"both {other.store.name} and {store.name} are shard {one.shard}")
            wrong += _differences(
                next(iter(found.values())), one, _SAME if accept_changes else _SAME | _SOURCE
            )
    of = next(iter(found.values())).shard.of if found else 0
    if missing := [f"{index}/{of}" for index in range(of) if index not in found]:
        more = f" and {len(missing) - _TOLD:,} more" if len(missing) > _TOLD else ""
        listed = f"{', '.join(missing[:_TOLD])}{more}"
        wrong.insert(0, f"shard{'s' * (len(missing) > 1)} {listed} {'are' if missing[1:] else 'is'} missing")
    if wrong:
        raise RunError(
            f"these shards can't be merged: {'; '.join(wrong[:_TOLD])}",
            hint="give their commands again, or name where their outputs or states are"
            + ("; --accept-changes merges them although sources differ" if _CHANGED in str(wrong) else ""),
        )
    return [found[index] for index in range(of)]


def _read(store: StateStore, scratch: Path, wrong: list[str]) -> FinishedShard:
    """A shard, and what of it is not complete: every outcome is compared with its digest.

    Raises:
        RunError: there is no shard, or its ledger is damaged.
    """
    slots = Slots(scratch, fresh=True)
    with closing(slots):
        state = rebuild(store, slots)
        if state is None or not state.header["input"].get("shard"):
            raise RunError(f"{store.name} is not the state of a shard")
        one = FinishedShard(store, state, Shard.parse(state.header["input"]["shard"]))
        first = next((stretch.first for stretch in slots.stretches()), one.rows.start)
        inside = one.rows.start <= first and max(slots.size, state.indexes) <= one.rows.stop
    open_items = len(one.rows) - state.counts.finished
    if store.busy():
        wrong.append(f"shard {one.shard} is at work")
    elif state.damage or not inside:
        wrong.append(f"shard {one.shard} is damaged: {state.damage or 'it has items of other shards'}")
    elif open_items or state.end is None:
        wrong.append(f"shard {one.shard} is not finished: {open_items:,} of {len(one.rows):,} items are open")
    return one


def _differences(first: FinishedShard, one: FinishedShard, same: Mapping[str, tuple[str, ...]]) -> list[str]:
    if first.shard.of != one.shard.of:
        return [f"{one.store.name} is shard {one.shard}, {first.store.name} is {first.shard}"]
    headers = first.state.header, one.state.header
    other = []
    for name, keys in same.items():
        was, now = (_value(header, keys) for header in headers)
        if was != now:
            other.append(
                f"another {name}" + (f" ({now}, not {was})" if name in ("run id", "wrapper") else "")
            )
    addresses = {str(header["address"]) for header in headers}
    if len(addresses) > 1 and not all(map(is_loopback, addresses)):
        other.append("another platform")
    return [f"shard {one.shard} has {' and '.join(other)} than {first.shard}"] if other else []


def _value(content: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    value: Any = content
    for key in keys:
        value = value.get(key)
    return value


def layout_of(shards: Sequence[FinishedShard]) -> Layout:
    """The layout of their outputs; the usual one where they wrote none.

    Raises:
        RunError: they differ.
    """
    found = {str(one.shard): (one.state.output or {}).get("layout") for one in shards}
    kinds = {json.dumps(layout): Layout(**{"edition": 1, **layout}) for layout in found.values() if layout}
    if len(kinds) > 1:
        shapes = ", ".join(f"{shard}: {layout and layout['shape']}" for shard, layout in found.items())
        raise RunError(
            f"the shards wrote outputs of different layouts: {shapes}", hint="give their commands again"
        )
    return next(iter(kinds.values()), Layout())


def merged_session(
    shards: Sequence[FinishedShard],
    folder: Folder,
    items: Items,
    *,
    fresh: bool,
    origin: Mapping[str, Any],
    reading: Callable[[int], None] = lambda _: None,
) -> Session:
    """A session of the whole run, in which nothing is left to be done but to write its files.

    Args:
        shards: all of them.
        folder: of the whole run.
        items: of the whole input.
        fresh: forget what was done in the folder after an earlier merge.
        origin: see `Session`.
        reading: told how many rows have been read, now and then.

    Raises:
        RunError: the input has other content than the shards read, or the folder is that of a shard.
    """
    header = shards[0].state.header
    if any(one.store.scratch.resolve() == folder.path.resolve() for one in shards):
        raise RunError(f"{folder.path} is the state of a shard", hint="name the output of the whole run")
    if items.fingerprint() != header["input"]["fingerprint"]:
        raise RunError(
            f"{items.name} has other content than what the shards read", hint="name their input with --input"
        )
    options = Options(run=header["run"], attempts=header["attempts"], budget=1.0)
    return Session(
        folder,
        items,
        _recorded_host(header),
        options,
        reading=reading,
        origin=origin,
        prepare=lambda: _prepare(shards, folder, fresh=fresh),
    )


def _recorded_host(header: Mapping[str, Any]) -> MemoryHost:
    """In place of what executed the wrapper: describes it as it did to the shards, and calls nothing."""

    def call(_body: bytes, _seconds: float) -> bytes:
        raise UsageError("merging shards calls nothing")

    known = {field.name for field in fields(Description)} & header["wrapper"].keys()
    described = Description(**{name: header["wrapper"][name] for name in known})
    return MemoryHost(call, header["reference"], address=header["address"], description=described)


def _prepare(shards: Sequence[FinishedShard], folder: Folder, *, fresh: bool) -> None:
    """Makes the state of the whole run, unless that run went on after an earlier merge of the same shards.

    Raises:
        RunError: what is in the folder would be lost.
    """
    known = None if fresh else rebuild(folder, None)
    if known is not None:
        kept = known.header.get("shards")
        if kept is None:
            raise RunError(
                f"{folder.name} is of a run that was not in shards",
                hint="name another output, or start over with --fresh",
            )
        if known.calls > sum(one["calls"] for one in kept):
            if kept == [one.as_json() for one in shards]:
                return
            raise RunError(
                f"the run in {folder.name} went on after its shards were merged, and they changed since",
                hint="--fresh forgets what it did alone",
            )
    write_state(shards, folder)
