"""The loop of a run against a wrapper in memory, on a fake clock and without threads."""

from __future__ import annotations

import pytest

from wrapgen.errors import NotAuthorized, RunError, ServerFault, Throttled, Unreachable
from wrapgen.run.summary import EndState


def test_outcomes_come_in_input_order(bench, memory_wrapper):
    """Every item has one line in the output, in the order of the input, under its index."""
    values = [{"document": f"tweet {n}"} for n in range(100)]
    summary = bench.run(memory_wrapper(), values)
    assert summary.state is EndState.OK and summary.exit_code == 0
    assert bench.lines() == [
        {"index": n, "id": str(n), "result": {"seen": value}} for n, value in enumerate(values)
    ]


def test_the_first_chunks_are_small_and_then_they_double(bench, memory_wrapper):
    """Chunks start at 16 items and double while whole chunks finish, up to the largest."""
    wrapper = memory_wrapper()
    bench.run(wrapper, list(range(5000)), workers=1, chunk=200)
    sizes = [len(call["$batch"]) for call in wrapper.calls]
    assert sizes[:6] == [16, 32, 64, 128, 200, 200]
    assert max(sizes) == 200


def test_an_item_that_failed_for_now_is_sent_again(bench, memory_wrapper):
    """A retryable item goes again with a higher try until it succeeds, and the others do not."""
    wrapper = memory_wrapper(faults={"3": ["ServerError", "ServerError", None]})
    summary = bench.run(wrapper, list(range(20)))
    assert summary.state is EndState.OK
    assert wrapper.records["3"] == [(1, "ServerError"), (2, "result")]
    assert all(len(seen) == 1 for id_, seen in wrapper.records.items() if id_ != "3")


def test_the_limit_of_attempts_holds_over_all_sends(bench, memory_wrapper):
    """An item that never succeeds gets no more sends once its attempts are used up."""
    wrapper = memory_wrapper(faults={"3": ["ServerError"]}, attempts=3)
    summary = bench.run(wrapper, list(range(20)))
    assert summary.state is EndState.ERRORS and summary.exit_code == 10
    assert wrapper.attempts["3"] == 4
    assert bench.lines()[3]["error"]["type"] == "ServerError"


def test_a_failed_item_stands_in_its_place_and_in_the_errors_file(bench, memory_wrapper):
    """A final error is in the output as an error and in the errors file with its input, run, id and index."""
    import json

    bench.run(memory_wrapper(faults={"1": ["InputError"]}), ["a", "b", "c"])
    assert bench.lines()[1] == {
        "index": 1,
        "id": "1",
        "error": {"type": "InputError", "message": "as planned for 1", "retryable": False},
    }
    (line,) = (bench.folder / "out.jsonl.errors.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "run": "r1",
        "index": 1,
        "try": 1,
        "id": "1",
        "error": {"type": "InputError", "message": "as planned for 1", "retryable": False},
        "input": "b",
    }


def test_untried_items_go_again_and_chunks_shrink(bench, memory_wrapper):
    """Items that a call had no time for come again at once, in smaller chunks, and cost no attempts."""
    wrapper = memory_wrapper(room=10)
    summary = bench.run(wrapper, list(range(200)), workers=1)
    assert summary.state is EndState.OK and len(bench.lines()) == 200
    sizes = [len(call["$batch"]) for call in wrapper.calls]
    assert sizes[:2] == [16, 6] and len(sizes) < 40
    assert all(count == 1 for count in wrapper.attempts.values())


def test_a_chunk_that_times_out_is_halved_until_it_fits(bench, memory_wrapper):
    """A chunk is never sent again at a size that timed out."""
    wrapper = memory_wrapper(largest=5)
    summary = bench.run(wrapper, list(range(40)), workers=1)
    assert summary.state is EndState.OK
    assert [line["index"] for line in bench.lines()] == list(range(40))
    assert len(wrapper.calls[0]["$batch"]) == 16 and len(wrapper.calls[1]["$batch"]) == 8


@pytest.mark.parametrize(
    "fault",
    [Unreachable("reset"), ServerFault("broken", status=500), b'{"result": {"$results": [1', b"<html>"],
)
def test_a_lost_call_is_made_again(bench, memory_wrapper, fault):
    """A dropped or mutilated reply costs one more send of that chunk and nothing else."""
    wrapper = memory_wrapper(calls_fail={2: fault})
    summary = bench.run(wrapper, list(range(60)))
    assert summary.state is EndState.OK and summary.counts.lost == 1
    assert [line["result"]["seen"] for line in bench.lines()] == list(range(60))
    tries = sorted(call["$try"] for call in wrapper.calls)
    assert tries[-1] == 2 and tries.count(2) == 1


def test_throttling_waits_as_told_and_halves_the_concurrency(bench, memory_wrapper):
    """A 429 holds every send for its Retry-After, and costs no item an attempt."""
    wrapper = memory_wrapper(calls_fail={3: Throttled("slow down", status=429, retry_after=7)})
    summary = bench.run(wrapper, list(range(100)))
    assert summary.state is EndState.OK and summary.counts.throttled == 1
    assert any(7 <= waited <= 7.7 for waited in bench.calls.waited)


def test_refused_credentials_stop_the_run_and_it_resumes(bench, memory_wrapper):
    """An authentication error is no item's outcome: the run stops, and goes on when it is mended."""
    wrapper = memory_wrapper(calls_fail={2: NotAuthorized("who are you?", status=401)})
    summary = bench.run(wrapper, list(range(100)))
    assert summary.state is EndState.INCOMPLETE and summary.exit_code == 12
    assert "who are you?" in summary.reason and not bench.output.exists()
    again = bench.run(wrapper, list(range(100)))
    assert again.state is EndState.OK and len(bench.lines()) == 100


def test_too_many_errors_stop_the_run(bench, memory_wrapper):
    """More than the budget's share of failures ends the run in a state of its own, and nothing is lost."""
    faults = {str(n): ["InputError"] for n in range(0, 1000, 10)}
    wrapper = memory_wrapper(faults=faults)
    summary = bench.run(wrapper, list(range(1000)), workers=1, chunk=100)
    assert summary.state is EndState.BUDGET and summary.exit_code == 11
    assert "more than 5%" in summary.reason
    again = bench.run(wrapper, list(range(1000)), budget=1.0)
    assert again.state is EndState.ERRORS and again.counts.failed == 100


def test_many_alike_in_a_row_stop_the_run(bench, memory_wrapper):
    """Twenty equal failures one after another stop the run before the share counts."""

    def target(item):
        return {"seen": item}

    wrapper = memory_wrapper(target)
    wrapper.one = lambda item, id_: {"$error": {"type": "InputError", "message": "no", "retryable": False}}
    summary = bench.run(wrapper, list(range(1000)), workers=1)
    assert summary.state is EndState.BUDGET and "in a row" in summary.reason
    assert summary.counts.failed <= 48


def test_a_platform_that_stays_down_leaves_the_run_incomplete(bench, memory_wrapper):
    """While nothing answers no item fails; after the patience the run ends and can be resumed."""
    wrapper = memory_wrapper()
    real, wrapper_call = wrapper.call, wrapper.call
    down = [False]

    def call(body, timeout):
        if down[0]:
            raise Unreachable("refused")
        return real(body, timeout)

    wrapper.call = call
    original = wrapper.describe

    def describe_then_die():
        down[0] = True
        return original()

    wrapper.describe = describe_then_die
    summary = bench.run(wrapper, list(range(50)), patience=100)
    assert summary.state is EndState.INCOMPLETE and "nothing worked for 100 s" in summary.reason
    assert summary.counts.failed == 0
    wrapper.describe = original
    wrapper.call = wrapper_call
    assert bench.run(wrapper, list(range(50))).state is EndState.OK


def test_an_unknown_protocol_is_refused(bench, memory_wrapper):
    """A wrapper that speaks another item protocol is refused before anything is sent."""
    with pytest.raises(RunError, match="speaks item protocol 2"):
        bench.run(memory_wrapper(protocol=2), [1, 2, 3])
