"""Inputs and names of outputs as a user gives them to `wrapgen run`: taken, or refused in one line."""

from __future__ import annotations

import gzip
import json

import pytest

REF = "acme/SentimentBatch"


def test_how_a_table_is_read_is_told_and_kept(wrapgen, platform):
    """What was found out stands on standard error and in the ledger; resume and verify read it the same."""
    (wrapgen.folder / "in.csv").write_bytes("\ufeffname;note\r\nMüller;1,5\r\n".encode("utf-16"))
    words = ("run", REF, "in.csv", "-o", "out.tsv", "--layout", "joined", "--csv-safe")
    ran = wrapgen(*words)
    assert ran.returncode == 0, ran.stderr
    assert 'reading in.csv: cells separated by semicolons, quoted by ", utf-16-le' in ran.stderr
    assert platform.wrapper.calls[0]["$batch"] == [{"name": "Müller", "note": "1,5"}]
    (header,) = [
        entry
        for entry in map(
            json.loads, (wrapgen.folder / "out.tsv.run" / "ledger.jsonl").read_bytes().splitlines()
        )
        if entry["e"] == "run"
    ]
    assert (header["input"]["delimiter"], header["input"]["encoding"]) == (";", "utf-16-le")
    assert "resuming" in wrapgen(*words).stderr
    checked = wrapgen("verify", "out.tsv")
    assert "input    ok" in checked.stdout and "output   ok" in checked.stdout


REFUSED = [
    (["in.csv", "--quote", "ab"], "--quote is 'ab'"),
    (["in.csv", "--delimiter", "'", "--quote", "'"], "are the same"),
    (["in.csv", "--encoding", "undefined"], "no encoding undefined"),
    (["in.jsonl", "--quote", "none"], "do not apply to jsonl"),
    (["packed.jsonl.gz"], "is not gzip, as its name says"),
    (["mixed/*.json"], "an array of items"),
    (["two.tsv"], "its quotes as text leave 2 rows, as quotes 1"),
    (["in.jsonl", "-o", "out.csv.gz"], "no .gz file is written here"),
    (["in.jsonl", "-o", "data://acme/out.jsonl"], "is a URL"),
    (["in.jsonl", "--csv-safe"], "--csv-safe is for tables"),
]


@pytest.mark.parametrize(("words", "says"), REFUSED, ids=[" ".join(words) for words, _ in REFUSED])
def test_what_cannot_be_kept_is_refused_before_the_first_call(wrapgen, platform, words, says):
    """A broken promise or an option that means nothing is one line; nothing was sent or left behind."""
    folder = wrapgen.folder
    (folder / "in.csv").write_text("a,b\n1,2\n")
    (folder / "in.jsonl").write_text("1\n")
    (folder / "packed.jsonl.gz").write_text("1\n")
    (folder / "two.tsv").write_text('n\tt\n1\t"a\n2\tb"\n')
    (folder / "mixed").mkdir()
    (folder / "mixed" / "1.json").write_text("[1]")
    (folder / "mixed" / "2.json").write_text("{}")
    before = sorted(folder.iterdir())
    ran = wrapgen("run", REF, *words, *([] if "-o" in words else ["-o", "out.jsonl"]))
    assert ran.returncode in (2, 8) and says in ran.stderr, ran.stderr
    assert ran.stderr.startswith("error: ") and len(ran.stderr.splitlines()) <= 2
    assert not platform.wrapper.calls and sorted(folder.iterdir()) == before


def test_standard_input_and_data_files_are_read_by_the_same_rules(wrapgen, platform):
    """A table from a pipe may have any delimiter; a data file whose name says gzip has to be that."""
    ran = wrapgen("run", REF, "-", "--format", "csv", "-o", "out.jsonl", text="a|b\n1|2\n")
    assert ran.returncode == 0 and "cells separated by bars" in ran.stderr
    assert platform.wrapper.calls[-1]["$batch"] == [{"a": "1", "b": "2"}]
    platform.files["/v1/data/acme/in/x.jsonl.gz"] = b"1\n"
    refused = wrapgen("run", REF, "data://acme/in/x.jsonl.gz", "-o", "x.jsonl")
    assert refused.returncode == 8 and "x.jsonl.gz is not gzip, as its name says" in refused.stderr
    platform.files["/v1/data/acme/in/x.jsonl.gz"] = gzip.compress(b"1\n")
    assert wrapgen("run", REF, "data://acme/in/x.jsonl.gz", "-o", "x.jsonl").returncode == 0
