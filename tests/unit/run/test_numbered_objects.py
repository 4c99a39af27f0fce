"""The objects of a state in a bucket: what they hold, and what is refused."""

from __future__ import annotations

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from wrapgen.errors import RunError
from wrapgen.run.ledger.store import LEDGER, SPOOL


@pytest.mark.parametrize("refusals", [0, 2])
def test_a_bucket_without_conditional_writes_is_refused(store, refusals):
    """One that takes the same number twice would take it from two owners; a fault of it is no answer."""
    claims, state = [], store.machine()
    bucket = state.objects._bucket

    def create(name: str, data: bytes) -> None:
        claims.append(name)
        if 1 < len(claims) < 2 + refusals:
            raise OSError(503, "slow down")
        bucket.write(name, data)

    bucket.create = create
    with pytest.raises(RunError, match="ignores conditional writes"), state.locked():
        pass
    assert claims[: 2 + refusals] == ["0000000001"] * (2 + refusals)


@pytest.mark.parametrize("damage", ["removed", "altered", "other"])
def test_a_damaged_object_is_named(store, damage):
    """An object that is gone, altered or of something else is an error that names it, never a new run."""
    first = store.machine()
    with first.locked():
        log = first.open(LEDGER, write=True)
        log.append(b"{}\n")
        log.sync()
    files = MemoryFileSystem()
    name = "/states/one/0000000002"
    if damage == "removed":
        files.rm(name)
    else:
        content = files.cat(name)
        files.pipe_file(name, content[:-1] + b"x" if damage == "altered" else b'{"d": 1}')
    with pytest.raises(RunError, match="object 0000000002 of the state is missing or damaged"):
        store.machine().objects.fetch()


def test_objects_hold_what_large_logs_hold(store):
    """Bytes beyond an object's size go on in the next; what is cut off is cut off for the next owner too."""
    first, large = store.machine(), b"x" * 9_000_000
    with first.locked():
        log = first.open(SPOOL, write=True)
        log.append(large)
        log.append(b"end\n")
        log.sync()
        log.cut(len(large) - 1)
        log.append(b"new")
    second = store.machine()
    second.objects.fetch()
    assert second.open(SPOOL).read(0, 10_000_000) == large[:-1] + b"new"
    first = store.machine()
    with first.locked():
        first.clear()
    third = store.machine()
    third.objects.fetch()
    assert third.open(SPOOL).size == 0 and not third.has(LEDGER)
