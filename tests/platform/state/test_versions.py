"""Version references and numbers, as the platform contract's section 3 has them."""

from __future__ import annotations

import pytest

from wrapgen.errors import BadRequest
from wrapgen.platform.domain.model import Version
from wrapgen.platform.domain.versions import choose, next_callability, next_number, wanted


def version(text: str, callability: str = "public") -> Version:
    major, minor, revision = (int(part) for part in text.split("."))
    return Version(text, "algorithm", f"build-{text}", (major, minor, revision), callability, {}, 0.0)


VERSIONS = [
    version("0.1.0", "private"),
    version("0.2.0"),
    version("1.0.0"),
    version("1.2.3"),
    version("1.2.10"),
    version("1.3.0", "private"),
    version("2.0.0", "private"),
]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (None, "1.2.10"),
        ("latest", "1.2.10"),
        ("latestPrivate", "2.0.0"),
        ("1.2.3", "1.2.3"),
        ("2.0.0", "2.0.0"),
        ("1.2", "1.2.10"),
        ("1.2.*", "1.2.10"),
        ("1.2.x", "1.2.10"),
        ("1.*", "1.2.10"),
        ("0.*", "0.2.0"),
        ("1.3.*", None),
        ("2.*", None),
        ("0.1", None),
        ("9.9.9", None),
    ],
)
def test_a_reference_picks_a_version(reference: str | None, expected: str | None) -> None:
    """Partial ones and latest see public versions only; exact ones and latestPrivate see private ones."""
    request = wanted(reference)
    assert request is not None
    found = choose(VERSIONS, request)
    assert (found.semantic if found else None) == expected


@pytest.mark.parametrize("reference", ["newest", "1.2.3.4", "v1.2.3", "1..2", "-1", "1.2.3-beta", "*"])
def test_other_words_are_no_version(reference: str) -> None:
    """What is not in the table means nothing, rather than something."""
    assert wanted(reference) is None


@pytest.mark.parametrize(
    ("newest", "kind", "expected"),
    [
        (None, None, (0, 1, 0)),
        (None, "minor", (0, 1, 0)),
        (None, "major", (1, 0, 0)),
        (None, "revision", (0, 0, 1)),
        (None, "patch", (0, 0, 1)),
        ((1, 2, 3), None, (1, 3, 0)),
        ((1, 2, 3), "major", (2, 0, 0)),
        ((1, 2, 3), "revision", (1, 2, 4)),
    ],
)
def test_the_next_number(newest: tuple[int, int, int] | None, kind: str | None, expected: object) -> None:
    """The first release is 0.1.0, 1.0.0 or 0.0.1; then the named part rises and the smaller ones restart."""
    assert next_number(newest, kind) == expected


def test_an_unknown_type_is_refused() -> None:
    """A type that is none is an error that lists the types."""
    with pytest.raises(BadRequest, match="major, minor or revision"):
        next_number(None, "huge")


def test_visibility_is_kept_within_a_major_version() -> None:
    """Only a new major number may change who can call."""
    same = version("1.2.3", "private")
    assert next_callability(same, None, "public") == "private"
    assert next_callability(None, None, "private") == "private"
    assert next_callability(None, "public", "private") == "public"
    with pytest.raises(BadRequest, match="only a new major"):
        next_callability(same, "public", "private")
    with pytest.raises(BadRequest, match="public or private"):
        next_callability(None, "secret", "private")
