"""How the command looks: colours and a bar on a real pseudo-terminal, plain words in a pipe."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from threading import Event

import pytest

REF = "acme/SentimentBatch"
ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-9]|4[0-9]|9[0-7]|10[0-7])[0-9;]*m")


@pytest.fixture
def on_a_terminal(wrapgen):
    """Runs `wrapgen WORDS` on a pseudo-terminal of 120 columns; its exit code and what was seen."""

    def run(*words, **environment):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "wrapgen", *words],
            cwd=wrapgen.folder,
            env={
                **{name: value for name, value in wrapgen.environment.items() if name != "NO_COLOR"},
                "TERM": "xterm-256color",
                "COLUMNS": "120",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        seen = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not block:
                break
            seen += block
        os.close(ours)
        return process.wait(timeout=120), seen.decode("utf-8", "replace")

    return run


@pytest.fixture
def tweets(wrapgen):
    """An input of 100 items, one of which fails."""
    path = wrapgen.folder / "tweets.jsonl"
    path.write_text("".join(json.dumps({"document": f"tweet {n}"}) + "\n" for n in range(100)))
    return path


def test_colours_on_a_terminal_only(wrapgen, platform, tweets, on_a_terminal):
    """A run shows a bar and coloured states on a terminal; NO_COLOR takes the colours, a pipe everything."""
    platform.wrapper.faults = {"7": ["InputError"]}
    code, seen = on_a_terminal("run", REF, "tweets.jsonl", "-o", "scores.jsonl")
    assert code == 10 and COLOUR.search(seen) and "100/100" in seen and "finished, some items failed" in seen
    assert COLOUR.search(on_a_terminal("show", "scores.jsonl")[1])
    _, seen = on_a_terminal("show", "scores.jsonl", NO_COLOR="1")
    assert not COLOUR.search(seen) and "finished-with-errors" in seen
    piped = wrapgen("show", "scores.jsonl")
    assert ESCAPE not in piped.stdout + piped.stderr and "finished-with-errors" in piped.stdout
    code, seen = on_a_terminal("run", REF, "tweets.jsonl", "-o", "second.jsonl", NO_COLOR="1")
    assert code == 10 and not COLOUR.search(seen) and "100/100" in seen


def test_the_rest_is_foretold_on_a_terminal(wrapgen, platform, on_a_terminal):
    """Once warm workers have shown what an item takes, a run says how long it will be; nothing is billed."""
    platform.gate = lambda _: Event().wait(0.08) and None
    rows = "".join(json.dumps({"document": f"tweet {n}"}) + "\n" for n in range(20_000))
    (wrapgen.folder / "many.jsonl").write_text(rows)
    code, seen = on_a_terminal("run", REF, "many.jsonl", "-o", "scores.jsonl", "--chunk", "50")
    assert code == 0 and re.search(r"  time +\d.* s more, with 8 calls open", seen) and "billed" not in seen


def test_an_error_and_its_hint(wrapgen, on_a_terminal):
    """An error is red on a terminal and plain in a pipe, and says what to do."""
    code, seen = on_a_terminal("show", "nothing")
    assert code == 2 and COLOUR.search(seen) and "hint:" in seen
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        _, seen = on_a_terminal("show", "nothing", **environment)
        assert ESCAPE not in seen and "error: there is no run nothing here" in seen
    piped = wrapgen("show", "nothing")
    assert ESCAPE not in piped.stderr and "\nhint: name its output" in piped.stderr


def test_whole_cells_in_a_pipe(wrapgen, tweets):
    """A piped table is not cut to a window: long names come whole, and no line ends in blanks."""
    name = "a-rather-long-name-" * 8 + ".jsonl"
    ran = wrapgen("run", REF, "tweets.jsonl", "-o", name)
    assert ran.returncode == 0 and ESCAPE not in ran.stdout + ran.stderr
    lines = wrapgen("runs").stdout.splitlines()
    assert len(lines) == 2 and lines[1].endswith(f"{name}.run") and lines == [line.rstrip() for line in lines]


ATTACK = "\x1b]0;owned\x07\x1b[31m[bold]red[/nothing]\x9b2J\x08\x08\u202e"
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202e]|\x1b[^\\[(]|\x1b\\[31m\\[bold")


def test_a_result_steers_no_terminal_and_is_whole_in_a_pipe(wrapgen, platform, on_a_terminal):
    """On a terminal escape sequences in text and JSON are shown as escapes; a pipe gets the very bytes."""
    for result in (ATTACK, {"said": ATTACK}):
        kind = "text" if isinstance(result, str) else "json"
        answer = {"result": result, "metadata": {"content_type": kind, "duration": 0, "stdout": ATTACK}}
        platform.post = lambda _path, _body, answer=answer: (200, json.dumps(answer).encode())
        code, seen = on_a_terminal("call", "acme/Echo/1.0.0", "x", "--stdout")
        assert code == 0 and not CONTROL.search(seen) and seen.count("\\u001b]0;owned\\u0007") == 2
        piped = wrapgen("call", "acme/Echo/1.0.0", "x").stdout
        assert piped == (result if kind == "text" else json.dumps(result, ensure_ascii=False)) + "\n"


def test_an_error_steers_no_terminal(wrapgen, platform, on_a_terminal):
    """A platform's message, a stack trace and a name on the command line are shown with their escapes."""
    error = {"message": ATTACK, "error_type": ATTACK, "stacktrace": ATTACK}
    for status in (200, 400):
        platform.post = lambda _path, _body, status=status: (status, json.dumps({"error": error}).encode())
        code, seen = on_a_terminal("call", "acme/Echo/1.0.0", "x", "--stdout")
        assert code in (5, 6) and "owned" in seen and not CONTROL.search(seen)
        assert not CONTROL.search(wrapgen("call", "acme/Echo/1.0.0", "x").stderr)
    for words in (["show", ATTACK], ["run", REF, ATTACK, "-o", "x.jsonl"], [ATTACK], ["call", f"--{ATTACK}"]):
        code, seen = on_a_terminal(*words)
        assert code == 2 and "owned" in seen and not CONTROL.search(seen), words


def test_a_run_steers_no_terminal(wrapgen, platform, tweets, on_a_terminal):
    """Errors of items, file names and tables, on a terminal and in a log."""
    platform.wrapper.faults = {"7": [ATTACK]}
    name = f"{ATTACK.replace('/', '')}.jsonl"
    tweets.rename(tweets.with_name(name))
    code, seen = on_a_terminal("run", REF, name, "-o", "scores.jsonl")
    assert code == 10 and not CONTROL.search(seen)
    for words in (["show", "scores.jsonl"], ["runs"], ["verify", "scores.jsonl"]):
        assert not CONTROL.search(on_a_terminal(*words)[1]), words
        assert not CONTROL.search(wrapgen(*words).stdout), words
