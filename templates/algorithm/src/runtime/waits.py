"""How long an endpoint asks to wait: by Retry-After, or by headers that tell what is left of a rate."""

from __future__ import annotations

import datetime
import email.utils
import re
import time
from typing import Any

LONGEST = 3600.0  # seconds; a server that names more is asked again after these
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
EPOCH = 1e9  # a number from here on is an instant, not a duration
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+\Z")
_NUMBER = re.compile(r"-?\d+(\.\d+)?\Z")
_NOTHING = re.compile(r"-|0+(\.0*)?\Z")
_HEADER = re.compile(r"(?:.*-)?rate-?limit-(?:(.+)-)?(remaining|reset)(?:-after)?(?:-(.+))?\Z")
_FIELDS = re.compile(r"(?:^|[;,\s])(r|t|remaining|reset)=(\d+)")


def asked_wait(headers: Any) -> float | None:
    """Seconds until a server that refused a request takes others, if it says so."""
    wait = _seconds(headers.get("Retry-After", ""), headers)
    if wait is None and _NUMBER.match(headers.get("retry-after-ms", "")):
        wait = min(max(0.0, float(headers["retry-after-ms"]) / 1000), LONGEST)
    return announced_wait(headers, unless_said="0") if wait is None else wait


def announced_wait(headers: Any, unless_said: str = "1") -> float | None:
    """Seconds until a rate begins anew of which nothing is left; None where something is left of each.

    ``unless_said`` is what is left of a rate of which the headers tell only when it begins anew.
    """
    left: dict[str, str] = {}
    resets: dict[str, str] = {}
    for which, kind, value in _told(headers):
        (left if kind in ("remaining", "r") else resets)[which] = value
    used_up = [which for which in {**left, **resets} if _NOTHING.match(left.get(which, unless_said))]
    waits = [_seconds(resets.get(which) or resets.get("", ""), headers) for which in used_up]
    return max((wait for wait in waits if wait is not None), default=None)


def _told(headers: Any) -> Any:
    """What headers tell of rates: the name of one, ``remaining`` or ``reset``, and the value."""
    for name, value in headers.items():
        match = _HEADER.match(name.lower())
        if match:
            yield match.group(1) or match.group(3) or "", match.group(2), value.strip()
        elif name.lower() == "ratelimit":  # the newer drafts have all of a policy in one field
            for number, policy in enumerate(re.split(r',\s*(?=")', value)):
                for key, found in _FIELDS.findall(policy):
                    yield str(number), key, found


def _seconds(text: str, headers: Any) -> float | None:
    """The seconds that a header names: as a number, as ``1m30s``, or as an instant."""
    text = text.strip()
    if _DURATION.match(text):
        parts = re.findall(r"([\d.]+)(ms|s|m|h|d)", text)
        return min(sum(float(number) * UNITS[unit] for number, unit in parts), LONGEST)
    number = float(text) if _NUMBER.match(text) else _instant(text)
    if number is None:
        return None
    if number >= EPOCH:
        now = _instant(headers.get("Date", ""))  # by the server's own clock, if it tells it
        number = (number / 1000 if number >= EPOCH * 1000 else number) - (time.time() if now is None else now)
    return min(max(0.0, number), LONGEST)


def _instant(text: str) -> float | None:
    """A date as HTTP or ISO 8601 writes it, in seconds since 1970."""
    try:
        if text[:4].isdigit():
            found = datetime.datetime.fromisoformat(re.sub(r"(\.\d+)?Z\Z", "+00:00", text))
        else:
            found = email.utils.parsedate_to_datetime(text)
        return (found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
