"""Answers that wait until they are settled: as lines, not as objects."""

from __future__ import annotations

from wrapgen.run.chunks import Chunk
from wrapgen.run.process import Outcome, Reply
from wrapgen.run.spool import laid_out, outcome_lines
from wrapgen.run.states import Fate


def test_results_wait_as_lines_alone():
    """An answer of results keeps their text once, as the spool's lines, and every fate and attempt."""
    chunk = Chunk(indexes=range(2), items=[b"1", b"2"], ids=None, attempts=[0, 2])
    reply = Reply([Outcome(Fate.OK, "10", 0), Outcome(Fate.OK, "20", 2)], {})
    laid = laid_out(chunk, reply)
    assert isinstance(laid, Reply)
    assert laid.clean
    assert laid.lines == outcome_lines(chunk, reply.outcomes)
    assert laid.outcomes == [Outcome(Fate.OK, "", 0), Outcome(Fate.OK, "", 2)]


def test_an_answer_with_an_error_stays_as_it_is():
    """What failed is looked at again, so its text stays."""
    chunk = Chunk(indexes=range(1), items=[b"1"], ids=None, attempts=[0])
    reply = Reply([Outcome(Fate.FAILED, '{"type":"InputError","message":"no","retryable":false}', 1)], {})
    assert laid_out(chunk, reply) is reply
