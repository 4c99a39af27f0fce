"""Every error that wrapgen raises, as one tree. Imports nothing internal; never prints.

    WrapgenError                       exit  code
    ├── InternalError                   70   internal
    ├── OutOfResource                   71   out-of-resource
    ├── SystemRefused                   71   system-refused
    ├── UsageError                       2   usage
    │   ├── MissingExtra                 2   missing-extra
    │   └── BadTemplate                  2   template
    ├── SpecError                        3   spec
    ├── DriftError                       4   drift
    ├── EditedError                      4   edited
    ├── PlatformError                    5   platform
    │   ├── Unreachable                  5   unreachable           retryable
    │   ├── NoCredentials                5   no-credentials
    │   ├── NotAuthorized                5   not-authorized
    │   ├── PaymentRequired              5   payment-required
    │   ├── NotFound                     5   not-found
    │   ├── Conflict                     5   conflict
    │   ├── Throttled                    5   throttled             retryable
    │   ├── BadRequest                   5   bad-request
    │   │   └── TooLarge                 5   too-large
    │   └── ServerFault                  5   server-fault          retryable
    ├── AlgorithmFailed                  6   algorithm-failed
    ├── BuildFailed                      7   build-failed
    ├── CaseFailed                       7   case-failed
    ├── RecordsUnreadable                9   records-unreadable
    └── RunError                         8   run
        └── TakenOver                    8   taken-over

Call sites pass facts, the class writes the sentence; `hint` says what to do next. Exit codes 10 and above
are the end states of a run (see `wrapgen.run`), which are not errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


class WrapgenError(Exception):
    """Base of the tree.

    Args:
        message: what happened, one sentence with its facts.
        hint: what to do about it, or an empty string: then `advice`, which holds for all of its kind.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    advice: ClassVar[str] = "WRAPGEN_DEBUG=1 shows where it was raised"
    retryable: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def as_json(self) -> dict[str, object]:
        """The error as `--json` prints it: code, message, hint and whether trying again can help."""
        hint = self.hint or self.advice
        return {"code": self.code, "message": self.message, "hint": hint, "retryable": self.retryable}


class InternalError(WrapgenError):
    """Something in wrapgen itself is wrong: an exception that no part of it expected."""

    code = "internal"
    exit_code = 70  # EX_SOFTWARE of sysexits.h

    def __init__(self, cause: Exception) -> None:
        super().__init__(
            f"wrapgen itself failed: {type(cause).__name__}: {cause}",
            hint="this is a bug in wrapgen; WRAPGEN_DEBUG=1 shows where, for a report of it",
        )


class OutOfResource(WrapgenError):
    """The machine, or a limit of this process, has no more of threads, files, memory or disk space."""

    code = "out-of-resource"
    exit_code = 71  # EX_OSERR of sysexits.h
    advice = "free some, or raise the limit (ulimit -a shows it), then give the same command again"

    def __init__(self, resource: str, what: str = "") -> None:
        super().__init__(f"there is no more {resource}" + (f": {what}" if what else ""))
        self.resource = resource


class SystemRefused(WrapgenError):
    """The operating system refused what works on a healthy machine, such as reading a file that is there."""

    code = "system-refused"
    exit_code = 71  # EX_OSERR of sysexits.h
    advice = "check the disk and the system's log, then give the same command again: what was done is kept"

    def __init__(self, reason: str, *places: str) -> None:
        super().__init__(": ".join(["the system refused an operation", *places, reason]))


class UsageError(WrapgenError):
    """The command line asks for something that can't be done as it is written."""

    code = "usage"
    exit_code = 2
    advice = "wrapgen --help lists the commands, and each of them has a --help of its own"


class MissingExtra(UsageError):
    """An optional part of wrapgen is not installed."""

    code = "missing-extra"

    def __init__(self, *, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the optional part [{extra}], which is not installed",
            hint=f"pip install 'wrapgen[{extra}]'",
        )


class BadTemplate(UsageError):
    """A template can't be rendered."""

    code = "template"
    advice = "correct the template there, or leave --templates out"

    def __init__(self, *, path: str, line: int | None, said: str, known: Iterable[str] = ()) -> None:
        place = f"{path}:{line}" if line else path
        names = ", ".join(sorted(known))
        super().__init__(
            f"the template {place} can't be rendered: {said}",
            hint=f"a template has the values {names}" if names else "",
        )


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a file: where (1-based line and column), what is wrong, what to write instead."""

    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}" + (f"; {self.hint}" if self.hint else "")

    def as_warning(self) -> str:
        """The same of something that stops nothing."""
        return str(Problem(self.line, self.column, f"warning: {self.message}", self.hint))


class SpecError(WrapgenError):
    """A spec is wrong; carries every problem found, in the order of the file."""

    code = "spec"
    exit_code = 3
    advice = "`wrapgen schema` prints every key, for people and for editors"

    def __init__(self, *, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = sorted(problems)
        lines = "\n".join(f"{path}:{problem}" for problem in self.problems)
        super().__init__(lines)

    def as_json(self) -> dict[str, object]:
        """The base facts, the file, and one object per problem."""
        return {**super().as_json(), "path": self.path, "problems": [vars(p) for p in self.problems]}


class DriftError(WrapgenError):
    """Files on disk are not what the spec generates.

    Args:
        message: which files, and how.
        hint: what to do about it.
        diff: the difference itself, where it was asked for; `--json` prints it too.
    """

    code = "drift"
    exit_code = 4
    advice = "wrapgen build writes the files again; wrapgen build --diff shows the differences"

    def __init__(self, message: str, *, hint: str = "", diff: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.diff = diff

    def as_json(self) -> dict[str, object]:
        """The base facts, and the difference if it was asked for."""
        return super().as_json() if self.diff is None else {**super().as_json(), "diff": self.diff}


class EditedError(WrapgenError):
    """A generated file was edited by hand and would be overwritten."""

    code = "edited"
    exit_code = 4
    advice = "move your change to the spec, or give --force to lose it"


class PlatformError(WrapgenError):
    """The platform answered, or failed to answer, in a way that stops this command.

    Args:
        message: what happened.
        hint: what to do about it.
        status: the HTTP status, or None when no answer came.
        error_type: the platform's own taxonomy, such as `AlgorithmError`, or None.
        retry_after: seconds the platform asked to wait, or None.
        reason: the code that the hosted platform's own errors have beside their class; mostly empty.
    """

    code = "platform"
    exit_code = 5
    advice = "wrapgen doctor looks for the cause; the platform's own log says more"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        error_type: str | None = None,
        retry_after: float | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.error_type = error_type
        self.retry_after = retry_after
        self.reason = reason


class Unreachable(PlatformError):
    """No answer: refused, reset, timed out, or cut off half-way."""

    code = "unreachable"
    retryable = True
    advice = "is the address right, and the platform up? wrapgen serve starts one on this machine"


class NoCredentials(PlatformError):
    """No platform address or API key could be found."""

    code = "no-credentials"
    advice = "set ALGORITHMIA_API and ALGORITHMIA_API_KEY, or start wrapgen serve in this folder"


class NotAuthorized(PlatformError):
    """The key is missing, wrong, or not allowed to do this (401, 403)."""

    code = "not-authorized"
    advice = "check the API key, and what its account may do"


class PaymentRequired(PlatformError):
    """The account can't pay for the call (402)."""

    code = "payment-required"
    advice = "add credits to the account of the key, then give the same command again"


class NotFound(PlatformError):
    """What was asked for does not exist, or is not visible to this key (404)."""

    code = "not-found"
    advice = "check how it is written, and whether this key may see it"


class Conflict(PlatformError):
    """What was to be made exists already, or nothing new is there to publish (409)."""

    code = "conflict"
    advice = "look at what is there already, or take another name or version"


class Throttled(PlatformError):
    """Too many calls at once (429); carries `retry_after` when the platform says it."""

    code = "throttled"
    retryable = True
    advice = "wait a moment, then give the same command again"


class BadRequest(PlatformError):
    """The platform refuses the request as it is written (400, 422)."""

    code = "bad-request"
    advice = "fix the problem above"


class TooLarge(BadRequest):
    """A body is over the platform's limit (413)."""

    code = "too-large"
    advice = "send less in one call, or put it into a data file and send its URL"


class ServerFault(PlatformError):
    """The platform itself failed (5xx)."""

    code = "server-fault"
    retryable = True
    advice = "try again later; the platform's own log says more"


class AlgorithmFailed(WrapgenError):
    """The algorithm was reached and answered with an error of its own.

    Args:
        message: the algorithm's message.
        error_type: the platform's taxonomy, such as `InputError`.
        stacktrace: the algorithm's traceback where the platform shows it.
        retryable: whether a later identical call may succeed.
    """

    code = "algorithm-failed"
    exit_code = 6
    advice = "this is the algorithm's own message: fix the input, or the algorithm"

    def __init__(
        self,
        message: str,
        *,
        error_type: str = "AlgorithmError",
        stacktrace: str = "",
        retryable: bool = False,
    ) -> None:
        super().__init__(f"{error_type}: {message}")
        self.retryable = retryable
        self.detail = message
        self.error_type = error_type
        self.stacktrace = stacktrace

    def as_json(self) -> dict[str, object]:
        """The base facts, and what the platform says of the algorithm's error."""
        return {**super().as_json(), "error_type": self.error_type, "stacktrace": self.stacktrace}


class BuildFailed(WrapgenError):
    """The platform could not make a pushed algorithm runnable; carries the end of its log."""

    code = "build-failed"
    exit_code = 7

    def __init__(self, *, reference: str, log: str) -> None:
        tail = "\n".join(log.rstrip().splitlines()[-40:])
        super().__init__(
            f"the build of {reference} failed; the end of its log:\n{tail}",
            hint="fix what the log names, then publish again",
        )
        self.log = log


class CaseFailed(WrapgenError):
    """A build answers a case of TEST_CASES.json otherwise than the case says; nothing is released."""

    code = "case-failed"
    exit_code = 7

    def __init__(self, *, name: str, expected: str, got: str) -> None:
        super().__init__(
            f"the case {name!r} failed\n  expected: {expected}\n  got:      {got}",
            hint="fix the algorithm or the case, then publish again; nothing was released",
        )


class RecordsUnreadable(WrapgenError):
    """A datastore holds something that is no record where records should be."""

    code = "records-unreadable"
    exit_code = 9

    def __init__(self, *, where: str, reason: str) -> None:
        super().__init__(
            f"{where} is no record: {reason}",
            hint="something else than a wrapper wrote there; move it away",
        )


class RunError(WrapgenError):
    """A run can't start or resume as requested."""

    code = "run"
    exit_code = 8
    advice = "wrapgen show RUN shows its status; wrapgen runs lists all runs"


class TakenOver(RunError):
    """Another runner owns the state of this run by now; what this one did since does not count."""

    code = "taken-over"

    def __init__(self, *, name: str, who: str) -> None:
        super().__init__(
            f"the run in {name} was taken over by {who}: this runner stops",
            hint="the other one goes on; what this one had open counts there as sent without an answer",
        )
