"""Version numbers and the releases between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapgen.errors import UsageError
from wrapgen.publish.releases import steps
from wrapgen.references import Number


def release(number: Number, kind: str) -> Number:
    """What the platform makes of a version type."""
    if kind == "major":
        return Number(number.major + 1, 0, 0)
    if kind == "minor":
        return Number(number.major, number.minor + 1, 0)
    return Number(number.major, number.minor, number.revision + 1)


@pytest.mark.parametrize("rule", ["major", "minor", "revision"])
def test_a_type_is_one_release(rule: str) -> None:
    """A version type is released as it is."""
    assert steps(rule, Number(1, 2, 3)) == [rule]


def test_the_first_exact_version_takes_the_releases_that_lead_there() -> None:
    """1.0.5 of a new algorithm is a major and five revisions."""
    assert steps("1.0.5", Number()) == ["major", *["revision"] * 5]


numbers = st.builds(Number, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))


@given(numbers, numbers)
def test_the_releases_end_at_the_wanted_number_or_are_refused(newest: Number, wanted: Number) -> None:
    """Every number above the newest is reached exactly; every other is refused."""
    if wanted <= newest:
        with pytest.raises(UsageError):
            steps(str(wanted), newest)
        return
    number = newest
    for kind in steps(str(wanted), newest):
        number = release(number, kind)
    assert number == wanted


@pytest.mark.parametrize(
    "rule", ["", "patch", "1.0", "1.0.x", "v1.0.0", "01.0.0", "0.0.0", "1.0.0 ", "-1.0.0"]
)
def test_what_is_no_version_is_refused(rule: str) -> None:
    """A rule is a type or three plain numbers."""
    with pytest.raises(UsageError):
        steps(rule, Number())


def test_a_number_too_far_away_is_refused() -> None:
    """Hundreds of builds are not made for a typing error."""
    with pytest.raises(UsageError, match="releases away"):
        steps("1.0.1000", Number())
