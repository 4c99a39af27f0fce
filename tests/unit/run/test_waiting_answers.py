"""Answers that wait until they are settled: as lines, not as objects."""

from __future__ import annotations

from wrapgen.run.hosts.chunk_call import ChunkCall, Terms
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.ledger.spool import outcome_lines, result_lines
from wrapgen.run.scheduling.chunks import Chunk
from wrapgen.run.scheduling.replies import Fate, Outcome, Reply

CHUNK = Chunk(indexes=range(2), items=[b"1", b"2"], ids=None, attempts=[0, 2])
TERMS = Terms(run="r1", timeout=60, attempts=3, request_bytes=1000, clock=lambda: 0.0)


def laid(body):
    """The reply to CHUNK that this answer makes, its lines made if they can be."""
    reply = ChunkCall(MemoryHost(lambda _body, _timeout: body), TERMS, result_lines)(CHUNK)
    assert isinstance(reply, Reply)
    return reply


def test_results_wait_as_lines_alone():
    """An answer of results keeps their text once, as the spool's lines, and every fate and attempt."""
    reply = laid(b'{"result":{"$results":[10,20],"$summary":{}}}')
    assert reply.clean
    assert reply.lines == outcome_lines(CHUNK, [Outcome(Fate.OK, "10", 0), Outcome(Fate.OK, "20", 2)])
    assert reply.outcomes == [Outcome(Fate.OK, "", 0), Outcome(Fate.OK, "", 2)]


def test_an_answer_with_an_error_stays_as_it_is():
    """What failed is looked at again, so its text stays, and so do the results beside it."""
    reply = laid(b'{"result":{"$results":[10,{"$error":{"type":"InputError","message":"no"}}]}}')
    assert reply.lines is None
    assert reply.outcomes[0] == Outcome(Fate.OK, "10", 0)
    assert reply.outcomes[1].fate is Fate.FAILED
