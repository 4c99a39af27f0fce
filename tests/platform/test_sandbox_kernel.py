"""What is in no namespace: the sandbox's filter of system calls keeps algorithms from it."""

from __future__ import annotations

import platform

import pytest
from attacks import source

KEYRING = """\
import ctypes
import platform
import socket

ADD, ASK, DO = {"x86_64": (248, 249, 250), "aarch64": (217, 218, 219)}[platform.machine()]
SESSION, USER = -3, -4
SEARCH, READ = 10, 11


def apply(input):
    libc = ctypes.CDLL(None)
    found = ctypes.create_string_buffer(100)
    for keyring in (SESSION, USER):
        number = libc.syscall(DO, SEARCH, keyring, b"user", input.encode(), 0)
        libc.syscall(DO, READ, number, found, 100)
    asked = libc.syscall(ASK, b"user", input.encode(), 0, 0)
    added = libc.syscall(ADD, b"user", b"left", b"for another", 11, USER)
    try:
        socket.socket(getattr(socket, "AF_VSOCK", 40)).close()
        hosts = True
    except OSError:
        hosts = False
    return {"read": found.value.decode(), "asked": asked, "added": added, "hosts": hosts}
"""
KEPT = """\
import ctypes, sys
from wrapgen.cli.main import main
libc = ctypes.CDLL(None)
libc.syscall(DO, 1, None)
libc.syscall(ADD, b"user", b"wrapgen-test", b"unmistakable", 12, -3)
sys.exit(main())
"""


def test_an_algorithm_reaches_nothing_that_no_namespace_holds(serve, publish, sandboxed, tmp_path):
    """Keys of the session that the server was started in, a user's keyring, sockets of a virtual machine."""
    if platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip("there is no filter of system calls for this machine")
    assert sandboxed.stop() == 0
    add, do = {"x86_64": ("248", "250"), "aarch64": ("217", "219")}[platform.machine()]
    program = ("-c", KEPT.replace("ADD", add).replace("DO", do))
    server = serve(tmp_path / "other", "--isolation", "bubblewrap", program=program)
    reference = publish(server, "Keys", source(tmp_path / "keys", "Keys", KEYRING))
    answer = server.call(reference, "wrapgen-test").json()
    assert answer["result"] == {"read": "", "asked": -1, "added": -1, "hosts": False}, answer
