"""The errors of this package; a message says what happened, a hint what to do."""

from __future__ import annotations


class CallError(Exception):
    """Base of them all."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.message = message
        self.hint = hint


WrapgenError = CallError
"""As the copied modules call it."""


class OutOfResource(CallError):
    """The machine, or a limit of this process, has no more of threads, files, memory or disk space."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"there is no more {resource}")
        self.resource = resource


class UsageError(CallError):
    """What is asked for can't be done as it is written."""


class MissingExtra(UsageError):
    """Something is not installed."""

    def __init__(self, *, extra: str, needed_for: str) -> None:
        packages = {"spark": "'pyspark>=4' 'pandas<3' pyarrow", "ray": "'ray[data]' pyarrow"}[extra]
        super().__init__(f"{needed_for} is not installed", hint=f"pip install {packages}")


class RunError(CallError):
    """The wrapper is not one, or does not work."""


class AlgorithmFailed(CallError):
    """An algorithm was reached and failed; `detail` is its message."""

    def __init__(self, message: str, *, error_type: str = "AlgorithmError") -> None:
        super().__init__(f"{error_type}: {message}")
        self.detail = message
        self.error_type = error_type


class PlatformError(CallError):
    """The platform answered with an error, or not at all."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        error_type: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.error_type = error_type
        self.retry_after = retry_after


class Unreachable(PlatformError):
    """No answer: refused, reset, timed out or cut off."""


class NoCredentials(PlatformError):
    """No API key could be found."""


class NotAuthorized(PlatformError):
    """The key is wrong, or may not do this."""


class PaymentRequired(PlatformError):
    """The account can't pay."""


class NotFound(PlatformError):
    """It does not exist, or is not visible to this key."""


class Conflict(PlatformError):
    """Something with this name or state is there already."""


class Throttled(PlatformError):
    """Too many calls at once."""


class BadRequest(PlatformError):
    """The platform refuses the request as it is written."""


class TooLarge(BadRequest):
    """A body is over the platform's limit."""


class ServerFault(PlatformError):
    """The platform itself failed."""
