"""The start file and the pool, without a server: each interpreter of this machine, each kind of algorithm."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from wrapgen.platform.calls.worker_protocol import CallFailure, Result, read_response
from wrapgen.platform.workers.ceilings import Ceilings
from wrapgen.platform.workers.pool import LoadFailed, Size
from wrapgen.platform.workers.processors import Processors

sys.path.insert(0, str(Path(__file__).parent))
from pools import INTERPRETERS, answers, ask, maker, pool_of, serve


@pytest.fixture
def algorithm(tmp_path):
    """Makes an algorithm of a text; gives what runs it."""
    return maker(tmp_path)


MIB = 1 << 20


@pytest.mark.parametrize("version", INTERPRETERS)
def test_a_plain_module_runs_on_every_interpreter(algorithm, tmp_path, version):
    """`apply` and `load` alone are an algorithm, from Python 3.6 on; its errors have tracebacks."""
    text = """\
def load():
    return {"factor": 2}


def apply(input, state):
    return input * state["factor"]
"""
    runnable = algorithm(text, INTERPRETERS[version])
    number, words, broken = answers(runnable, tmp_path, 21, "ab", {})
    assert (bytes(number.text), number.kind) == (b"42", "json")
    assert (bytes(words.text), words.kind) == (b'"abab"', "text")
    assert broken.kind == "AlgorithmError"
    assert "TypeError" in broken.trace


def test_the_older_handler_runs(algorithm, tmp_path):
    """`Algorithmia.handler(apply, load).serve()` answers, though Python has taken away what it calls."""
    text = """\
import Algorithmia


def apply(input):
    return {"got": input}


Algorithmia.handler(apply).serve()
"""
    (result,) = answers(algorithm(text, adk=True), tmp_path, [1])
    assert bytes(result.text) == b'{"got":[1]}'


def test_an_exception_in_the_adks_load_is_a_loading_error(algorithm, tmp_path):
    """Every request is answered with LoadingError, on Pythons where the ADK itself would crash too."""
    text = """\
from Algorithmia import ADK


def load():
    raise RuntimeError("no model here")


def apply(input):
    return input


ADK(apply, load).init()
"""
    problem, again = answers(algorithm(text, adk=True), tmp_path, 1, 2)
    assert (problem.kind, problem.message) == ("LoadingError", "no model here")
    assert again.kind == "LoadingError"


@pytest.mark.parametrize("text", ["import nothing_like_this", "def apply(:", "raise SystemExit(4)"])
def test_a_module_that_cannot_be_imported_says_why(algorithm, tmp_path, text):
    """The failed start carries the exit code and what was printed."""

    async def run():
        async with pool_of(algorithm(text), tmp_path) as pool:
            with pytest.raises(LoadFailed) as caught:
                await ask(pool, 1)
            return caught.value.worker.exited

    exited = asyncio.run(run())
    assert exited.code in (1, 4)
    assert exited.code == 4 or "Error" in exited.output


def test_loading_has_a_time_limit(algorithm, tmp_path):
    """A load that never ends is given up, with a reason."""

    async def run():
        size = Size(load_seconds=0.5)
        async with pool_of(algorithm("import time; time.sleep(60)"), tmp_path, size) as pool:
            with pytest.raises(LoadFailed, match="loading took more than"):
                await ask(pool, 1)

    asyncio.run(run())


def test_an_urgent_request_hears_that_its_worker_does_not_load(algorithm, tmp_path):
    """It would wait for ever for the worker that the request above it holds."""

    async def run():
        once = tmp_path / "once"
        text = f"open({str(once)!r}, 'x')\n\n\ndef apply(input):\n    import time\n    time.sleep(input)\n"
        async with pool_of(algorithm(text), tmp_path, Size(most=1)) as pool:
            begun = asyncio.Event()
            above = asyncio.create_task(ask(pool, 60, begin=lambda _: begun.set()))
            await begun.wait()
            with pytest.raises(LoadFailed) as caught:
                await ask(pool, 0, urgent=True)
            above.cancel()
            return caught.value.worker.exited.output

    assert "FileExistsError" in asyncio.run(run())


def test_the_memory_ceiling_holds(algorithm, tmp_path):
    """Too much memory is an OutOfMemoryError of that call; less works."""
    text = "def apply(input):\n    return len(bytearray(input))\n"
    ceilings = Ceilings(memory=256 * MIB)
    fine, over, after = answers(algorithm(text), tmp_path, 10 * MIB, 2048 * MIB, 10 * MIB, ceilings=ceilings)
    assert isinstance(fine, Result)
    assert isinstance(over, CallFailure)
    assert over.kind == "OutOfMemoryError"
    assert isinstance(after, Result)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the ceiling moves with prlimit")
def test_the_processor_ceiling_ends_a_worker(algorithm, tmp_path):
    """A call that computes for longer than the ceiling ends its worker, and the reason is told."""
    text = "def apply(input):\n    while input:\n        pass\n    return 1\n"
    spinning, after = answers(algorithm(text), tmp_path, 1, 0, ceilings=Ceilings(cpu=1))
    assert "processor time" in spinning.words
    assert bytes(after.text) == b"1"


def test_idle_workers_are_retired(algorithm, tmp_path):
    """After the idle time no process is left, and the next request starts one again."""

    async def run():
        size = Size(idle_seconds=0.2)
        async with pool_of(algorithm("def apply(input):\n    return input\n"), tmp_path, size) as pool:
            assert bytes((await ask(pool, 1)).text) == b"1"
            (worker,) = pool.workers
            await asyncio.wait_for(worker.gone.wait(), 60)
            assert worker.exited.code == 0
            assert not pool.workers
            assert bytes((await ask(pool, 2)).text) == b"2"

    asyncio.run(run())


def test_a_busy_pool_stays_small_and_a_waiting_one_grows(algorithm, tmp_path):
    """Calls that only wait get more workers, up to the most; there are never more than that."""

    async def run():
        size = Size(most=5, at_once=1)
        text = "import time\n\n\ndef apply(input):\n    time.sleep(input)\n    return 1\n"
        processors = Processors(tmp_path / "none")  # never busy, whatever else runs here
        async with pool_of(algorithm(text), tmp_path, size, processors=processors) as pool:
            await asyncio.gather(*(ask(pool, 0.4) for _ in range(20)))
            return len(pool.workers)

    assert 2 <= asyncio.run(run()) <= 5


def test_busy_processors_are_told_from_idle_ones(tmp_path):
    """Time that is neither idle nor spent waiting for disks counts, from one look to the next."""
    stat = tmp_path / "stat"
    processors = Processors(stat)
    processors.look(1.0)
    assert processors.busy == 0.0
    for now, line, busy in (
        (2.0, "cpu  100 0 100 800 0 0 0 0 9 9", 0.0),
        (3.0, "cpu  160 10 110 815 5 0 0 0 9 9", 0.8),
        (3.1, "cpu  160 10 110 915 5 0 0 0 9 9", 0.8),
        (4.0, "cpu  160 10 110 915 5 0 0 0 9 9", 0.0),
        (5.0, "cpu  160 10 110 915 5 0 0 0 9 9", 0.0),
    ):
        stat.write_text(line + "\ncpu0 1 1 1 1\n")
        processors.look(now)
        assert processors.busy == pytest.approx(busy)


def test_a_crowded_machine_keeps_a_pool_small(algorithm, tmp_path):
    """Where all processors are busy, more workers are not started for calls that wait a moment."""

    async def run():
        processors = Processors(tmp_path / "none")
        processors.busy = 1.0
        size = Size(most=5, at_once=1)
        text = "import time\n\n\ndef apply(input):\n    time.sleep(input)\n    return 1\n"
        async with pool_of(algorithm(text), tmp_path, size, processors=processors) as pool:
            await asyncio.gather(*(ask(pool, 0.1) for _ in range(10)))
            return len(pool.workers)

    assert asyncio.run(run()) == 1


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="a policy of Linux")
def test_workers_do_not_interrupt_the_server(algorithm, tmp_path):
    """They are scheduled as batches, which wait until a processor is free."""
    text = "import os\n\n\ndef apply(input):\n    return os.sched_getscheduler(0) == os.SCHED_BATCH\n"
    (told,) = answers(algorithm(text), tmp_path, 1)
    assert bytes(told.text) == b"true"


def test_a_worker_goes_straight_from_one_request_to_the_next(algorithm, tmp_path):
    """Whoever waits has the worker before the one that had it hears its response."""

    async def run():
        events = []

        async def one(pool, name):
            await ask(pool, name, begin=lambda worker: events.append((name, worker.process)))
            events.append(name)

        size = Size(most=1, at_once=1)
        async with pool_of(algorithm("def apply(input):\n    return input\n"), tmp_path, size) as pool:
            await asyncio.gather(one(pool, "first"), one(pool, "second"))
            (worker,) = pool.workers
        return events, worker.process

    events, process = asyncio.run(run())
    assert events == [("first", process), ("second", process), "first", "second"]


def test_a_worker_outlives_a_caller_that_leaves_as_it_answers(algorithm, tmp_path):
    """A cancellation that comes after the response costs no worker, one that comes before it does."""

    async def run():
        text = "import time\n\n\ndef apply(input):\n    time.sleep(input)\n    return 1\n"
        async with pool_of(algorithm(text), tmp_path, Size(most=1, at_once=1)) as pool:
            late = asyncio.create_task(ask(pool, 0, end=lambda _: late.cancel()))
            next_one = asyncio.create_task(ask(pool, 0))
            await asyncio.wait([late, next_one])
            assert late.cancelled()
            assert bytes(next_one.result().text) == b"1"
            assert pool.replaced == 0
            begun = asyncio.Event()
            early = asyncio.create_task(ask(pool, 60, begin=lambda _: begun.set()))
            await begun.wait()
            early.cancel()
            assert bytes((await ask(pool, 0)).text) == b"1"
            assert early.cancelled()
            return pool.replaced

    assert asyncio.run(run()) == 1


def test_a_request_that_is_no_longer_wanted_leaves_its_worker_free(algorithm, tmp_path):
    """One that refuses its worker, or was given up while it waited, is passed over."""

    async def run():
        def refuse(_worker):
            raise LookupError("no longer")

        async with pool_of(algorithm("def apply(input):\n    return input\n"), tmp_path) as pool:
            waiting = asyncio.create_task(ask(pool, 1))
            refused = asyncio.create_task(ask(pool, 2, begin=refuse))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting, refused])
            assert isinstance(refused.exception(), LookupError)
            with pytest.raises(LookupError):
                await ask(pool, 3, begin=refuse)
            assert bytes((await ask(pool, 4)).text) == b"4"
            return pool.replaced

    assert asyncio.run(run()) == 0


def test_requests_that_python_cannot_read_are_errors(algorithm, tmp_path):
    """JSON that is beyond Python's own limits is answered, on the ADK too, and the worker goes on."""
    text = "from Algorithmia import ADK\n\nADK(lambda input: input).init()\n"

    async def run():
        async with pool_of(algorithm(text, adk=True), tmp_path) as pool:
            digits = await serve(pool, [b'{"content_type":"json","data":', b"9" * 5000, b"}\n"])
            return digits, await serve(pool, [b'{"content_type":"json","data":1}\n'])

    digits, fine = asyncio.run(run())
    assert isinstance(digits, Result) or digits.kind == "ParsingError"
    assert bytes(fine.text) == b"1"


def test_half_a_surrogate_pair_costs_no_answer():
    """What UTF-8 can't say becomes a question mark in a raw result and in an error."""
    assert Result("text", rb'"a\ud800b"').raw() == b"a?b"
    assert Result("text", '"\\ud83d\\ude00é"'.encode()).raw() == "😀é".encode()
    told = read_response(rb'{"error":{"message":"bad \udc00","error_type":"InputError"}}' + b"\n")
    assert told == CallFailure("InputError", "bad ?")
    for broken in (b'{"error"\n', b'{"result":NaN,"metadata":1}\n', b"\xff\n", b"[" * 100_000):
        assert read_response(broken).kind == "ParsingError"
