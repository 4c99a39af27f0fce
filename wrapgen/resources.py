"""Which of a machine's resources ran out, with nothing but Python's own library."""

from __future__ import annotations

import errno

from wrapgen.errors import OutOfResource

_BY_ERRNO = {
    errno.EMFILE: "room for open files in this process (ulimit -n)",
    errno.ENFILE: "room for open files on this machine",
    errno.ENOMEM: "memory",
    errno.EAGAIN: "room for processes (ulimit -u)",
    errno.ENOSPC: "space on the disk",
    errno.EDQUOT: "space in the disk quota",
}

_NO_MEMORY = ("annot allocate memory", "failed to map segment")  # the latter of a library to be loaded


def resource_of(error: BaseException | None) -> str | None:
    """What has run out, where that is what an error or one of its causes says; else None."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        if isinstance(error, OutOfResource):
            return error.resource
        if isinstance(error, MemoryError) or any(said in str(error) for said in _NO_MEMORY):
            return "memory"
        if isinstance(error, RuntimeError) and "new thread" in str(error):
            return "room for threads (ulimit -u), or memory for them"
        if isinstance(error, OSError) and error.errno in _BY_ERRNO:
            return _BY_ERRNO[error.errno]
        if isinstance(error, ImportError) and "oo many open files" in str(error):
            return _BY_ERRNO[errno.EMFILE]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


_OURS = {errno.EBADF, errno.EFAULT, errno.EINVAL, errno.ENOTSOCK, errno.ENOTTY, errno.ESPIPE}
"""What the system says of a call that is wrong in itself."""


def refusal_of(error: BaseException) -> str:
    """What the system refused, such as to read a damaged disk; empty for an error of another cause."""
    known = isinstance(error, OSError) and error.errno is not None and error.errno not in _OURS
    return str(error.strerror) if known and isinstance(error, OSError) else ""
