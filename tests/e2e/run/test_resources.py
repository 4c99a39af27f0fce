"""Scarce resources: one line says which one ran out, and the run goes on once there is more."""

from __future__ import annotations

import json
import resource
from pathlib import Path

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


DRIVER = str(Path(__file__).with_name("short_of_memory.py"))


def short_of_memory(wrapgen, first, step):
    """What came of the command where memory ran out at each n-th function that it enters."""
    (wrapgen.folder / "in.jsonl").write_text("".join(f"{n}\n" for n in range(40)))
    source = str(wrapgen.folder / "in.jsonl")
    words = ("run", "acme/SentimentBatch", source, "-o", "out.jsonl", "--patience", "1")
    process = wrapgen.start(str(first), str(step), *words, program=(DRIVER,))
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 0, out + err
    return [json.loads(line) for line in out.splitlines()]


def judge(name, code, said, again, said_again):
    """Memory that ran out is called that, or was not needed; the same command finishes."""
    assert "Traceback" not in said and "damaged" not in said and "input changed" not in said, (name, said)
    assert code == 0 or (code in (12, 71) and "there is no more memory" in said), (name, code, said)
    assert again == 0, (name, said_again)


def test_memory_that_runs_out_is_called_that(wrapgen):
    """Wherever memory runs out a run says so in one line; the same command finishes once there is some."""
    for found in short_of_memory(wrapgen, 3, 90):
        judge(*found)


@pytest.mark.soak
def test_memory_that_runs_out_anywhere_is_called_that(wrapgen):
    """As above, at every third function that the command enters."""
    for found in short_of_memory(wrapgen, 0, 3):
        judge(*found)


STACKS = (
    "import re, resource, sys, threading; from pathlib import Path; from wrapgen.cli.main import main; "
    "threading.stack_size(512 << 20); "
    "size = int(re.search(r'VmSize:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) << 10; "
    "most = size + (int(sys.argv.pop(1)) << 20); "
    "resource.setrlimit(resource.RLIMIT_AS, (most, most)); sys.exit(main())"
)


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_few_threads_are_used_or_missed_in_one_line(wrapgen, threads):
    """Where the system starts no more threads a run goes on with those there are, or says so in one line."""
    (wrapgen.folder / "in.jsonl").write_text("".join(f"{n}\n" for n in range(400)))
    words = ("run", "acme/SentimentBatch", "in.jsonl", "-o", "out.jsonl", "--patience", "1")
    # Memory is ample: 256 MiB; it is the stack of one thread more that has no room.
    process = wrapgen.start(str(256 + 512 * threads), *words, program=("-c", STACKS))
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    assert process.returncode == 0 or (
        process.returncode in (12, 71) and "there is no more room for threads" in out + err
    ), (process.returncode, out, err)
    assert wrapgen(*words).returncode == 0
