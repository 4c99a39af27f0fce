"""Every store of a run's state does the same: one suite over a folder and over this process."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from wrapgen import protocol
from wrapgen.errors import NotAuthorized, RunError
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.ledger.store import LEDGER, SPOOL
from wrapgen.run.output.outcomes import outcomes
from wrapgen.run.session import Session
from wrapgen.run.settings import Options
from wrapgen.run.summary import EndState


def test_a_log_holds_what_was_appended_in_its_order(store):
    """Each append says where it stands, any stretch can be read, and the end is cut off on demand."""
    with store.locked():
        log = store.open(SPOOL, write=True)
        assert [log.append(b"one\n"), log.append(b"two\n")] == [0, 4] and log.size == 8
        log.sync()
        assert log.read(4, 3) == b"two" and log.read(6, 100) == b"o\n" and log.read(8, 1) == b""
        log.cut(4)
        assert log.append(b"three\n") == 4 and log.read(0, 100) == b"one\nthree\n"
        log.close()


def test_a_log_is_there_for_the_next_who_opens_it(store):
    """What one user of it wrote another reads, also while it is open for writing."""
    log = store.open(LEDGER, write=True)
    log.append(b"a")
    log.sync()
    assert store.open(LEDGER).read(0, 9) == b"a" and store.has(LEDGER)
    log.close()
    assert store.open(LEDGER, write=True).append(b"b") == 1


def test_a_log_that_is_missing_is_empty_and_stays_missing(store):
    """Reading makes nothing."""
    assert store.open(SPOOL).size == 0 and store.open(SPOOL).read(0, 9) == b""
    assert not store.has(SPOOL)


def test_one_runner_holds_a_store(store):
    """A second one is refused, and the next may come when the first has left."""
    assert not store.busy()
    with store.locked():
        assert store.busy()
        with pytest.raises(RunError, match="another runner"), store.locked():
            pass
    assert not store.busy()
    with store.locked():
        pass


def test_clearing_forgets_every_log(store):
    """As the option --fresh asks for."""
    for name in (LEDGER, SPOOL):
        log = store.open(name, write=True)
        log.append(b"a")
        log.close()
    store.clear()
    assert not store.has(LEDGER) and store.open(SPOOL).size == 0


@pytest.mark.parametrize(("content", "stays"), [(b"", False), (b"begun\n", True)])
def test_what_did_not_begin_leaves_nothing(store, content, stays):
    """An error before the first entry leaves no log; later ones leave all."""
    with pytest.raises(KeyError), store.provisional():
        log = store.open(LEDGER, write=True)
        log.append(content)
        log.close()
        raise KeyError
    assert store.has(LEDGER) is stays


def failing_once() -> Callable[[bytes, float], bytes]:
    """A wrapper that doubles numbers, and whose platform refuses the key once."""
    facts = {"protocol": protocol.PROTOCOL, "mode": "batch", "spec": "sha256:ab", "target": "a/B/1.0.0"}
    calls: list[int] = []

    def call(body: bytes, timeout: float) -> bytes:
        items = json.loads(body)["$batch"]
        calls.append(len(items))
        if len(calls) == 3:
            raise NotAuthorized("the key is wrong", status=401)
        results = [2 * item for item in items]
        summary = {"calls": len(items), "wrapper": facts}
        return protocol.dumps({"result": {"$results": results, "$summary": summary}, "metadata": {}})

    return call


def test_a_run_goes_on_from_any_store(store):
    """A session that was cut short and the one after it leave each outcome once, and say so."""
    host = MemoryHost(failing_once())
    items = Selected(MemorySource(list(range(40))), Selection())
    states = []
    options = Options(run="r1", workers=1, chunk=16)
    for _ in range(2):
        with Session(store, items, host, options) as session:
            states.append(session.work()[0])
            found = [json.loads(line)["result"] for _, _, line in outcomes(session.slots, session.spool)]
    assert states == [EndState.INCOMPLETE, EndState.OK]
    assert found == [2 * number for number in range(40)]
    kinds = [entry["e"] for entry in read_ledger(store.open(LEDGER))]
    assert kinds[0] == "run" and kinds.count("open") == kinds.count("end") == 2
