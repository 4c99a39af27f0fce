"""Charts as text: from numbers to self-contained SVG that a page or a file can hold. No I/O but `stylesheet`.

Classes and nothing else decide the looks, so a strict content security policy holds: no script, no style
attribute. Every chart has a title and a description for those who hear it. What the numbers mean is not
decided here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Literal

Axis = Literal["number", "elapsed", "clock"]
"""What x is: a number, seconds since a start, or seconds since 1970 (shown as UTC)."""

WIDTH, HEIGHT = 460, 230
_LEFT, _TOP, _BOTTOM = 50, 30, 26
_TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_COLOURS = 6


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Args:
        name: what the legend calls it.
        points: pairs of x and y by rising x; a y of None leaves a gap.
        right: measured on the right axis, for another unit.
        stems: each y that is not 0 is an upright of its own, for what happens now and then.
    """

    name: str
    points: Sequence[tuple[float, float | None]]
    right: bool = False
    stems: bool = False

    def values(self) -> list[float]:
        """Every y that is there."""
        return [y for _, y in self.points if y is not None and math.isfinite(y)]


def stylesheet() -> str:
    """The CSS that every page with a chart includes; light and dark by the reader's preference."""
    return Path(__file__).with_name("charts.css").read_text(encoding="utf-8")


def lines(
    key: str, title: str, series: Sequence[Series], *, x: Axis = "elapsed", unit: str = "", area: bool = False
) -> str:
    """A line chart.

    Args:
        key: unique in its page; letters, digits and hyphens.
        title: what it shows; heard, not drawn.
        series: at most six are told apart.
        x: what the horizontal axis is.
        unit: of y, for the description, as in "items/s".
        area: fills what is below the lines.

    Returns:
        An <svg> element.
    """
    shown = [one for one in series if one.values()]
    if not shown:
        return _svg(key, title, "nothing yet", [_empty()])
    said = "; ".join(_described(one, unit) for one in shown)
    right = any(one.right for one in shown)
    plot = _Plot(_span((at for one in shown for at, y in one.points if y is not None), x), x, right)
    tops = {side: _top(one for one in shown if one.right is side) for side in (False, True)}
    parts = [*plot.grid(tops[False]), *(plot.right_labels(tops[True]) if right else ())]
    for number, one in enumerate(series, start=1):
        colour = f"series-{(number - 1) % _COLOURS + 1}"
        parts.extend(plot.drawn(one, tops[one.right], colour, area=area))
    parts.extend(_legend(series))
    return _svg(key, title, said, parts)


def bars(
    key: str, title: str, values: Sequence[tuple[str, float]], *, unit: str = "", series: int = 1
) -> str:
    """A bar chart or histogram.

    Args:
        key: unique in its page; letters, digits and hyphens.
        title: what it shows; heard, not drawn.
        values: label and height of each bar, from the left.
        unit: of the heights, for the description.
        series: which of the six colours.

    Returns:
        An <svg> element.
    """
    if not any(value for _, value in values):
        return _svg(key, title, "nothing yet", [_empty()])
    most = max(values, key=lambda pair: pair[1])
    said = f"{len(values)} bars; the highest is {most[0]} with {number_text(most[1])} {unit}".rstrip()
    plot = _Plot((0.0, float(len(values))), "number", right=False, ceiling=12)
    top = _nice_top(value for _, value in values)
    parts = list(plot.grid(top, x_ticks=False))
    longest = max(len(label) for label, _ in values)
    every = max(1, math.ceil(len(values) * (longest * 7.5 + 8) / (plot.right - plot.left)))
    for at, (label, value) in enumerate(values):
        left, right = plot.x(at + 0.08), plot.x(at + 0.92)
        high = max(plot.y(0, top) - plot.y(value, top), 1.0 if value else 0.0)
        parts.append(
            f'<rect class="chart-bar series-{series}" x="{left:.1f}" y="{plot.y(0, top) - high:.1f}" '
            f'width="{right - left:.1f}" height="{high:.1f}" rx="2">'
            f"<title>{escape(label)}: {number_text(value)}</title></rect>"
        )
        if at % every == 0:
            middle = (left + right) / 2
            parts.append(f'<text class="chart-x" x="{middle:.1f}" y="{HEIGHT - 8}">{escape(label)}</text>')
    return _svg(key, title, said, parts)


def number_text(value: float) -> str:
    """A number as an axis shows it: 950, 1.2k, 3.4M, 0.05."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def duration_text(seconds: float) -> str:
    """A duration as an axis shows it: 250 ms, 12 s, 3 min, 1 h 30."""
    if seconds and seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02}" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02}" if minutes else f"{hours} h"


def ticks(low: float, high: float, *, most: int, time: bool = False) -> list[float]:
    """Round values from low to high, at most `most` + 1 of them; of time: whole minutes, hours and days."""
    span = high - low
    if not span > 1e-9:
        return [low]
    step = _step(span / most, time=time)
    first = math.ceil(low / step - 1e-9)
    return [at * step for at in range(first, math.floor(high / step + 1e-9) + 1)]


def _step(least: float, *, time: bool = False) -> float:
    if time and least > 0.5:
        days = math.ceil(least / 86400) * 86400
        return next((step for step in _TIME_STEPS if step >= least), days)
    size = 10.0 ** math.floor(math.log10(least))
    return next(size * factor for factor in (1, 2, 5, 10) if size * factor >= least * (1 - 1e-9))


def _nice_top(values: Iterable[float]) -> float:
    """Where an axis for these values ends; it has no ticks between whole numbers if they all are."""
    found = list(values) or [1.0]
    step = _step(max(*found, 1e-9) / 4)
    if all(value.is_integer() for value in map(float, found)):
        step = max(step, 1.0)
        return max(math.ceil(max(found) / step - 1e-9) * step, 4.0)
    return math.ceil(max(found) / step - 1e-9) * step or step


def _top(series: Iterable[Series]) -> float:
    return _nice_top(value for one in series for value in one.values())


def _span(values: Iterable[float], axis: Axis) -> tuple[float, float]:
    found = list(values)
    low, high = min(found), max(found)
    low = min(low, 0.0) if axis == "elapsed" else low
    # A span that floats can hardly tell from none has no ticks.
    return (low, high) if high - low > 1e-9 * max(1.0, abs(high)) else (low, low + max(1.0, abs(low)))


def _described(one: Series, unit: str) -> str:
    low, high, last = (number_text(f(one.values())) for f in (min, max, lambda values: values[-1]))
    return f"{one.name}: from {low} to {high} {unit}".rstrip() + f", last {last}"


class _Plot:
    """The rectangle that is drawn in, and where values lie in it."""

    def __init__(self, span: tuple[float, float], axis: Axis, right: bool, *, ceiling: float = _TOP) -> None:
        self.low, self.high = span
        self.axis = axis
        self.ceiling = ceiling
        self.left, self.right = _LEFT, WIDTH - (_LEFT if right else 12)

    def x(self, value: float) -> float:
        return self.left + (value - self.low) / (self.high - self.low) * (self.right - self.left)

    def y(self, value: float, top: float) -> float:
        floor = HEIGHT - _BOTTOM
        return floor - max(0.0, value) / top * (floor - self.ceiling)

    def grid(self, top: float, *, x_ticks: bool = True) -> Iterator[str]:
        for value in ticks(0, top, most=4):
            y = self.y(value, top)
            kind = "chart-grid" if value else "chart-axis"
            yield f'<line class="{kind}" x1="{self.left}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text class="chart-y" x="{self.left - 6}" y="{y + 4:.1f}">{number_text(value)}</text>'
        found = ticks(self.low, self.high, most=6, time=self.axis != "number") if x_ticks else []
        for value in found:
            x = self.x(value)
            edge = " chart-x-first" if x < self.left + 12 else " chart-x-last" if x > self.right - 20 else ""
            yield f'<text class="chart-x{edge}" x="{x:.1f}" y="{HEIGHT - 8}">{self._label(value)}</text>'

    def right_labels(self, top: float) -> Iterator[str]:
        for value in ticks(0, top, most=4):
            y = self.y(value, top) + 4
            yield f'<text class="chart-right" x="{self.right + 6}" y="{y:.1f}">{number_text(value)}</text>'

    def drawn(self, one: Series, top: float, colour: str, *, area: bool) -> Iterator[str]:
        if one.stems:
            floor = HEIGHT - _BOTTOM
            at = [(self.x(x), self.y(y, top)) for part in _parts(one.points) for x, y in part if y]
            path = "".join(f"M{x:.1f} {floor}V{y:.1f}" for x, y in at)
            yield f'<path class="chart-stems {colour}" d="{path}"/>'
            return
        for part in _parts(one.points):
            at = [(self.x(x), self.y(y, top)) for x, y in part]
            if len(at) == 1:
                yield f'<circle class="chart-dot {colour}" cx="{at[0][0]:.1f}" cy="{at[0][1]:.1f}" r="3"/>'
                continue
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
            if area:
                floor = HEIGHT - _BOTTOM
                yield (
                    f'<path class="chart-area {colour}" '
                    f'd="M{path}L{at[-1][0]:.1f} {floor}L{at[0][0]:.1f} {floor}Z"/>'
                )
            yield f'<path class="chart-line {colour}" d="M{path}"/>'

    def _label(self, value: float) -> str:
        if self.axis == "number":
            return number_text(value)
        if self.axis == "elapsed":
            return duration_text(value)
        moment = datetime.fromtimestamp(value, timezone.utc)
        span = self.high - self.low
        return moment.strftime("%H:%M:%S" if span < 300 else "%H:%M" if span < 172_800 else "%b %d")


def _parts(points: Iterable[tuple[float, float | None]]) -> Iterator[list[tuple[float, float]]]:
    """The points between gaps."""
    part: list[tuple[float, float]] = []
    for x, y in points:
        if y is not None and math.isfinite(y):
            part.append((x, y))
        elif part:
            yield part
            part = []
    if part:
        yield part


def _legend(series: Sequence[Series]) -> Iterator[str]:
    left = float(_LEFT)
    for number, one in enumerate(series, start=1):
        name = f"{one.name} (right)" if one.right else one.name
        colour = f"series-{(number - 1) % _COLOURS + 1}"
        if one.stems:
            yield f'<path class="chart-stems {colour}" d="M{left + 6:.0f} 17v-9m5 9v-6m5 6v-11"/>'
        else:
            yield f'<path class="chart-line {colour}" d="M{left:.0f} 12h22"/>'
        yield f'<text class="chart-legend" x="{left + 27:.0f}" y="16">{escape(name)}</text>'
        left += 27 + len(name) * 7.4 + 14


def _empty() -> str:
    return f'<text class="chart-empty" x="{WIDTH // 2}" y="{HEIGHT // 2}">nothing yet</text>'


def _svg(key: str, title: str, description: str, parts: Iterable[str]) -> str:
    name = escape(key, quote=True)
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>{"".join(parts)}</svg>'
    )
