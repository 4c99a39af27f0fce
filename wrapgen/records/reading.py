"""Reading the records of any datastore: the URL decides how."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from wrapgen.errors import UsageError
from wrapgen.records.collected import Collected
from wrapgen.records.objects import Progress, Store, collect


def is_queue(url: str) -> bool:
    """Whether a datastore's URL is an SQS queue's, which can't be read back."""
    parts = urlsplit(url)
    if parts.scheme == "sqs":
        return True
    return parts.scheme in ("http", "https") and len([p for p in parts.path.split("/") if p]) == 2


@contextmanager
def open_records(
    store: Store, url: str, *, run: str | None = None, progress: Progress | None = None
) -> Iterator[Collected]:
    """The records of a datastore, each key once, for as long as the context is open.

    Args:
        store: the platform's data service, which reads data URLs.
        url: the datastore's, as the spec has it.
        run: only this run's.
        progress: told how far the reading is.

    Raises:
        UsageError: this kind of datastore can't be read back.
        NotFound: there is no such collection.
        RecordsUnreadable: something else than records is there.
    """
    if is_queue(url):
        raise UsageError(
            "a queue can't be read back: whoever takes a message from it takes it away",
            hint="read the datastore that the queue's reader writes to",
        )
    with Collected() as collected:
        collect(store, url, collected, run=run, progress=progress)
        yield collected
