"""The report of a run from its ledger: what it counts, what it hides, and how large it gets."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from wrapgen.errors import Throttled
from wrapgen.run.ledger.folder import folder_for
from wrapgen.run.report.facts import facts_of
from wrapgen.run.report.origin import cleaned, origin, redacted
from wrapgen.run.report.page import page_of, write_report

HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(2)>\"'"


def test_attempts_sends_and_429s(bench, memory_wrapper):
    """Failures, items that went again and throttling are counted as they happened."""
    wrapper = memory_wrapper(
        faults={"3": ["InputError"], "5": ["ConnectionError", "ConnectionError", None]},
        calls_fail={2: Throttled("too many", status=429)},
    )
    bench.run(wrapper, list(range(100)))
    facts = facts_of(folder_for(bench.output))
    assert (facts["items"], facts["succeeded"], facts["failed"], facts["open"]) == (100, 99, 1, 0)
    assert facts["attempts"] == [{"attempts": 1, "items": 99}, {"attempts": 3, "items": 1}]
    assert sum(one["items"] for one in facts["sends"]) == 100 and facts["sends"][1]["sends"] == 2
    assert (facts["calls"]["throttled"], facts["calls"]["lost"]) == (1, 1)
    assert sum(one["throttled"] for one in facts["timeline"]["bins"]) == 1
    assert sum(one["finished"] for one in facts["timeline"]["bins"]) == 100
    assert facts["lost"] == [{"type": "TooManyRequests", "count": 1, "message": "too many"}]
    [group] = facts["errors"]
    assert (group["type"], group["count"], group["samples"][0]["id"]) == ("InputError", 1, "3")
    assert facts["latency"]["call"]["count"] == facts["calls"]["answered"] + facts["calls"]["lost"]
    assert facts["latency"]["item"]["count"] == 101


def test_the_whole_run_over_its_sessions(bench, memory_wrapper):
    """After a resume the report covers all sessions, and says of each how it ended."""
    wrapper = memory_wrapper(faults={str(n): ["InputError"] for n in range(300)})
    bench.run(wrapper, list(range(600)), budget=0.05)
    stopped = facts_of(folder_for(bench.output))
    assert (stopped["state"], stopped["exit_code"]) == ("stopped-by-budget", 11) and stopped["open"] > 0
    bench.run(wrapper, list(range(600)), budget=1)
    facts = facts_of(folder_for(bench.output))
    assert (facts["state"], facts["exit_code"]) == ("finished-with-errors", 10)
    assert [session["state"] for session in facts["sessions"]] == [
        "stopped-by-budget",
        "finished-with-errors",
    ]
    assert facts["failed"] == 300 == facts["errors"][0]["count"]
    assert facts["calls"]["sent"] > stopped["calls"]["sent"]
    assert sum(one["finished"] for one in facts["timeline"]["bins"]) == 600


class Reader(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def test_hostile_texts_stay_text(bench, memory_wrapper):
    """Ids, messages, names and commands never become markup: no script, no handler, nothing from outside."""
    bench.run(memory_wrapper(faults={"3": ["InputError"]}), list(range(20)))
    facts = facts_of(folder_for(bench.output))
    calm = Reader(page_of(facts))
    facts["errors"][0]["type"] = facts["errors"][0]["samples"][0]["message"] = HOSTILE
    facts["errors"][0]["samples"][0]["id"] = facts["reason"] = facts["run"] = HOSTILE
    facts["provenance"].update(command=HOSTILE, input=HOSTILE, options={HOSTILE: HOSTILE})
    facts["lost"] = [{"type": HOSTILE, "count": 1, "message": HOSTILE}]
    facts["slowest_calls"][0]["lost"] = facts["sessions"][0]["reason"] = HOSTILE
    page = page_of(facts)
    found = Reader(page)
    assert found.tags == calm.tags and found.attributes == calm.attributes
    assert not found.tags & {"script", "img", "link", "iframe", "object", "base", "a", "form"}
    assert not [
        name for name in found.attributes if name.startswith("on") or name in ("src", "href", "style")
    ]
    assert found.text.count(HOSTILE) >= 9
    assert (
        "default-src 'none'" in page and "unsafe" not in page and "@import" not in page and "url(" not in page
    )


def long_ledger(folder: Path, calls: int, items: int) -> None:
    """A run of `calls` x `items` items, one failure in each call, all of different types."""
    folder.mkdir()
    wrapper = {"target": "nlp/S/1.0.0", "mode": "both", "spec": "sha256:0", "datastore": None}
    survey = {"items": calls * items, "bytes": 1, "sizes": {"64": calls * items}}
    head = {"e": "run", "format": 1, "run": "r", "reference": "a/b/1.0.0", "at": "2026-01-01T00:00:00.000Z"}
    given = {"name": "in", "fingerprint": "f"}
    rows = [{**head, "wrapper": wrapper, "input": given, "selection": {}, "survey": survey}]
    rows.append({"e": "open", "at": "2026-01-01T00:00:00.000Z", "pid": 1})
    spool = bytearray()
    for seq in range(calls):
        wall = 1767225600 + seq
        rows.append({"e": "send", "s": seq, "w": wall, "t": 1 + seq % 300, "first": seq * items, "n": items})
        error = {"type": f"Kind{seq}" * 20, "message": "m" * 3000, "retryable": False}
        line = json.dumps({"index": seq * items, "id": "i" * 900, "error": error, "input": 1}) + "\n"
        data = line.encode() + b"x\n" * (items - 1)
        rows.append(
            {
                "e": "done",
                "s": seq,
                "w": wall + 0.5,
                "at": len(spool),
                "b": len(data),
                "failed": [0],
                "again": [],
            }
        )
        spool += data
    (folder / "ledger.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "spool.jsonl").write_bytes(spool)


def test_the_size_is_bounded(tmp_path):
    """A run of a million items, with a thousand types of long messages, has a page under 300 KB."""
    folder = tmp_path / "out.jsonl.run"
    long_ledger(folder, calls=1000, items=1000)
    facts = write_report(folder, None)
    path = Path(facts["path"])
    assert path == tmp_path / "out.jsonl.report.html" and path.stat().st_size < 300_000
    assert len(json.dumps(facts)) < 300_000
    assert facts["state"] == "killed" and facts["failed"] == 1000 == facts["error_types"]
    assert len(facts["timeline"]["bins"]) <= 120


def test_an_old_ledger_is_readable(tmp_path):
    """A ledger without what newer versions add has a report all the same: calls took from send to answer."""
    folder = tmp_path / "run"
    long_ledger(folder, calls=3, items=2)
    assert facts_of(folder)["latency"]["call"]["max"] == 0.5
    assert write_report(folder, None)["path"] == str(folder / "report.html")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["run", "--api-key", "simAbc", "in"], ["run", "--api-key", "***", "in"]),
        (["--api-key=simAbc", "-o", "x"], ["--api-key=***", "-o", "x"]),
        (["https://me:secret@host/x"], ["https://***@host/x"]),
        (["https://h/x?X-Amz-Signature=ab12&n=1"], ["https://h/x?X-Amz-Signature=***&n=1"]),
        (["simAbcdefghijklmnopqrstuvwxy"], ["***"]),
        (["similar-looking-words-in-a-file-name.jsonl"], ["similar-looking-words-in-a-file-name.jsonl"]),
        (["--key-env", "MY_KEY"], ["--key-env", "MY_KEY"]),
    ],
)
def test_no_secret_of_the_command_is_kept(words, shown):
    """Keys, passwords and signatures of a command line are replaced before anything is written down."""
    assert redacted(words) == shown


def test_where_a_session_came_from():
    """The ledger keeps the command as it can be typed again, and no password of the address."""
    told = origin(
        ["run", "a/b", "my file", "--api-key", "x"],
        version="1",
        address="http://u:p@h:1",
        output="/o",
        options={"chunk": 5, "run": None},
    )
    assert told["command"] == "wrapgen run a/b 'my file' --api-key '***'"
    assert told["address"] == "http://***@h:1" and told["options"] == {"chunk": 5}
    assert cleaned("x" * 600).endswith("…") and len(cleaned("x" * 600)) == 500


def test_a_moved_run_keeps_its_report_beside_it(tmp_path):
    """The report goes beside the output where that is now; a lone folder keeps it inside."""
    (tmp_path / "old").mkdir()
    folder = tmp_path / "out.jsonl.run"
    long_ledger(folder, calls=1, items=1)
    ledger = folder / "ledger.jsonl"
    told = {
        "e": "open",
        "at": "2026-01-01T00:00:09.000Z",
        "pid": 2,
        "output": str(tmp_path / "old/out.jsonl"),
    }
    ledger.write_text(ledger.read_text() + json.dumps(told) + "\n")
    assert write_report(folder, None)["path"] == str(tmp_path / "old/out.jsonl.report.html")
    (tmp_path / "out.jsonl").touch()
    assert write_report(folder, None)["path"] == str(tmp_path / "out.jsonl.report.html")
