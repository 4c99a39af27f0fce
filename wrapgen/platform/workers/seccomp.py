"""The system calls that a sandboxed process is refused: what they reach is in no namespace.

The kernel's keyrings belong to a user, or are inherited from who started the server; a socket of a virtual
machine reaches its host from any network; a program of another instruction set would have other numbers.
"""

from __future__ import annotations

import errno
import platform
import struct

AF_VSOCK = 40
"""Sockets between a virtual machine and its host (man 7 vsock)."""

_CALLS = {
    "x86_64": (0xC000003E, 41, (248, 249, 250)),
    "aarch64": (0xC00000B7, 198, (217, 218, 219)),
}
"""By machine: the number of its instruction set (linux/audit.h), `socket`, and the calls of keyrings."""

_X32 = 0x40000000
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_NUMBER, _SET, _FIRST_ARGUMENT = 0, 4, 16
_ALLOWED = 0x7FFF0000
_REFUSED = 0x00050000


def program(machine: str = platform.machine()) -> bytes:
    """The filter (man 2 seccomp), as instructions of the machine that runs it; empty for an unknown one."""
    if machine not in _CALLS:
        return b""
    kind, socket, keyrings = _CALLS[machine]
    refused = [_equal(number, 3 + len(keyrings) - place) for place, number in enumerate(keyrings)]
    # A jump is counted from the instruction after it: to the one that allows, or to the two that refuse.
    steps = [
        (_LOAD, 0, 0, _SET),
        _equal(kind, 1, 0),
        (_RETURN, 0, 0, _REFUSED | errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
        (_AND, 0, 0, ~_X32 & 0xFFFFFFFF),
        *refused,
        _equal(socket, 0, 2),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        _equal(AF_VSOCK, 2, 0),
        (_RETURN, 0, 0, _ALLOWED),
        (_RETURN, 0, 0, _REFUSED | errno.ENOSYS),
        (_RETURN, 0, 0, _REFUSED | errno.EAFNOSUPPORT),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _equal(value: int, then: int, otherwise: int = 0) -> tuple[int, int, int, int]:
    """Jumps over as many instructions where what was loaded is a value, or is not."""
    return _EQUAL, then, otherwise, value
