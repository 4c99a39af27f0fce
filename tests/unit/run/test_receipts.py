"""The receipt of a run, checked from input, output and records alone, in another folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from wrapgen.errors import NotAuthorized, UsageError
from wrapgen.run.input.files import find
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.ledger.folder import receipt_beside
from wrapgen.run.output.digests import MOST_BLOCKS, ContentDigest
from wrapgen.run.output.layouts import Layout
from wrapgen.run.report.receipt import digest_of_receipt, read_receipt
from wrapgen.run.verify_receipt import ReceiptVerification

VALUES = list(range(300))
FAULTS = {"7": ["InputError"], "200": ["AlgorithmError"]}


class RecordsInMemory:
    """The records that a wrapper in memory would have written."""

    def __init__(self, **changes) -> None:
        self.by_id = {str(index): record(index) for index in VALUES}
        self.by_id.update(changes)
        self.by_id = {key: one for key, one in self.by_id.items() if one is not None}

    def get(self, run, key):
        return self.by_id.get(key)

    def runs(self):
        return {"r1": len(self.by_id)}


def record(index: int, **changes):
    """What is recorded of an item."""
    error = {
        "type": (FAULTS.get(str(index)) or [""])[0],
        "message": f"as planned for {index}",
        "retryable": False,
    }
    outcome = {"error": error} if str(index) in FAULTS else {"result": {"seen": index}}
    about = {"target": "nlp/SentimentAnalysis/1.0.5", "wrapper": "acme/SentimentBatch@sha256:" + "ab" * 6}
    return {"run": "r1", "id": str(index), "index": index, "try": 1, **outcome, **about, **changes}


@pytest.fixture
def receipt(bench, memory_wrapper, tmp_path):
    """The receipt of a run, moved with input and output to a folder where nothing else of the run is."""
    source = tmp_path / "in.jsonl"
    source.write_text("".join(f"{value}\n" for value in VALUES))
    bench.run(
        memory_wrapper(faults=FAULTS), VALUES, source=find(str(source)), report=tmp_path / "report.html"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (source, *tmp_path.glob("out.jsonl.*json*"), bench.output):
        shutil.move(path, elsewhere)
    return elsewhere / "out.jsonl.receipt.json"


def checks_of(receipt: Path, records=None) -> dict:
    """Every check of a receipt by name."""
    items = lambda: Selected(find(str(receipt.with_name("in.jsonl"))), Selection())  # noqa: E731
    held = records or RecordsInMemory()
    found = ReceiptVerification(receipt).checks(items, lambda url, run: nullcontext(held))
    return {check.name: check for check in found}


def faulty(receipt: Path, records=None) -> dict:
    """The first thing that each faulty check tells."""
    return {name: check.samples[0] for name, check in checks_of(receipt, records).items() if check.samples}


def test_a_receipt_says_what_was_done_and_is_right_elsewhere(receipt):
    """Digests, counts, versions, records and times are in it; with input, output and records it verifies."""
    assert receipt.stat().st_size < 6_000
    told = json.loads(receipt.read_text())
    output = receipt.with_name("out.jsonl").read_bytes()
    assert told["output"]["sha256"] == hashlib.sha256(output).hexdigest()
    assert told["input"]["sha256"] == hashlib.sha256(receipt.with_name("in.jsonl").read_bytes()).hexdigest()
    assert told["items"] == {
        "items": 300,
        "succeeded": 298,
        "failed": 2,
        "open": 0,
        "equal": 0,
        "corrected": 0,
    }
    assert told["errors"] == {"InputError": 1, "AlgorithmError": 1}
    assert told["wrapper"]["reference"] == "acme/SentimentBatch/1.0.0" and told["earlier"] == []
    assert told["target"]["name"] == "nlp/SentimentAnalysis/1.0.5" and told["run"] == "r1"
    assert [one["datastore"] for one in told["records"]] == ["data://acme/sentiment"]
    assert told["sends"]["sent"] == told["sends"]["answered"] > 0 and told["seconds"] >= 0
    checks = checks_of(receipt)
    assert {name: check.state for name, check in checks.items()} == dict.fromkeys(
        ["receipt", "input", "output", "items", "errors", "records"], "ok"
    )


def test_the_first_line_that_differs_is_named(receipt):
    """A changed byte, a missing line and one too many are told by their line, in input and in output."""
    for name in ("in.jsonl", "out.jsonl"):
        path = receipt.with_name(name)
        before = path.read_bytes()
        lines = before.splitlines(keepends=True)
        kind = "input" if name == "in.jsonl" else "output"
        path.write_bytes(b"".join([*lines[:150], lines[150].replace(b"150", b"151"), *lines[151:]]))
        told = faulty(receipt)[kind]
        assert told.startswith("altered: ") and told.endswith(f" of {name}")
        first, _, last = told.removesuffix(f" of {name}").rpartition("line")[2].strip("s ").partition(" to ")
        assert int(first) <= 151 <= int(last or first) and int(last or first) - int(first) < 17
        path.write_bytes(b"".join([*lines[:99], *lines[100:]]))
        assert f"bytes, not {len(before):,}" in faulty(receipt)[kind]
        path.write_bytes(before + b"1\n")
        assert f"bytes, not {len(before):,}" in faulty(receipt)[kind]
        path.write_bytes(before)
    assert faulty(receipt) == {}


def test_an_outcome_that_is_missing_is_named(receipt):
    """The outcomes are counted in the output itself, whatever its digest."""
    path = receipt.with_name("out.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:99], *lines[100:]]))
    assert faulty(receipt)["items"] == "altered: line 100 is not the outcome of item 99"
    path.write_bytes(b"".join(lines[:-1]))
    assert faulty(receipt)["items"].startswith("altered: 297 items succeeded, the receipt says 298")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"9": None}, "missing: item 9 succeeded and has no record"),
        ({"7": None}, "missing: item 7 failed and has no record"),
        ({"9": record(9, result=1)}, "altered: item 9 is recorded with another result"),
        ({"900": record(900)}, "doubled: 1 records of run r1 belong to none of its items"),
        ({"9": record(9, target="nlp/S/2")}, "other version: item 9 was recorded by"),
    ],
    ids=["missing", "missing-failed", "altered", "doubled", "version"],
)
def test_the_first_record_that_differs_is_named(receipt, changes, says):
    """Records that are missing, altered, too many or of another version are told by item."""
    assert faulty(receipt, RecordsInMemory(**changes))["records"].startswith(says)


def test_an_altered_receipt_is_told(receipt):
    """Any value of a receipt that is another is a fault, an error in words, or makes no difference."""
    told = json.loads(receipt.read_text())
    receipt.write_text(json.dumps({**told, "items": {**told["items"], "failed": 1}}))
    assert "own digest" in faulty(receipt)["receipt"]
    for name in told:
        for odd in (None, "odd", -1, [], {}, [None], {"items": "x"}):
            content = {**told, name: odd}
            content["digest"] = digest_of_receipt(content) if name != "digest" else odd
            receipt.write_text(json.dumps(content))
            try:
                checks_of(receipt)
            except UsageError as error:
                assert "receipt" in error.message
    for content in (b"", b"[]", b"{", b"\0"):
        receipt.write_bytes(content)
        with pytest.raises(UsageError):
            read_receipt(receipt)


def test_what_is_not_there_is_not_checked(receipt):
    """Without input, output or access to the records a receipt is not wrong, and says what it lacks."""
    receipt.with_name("in.jsonl").unlink()

    def refused(url, run):
        raise NotAuthorized("not yours")

    items = lambda: Selected(find(str(receipt.with_name("in.jsonl"))), Selection())  # noqa: E731
    checks = {check.name: check for check in ReceiptVerification(receipt).checks(items, refused)}
    assert checks["input"].state == checks["records"].state == "not checked"
    assert "there is no" in checks["input"].detail and checks["records"].detail == "not yours"
    receipt.with_name("out.jsonl").unlink()
    assert faulty(receipt) == {"output": f"missing: there is no {receipt.with_name('out.jsonl')}"}


def test_a_run_that_stops_early_has_a_receipt_too(bench, memory_wrapper, tmp_path):
    """It says the reason and how many items are open, and the check tells that they are missing."""
    wrapper = memory_wrapper(calls_fail={3: NotAuthorized("no")})
    bench.run(wrapper, VALUES, workers=1, report=tmp_path / "report.html")
    receipt = receipt_beside(bench.output)
    told = json.loads(receipt.read_text())
    assert told["state"] == "incomplete" and told["output"] is None and told["items"]["open"] > 0
    checks = {
        check.name: check for check in ReceiptVerification(receipt).checks(lambda: None, lambda *_: None)
    }
    assert checks["receipt"].faults == {"missing": 1} and checks["output"].state == "not checked"


def test_other_layouts_are_checked_by_their_digest(bench, memory_wrapper, tmp_path):
    """A table or a joined output is compared byte for byte; its outcomes are not counted, which is told."""
    source = tmp_path / "in.jsonl"
    source.write_text("".join(f"{value}\n" for value in VALUES))
    for name, layout in (("out.csv", Layout()), ("joined.jsonl", Layout("joined"))):
        output = tmp_path / name
        given = {
            "source": find(str(source)),
            "layout": layout,
            "output": output,
            "report": tmp_path / "r.html",
        }
        bench.run(memory_wrapper(faults=FAULTS), VALUES, **given)
        checks = checks_of(receipt_beside(output))
        assert checks["output"].state == "ok" and checks["items"].state == "not checked"
        output.write_bytes(output.read_bytes().replace(b"299", b"298"))
        assert faulty(receipt_beside(output))["output"].startswith("altered: ")


def test_costs_versions_and_copies_are_in_it(bench, memory_wrapper, tmp_path):
    """What wrappers say of tokens, cost, answering versions and copies is summed over the run."""
    wrapper = memory_wrapper()
    plain = wrapper.answer
    copies = [{"url": "data://acme/second", "recorded": 3, "failed": 1, "error": "no"}]

    def answer(results, summary):
        said = {"tokens_in": 10, "tokens_out": 4, "cost": 0.25, "versions": {"m-1": 2}, "copies": copies}
        return plain(results, {**said, **summary})

    wrapper.answer = answer
    about = wrapper.describe()
    wrapper.describe = lambda: {**about, "digest": "sha256:" + "cd" * 32}
    bench.run(wrapper, list(range(20)), workers=1, report=tmp_path / "report.html")
    told = read_receipt(receipt_beside(bench.output))
    assert (told["tokens_in"], told["tokens_out"], told["cost"]) == (20, 8, 0.5)
    assert told["target"]["versions"] == {"m-1": 4}
    assert told["wrapper"]["digest"] == "sha256:" + "cd" * 32
    assert told["records"][1] == {"datastore": "data://acme/second", "copy": True, "recorded": 6, "failed": 2}


def test_a_content_of_any_size_has_few_blocks(tmp_path):
    """Contents of several files are one; an empty one, a block more, and a large one have their digest."""
    one, two = tmp_path / "one", tmp_path / "two"
    for sizes in ((0, 0), (64, 0), (63, 2), (5_000, 1), (2_200_000, 77)):
        one.write_bytes(os.urandom(sizes[0]))
        two.write_bytes(b"\n" * sizes[1])
        found = ContentDigest.of([one, two])
        assert found.sha256 == hashlib.sha256(one.read_bytes() + two.read_bytes()).hexdigest()
        assert len(found.checksums) / 4 == -(-sum(sizes) // found.block) <= MOST_BLOCKS
        assert ContentDigest.from_json(found.as_json()) == found and not found.first_difference([one, two])
        two.write_bytes(two.read_bytes() + b"x")
        assert found.first_difference([one, two])
