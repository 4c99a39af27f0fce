"""Scarce resources: one line says which one ran out, and the run goes on once there is more."""

from __future__ import annotations

import resource

import pytest


def limited(wrapgen, kind, limit, *words):
    """The command under a limit of the operating system."""
    process = wrapgen.start(*words, preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)))
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


@pytest.mark.parametrize("files", [6, 8, 10, 12, 14])
def test_few_files_end_in_one_line(wrapgen, files):
    """With too few file descriptors a run says so, wherever it is; with more, the same command finishes."""
    (wrapgen.folder / "in.jsonl").write_text("".join(f"{n}\n" for n in range(400)))
    words = ("run", "acme/SentimentBatch", "in.jsonl", "-o", "out.jsonl", "--patience", "1")
    code, said = limited(wrapgen, resource.RLIMIT_NOFILE, files, *words)
    assert "Traceback" not in said and "input changed" not in said, said
    assert code == 0 or (code in (12, 71) and "open files" in said), (code, said)
    assert wrapgen(*words).returncode == 0


@pytest.mark.parametrize("megabytes", [160, 200, 300])  # with less, Python itself aborts
def test_little_memory_ends_in_one_line(wrapgen, megabytes):
    """With too little address space for threads or data a run says so, or does with fewer threads."""
    (wrapgen.folder / "in.jsonl").write_text("".join(f"{n}\n" for n in range(400)))
    words = ("run", "acme/SentimentBatch", "in.jsonl", "-o", "out.jsonl", "--patience", "1")
    code, said = limited(wrapgen, resource.RLIMIT_AS, megabytes << 20, *words)
    assert "Traceback" not in said and "input changed" not in said, said
    assert code == 0 or (code in (12, 71) and "there is no more" in said), (code, said)
    assert wrapgen(*words).returncode == 0
