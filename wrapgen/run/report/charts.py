"""The charts of a report, and how its values are written. Pure: from the facts to text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from wrapgen.charts import Series, bars, duration_text, lines, number_text


@dataclass(frozen=True)
class Chart:
    """One chart with its words.

    Args:
        title: above it.
        note: below it, a sentence.
        svg: the picture.
        head, rows: the same numbers as a table.
    """

    title: str
    note: str
    svg: Markup
    head: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def charts_of(facts: dict[str, Any]) -> list[Chart]:
    """Every chart of the report, in the order in which it shows them."""
    return [
        _throughput(facts),
        _concurrency(facts),
        _latency("call", "How long calls took", facts["latency"]["call"], 1),
        _latency("item", "How long an item took", facts["latency"]["item"], 3),
        _attempts(facts),
        _sends(facts),
        _chunks(facts),
        _sizes(facts),
    ]


def _series(facts: dict[str, Any], name: str, key: str, *, events: bool = False) -> Series:
    bins = facts["timeline"]["bins"]
    points = [(one["start"] + one["seconds"] / 2, one[key]) for one in bins]
    return Series(name, points, right=events, stems=events)


def _timed(facts: dict[str, Any], *keys: str) -> list[tuple[Any, ...]]:
    return [(duration_text(one["start"]), *(one[key] for key in keys)) for one in facts["timeline"]["bins"]]


def _throughput(facts: dict[str, Any]) -> Chart:
    series = [_series(facts, "items/s", "rate")]
    said = f"{number(facts['rate'])} items a second on average" if facts["rate"] else "nothing finished yet"
    return Chart(
        "Throughput",
        f"Items that got their final outcome, {said}. Time between sessions is left out.",
        _drawn(lines("throughput", "Items finished per second over time", series, unit="items/s", area=True)),
        ("from", "finished", "failed", "items/s"),
        _timed(facts, "finished", "failed", "rate"),
    )


def _latency(key: str, title: str, found: dict[str, Any], colour: int) -> Chart:
    shown = [(_edge(bar), bar["count"]) for bar in found["histogram"]]
    what = "calls" if key == "call" else "items"
    said = "No answers yet."
    if found["count"]:
        said = (
            f"Half of the {what} within {took(found['p50'])}, 90 % within {took(found['p90'])}, "
            f"99 % within {took(found['p99'])}, the slowest {took(found['max'])}."
        )
        said += " An item's share of its call: its time divided by its items." if key == "item" else ""
    return Chart(
        title,
        said,
        _drawn(bars(f"latency-{key}", f"Histogram: {title.lower()}", shown, unit=what, series=colour)),
        ("up to", what),
        list(shown),
    )


def _edge(bar: dict[str, Any]) -> str:
    return "more" if bar["up_to"] is None else duration_text(bar["up_to"])


def _concurrency(facts: dict[str, Any]) -> Chart:
    series = [
        _series(facts, "open", "open"),
        _series(facts, "allowed", "limit"),
        _series(facts, "429s", "throttled", events=True),
    ]
    throttled = facts["calls"]["throttled"]
    said = f"429 came {throttled:,} times; it halves what is allowed" if throttled else "429 never came"
    return Chart(
        "Calls open, against 429s",
        f"Calls that were open, and those allowed. {said}.",
        _drawn(lines("concurrency", "Calls open and allowed, and 429s, over time", series)),
        ("from", "open", "allowed", "429s"),
        _timed(facts, "open", "limit", "throttled"),
    )


def _chunks(facts: dict[str, Any]) -> Chart:
    found = facts["chunks"]
    said = "Nothing sent yet."
    if found["mean"]:
        said = f"{found['smallest']:,} to {found['largest']:,} items in a call, {found['mean']:,} on average."
    return Chart(
        "Chunk sizes",
        said,
        _drawn(lines("chunks", "Items in a call over time", [_series(facts, "items a call", "chunk")])),
        ("from", "items a call"),
        _timed(facts, "chunk"),
    )


def _attempts(facts: dict[str, Any]) -> Chart:
    shown = [(str(one["attempts"]), one["items"]) for one in facts["attempts"]]
    inside = facts["attempts_inside"]
    said = "Calls of the target that an item took until its outcome was final."
    if inside:
        said += f" Beyond these, wrappers repeated {inside:,} inside a call, without saying for which item."
    return Chart(
        "Attempts",
        said,
        _drawn(bars("attempts", "Histogram: calls of the target per item", shown, unit="items", series=4)),
        ("attempts", "items"),
        list(shown),
    )


def _sends(facts: dict[str, Any]) -> Chart:
    shown = [(str(one["sends"]), one["items"]) for one in facts["sends"]]
    return Chart(
        "Sends",
        "Times that an item was sent, in calls of the wrapper, until its outcome was final.",
        _drawn(bars("sends", "Histogram: sends per item", shown, unit="items", series=2)),
        ("sends", "items"),
        list(shown),
    )


def _sizes(facts: dict[str, Any]) -> Chart:
    found = facts["provenance"]["input_sizes"]
    shown = [(f"{number_text(one['up_to'])}B", one["items"]) for one in found]
    return Chart(
        "Item sizes",
        f"{number(facts['provenance']['input_bytes'])} bytes in all, as the items travel.",
        _drawn(bars("sizes", "Histogram: bytes per item", shown, unit="items", series=6)),
        ("up to", "items"),
        list(shown),
    )


def _drawn(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - charts escapes every text


def number(value: float | None) -> str:
    """A number for people; a dash for none."""
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.3g}"


def took(seconds: float | None) -> str:
    """A duration for people; a dash for none."""
    return "–" if seconds is None else duration_text(seconds)


def moment(at: str | None) -> str:
    """A time of the ledger for people: UTC, whole seconds; a dash for none."""
    return "–" if not at else f"{at[:10]} {at[11:19]} UTC"


def share(part: int, whole: int) -> str:
    """A part in percent; never 100 % for less than all, never 0 % for some."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if part and percent < 0.1:
        return "< 0.1 %"
    if part != whole and percent > 99.9:
        return "> 99.9 %"
    return f"{percent:.3g} %"


FILTERS = {"number": number, "took": took, "moment": moment, "share": share}
