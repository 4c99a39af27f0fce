"""Settling a run: fewer objects, the same records, and safe to be killed at any step."""

from __future__ import annotations

import copy
import hashlib
import json

import pytest
from recorded import URL, Killed, Memory, failed, name, record

from wrapgen.errors import NotFound, RecordsUnreadable
from wrapgen.records import open_records
from wrapgen.records.settle import settle


@pytest.fixture
def full(store: Memory) -> Memory:
    """A run in several pieces with retries, beside another run."""
    for chunk in range(5):
        outcomes = [
            failed(str(n), retryable=True) if n % 7 == 0 else record(str(n))
            for n in range(chunk * 20, chunk * 20 + 20)
        ]
        store.add(name(first=chunk * 20), *outcomes)
    store.add(name(tries=2), *(record(str(n), tries=2) for n in range(0, 100, 7)))
    store.add(name("other"), record("1", run="other"))
    return store


def records_of(store: Memory) -> list[dict]:
    with open_records(store, URL) as records:
        return list(records)


def test_settling_keeps_every_record_and_leaves_merged_objects_only(full: Memory) -> None:
    """After settling, the run is in merged objects and a manifest, and reads as before."""
    before = records_of(full)
    done = settle(full, URL, "r")
    assert records_of(full) == before
    assert (done.keys, done.retryable, done.removed) == (100, 0, 6)
    mine = sorted(where.rpartition("/")[2] for where in full.content if "/r-" in where)
    assert mine == ["r-manifest.json", *done.objects]
    assert f"{URL}/{name('other')}" in full.content


def test_the_manifest_lists_objects_with_their_digests(full: Memory) -> None:
    """Whoever holds the manifest can check the merged objects without us."""
    settle(full, URL, "r")
    manifest = json.loads(full.content[f"{URL}/r-manifest.json"])
    assert manifest["records"] == 100
    for entry in manifest["objects"]:
        body = full.content[f"{URL}/{entry['name']}"]
        assert hashlib.sha256(body).hexdigest() == entry["sha256"]
        assert len(body.splitlines()) == entry["records"]


def test_a_kill_at_any_step_loses_nothing_and_is_mended_by_settling_again(
    full: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every change that settling makes, being killed leaves the same records; a second run finishes."""
    monkeypatch.setattr("wrapgen.records.settle.MERGED_BYTES", 1500)
    before = records_of(full)
    undisturbed = copy.deepcopy(full)
    settle(undisturbed, URL, "r")
    steps = 0
    while True:
        store = Memory(dict(full.content), steps=steps)
        try:
            settle(store, URL, "r")
        except Killed:
            assert records_of(store) == before
            store.steps = None
            settle(store, URL, "r")
            assert store.content == undisturbed.content
            steps += 1
            continue
        break
    assert steps > 10


def test_settling_twice_changes_nothing(full: Memory) -> None:
    """A settled run settles to itself."""
    settle(full, URL, "r")
    content = dict(full.content)
    assert settle(full, URL, "r").removed == 0
    assert full.content == content


def test_a_late_record_is_merged_by_settling_again(full: Memory) -> None:
    """What a slow call writes after settling is neither lost nor able to undo a better outcome."""
    settle(full, URL, "r")
    full.add(name(first=3, tries=1), failed("3", retryable=True), record("200", index=200))
    before = records_of(full)
    assert [r for r in before if r["id"] == "3"] == [record("3")]
    assert settle(full, URL, "r").keys == 101
    assert records_of(full) == before


def test_objects_are_not_removed_when_the_merged_one_reads_back_differently(full: Memory) -> None:
    """Nothing is removed on faith."""
    names = set(full.content)
    put = full.put
    full.put = lambda url, body: put(url, body[:-5])
    with pytest.raises(RecordsUnreadable):
        settle(full, URL, "r")
    assert names <= set(full.content)


def test_a_run_without_records_can_not_be_settled(full: Memory) -> None:
    """A mistyped run is told, not settled to nothing."""
    with pytest.raises(NotFound, match="nobody"):
        settle(full, URL, "nobody")


def test_records_without_a_run_settle_under_their_objects_name(store: Memory) -> None:
    """Log calls without a run have many small objects; they merge as `none`."""
    for n in range(5):
        store.add(name("none", digest=f"{n:012d}"), record(str(n % 3), run=None))
    assert settle(store, URL, "none").keys == 3
    assert len(records_of(store)) == 3


def test_two_settlings_at_once_lose_nothing(full: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second settling, and a record that it alone has seen, at every step of the first."""
    monkeypatch.setattr("wrapgen.records.settle.MERGED_BYTES", 1500)
    late = record("500", index=500)
    steps = 0
    while True:
        store, changes = Interrupted(dict(full.content)), steps

        def meanwhile(store: Interrupted = store) -> None:
            store.add(name(first=500), late)
            settle(store, URL, "r")

        store.at, store.meanwhile = changes, meanwhile
        settle(store, URL, "r")
        if store.at >= 0:
            break
        assert [each for each in records_of(store) if each["run"] == "r"][-1] == late
        assert len(records_of(store)) == 102
        steps += 1
    assert steps > 10


class Interrupted(Memory):
    """A data service where somebody else comes in before one of the changes."""

    at = -1

    def _step(self) -> None:
        if self.at == 0:
            self.at = -1
            self.meanwhile()
        elif self.at > 0:
            self.at -= 1
