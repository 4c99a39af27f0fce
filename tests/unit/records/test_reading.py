"""Reading records back: each key once, by precedence, whatever the objects are like."""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import URL, Memory, failed, name, record

from wrapgen.errors import NotFound, RecordsUnreadable, UsageError
from wrapgen.records import objects, open_records
from wrapgen.records.objects import run_of
from wrapgen.records.reading import is_database, is_queue


def read(store, **options):
    with open_records(store, URL, **options) as records:
        return list(records)


def test_a_runs_objects_are_one_list_in_the_order_of_its_items(store) -> None:
    """Pieces and chunks come together, sorted by index whatever the order of their objects."""
    store.add(name(first=2), record("3"), record("2"))
    store.add(name(first=0), record("0"))
    store.add(name(first=0, piece=1), record("1"))
    assert [r["id"] for r in read(store)] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_better_outcome_wins_whatever_was_written_last(store, reverse: bool) -> None:
    """A result beats a final error, which beats a retryable one; then the higher try."""
    ladder = [
        failed("1", retryable=True, tries=1),
        failed("1", retryable=True, tries=9),
        failed("1", retryable=False, tries=1),
        failed("1", retryable=False, tries=3),
        record("1", tries=1, result="early"),
        record("1", tries=2, result="late"),
    ]
    for worse, better in itertools.pairwise(ladder):
        store.content.clear()
        pair = [worse, better] if reverse else [better, worse]
        for piece, one in enumerate(pair):
            store.add(name(piece=piece), one)
        assert read(store) == [better]


def test_one_run_is_read_without_the_others(store) -> None:
    """`run` picks a run's objects by their names and its records by their content."""
    store.add(name("r"), record("1"), record("2", run="someone"))
    store.add(name("r-2"), record("1", run="r-2"))
    assert [(r["run"], r["id"]) for r in read(store, run="r")] == [("r", "1")]
    assert [(r["run"], r["id"]) for r in read(store, run="r-2")] == [("r-2", "1")]
    assert len(read(store)) == 3


def test_records_without_a_run_are_keyed_by_their_id(store) -> None:
    """Where the id comes from the item, equal items of different calls are one record."""
    store.add(name("none"), record("same", run=None, result=1))
    store.add(name("none", digest="1" * 12), failed("same", run=None, retryable=False))
    assert [r["result"] for r in read(store)] == [1]


@pytest.mark.parametrize("key", ["", "\x00", "\ud800", "é" * 1000, "a'b\"c\n"])
def test_any_text_may_be_an_id(store, key: str) -> None:
    """Ids are the caller's, whatever they hold."""
    store.add(name(), {"run": "r", "id": key, "index": 2**70, "try": -1, "result": 1})
    with open_records(store, URL) as records:
        assert [each["id"] for each in records] == [key]
        assert records.get("r", key) is not None


def test_other_files_of_the_collection_are_left_alone(store) -> None:
    """Manifests, notes and half-named files hold no records."""
    store.add(name(), record("1"))
    store.content[f"{URL}/r-manifest.json"] = b"{}"
    store.content[f"{URL}/notes.jsonl"] = b"not json"
    assert [r["id"] for r in read(store)] == ["1"]


def test_gzip_and_missing_line_ends_are_read(store) -> None:
    """An object may be zipped, and its last line may lack its end."""
    body = (json.dumps(record("1")) + "\n" + json.dumps(record("2"))).encode()
    store.content[f"{URL}/{name()}.gz"] = gzip.compress(body)
    assert [r["id"] for r in read(store)] == ["1", "2"]


@pytest.mark.parametrize(
    "body",
    [
        b"not json\n",
        b"[1]\n",
        b'{"run":"r"}\n',
        b'{"run":"r","id":"1"}\n',
        b'{"run":"r","id":"1","result":1,"error":{}}\n',
        b'{"run":"r","id":1,"result":1}\n',
        b'{"run":"r","id":"1","resu',
        b"\xff\n",
    ],
)
def test_what_is_no_record_is_an_error_that_names_its_place(store, body: bytes) -> None:
    """A damaged object is never read as if it were less."""
    store.add(name(), record("0"))
    store.content[f"{URL}/{name(piece=1)}"] = body
    with pytest.raises(RecordsUnreadable, match=r"p1\.jsonl line 1"):
        read(store)


def test_a_damaged_zip_is_an_error(store) -> None:
    """A zipped object that is cut off or no zip is an error, not fewer records."""
    whole = gzip.compress(json.dumps(record("1")).encode() * 100)
    for body in (whole[:-10], b"plain"):
        store.content[f"{URL}/{name()}.gz"] = body
        with pytest.raises(RecordsUnreadable):
            read(store)


def test_a_large_object_is_streamed(store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a size, an object is read piece by piece and gives the same records."""
    monkeypatch.setattr("wrapgen.records.objects.SMALL", 100)
    store.add(name(), *(record(str(n)) for n in range(500)))
    store.add(name(piece=1), record("500"))
    assert [r["id"] for r in read(store)] == [str(n) for n in range(501)]


def test_one_object_can_be_read_alone(store) -> None:
    """The URL of an object reads that object."""
    store.add(name(), record("1"))
    store.add(name(piece=1), record("2"))
    with open_records(store, f"{URL}/{name(piece=1)}") as records:
        assert [r["id"] for r in records] == ["2"]


def test_a_run_that_is_settled_while_it_is_read_is_read_whole(store) -> None:
    """Objects that vanish between listing and reading are found again where they were merged."""
    store.add(name(), record("1"))
    store.add(name(piece=1), record("2"))
    listed = store.files

    def settle_meanwhile(url: str):
        entries = list(listed(url))
        if f"{URL}/{name(piece=1)}" in store.content:
            store.content.clear()
            store.add("r-settled-000000-" + "a" * 12 + ".jsonl", record("1"), record("2"))
        return iter(entries)

    store.files = settle_meanwhile
    assert [r["id"] for r in read(store)] == ["1", "2"]


def test_a_tally_counts_keys_by_outcome(store) -> None:
    """Counts are of keys, not of lines."""
    store.add(name(), record("1"), failed("2", retryable=True), failed("3", retryable=False))
    store.add(name(tries=2), record("2", tries=2))
    with open_records(store, URL) as records:
        tally = records.tally()
        assert (tally.keys, tally.results, tally.errors, tally.retryable) == (3, 2, 1, 0)
        assert records.lines == 4
        assert records.runs() == {"r": 3}
        assert records.get("r", "2")["try"] == 2
        assert records.get("r", "9") is None


@pytest.mark.parametrize("url", ["https://sqs.eu-west-1.amazonaws.com/1234/queue", "sqs://queue"])
def test_a_queue_can_not_be_read_back(store, url: str) -> None:
    """Reading a queue would take its messages away, so it is refused."""
    with pytest.raises(UsageError, match="queue"), open_records(store, url):
        pass


def test_names_of_runs_with_dashes_are_told_apart() -> None:
    """A run's name may look like anything that names allow, an object's name included."""
    odd = "a-000000000000-000000000000-t1-p0"
    assert run_of(name(odd)) == odd
    assert run_of("r-settled-000000-" + "a" * 12 + ".jsonl") == "r"
    assert run_of("r-manifest.json") is None


KEYS = st.sampled_from(["0", "1", "2"])
RUNS = st.sampled_from([None, "r", "s"])
OUTCOMES = st.one_of(
    st.builds(record, KEYS, run=RUNS, tries=st.integers(1, 3), result=st.integers(0, 3)),
    st.builds(failed, KEYS, run=RUNS, retryable=st.booleans(), tries=st.integers(1, 3)),
)


def better(one, other):
    def order(r):
        kind = 2 if "result" in r else 0 if r["error"]["retryable"] else 1
        return kind, r["try"], json.dumps(r)

    return max(one, other, key=order)


@given(st.lists(st.lists(OUTCOMES, max_size=6), max_size=6), st.randoms(use_true_random=False))
def test_the_union_is_the_same_in_any_order(objects, random) -> None:
    """Any split into objects, read in any order, gives the best record of each key."""
    expected: dict[tuple[str | None, str], dict] = {}
    for one in (r for group in objects for r in group):
        key = one["run"], one["id"]
        expected[key] = better(expected[key], one) if key in expected else one
    random.shuffle(objects)
    store = Memory()
    for number, group in enumerate(objects):
        store.add(name(piece=number), *group)
    found = {(r["run"], r["id"]): r for r in read(store)}
    assert found == expected


def test_nothing_there_is_an_empty_reading(store) -> None:
    """A collection without objects has no records."""
    assert read(store) == []


def test_a_missing_object_is_not_found(store) -> None:
    """An object that never was is not an empty one."""
    with pytest.raises(NotFound), open_records(store, f"{URL}/{name()}"):
        pass


def test_the_temporary_file_goes_with_the_reading(store, tmp_path: Path, monkeypatch) -> None:
    """Reading leaves nothing behind on disk."""
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    store.add(name(), record("1"))
    assert len(read(store)) == 1
    assert list(tmp_path.iterdir()) == []


MEASURE = """
import json, resource, sys
from wrapgen.records import objects, open_records

class File:
    size = 1
    def __init__(self, number):
        self.name = f"r-{number * 1000:012d}-{'a' * 12}-t1-p0.jsonl"

class Store:
    def files(self, url):
        return map(File, range(int(sys.argv[1]) // 1000))
    def read(self, url):
        first = int(url.rpartition("/")[2].split("-")[1])
        fields = {"run": "r", "try": 1, "input": "x" * 300, "result": "y" * 300}
        lines = (json.dumps({**fields, "id": str(n), "index": n}) for n in range(first, first + 1000))
        return "\\n".join(lines).encode()

with open_records(Store(), "data://a/b") as records:
    assert sum(1 for _ in records.ordered()) == int(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.soak
def test_memory_does_not_grow_with_the_run() -> None:
    """Ten times the records take hardly more memory: the rest is on disk."""

    def peak(count: int) -> int:
        words = [sys.executable, "-c", MEASURE, str(count)]
        return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    assert peak(2_000_000) < 1.3 * peak(200_000)


def test_a_line_without_end_is_not_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no record by its size alone ends the reading, and is named; lines may come in any pieces."""
    monkeypatch.setattr(objects, "MOST_OF_A_LINE", 1000)
    assert list(objects._lines([b"a", b"b\nc\n\nd", b"", b"e\n", b"f"], "x")) == [
        b"ab",
        b"c",
        b"",
        b"de",
        b"f",
    ]
    with pytest.raises(RecordsUnreadable, match="a line has more than"):
        list(objects._lines(itertools.repeat(b"x" * 100), "data://a/b/c.jsonl"))


@pytest.mark.parametrize("url", ["postgresql://[x/db", "http://[x", "data://[x", "sqs://host:99999/q"])
def test_what_is_no_url_is_one_clear_error(store, url) -> None:
    """A datastore's address that can't be taken apart is the user's mistake, in one sentence."""
    with pytest.raises(UsageError, match="not a URL"):
        is_queue(url)
    with pytest.raises(UsageError, match="not a URL"):
        is_database(url)
