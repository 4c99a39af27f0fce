"""The report of a run as a user meets it: a file beside the output, and the same numbers in `--json`."""

from __future__ import annotations

import json
import signal
from html.parser import HTMLParser

import pytest

REF = "acme/SentimentBatch"


@pytest.fixture
def tweets(wrapgen):
    """An input of 400 items."""
    path = wrapgen.folder / "tweets.jsonl"
    path.write_text("".join(json.dumps({"document": f"tweet {n}"}) + "\n" for n in range(400)))
    return path


class Numbers(HTMLParser):
    """The machine-readable numbers of a report: those with an id, and the counts of errors in their order."""

    def __init__(self, path) -> None:
        super().__init__()
        self.named: dict[str, str] = {}
        self.errors: list[int] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "data" and "id" in found:
            self.named[found["id"]] = found["value"]
        elif tag == "data":
            self.errors.append(int(found["value"]))


def agree(path, facts) -> None:
    """The numbers of the page are those of the JSON."""
    page = Numbers(path)
    named = ("items", "succeeded", "failed", "open", "rate", "seconds")
    assert {name: page.named[name] for name in named} == {name: str(facts[name]) for name in named}
    calls = {name: value for name, value in facts["calls"].items() if f"calls-{name}" in page.named}
    assert len(calls) >= 6
    assert {f"calls-{name}": str(value) for name, value in calls.items()} == {
        name: value for name, value in page.named.items() if name.startswith("calls-")
    }
    assert page.errors == [group["count"] for group in facts["errors"]]


def test_page_and_json_tell_the_same(wrapgen, platform, tweets):
    """A run with failures leaves a report whose numbers are those of `run --json`, `show` and `report`."""
    platform.wrapper.faults = {"7": ["InputError"], "8": ["InputError"], "399": ["AlgorithmError"]}
    key = wrapgen.environment["ALGORITHMIA_API_KEY"]
    ran = wrapgen("run", REF, "tweets.jsonl", "-o", "scores.jsonl", "--json", "--api-key", key)
    assert ran.returncode == 10, ran.stderr
    told = json.loads(ran.stdout)
    path, facts = (
        wrapgen.folder / told["report"]["path"],
        json.loads(wrapgen("report", "scores.jsonl", "--json").stdout),
    )
    assert len(ran.stdout) < 1500
    assert path.name == "scores.jsonl.report.html"
    assert (facts["items"], facts["failed"], facts["exit_code"]) == (told["items"], 3, 10)
    agree(path, facts)
    assert [(group["type"], group["count"]) for group in facts["errors"]] == [
        ("InputError", 2),
        ("AlgorithmError", 1),
    ]
    came_from = facts["provenance"]
    assert came_from["wrapper"] == f"{REF}/1.1.0" and came_from["address"] == platform.address
    assert came_from["command"].startswith(f"wrapgen run {REF} tweets.jsonl -o scores.jsonl")
    written = path.read_bytes()
    everything = [file.read_bytes() for file in wrapgen.folder.rglob("*") if file.is_file()]
    assert not any(key.encode() in content for content in everything)
    path.unlink()
    shown = json.loads(wrapgen("show", "scores.jsonl", "--json").stdout)
    assert shown["report"] == {name: value for name, value in facts.items() if name != "path"}
    checked = wrapgen("verify", "scores.jsonl.receipt.json", "--json")
    states = {check["name"]: check["state"] for check in json.loads(checked.stdout)["checks"]}
    told_right = dict.fromkeys(("receipt", "input", "output", "items", "errors"), "ok")
    assert {name: state for name, state in states.items() if name != "records"} == told_right
    again = wrapgen("report", "scores.jsonl")
    assert again.stdout.strip() == "scores.jsonl.report.html" and path.read_bytes() == written


def test_interrupted_running_and_killed_runs_have_one_too(wrapgen, platform, tweets):
    """A report can be had while a run goes on, is left by an interrupted one, and covers killed sessions."""
    reached, go_on = platform.hold_from(4)
    process = wrapgen.start("run", REF, "tweets.jsonl", "-o", "scores.jsonl")
    assert reached.wait(120)
    now = json.loads(wrapgen("report", "scores.jsonl", "-o", "now.html", "--json").stdout)
    assert (now["state"], now["exit_code"]) == ("running", None) and now["calls"]["open"] > 0
    process.kill()
    process.communicate()
    reached.clear()
    process = wrapgen.start("run", REF, "tweets.jsonl", "-o", "scores.jsonl")
    assert reached.wait(120)
    process.send_signal(signal.SIGINT)
    line = process.stderr.readline()
    while line and "stopping" not in line:
        line = process.stderr.readline()
    go_on.set()
    out, _ = process.communicate(timeout=120)
    path = wrapgen.folder / "scores.jsonl.report.html"
    assert process.returncode == 12 and "scores.jsonl.report.html" in out
    facts = json.loads(wrapgen("show", "scores.jsonl", "--json").stdout)["report"]
    agree(path, facts)
    assert (facts["state"], facts["reason"], facts["session_count"]) == ("incomplete", "interrupted", 2)
    assert [session["state"] for session in facts["sessions"]] == [None, "incomplete"]
    assert "killed" in path.read_text("utf-8")


def test_a_report_that_cannot_be_written_fails_no_run(wrapgen, platform, tweets):
    """Where the report can't be written the run's end is what it was, and says how to get one."""
    (wrapgen.folder / "scores.jsonl.report.html.part").mkdir()
    ran = wrapgen("run", REF, "tweets.jsonl", "-o", "scores.jsonl")
    assert ran.returncode == 0 and "not written; wrapgen report" in ran.stdout
    refused = wrapgen("report", "scores.jsonl")
    assert refused.returncode == 2 and "hint: name another file with -o" in refused.stderr
