"""Copies of the records, and writes that take too long."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from flow import Kept, Wrapper
from runtime import copies, engine, protocol, records


def echo(value: Any, seconds: float) -> Any:
    return value


def hangs(release: threading.Event) -> Any:
    """A datastore that takes a record only when it is released."""

    def trouble(written: list[Any]) -> None:
        assert release.wait(60)

    return Kept(trouble)


def test_a_write_that_hangs_fails_the_call_in_time() -> None:
    """It is left alone while there is time to say so: the call is a retryable DatastoreError."""
    release, began = threading.Event(), time.monotonic()
    with pytest.raises(protocol.Failure, match="no answer within the 1 s") as caught:
        Wrapper(echo, datastore=hangs(release), timeout=1)(["x"])
    release.set()
    assert time.monotonic() - began < 30
    assert (caught.value.error_type, caught.value.retryable) == ("DatastoreError", True)


def test_a_copy_that_hangs_costs_the_call_nothing() -> None:
    """Half of the time for records, once; the records are safe and the call answers."""
    release, main = threading.Event(), Kept()
    both = copies.Copies(main, {"sqlite:///a": hangs(release)})
    reply = Wrapper(echo, datastore=both, timeout=1)({"$batch": ["x"]})
    release.set()
    assert reply["$results"] == ["x"]
    assert len(main.fields) == 1
    assert reply["$summary"]["copies"][0]["failed"] == 1


def test_copies_are_best_effort_and_reported() -> None:
    """A copy that fails is not asked again in this call; the records themselves are safe."""

    def away(written: list[Any]) -> None:
        raise protocol.Failure("DatastoreError", "away", True)

    main, good, bad = Kept(), Kept(), Kept(away)
    summary: dict[str, Any] = {}
    stores = copies.Copies(main, {"sqlite:///a": good, "sqlite:///b": bad})
    both = stores.for_call(engine.Deadline(300), summary)
    made = [records.Record({"run": "r", "id": str(n), "index": n, "try": 1, "result": n}) for n in range(3)]
    both.write(made, 1)
    both.write(made[:1], 2)
    assert summary["copies"] == [
        {"url": "sqlite:///a", "recorded": 4, "failed": 0, "error": None},
        {"url": "sqlite:///b", "recorded": 0, "failed": 4, "error": "away"},
    ]
    assert len(main.fields) == len(good.fields) == 4


def test_copies_get_what_the_datastore_took() -> None:
    """A record that it refuses by itself costs the copies no other, and reaches them without its payload."""

    def refuse(written: list[Any]) -> None:
        bad = [record for record in written if record.fields.get("result") in ("b", "d")]
        if bad:
            raise records.Refused("not this one", bad)

    copy, fussy = Kept(), Kept(refuse)
    both = copies.Copies(Kept(refuse), {"sqlite:///a": copy})
    reply = Wrapper(echo, datastore=both)({"$batch": ["a", "b", "c", "d"], "$run": "r"})
    assert [fields.get("result") for fields in copy.fields].count(None) == 2
    assert sorted(fields["id"] for fields in copy.fields) == ["0", "1", "2", "3"]
    assert (reply["$summary"]["recorded"], reply["$summary"]["copies"][0]["recorded"]) == (4, 4)
    both = copies.Copies(Kept(), {"sqlite:///b": fussy})
    report = Wrapper(echo, datastore=both)({"$batch": ["a", "b", "c"], "$run": "r"})["$summary"]["copies"][0]
    assert (report["recorded"], report["failed"], report["error"]) == (2, 1, "not this one")
