"""Reading the records of any datastore: the URL decides how."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from wrapgen.errors import UsageError
from wrapgen.records.collected import Collected
from wrapgen.records.folder import FolderRecords
from wrapgen.records.objects import Progress, RecordStore, collect
from wrapgen.references import split_url
from wrapgen.spec.store import kind_of


def is_queue(url: str) -> bool:
    """Whether a datastore's URL is an SQS queue's, which can't be read back."""
    parts = split_url(url)
    if parts.scheme == "sqs":
        return True
    return parts.scheme in ("http", "https") and len([p for p in parts.path.split("/") if p]) == 2


def resolved(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """A datastore's URL; for `$NAME`, as a wrapper tells one that its variable holds, what that is here.

    Raises:
        UsageError: the variable is not set.
    """
    if not url.startswith("$"):
        return url
    found = environ.get(url[1:])
    if not found:
        raise UsageError(f"the variable {url[1:]} is not set", hint="put the datastore's URL there")
    return found


def is_database(url: str) -> bool:
    """Whether a datastore's URL is SQLAlchemy's for a database, which is reached without the platform."""
    return kind_of(split_url(url).geturl()) == "sql"


def is_folder(url: str) -> bool:
    """Whether a datastore's URL is a folder of this machine, which is reached without the platform."""
    return kind_of(url) == "file"


def needs_platform(url: str) -> bool:
    """Whether a datastore is read through the platform's data service."""
    return not (is_folder(url) or is_database(url) or is_queue(url))


def shown(url: str) -> str:
    """A datastore's URL as it may be printed: without its password."""
    parts = split_url(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=f"{parts.username or ''}:***@{parts.netloc.rpartition('@')[2]}").geturl()


@contextmanager
def open_records(
    store: RecordStore | None, url: str, *, run: str | None = None, progress: Progress | None = None
) -> Iterator[Collected]:
    """The records of a datastore, each key once, for as long as the context is open.

    Args:
        store: the platform's data service, which reads data URLs; see `needs_platform`.
        url: the datastore's, as the spec has it.
        run: only this run's.
        progress: told how far the reading is.

    Raises:
        UsageError: this kind of datastore can't be read back, or its variable is not set.
        MissingExtra: reading a database needs [sql].
        NotFound: there is no such collection, or no such table.
        Unreachable: the database can't be read now.
        RecordsUnreadable: something else than records is there.
    """
    url = resolved(url)
    if is_queue(url):
        raise UsageError(
            "a queue can't be read back: a consumer that takes a message removes it",
            hint="read the datastore that the queue's reader writes to",
        )
    with Collected() as collected:
        if is_database(url):
            from wrapgen.records import sql  # its library is an extra

            sql.collect(url, collected, run=run, progress=progress)
        elif is_folder(url):
            collect(FolderRecords(), url, collected, run=run, progress=progress)
        else:
            assert store is not None, "the caller brings the data service for a data URL"
            collect(store, url, collected, run=run, progress=progress)
        yield collected
