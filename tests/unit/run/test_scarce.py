"""What is said when a resource runs out, and how far a run gets without it."""

from __future__ import annotations

import errno
import threading

import pytest

from wrapgen.cli.main import fault_of_system
from wrapgen.errors import OutOfResource, RunError, UsageError
from wrapgen.resources import resource_of
from wrapgen.run.hosts.call_threads import CallThreads
from wrapgen.run.scheduling.replies import Reply


def caused(error, cause):
    """An error with a cause."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "open files in this process"),
        (caused(RunError("can't read x"), OSError(errno.EMFILE, "Too many open files")), "open files"),
        (OSError(errno.ENFILE, "Too many open files in system"), "this machine"),
        (MemoryError(), "memory"),
        (ImportError("libx.so: failed to map segment: Cannot allocate memory"), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (OSError(errno.ENOSPC, "No space left on device"), "space on the disk"),
        (OutOfResource("memory"), "memory"),
    ],
)
def test_the_resource_is_named(error, says):
    """Whatever layer an error comes from, the resource that ran out is found."""
    assert says in (resource_of(error) or "")


@pytest.mark.parametrize("error", [None, UsageError("no"), OSError(errno.ENOENT, "gone"), RuntimeError("x")])
def test_other_errors_name_none(error):
    """What is no shortage is not called one."""
    assert resource_of(error) is None


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            OSError(errno.EIO, "Input/output error", "/x"),
            "the system refused an operation: /x: Input/output error",
        ),
        (
            OSError(errno.EROFS, "Read-only file system"),
            "the system refused an operation: Read-only file system",
        ),
        (OSError(errno.EBADF, "Bad file descriptor"), None),
        (ValueError("x"), None),
        (MemoryError(), "there is no more memory"),
    ],
)
def test_what_the_system_refuses_is_no_bug(error, says):
    """A call that the machine fails is told with its file; one that is wrong in itself is a bug."""
    told = fault_of_system(error)
    assert (told and told.message) == says


def test_few_threads_make_all_calls(monkeypatch):
    """Where no more threads can be started, those that there are do the work."""
    start, started = threading.Thread.start, []

    def scarce(thread):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)

    def send(chunk, permit):
        permit(lambda: b"{}")
        return Reply([], {})

    calls = CallThreads(send)
    calls.allow(8)
    for seq in range(8):
        calls.submit(seq, None)
    back = []
    while len(back) < 8:
        back += calls.wait(30)
    assert sorted(one.seq for one in back) == list(range(8)) and len(started) == 2
    calls.close()
