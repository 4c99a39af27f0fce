"""What a task of Spark or Ray does with its rows: calls of the wrapper, and two columns more.

It needs Python's own library and pyarrow, which both engines need themselves. What a reply means for an item
is decided in `scheduling`; which tasks there are is decided by the driver.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Protocol

from wrapgen import protocol
from wrapgen.run.engine_delivery import EngineDelivery
from wrapgen.run.hosts.chunk_call import ChunkCall, Terms
from wrapgen.run.hosts.description import Description
from wrapgen.run.hosts.host import Host
from wrapgen.run.input.arrow import cell_reader
from wrapgen.run.input.values import refused_item, within_limits
from wrapgen.run.scheduling.chunks import Entry
from wrapgen.run.scheduling.policy import SharedBackoff
from wrapgen.run.scheduling.replies import Fate, Outcome, error_text

OUTPUT, ERROR = "result", "error"
"""The names that the added columns have, at least on their way."""

CONTENT = "$content"
"""The id that is a digest of the item: equal items share a record."""

NO_ID = error_text("InputError", "the row has no id, so its record could not be told apart", retryable=False)


_HELD: dict[str, list[tuple[float, float]]] = {}
"""By run: what calls of this process have used up of its rates. The next rows go on from there."""


class TaskStopped(Exception):
    """What executes the wrapper refuses everyone, or stayed unavailable: no row is to blame."""


class WrapperCalls(Protocol):
    """How a process reaches what executes a wrapper; can be pickled and sent to another machine."""

    def host(self, reference: str) -> Host:
        """The wrapper, where it executes; one connection pool for a process."""


@dataclass(frozen=True)
class TablePlan:
    """What holds for every task of a run; made on the driver.

    Args:
        calls: how to reach what executes the wrapper; can be pickled.
        reference: the wrapper's exact version.
        about: what the wrapper says of itself.
        run: the run's id.
        input: the column that is the item, or columns that make an object.
        id: the column with the id, or `CONTENT`.
        result_type: Arrow type of the result column.
        as_json: the result column holds JSON text.
        concurrency: calls open at once over all tasks.
        chunk: items in a call, at most.
        timeout: seconds asked of the platform for each call; None: what the wrapper takes.
        patience: seconds that nothing may work before the task fails.
        columns: the names that columns have on their way.
        added: names of the columns of results and errors.
    """

    calls: WrapperCalls
    reference: str
    about: Description
    run: str
    input: str | tuple[str, ...]
    id: str
    result_type: Any
    as_json: bool
    concurrency: int
    chunk: int
    timeout: float | None
    patience: float
    columns: Mapping[str, str] = field(default_factory=dict)
    added: tuple[str, str] = (OUTPUT, ERROR)

    def score(self, rows: Sequence[tuple[Any, Any]], tries: int, calls: int = 1) -> list[Outcome]:
        """What becomes of pairs of item and id, in their order.

        Args:
            rows: as `items` reads them.
            tries: earlier sends; a task's first attempt has 0.
            calls: how many to keep open.

        Raises:
            TaskStopped: see there.
        """
        found = {at: Outcome(Fate.FAILED, NO_ID, 0) for at, row in enumerate(rows) if self._lacks_id(row)}
        entries = (
            _entry(at, value, id_, self.id == CONTENT, tries)
            for at, (value, id_) in enumerate(rows)
            if at not in found
        )
        host = self.calls.host(self.reference).in_run(self.run)
        terms = Terms.of(self.about, self.run, time.monotonic, self.timeout)
        random = Random()  # noqa: S311
        spending = self.about.spending(None, 0.0, 0).divided(min(1.0, calls / self.concurrency))
        sender = EngineDelivery(
            call=ChunkCall(host, terms),
            attempts=self.about.attempts,
            backoff=SharedBackoff(random, self.patience),
            clock=time.monotonic,
            wait=threading.Event().wait,
            random=random,
            spending=replace(spending, held=_HELD.setdefault(self.run, [])),
        )
        delivered = sender.deliver(entries, size=self.chunk, aim=self.about.aim, threads=calls)
        if delivered.stop:
            raise TaskStopped(delivered.stop.reason)
        if delivered.given_up and self.about.datastore:
            failures = [(one, delivered.outcomes[at].body) for at, one in sorted(delivered.given_up.items())]
            sender.record_given_up(failures, size=self.chunk)
        found.update(delivered.outcomes)
        return [found[at] for at in range(len(rows))]

    def _lacks_id(self, row: tuple[Any, Any]) -> bool:
        return self.id != CONTENT and row[1] in (None, "")

    def items(self, batch: Any) -> list[tuple[Any, Any]]:
        """Item, as JSON has it, and id of every row of an Arrow batch."""

        def cells(name: str, *, within: bool = True) -> list[Any]:
            column = batch.column(self.columns.get(name, name))
            return cell_reader(column.type, within=within)(column)

        if isinstance(self.input, str):
            values = cells(self.input, within=False)
        else:
            rows = zip(*map(cells, self.input), strict=True)
            values = [dict(zip(self.input, row, strict=True)) for row in rows]
        ids = [None] * len(values) if self.id == CONTENT else cells(self.id)
        return list(zip(values, ids, strict=True))

    def extended(self, batch: Any, outcomes: list[Outcome]) -> Any:
        """An Arrow batch with two columns more: the results of its rows, and their errors or null."""
        import pyarrow as pa

        results, errors = columns(outcomes, self.result_type, as_json=self.as_json)
        names = [*batch.schema.names, *self.added]
        return pa.RecordBatch.from_arrays([*batch.columns, results, errors], names=names)


def error_type() -> Any:
    """Arrow type of the error column."""
    import pyarrow as pa

    return pa.struct([("type", pa.string()), ("message", pa.string()), ("retryable", pa.bool_())])


def columns(outcomes: list[Outcome], result_type: Any, *, as_json: bool) -> tuple[Any, Any]:
    """Outcomes as two Arrow columns; a result that does not fit its type is an error of its row."""
    import pyarrow as pa

    results: list[Any] = []
    errors: list[Any] = []
    for outcome in outcomes:
        result, error = None, None
        if outcome.fate is Fate.OK:
            value = protocol.from_wire(json.loads(outcome.body))
            result = protocol.dumps(value).decode("ascii") if as_json else fitted(value, result_type)
            if result is None and value is not None:
                words = f"the result does not fit the declared type {result_type}: {outcome.body[:200]}"
                error = {"type": "ParsingError", "message": words, "retryable": False}
        else:
            error = json.loads(outcome.body)
        results.append(result)
        errors.append(error)
    return pa.array(results, result_type), pa.array(errors, error_type())


def fitted(value: Any, result_type: Any) -> Any:
    """A result as its column takes it: as JSON text where that wants text; None where it can't be."""
    import pyarrow as pa

    if pa.types.is_string(result_type) and not isinstance(value, (str, type(None))):
        return protocol.dumps(value).decode("ascii")
    try:
        fit = pa.array([value], result_type)[0].as_py()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return None
    return fit if _kept(value, fit) else None


def _kept(value: Any, fit: Any) -> bool:
    """Whether every number is still there: Arrow cuts 20.5 to 20 and reads 20 as a time, without a word."""
    if isinstance(value, dict):
        there = dict(fit)  # Arrow hands out a map as pairs
        return all(_kept(one, there[name]) for name, one in value.items() if name in there)
    if isinstance(value, list):
        return all(_kept(one, other) for one, other in zip(value, fit, strict=True))
    if isinstance(value, (int, float)):
        return isinstance(fit, float) or bool(fit == value)  # a float column may round
    return True


def _entry(index: int, value: Any, id_: Any, by_content: bool, tries: int) -> Entry:
    try:
        sent = protocol.to_wire(value)
        item = within_limits(protocol.dumps(sent))
        text = json.dumps(sent, sort_keys=True, separators=(",", ":"))
    except (protocol.ProtocolError, TypeError):
        text = f"not JSON: {value!r}"  # which no JSON text is
        item = refused_item(value)
    if by_content:
        return Entry(
            index, item, hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest(), 0, tries
        )
    return Entry(index, item, str(id_), 0, tries)
