"""Charts: well-formed, escaped, readable without eyes, nothing that a strict policy refuses."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wrapgen import charts
from wrapgen.charts import Series, bars, duration_text, lines, number_text, ticks

HOSTILE = "</style><script>alert(1)</script>\"' & ]]>"
NUMBERS = st.floats(min_value=0, max_value=1e15, allow_nan=False)


def texts(svg: str) -> list[str]:
    """What is drawn as text."""
    return [
        element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")
    ]


@example([(0.0, 1.0), (5e-324, 2.0)], "number", False)
@example([(1e15, 1.0), (1e15 + 1, 5e-324)], "elapsed", True)
@given(
    st.lists(st.tuples(NUMBERS, st.none() | NUMBERS), max_size=30).map(
        lambda p: sorted(p, key=lambda q: q[0])
    ),
    st.sampled_from(["number", "elapsed", "clock"]),
    st.booleans(),
)
def test_whatever_the_numbers(points: list[tuple[float, float | None]], x: charts.Axis, area: bool) -> None:
    """Any numbers make well-formed SVG in which no coordinate is infinite or undefined."""
    points = [(min(at, 4e9), y) for at, y in points]
    svg = lines("k", "t", [Series("a", points), Series("b", points, right=True)], x=x, area=area)
    ElementTree.fromstring(svg)
    assert "nan" not in svg.lower() and "inf" not in svg.lower()


def test_hostile_names_stay_text() -> None:
    """Titles, names and labels never become markup, and there is no script and no style attribute."""
    for svg in (
        lines("k", HOSTILE, [Series(HOSTILE, [(0, 1), (1, 2)])]),
        bars("k", HOSTILE, [(HOSTILE, 3), ("b", 1)]),
    ):
        tree = ElementTree.fromstring(svg)
        assert {element.tag for element in tree.iter()} <= {
            "svg", "title", "desc", "line", "text", "path", "rect", "circle"
        }  # fmt: skip
        assert "style=" not in svg.replace("</style>", "") and "on" not in {
            name[:2] for element in tree.iter() for name in element.attrib
        }
        assert next(iter(tree)).text == HOSTILE


def test_heard_as_well_as_seen() -> None:
    """A chart is an image with a title and a description that tells its numbers."""
    svg = lines("rate", "Items per second", [Series("all", [(0, 3), (1, None), (2, 4500)])], unit="items/s")
    tree = ElementTree.fromstring(svg)
    title, desc = list(tree)[:2]
    assert tree.get("role") == "img" and tree.get("aria-labelledby") == "rate-title rate-desc"
    assert (title.get("id"), title.text) == ("rate-title", "Items per second")
    assert (desc.get("id"), desc.text) == ("rate-desc", "all: from 3 to 4.5k items/s, last 4.5k")


@pytest.mark.parametrize(
    "svg",
    [
        lines("k", "t", []),
        lines("k", "t", [Series("a", []), Series("b", [(1, None)])]),
        bars("k", "t", []),
        bars("k", "t", [("a", 0)]),
    ],
)
def test_no_data_says_so(svg: str) -> None:
    """A chart of nothing says `nothing yet`, seen and heard."""
    assert texts(svg) == ["nothing yet"] and '<desc id="k-desc">nothing yet</desc>' in svg


def test_stems_stand_only_where_something_happened() -> None:
    """A series of events has one upright per event, and an axis of whole numbers has only those."""
    events = Series("429s", [(0, 0), (1, 2), (2, None), (3, 1)], right=True, stems=True)
    svg = lines("k", "t", [Series("open", [(0, 8), (3, 8)]), events])
    found = re.search(r'class="chart-stems series-2" d="([^"]*)"', svg)
    assert found and found[1].count("M") == 2
    assert texts(svg)[-2:] == ["open", "429s (right)"] and {"0", "1", "2", "3", "4"} <= set(texts(svg))
    assert "0.5" not in texts(svg)


def test_gaps_and_lone_points() -> None:
    """A gap parts a line, and a point alone is a dot."""
    svg = lines("k", "t", [Series("a", [(0, 1), (1, 2), (2, None), (3, 4)])])
    assert len(re.findall(r'class="chart-line series-1" d="M[^h]*"', svg)) == 1
    assert svg.count("<circle") == 1


def test_bars_keep_their_proportions() -> None:
    """A bar twice as high as another stands for twice as much, and a small one is still seen."""
    svg = bars("k", "t", [("a", 100), ("b", 50), ("c", 0.001), ("d", 0)])
    heights = [float(found) for found in re.findall(r'height="([\d.]+)" rx', svg)]
    assert heights[0] == pytest.approx(2 * heights[1], rel=0.01)
    assert heights[2:] == [1, 0]


def test_many_labels_are_thinned() -> None:
    """So many bars that their labels would overlap show only some of them."""
    svg = bars("k", "t", [(f"label {n}", 1) for n in range(50)])
    assert len([text for text in texts(svg) if text.startswith("label")]) < 8


def test_round_ticks() -> None:
    """Ticks are round numbers; of time whole minutes and hours."""
    assert ticks(0, 87, most=5) == [0, 20, 40, 60, 80]
    assert ticks(0, 100, most=5, time=True) == [0, 30, 60, 90]
    assert ticks(3000, 20000, most=5, time=True) == [3600, 7200, 10800, 14400, 18000]
    assert len(ticks(0, 40 * 86400, most=5, time=True)) <= 6
    assert ticks(5, 5, most=5) == [5] == ticks(5, 5 + 1e-12, most=5) and ticks(0, 5e-324, most=5) == [0]


def test_words_of_numbers() -> None:
    """Numbers and durations are short enough for an axis."""
    assert [number_text(n) for n in (0, 0.05, 950, 1234, 3_400_000)] == ["0", "0.05", "950", "1.23k", "3.4M"]
    assert [duration_text(s) for s in (0, 0.25, 12, 180, 190, 5400)] == [
        "0 s", "250 ms", "12 s", "3 min", "3 min 10", "1 h 30"
    ]  # fmt: skip


def test_every_class_is_styled() -> None:
    """Each class that a chart uses has a rule in the stylesheet, which names nothing outside it."""
    svg = lines(
        "k", "t", [Series(str(n), [(0, 1), (1, 2)], right=n == 5, stems=n == 5) for n in range(6)], area=True
    )
    svg += bars("k", "t", [("a", 1)]) + lines("k", "t", [Series("a", [(1, 1)])]) + lines("k", "t", [])
    used = {name for found in re.findall(r'class="([^"]*)"', svg) for name in found.split()}
    css = charts.stylesheet()
    assert {name for name in used if f".{name}" not in css} == {"chart-legend"}
    assert "url(" not in css and "@import" not in css
