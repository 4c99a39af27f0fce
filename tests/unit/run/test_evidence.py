"""What a run left as evidence: a right one breaks no rule, and whatever is altered in it breaks one."""

from __future__ import annotations

import json

import pytest
from evidence import Evidence

from wrapgen.errors import Unreachable
from wrapgen.run.history import RESULT
from wrapgen.run.ledger.folder import Folder, folder_for

ITEMS = 30
FAULTS = {"4": ["InputError"], "7": ["ServerError"] * 3, "9": ["ServerError"]}


class Left:
    """What a run of some items left."""

    def __init__(self, bench, wrapper) -> None:
        self.bench = bench
        bench.run(wrapper, list(range(ITEMS)))
        self.store = Folder(folder_for(bench.output))
        self.calls = len(wrapper.calls)
        self.records = [
            {"index": int(id_), "try": tries, "error" if kind != "result" else "result": {"retryable": True}}
            for id_, kept in wrapper.records.items()
            for tries, kind in kept
        ]
        self.polled = [[record for record in self.records if record["index"] < 20]]

    def broken(self, folder) -> list[str]:
        """The rules that it breaks."""
        called = [{"event": "call", "request_id": str(n), "session": str(n)} for n in range(self.calls)]
        nested = {"event": "call", "request_id": "x", "session": "1", "run": "r", "algorithm": "nlp/S/1.0.0"}
        lines = [json.dumps({**one, "run": "r", "algorithm": "acme/B/1.0.0"}) for one in called]
        (folder / "platform.jsonl").write_text("\n".join([*lines, json.dumps(nested), '{"event": "ca']))
        found = Evidence(ITEMS)
        for records in [*self.polled, self.records]:
            found.records(records)
        found.ledger(self.store)
        found.calls(folder, "r", "acme/B/")
        found.output(self.bench.output)
        return found.broken()


def _without_record(left: Left) -> None:
    left.records = [record for record in left.records if record["index"] != 21]


def _record_lost_again(left: Left) -> None:
    left.polled = [left.records]
    left.records = [record for record in left.records if record["index"] != 4]


def _record_of_an_unknown_send(left: Left) -> None:
    left.records.append({"index": 3, "try": 9, "result": 1})


def _one_call_more(left: Left) -> None:
    left.calls += 1


def _swapped(left: Left) -> None:
    lines = left.bench.output.read_bytes().splitlines(keepends=True)
    left.bench.output.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))


def _told_better(left: Left) -> None:
    lines = [json.loads(line) for line in left.bench.output.read_bytes().splitlines()]
    lines[4] = {"index": 4, "id": "4", "result": 1}
    left.bench.output.write_text("".join(json.dumps(line) + "\n" for line in lines))


ALTERED = {
    "answered and not recorded: item 21": _without_record,
    "item 4 was recorded, and is no longer": _record_lost_again,
    "an answer to a send that was not noted: item 3, try 9": _record_of_an_unknown_send,
    "sums do not agree: ": _one_call_more,
    "an item of the output is not in its place": _swapped,
    "another outcome was acknowledged than kept: item 4": _told_better,
}


@pytest.fixture
def left(bench, memory_wrapper) -> Left:
    """A run one of whose calls was lost, and some of whose items failed."""
    return Left(bench, memory_wrapper(faults=FAULTS, attempts=4, calls_fail={2: Unreachable("reset")}))


def test_a_real_run_breaks_no_rule(left, tmp_path):
    """Ledger, spool, records, the platform's log and the output of a run agree."""
    assert left.broken(tmp_path) == []


@pytest.mark.parametrize("says", ALTERED)
def test_what_is_altered_breaks_a_rule(left, tmp_path, says):
    """A record that is missing, unknown or gone, a call that was not noted, another output: each is found."""
    ALTERED[says](left)
    assert [broken for broken in left.broken(tmp_path) if broken.startswith(says)]


def test_without_a_ledger_the_datastore_is_what_was_kept():
    """Rows of an engine and deleted messages are held against the best records: what was told is there."""
    found = Evidence(2)
    found.records([{"id": "b", "try": 2, "result": 1}], lambda record: "ab".index(record["id"]))
    found.acknowledged({0: RESULT, 1: RESULT})
    assert found.broken()[0].startswith("another outcome was acknowledged than kept: item 0")


def test_shards_are_judged_as_one_run(bench, memory_wrapper, tmp_path):
    """The ledgers of several runs over parts of the items make one history."""
    found = Evidence(ITEMS)
    for shard in range(2):
        output = tmp_path / f"part{shard}.jsonl"
        bench.run(memory_wrapper(), list(range(shard, ITEMS, 2)), output=output)
        found.ledger(Folder(folder_for(output)), lambda index, shard=shard: index * 2 + shard)
        found.output(output, lambda index, shard=shard: index * 2 + shard)
    assert found.broken(records=False) == []
