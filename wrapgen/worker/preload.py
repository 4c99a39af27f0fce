"""The process that a run forks its own from: what all of them import, it has imported once.

Nothing of the author's is executed here. Plain Python 3.7+ with the standard library only, like the start
file beside it. Standard input is a socket of packets: `fork` with the socket of a new process, answered by
its id, or by an error's number below 0; or the id of a process that has ended, answered by its exit code.
"""

import array
import contextlib
import gc
import importlib
import importlib.util
import os
import re
import socket
import sys
from typing import List, Tuple

FORK = b"fork"
"""Asks for a process; the packet brings its socket."""

INLINE = "inline"
_VENDOR = re.compile(rb"\b(Algorithmia|adk)\b")
_RUNTIME = re.compile(r"^from \.(runtime(?:\.\w+)?) import ([\w, ]+)", re.MULTILINE)


def preload() -> None:
    """Import the runtime of the wrapper in the working directory, and what its inline target will."""
    importlib.import_module("local_files")
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [os.getcwd()] + [path for path in sys.path if path != here]
    with contextlib.suppress(Exception):  # the process that needs it says why it can't be had
        for name in runtime_modules():
            importlib.import_module(name)
        if os.path.isdir(INLINE) and uses_vendor():
            importlib.import_module("Algorithmia")
    gc.collect()
    gc.freeze()


def runtime_modules() -> List[str]:
    """The wrapper's own modules that are the same in all wrappers; those of its author are left out."""
    found = []
    for file in sorted(os.listdir("src")):
        if file.endswith(".py") and os.path.isdir(os.path.join("src", "runtime")):
            with open(os.path.join("src", file), encoding="utf-8") as source:
                for package, names in _RUNTIME.findall(source.read()):
                    found += ["src.%s.%s" % (package, name.strip()) for name in names.split(",")]
                    found.append("src." + package)
    return [name for name in found if os.path.isfile(name.replace(".", os.sep) + ".py")]


def uses_vendor() -> bool:
    """Whether the inline target names the vendor's packages, and brings no module that could be theirs."""
    for name in os.listdir(INLINE):
        module, ending = os.path.splitext(name)
        if (
            name != "src"
            and ending in ("", ".py")
            and module.isidentifier()
            and importlib.util.find_spec(module)
        ):
            return False
    for folder, _, names in os.walk(INLINE):
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as file:
                    if _VENDOR.search(file.read()):
                        return True
    return False


def received(control: socket.socket) -> Tuple[bytes, int]:
    """The next packet, and the descriptor that came with it."""
    descriptors = array.array("i")
    message, rights, _, _ = control.recvmsg(64, socket.CMSG_SPACE(descriptors.itemsize))
    for _, _, content in rights:
        descriptors.frombytes(content[: descriptors.itemsize])
    return message, descriptors[0] if descriptors else -1


def fork_when_asked(control: socket.socket) -> None:
    """Answer until the run ends. Returns in each forked process, with its socket as standard input."""
    while True:
        message, descriptor = received(control)
        if not message:
            os._exit(0)
        if message != FORK:
            status = os.waitpid(int(message), 0)[1]
            control.send(b"%d" % (-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)))
            continue
        try:
            pid = os.fork()
        except OSError as error:
            pid = -(error.errno or 1)
        if pid == 0:
            os.setsid()
            os.dup2(descriptor, 0)
            os.close(descriptor)
            control.close()
            return
        os.close(descriptor)
        control.send(b"%d" % pid)


if __name__ == "__main__":
    start = importlib.import_module("bootstrap")
    start.tie_to_server(int(sys.argv.pop()), False)
    asked = socket.socket(fileno=os.dup(0))
    preload()
    fork_when_asked(asked)
    start.run()
