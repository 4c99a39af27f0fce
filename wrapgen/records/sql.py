"""Records in a SQL table, as the generated wrapper's SQL datastore writes it: one row per key.

The table keeps each key once, so reading is one query. Only this module imports SQLAlchemy.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

from wrapgen.errors import MissingExtra, NotFound, RecordsUnreadable, Unreachable, UsageError
from wrapgen.protocol import dumps
from wrapgen.records.collected import Collected
from wrapgen.records.objects import Progress
from wrapgen.records.record import RecordRank, payload_of, rank_of
from wrapgen.spec.store import DATABASES

try:
    import sqlalchemy as sa
    from sqlalchemy import exc
except ModuleNotFoundError as error:
    raise MissingExtra(extra="sql", needed_for="reading records from a database") from error

TABLE = "records"
"""The wrapper's own name for its table; `?table=NAME` in the URL names another."""

BEFORE = ("run", "id", "index", "try")
PAYLOADS = ("input", "result", "error")
VERSION = "version"
AFTER = ("target", "wrapper", "started_at", "duration_ms", "attempts")
"""The table's columns in the order of a record's fields; payloads are JSON text, absent ones NULL.

Older tables have no version, and records of what reports none have a NULL there.
"""

CONNECT_SECONDS = 10
BATCH = 1000
"""Records brought together at once."""


def collect(url: str, into: Collected, *, run: str | None = None, progress: Progress | None = None) -> None:
    """Brings the records of a table together.

    Args:
        url: SQLAlchemy's URL of the database, with its credentials.
        into: takes the records.
        run: only this run's records.
        progress: told how many records were read, of how many that are known.

    Raises:
        UsageError: the URL names no database that can be read.
        NotFound: there is no such table, or no such file.
        Unreachable: the database can't be read now, or not with these credentials.
        RecordsUnreadable: the table holds something else.
    """
    engine, table, where = _open(url)
    try:
        with engine.connect() as connection:
            if not sa.inspect(connection).has_table(table):
                raise NotFound(
                    f"{where} has no table {table}",
                    hint="the wrapper makes it with its first record; ?table=NAME in the URL names another",
                )
            known = {column["name"] for column in sa.inspect(connection).get_columns(table)}
            names = [*BEFORE, *PAYLOADS, *({VERSION} & known), *AFTER]
            columns = [_column(name, engine.dialect.name) for name in names]
            query = sa.select(*columns).select_from(sa.table(table))
            if run is not None:
                query = query.where(sa.column("run") == run)
            lines = connection.execution_options(yield_per=BATCH).execute(query).mappings()
            records = (_record(dict(line), where) for line in lines)
            wanted = (each for each in records if run is None or each[0].run == run)
            done = 0
            while batch := list(islice(wanted, BATCH)):
                into.add(batch)
                done += len(batch)
                if progress is not None:
                    progress(done, done)
    except exc.OperationalError as error:
        raise Unreachable(f"{where} can't be read: {_words(error)}") from error
    except exc.SQLAlchemyError as error:
        raise RecordsUnreadable(where=f"table {table} of {where}", reason=_words(error)) from error
    finally:
        engine.dispose()


def _open(text: str) -> tuple[sa.Engine, str, str]:
    """The engine for a URL, the table's name, and the URL as it may be shown."""
    try:
        url = sa.make_url(text)
    except (exc.ArgumentError, ValueError):
        raise UsageError(
            "this is not the URL of a database", hint="write for example postgresql://user@host/database"
        ) from None
    where = url.difference_update_query(["table"]).render_as_string(hide_password=True)
    name, _, driver = url.drivername.partition("+")
    known = DATABASES.get(name)
    if known is None or driver not in ("", known.driver):
        raise UsageError(
            f"{url.drivername} databases can't be read", hint=f"these can: {', '.join(sorted(DATABASES))}"
        )
    table = url.query.get("table", TABLE)
    url = url.set(drivername=f"{known.dialect}+{known.driver}").difference_update_query(["table"])
    options = {} if known.dialect == "sqlite" else {"connect_timeout": CONNECT_SECONDS}
    if known.dialect == "sqlite" and not Path(url.database or "").is_file():
        raise NotFound(f"{where}: there is no such file")  # SQLite would make one
    return sa.create_engine(url, connect_args=options), str(table), where


def _words(error: exc.SQLAlchemyError) -> str:
    words = str(getattr(error, "orig", None) or error).strip()
    return words.splitlines()[0] if words else type(error).__name__


def _column(name: str, dialect: str) -> sa.ColumnElement[Any]:
    """A column as text where PostgreSQL has a type for it that its driver would turn into something else."""
    column: sa.ColumnElement[Any] = sa.column(name)
    if dialect != "postgresql":
        return column
    if name in PAYLOADS:  # json in new tables, text in older ones
        return sa.cast(column, sa.Text).label(name)
    if name == "started_at":  # timestamptz in new tables, text in older ones
        moment = sa.func.timezone("UTC", sa.cast(column, sa.DateTime(timezone=True)))
        return sa.func.to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"').label(name)
    return column


def _payload(value: Any) -> Any:
    return payload_of(value.encode()) if isinstance(value, str) else json.loads(value)


def _record(line: dict[str, Any], where: str) -> tuple[RecordRank, bytes]:
    """The rank of one row, and its record as a line of JSON."""
    fields = {name: line[name] for name in BEFORE}
    fields["run"] = line["run"] or None
    place = f"{where} id {line['id']!r}"
    try:
        fields.update((name, _payload(line[name])) for name in PAYLOADS if line[name] is not None)
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordsUnreadable(where=place, reason="a payload is not JSON") from error
    if line.get(VERSION) is not None:
        fields[VERSION] = line[VERSION]
    fields.update((name, line[name]) for name in AFTER)
    return rank_of(fields, place), dumps(fields)
