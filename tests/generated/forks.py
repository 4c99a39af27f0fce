"""Run by each interpreter: imports what every wrapper imports, then forks once for each program to run.

A line of standard input says what to run; a line of standard output gives its exit code. Plain Python 3.7.
"""

import io
import json
import os
import runpy
import signal
import sys
import traceback
import unittest  # noqa: F401
import warnings

import Algorithmia  # noqa: F401


def leave(asked):
    """Becomes the process that was asked for: its folder, streams, environment and arguments."""
    for number, (path, flags) in enumerate(
        [(asked["stdin"], os.O_RDONLY), (asked["stdout"], os.O_WRONLY), (asked["stderr"], os.O_WRONLY)]
    ):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    signal.alarm(120)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["-c"] + asked["arguments"]
    sys.path[0] = ""
    warnings.resetwarnings()
    for action, category in asked["warnings"]:
        warnings.simplefilter(action, getattr(__builtins__, category))


def run(asked):
    """The program's exit code, as Python would end with it."""
    code = 0
    try:
        leave(asked)
        if asked["module"]:
            runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
        else:
            exec(compile(asked["program"], "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    return code


for line in iter(sys.stdin.readline, ""):
    child = os.fork()
    if child == 0:
        raise SystemExit(run(json.loads(line)))  # as any program ends: its threads are waited for
    _, status = os.waitpid(child, 0)
    print(os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status), flush=True)
