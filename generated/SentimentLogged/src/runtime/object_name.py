"""The names of objects of records, in a data URL or a folder."""

from __future__ import annotations

import hashlib

from .protocol import dumps
from .records import Record


def object_name(records: list[Record], part: int) -> str:
    """Sorts by run and index; the reader takes the union of a run's objects."""
    fields = records[0].fields
    content = dumps([fields["run"], [[record.fields["id"], record.rank] for record in records]])
    return "{}-{:012d}-{}-t{}-p{}.jsonl".format(
        "none" if fields["run"] is None else fields["run"],
        min(record.fields["index"] for record in records),
        hashlib.sha256(content.encode("ascii")).hexdigest()[:12],
        fields["try"],
        part,
    )
