"""What a Spark column takes of a result."""

import pytest

pa = pytest.importorskip("pyarrow")

from wrapgen.run.connectors.spark import _widened  # noqa: E402
from wrapgen.run.connectors.spark_task import _entry, fitted  # noqa: E402


def test_no_fraction_is_cut() -> None:
    """A number that its column would change is refused, at any depth, and so is a number as a time."""
    nested = pa.struct([("a", pa.list_(pa.int64()))])
    assert fitted(0.5, pa.int64()) is None
    assert fitted({"a": [1, 0.5]}, nested) is None
    assert fitted(20, pa.timestamp("us")) is None
    assert fitted({"a": [1, 2]}, nested) == {"a": [1, 2]}
    assert fitted(20, pa.float64()) == 20.0


def test_inferred_integers_are_doubles() -> None:
    """A probe that saw whole numbers alone leaves room for later rows' fractions, at any depth."""
    found = _widened(pa.infer_type([{"a": [1], "b": "x"}]))
    assert fitted({"a": [0.5], "b": "x"}, found) == {"a": [0.5], "b": "x"}


def test_rows_that_are_not_json_have_ids_of_their_own() -> None:
    """With the content as id, a row that is no JSON shares no id with null or with another such row."""
    rows = [None, object(), object()]
    assert len({_entry(0, row, None, True, 0).id for row in rows}) == len(rows)
