"""How much there is to read in a wrapper: it may shrink, and grows only on purpose."""

from __future__ import annotations

import pytest

from wrapgen.build import generate
from wrapgen.spec import parse

SHORTEST = """
version: 1
target: {{algorithm: nlp/SentimentAnalysis/1.0.5}}
wrapper: {{name: acme/SentimentBatch, mode: {mode}}}
{datastore}
"""


@pytest.mark.parametrize(("mode", "lines"), [("batch", 1661), ("log", 2049), ("both", 2050)])
def test_the_shortest_wrapper_has_no_more_lines_than_it_needs(mode: str, lines: int) -> None:
    """At most 120 of them depend on the spec or are the user's; the rest is the runtime."""
    datastore = "" if mode == "batch" else "datastore: {url: data://acme/sentiment}"
    made = generate(parse(SHORTEST.format(mode=mode, datastore=datastore).encode(), "spec.yaml"))
    sizes = {path: text.count(b"\n") for path, text in made.items() if path.startswith("src/")}
    assert sum(size for path, size in sizes.items() if "/runtime/" not in path) <= 120
    assert sum(sizes.values()) <= lines
