"""Runs commands of `wrapgen` in processes that have everything imported and wait until they are let go.

    python zygote.py ANSWERS FIRST

Each line of standard input, and FIRST before, is JSON: the words of a command, and the files for what it
says. FIRST runs in this process, so that nothing is left to import. The answers, a process's id and its exit
code, go to the open file of number ANSWERS.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from wrapgen.cli.main import main


def take(asked: dict[str, Any]) -> None:
    """Makes the files of a command the standard ones."""
    for number, name in ((1, asked["out"]), (2, asked["err"])):
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, number)
        os.close(descriptor)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def serve() -> int:
    """Forks for each line; in the new process, the exit code of its command."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    answers = int(sys.argv[1])
    os.set_inheritable(answers, False)
    main(json.loads(sys.argv[2])["words"])
    while line := sys.stdin.readline():
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            os.close(answers)
            take(asked)
            signal.sigwait({signal.SIGUSR1})
            return main(asked["words"])
        os.write(answers, b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(status))
    return 0


if __name__ == "__main__":
    sys.exit(serve())
