"""Runs wrapgen in processes whose memory runs out once, at the entry of one of its functions.

python short_of_memory.py FIRST STEP WORDS…: at the functions FIRST, FIRST + STEP, … of those that the command
enters, in the order of their first entry; then, without a shortage, once more in the same folder. Prints one
JSON line for each function: its name, the exit code, what was said, the exit code of the second command.
A real limit would not do: Python itself aborts where it can't make an exception for want of memory.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import wrapgen
from wrapgen.cli.main import main

PACKAGE = str(Path(wrapgen.__file__).parent) + os.sep


def in_child(folder: str, words: list[str], trace: Any) -> tuple[int, str]:
    """The exit code and what was said, of `wrapgen WORDS` in a process of its own."""
    Path(folder).mkdir(exist_ok=True)
    said = Path(folder, "said")
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        descriptor = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        threading.settrace(trace)
        sys.settrace(trace)
        code = main(words)
        sys.settrace(None)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.read_text()


def entered(words: list[str]) -> list[str]:
    """Which functions of wrapgen a command enters, by their first entry."""

    def trace(frame: Any, *_: Any) -> None:
        name = name_of(frame)
        if name is not None and name not in found:
            found[name] = None
            os.write(notes, name.encode() + b"\n")

    found: dict[str, None] = {}
    notes = os.open("entered", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    code, said = in_child("plain", words, trace)
    assert code == 0, said
    return list(dict.fromkeys(Path("entered").read_text().split("\n")[:-1]))


def name_of(frame: Any) -> str | None:
    """Where a function of wrapgen stands and its name, of a frame; None for what only defines a module."""
    code = frame.f_code
    if not code.co_filename.startswith(PACKAGE) or code.co_name.startswith("<") or code.co_name == "main":
        return None
    return f"{code.co_filename.removeprefix(PACKAGE)}:{code.co_firstlineno}:{code.co_name}"


def short_at(name: str) -> Any:
    """A trace that lets memory run out at the first entry of a function."""
    done: list[str] = []

    def trace(frame: Any, *_: Any) -> None:
        if not done and name_of(frame) == name:
            done.append(name)
            raise MemoryError

    return trace


if __name__ == "__main__":
    first, step, words = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    for number, name in enumerate(entered(words)[first::step]):
        code, said = in_child(str(number), words, short_at(name))
        again, said_again = in_child(str(number), words, None)
        print(json.dumps([name, code, said, again, said_again]), flush=True)
