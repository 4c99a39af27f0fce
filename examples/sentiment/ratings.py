"""The real input: four sets of texts rated by people, from the source distribution of vaderSentiment 3.3.2.

They are fetched with pip into an ignored cache; nothing of them is committed. Source of the sets: Hutto and
Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", ICWSM 2014.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path
from statistics import correlation
from typing import NamedTuple

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "ratings"
ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
SETS = {
    "tweets": 4_200,
    "movieReviewSnippets": 10_605,
    "amazonReviewSnippets": 3_708,
    "nytEditorialSnippets": 5_190,
}
"""Name of each set and how many texts it holds."""


class Rated(NamedTuple):
    """One text with the mean of its human ratings, from -4 (most negative) to 4."""

    id: str
    rating: float
    text: str


def read(name: str = "tweets", cache: Path = CACHE) -> list[Rated]:
    """The texts of one set, in the order of its file; fetched first if the cache lacks them.

    Raises:
        KeyError: there is no set of that name.
        subprocess.CalledProcessError: pip could not fetch the source distribution.
        ValueError: the set is not as long as it should be.
    """
    file = cache / f"{name}_GroundTruth.txt"
    if not file.exists():
        _fetch(cache)
    rows = [line.split("\t", 2) for line in file.read_text("utf-8").splitlines() if line]
    if len(rows) != SETS[name]:
        raise ValueError(f"{file} holds {len(rows)} texts, not {SETS[name]}; delete it to fetch it again")
    return [Rated(key, float(rating), text) for key, rating, text in rows]


def agreement(rated: list[Rated], scores: list[float]) -> float:
    """Pearson's correlation of scores with the human ratings, in the same order."""
    return correlation([each.rating for each in rated], scores)


def _fetch(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    requirements = HERE / "ratings-requirements.txt"
    subprocess.run([*pip, "--require-hashes", "--requirement", requirements, "--dest", cache], check=True)
    with tarfile.open(cache / "vaderSentiment-3.3.2.tar.gz") as outer:
        member = outer.extractfile(ARCHIVE)
        assert member is not None
        with tarfile.open(fileobj=io.BytesIO(member.read())) as inner:
            for name in SETS:
                text = inner.extractfile(f"hutto_ICWSM_2014/{name}_GroundTruth.txt")
                assert text is not None
                part = cache / f"{name}.part"
                part.write_bytes(text.read())
                part.replace(cache / f"{name}_GroundTruth.txt")
