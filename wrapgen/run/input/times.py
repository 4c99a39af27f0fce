"""Times as text: ISO 8601, for every moment that a 64-bit number can count to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from wrapgen.run.input.values import Unsendable

UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Name of a unit of time to how many make a second."""

_DAY = 86_400
_EPOCH = datetime(1970, 1, 1)
_FIRST, _LAST = date.min.toordinal() - date(1970, 1, 1).toordinal(), date.max.toordinal() - 719_163
_CYCLE, _CYCLE_YEARS = 146_097, 400


def instant_text(unit: int, zone: str) -> Callable[[int], str]:
    """What makes text of moments, such as `2020-01-02T03:04:05.000006+00:00`, in any year.

    Args:
        unit: how many of what is counted, from 1970, make a second.
        zone: what follows the time of day.
    """
    micros = UNITS["us"] // unit
    first, last = (_FIRST * _DAY * unit, (_LAST + 1) * _DAY * unit - 1) if micros else (0, -1)

    def text(count: int) -> str:
        if first <= count <= last:
            return (_EPOCH + timedelta(0, 0, count * micros)).isoformat() + zone
        day, rest = divmod(count, _DAY * unit)
        return f"{date_text(day)}T{_clock(rest, unit)}{zone}"

    return text


def date_text(day: int) -> str:
    """A day of the Gregorian calendar, by its number since 1970."""
    if _FIRST <= day <= _LAST:
        return date.fromordinal(day + 719_163).isoformat()
    # The calendar repeats itself every 400 years: a year that Python knows stands for the one that is meant.
    cycles, within = divmod(day, _CYCLE)
    known = date.fromordinal(within + 719_163)
    year = known.year + cycles * _CYCLE_YEARS
    sign = "-" if year < 0 else ""
    return f"{sign}{abs(year):04}-{known:%m-%d}"


def time_text(count: int, unit: int) -> Any:
    """A time of day, by its count of units; Unsendable if a day has no such time."""
    if not 0 <= count < _DAY * unit:
        return Unsendable(f"a time of day is {count / unit} seconds")
    return _clock(count, unit)


def _clock(count: int, unit: int) -> str:
    seconds, part = divmod(count, unit)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if not part:
        return text
    digits = f"{part * (UNITS['ns'] // unit):09}"
    return f"{text}.{digits[:6]}" if digits.endswith("000") else f"{text}.{digits}"


def interval_text(value: bytes) -> str:
    """Parquet's interval, three numbers, as ISO 8601 has it: `P1M2DT3.004S`."""
    months, days, thousandths = (int.from_bytes(value[at : at + 4], "little") for at in (0, 4, 8))
    seconds, part = divmod(thousandths, 1000)
    return f"P{months}M{days}DT{seconds}{f'.{part:03}' if part else ''}S"
