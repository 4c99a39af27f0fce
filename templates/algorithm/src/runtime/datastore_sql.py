"""Records in a SQL table: SQLite, PostgreSQL, MySQL or MariaDB, one row per key.

The precedence stands inside the upsert, so that whatever arrives late, from whichever process, a better
record stays. Payloads are ASCII JSON text: no character set, NUL or lone surrogate can get in their way.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from itertools import chain
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import mysql, postgresql, sqlite

from .datastore_folder import kept_place
from .protocol import Failure, dumps
from .records import Record, Refused

TABLE = "records"
COLUMNS = ("run", "id", "index", "try", "target", "wrapper", "started_at", "duration_ms", "attempts")
PAYLOADS = ("input", "result", "error")
SHAPE = "postgresql://user:password@host/database"
CONNECT_SECONDS, WRITE_SECONDS = 10, 30
# The driver is named, because SQLAlchemy's own choice differs between its releases.
DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg2",
    "postgresql": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
OPTIONS: dict[str, dict[str, Any]] = {
    "sqlite+pysqlite": {"timeout": WRITE_SECONDS},
    "postgresql+psycopg2": {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": WRITE_SECONDS * 1000},
    "mysql+pymysql": {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": WRITE_SECONDS,
        "write_timeout": WRITE_SECONDS,
        "charset": "utf8mb4",
    },
}
OPTIONS["mariadb+pymysql"] = OPTIONS["mysql+pymysql"]
# What a server says of a record that it will never take; all else is the server's own trouble.
REFUSING_STATES = ("22", "23", "44", "54", "P0")  # PostgreSQL: value, constraint, view check, limit, RAISE
REFUSING_NUMBERS = (1153, 1406, 1644, 3819, 4025)  # MySQL, MariaDB: packet, length, SIGNAL, two for CHECK
# What waiting does not help: no such file, database or user, no right to it, or no database at all.
DENYING_NUMBERS = (1044, 1045, 1049, 1142, 1698)  # MySQL, MariaDB
DENYING_MESSAGES = (
    "unable to open database file",  # SQLite
    "attempt to write a readonly database",
    "file is not a database",
    "authentication failed for user",  # PostgreSQL, which names no state before there is a connection
    "no password supplied",
    "no pg_hba.conf entry",
)
MISSING = re.compile('(database|role) ".*" does not exist')
NOT_WRITABLE = (
    "; its folder must exist and be writable where the wrapper runs; in the sandbox of a local platform only "
    "what `wrapgen serve --writable FOLDER` names is"
)
LOOKED_UP = 500  # keys in one query
PACKET_SPARE = 65536  # what a statement has around its payloads


class Datastore:
    """Writes records into one table, made when it is missing."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """``settings``: the ``url`` as SQLAlchemy writes it, or the variable that holds it with its password.

        ``?table=NAME`` where ``records`` won't do. Connects at the first write only. Raises ``ValueError``.
        """
        url, table = read_url(settings["url"] or from_environment(settings["url_env"]))
        options = {key: value for key, value in OPTIONS[url.drivername].items() if key not in url.query}
        self._engine = sa.create_engine(url, connect_args=options, pool_pre_ping=True, hide_parameters=True)
        self._table = new_table(table)
        self._upserts = {
            has_version: Upsert(new_table(table, has_version), self._engine.dialect)
            for has_version in (False, True)
        }
        self._has_version = self._has_asked = False  # an older table may have no such column
        self._largest: int | None = None
        self._ready = False

    def write(self, records: list[Record], _part: int) -> None:
        """Store one part, all of it or nothing. Raises ``Refused`` or ``Failure``."""
        try:
            self._prepare()
            rows = [row_of(record) for record in best_of_each(records)]
            if not self._has_version and not self._has_asked and any(row["version"] for row in rows):
                self._add_version()
            if self._largest is not None and max(map(_size, rows)) > self._largest:
                raise Refused("the record is larger than the server's max_allowed_packet")
            rows.sort(key=lambda row: row["key"])  # in one order everywhere, so that writers can't deadlock
            with self._engine.begin() as connection:
                self._limit_time(connection)
                self._upserts[self._has_version].execute(connection, rows)
        except (exc.SQLAlchemyError, ValueError, OverflowError) as error:
            if refuses(error):
                raise Refused(_message(error)) from None
            self._ready = False
            raise Failure("DatastoreError", _message(error), not denies(error)) from None

    def results(self, run: str | None, ids: list[str]) -> dict[str, str]:
        """The results recorded in a run, as JSON by id, where there is one. Raises ``Failure``."""
        columns = self._table.c
        found: dict[str, str] = {}
        text = (
            sa.cast(columns.result, sa.Text) if self._engine.dialect.name == "postgresql" else columns.result
        )
        query = sa.select(columns.id, text).where(columns.result.is_not(None))
        try:
            self._prepare()
            with self._engine.connect() as connection:
                self._limit_time(connection)
                for start in range(0, len(ids), LOOKED_UP):
                    keys = [key_of(run, one) for one in ids[start : start + LOOKED_UP]]
                    found.update(row[:2] for row in connection.execute(query.where(columns.key.in_(keys))))
        except (exc.SQLAlchemyError, ValueError) as error:
            raise Failure("DatastoreError", _message(error), not denies(error)) from None
        return found

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def _prepare(self) -> None:
        """Make the table unless it is there, and ask what the server takes."""
        if self._ready:
            return
        with self._engine.connect() as connection:
            if self._engine.dialect.name in ("mysql", "mariadb"):
                limit = connection.execute(sa.text("SELECT @@max_allowed_packet")).scalar_one()
                self._largest = int(limit) - PACKET_SPARE
            missing = not sa.inspect(connection).has_table(self._table.name)
        if missing:
            try:
                self._table.create(self._engine)
            except exc.DBAPIError:
                if not sa.inspect(self._engine).has_table(self._table.name):
                    raise
                # Another writer was quicker.
        self._has_version = self._finds_version()
        self._ready = True

    def _finds_version(self) -> bool:
        return "version" in [
            column["name"] for column in sa.inspect(self._engine).get_columns(self._table.name)
        ]

    def _add_version(self) -> None:
        """Give an older table the column; without a right to that, versions are in no row."""
        self._has_asked = True
        quoted = self._engine.dialect.identifier_preparer.format_table(self._table)
        try:
            with self._engine.begin() as connection:
                self._limit_time(connection)
                connection.execute(sa.text(f"ALTER TABLE {quoted} ADD COLUMN version TEXT"))
        except exc.DBAPIError:  # no right to, or another writer was quicker
            pass
        self._has_version = self._finds_version()

    def _limit_time(self, connection: sa.Connection) -> None:
        """No statement may eat the time of the whole call; the other servers take this when connecting."""
        if self._engine.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL statement_timeout = {:d}".format(WRITE_SECONDS * 1000)))


class Written(sa.types.UserDefinedType):
    """A type of PostgreSQL whose values are written as text, which older tables have in its place."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in SQL."""
        return self.name


def new_table(name: str, has_version: bool = True) -> sa.Table:
    """The table's description. ``key`` is a digest: ids are of any length, and collations mix some up.

    ``json`` keeps a payload as it is written; ``jsonb`` would refuse NUL and rewrite numbers.
    """
    long_text = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
    payload_type = long_text.with_variant(Written("json"), "postgresql")
    table = sa.Table(
        name,
        sa.MetaData(),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("id", long_text, nullable=False),
        sa.Column("index", sa.BigInteger, nullable=False),
        sa.Column("try", sa.Integer, nullable=False),
        sa.Column("rank", sa.SmallInteger, nullable=False),
        *[sa.Column(payload, payload_type) for payload in PAYLOADS],
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("wrapper", sa.Text, nullable=False),
        sa.Column(
            "started_at", sa.String(32).with_variant(Written("timestamptz"), "postgresql"), nullable=False
        ),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        *([sa.Column("version", sa.Text)] if has_version else []),
        mysql_charset="utf8mb4",
        mariadb_charset="utf8mb4",
    )
    sa.Index("{}_by_run".format(name), table.c["run"], table.c["index"])
    return table


class Upsert:
    """The statement of a table, compiled once: for each row SQLAlchemy would ask anew what it is made of."""

    def __init__(self, table: sa.Table, dialect: Any) -> None:
        self._columns = [column.name for column in table.c]
        self._dialect = dialect.name
        self._text = str(upsert(table, dialect.name).compile(dialect=dialect))

    def execute(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
        """Write all rows: PostgreSQL takes them in one statement, the other drivers have their own way."""
        if self._dialect in ("mysql", "mariadb"):
            connection.exec_driver_sql(self._text, rows)
            return
        values = list(map(itemgetter(*self._columns), rows))
        if self._dialect == "sqlite":
            connection.exec_driver_sql(self._text, values)
            return
        before, _, after = self._text.partition("({})".format(", ".join(map("%({})s".format, self._columns))))
        row = "({})".format(", ".join(["%s"] * len(self._columns)))
        text = before + ", ".join([row] * len(rows)) + after
        connection.exec_driver_sql(text, tuple(chain.from_iterable(values)))


def upsert(table: sa.Table, dialect: str) -> Any:
    """Insert, or replace what is there if the new record takes precedence: by rank, then by try."""
    if dialect in ("mysql", "mariadb"):
        insert = mysql.insert(table)
        new, better = insert.inserted, _is_better(insert.inserted, table.c)
        # Each assignment sees the ones before it, so what `better` compares changes last.
        names = [column.name for column in table.c if column.name not in ("key", "try", "rank")]
        changes = [(name, sa.func.if_(better, new[name], table.c[name])) for name in [*names, "try"]]
        rank = sa.func.greatest(new["rank"], table.c["rank"])
        return insert.on_duplicate_key_update([*changes, ("rank", rank)])
    insert = {"postgresql": postgresql, "sqlite": sqlite}[dialect].insert(table)
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["key"],
        set_={column.name: new[column.name] for column in table.c if column.name != "key"},
        where=_is_better(new, table.c),
    )


def _is_better(new: Any, old: Any) -> Any:
    return sa.or_(new["rank"] > old["rank"], sa.and_(new["rank"] == old["rank"], new["try"] > old["try"]))


def key_of(run: str | None, record_id: str) -> str:
    """The digest that stands for a record's key."""
    return hashlib.sha256(json.dumps([run or "", record_id]).encode("ascii")).hexdigest()


def best_of_each(records: list[Record]) -> list[Record]:
    """Each key once: the record of the highest rank, then of the higher try, then the earlier."""
    best: dict[tuple[str | None, str], Record] = {}
    for record in records:
        known = best.get(record.key)
        if known is None or (record.rank, record.fields["try"]) > (known.rank, known.fields["try"]):
            best[record.key] = record
    return list(best.values())


def row_of(record: Record) -> dict[str, Any]:
    """A record's columns: no run is the empty text, a payload that is not there is NULL."""
    fields = record.fields
    row = {column: fields[column] for column in COLUMNS}
    row["run"] = fields["run"] or ""
    row["rank"], row["version"] = record.rank, fields.get("version")
    row["key"] = key_of(row["run"], row["id"])
    texts = record.texts
    for payload in PAYLOADS:
        text = texts.get(payload)
        row[payload] = dumps(fields[payload]) if text is None and payload in fields else text
    return row


def from_environment(name: str) -> str:
    """The URL that a variable holds. Raises ``ValueError``."""
    if not os.environ.get(name):
        raise ValueError(
            "the environment variable {} is not set; it must hold the database's URL".format(name)
        )
    return os.environ[name]


def read_url(url: str) -> tuple[sa.URL, str]:
    """SQLAlchemy's URL with its driver, and the table's name. Raises ``ValueError`` without either."""
    try:
        made = sa.engine.make_url(url)
    except (exc.ArgumentError, ValueError):
        raise ValueError("the database's URL is not one; it looks like {}".format(SHAPE)) from None
    made = made.set(drivername=DRIVERS.get(made.drivername, made.drivername))
    if made.drivername not in OPTIONS:
        raise ValueError(f"{made.drivername} databases can't be used; only {', '.join(sorted(OPTIONS))}")
    if made.drivername == DRIVERS["sqlite"] and made.database in (None, "", ":memory:"):
        raise ValueError("records in memory would vanish; name a file: sqlite:////folder/records.db")
    if made.drivername == DRIVERS["sqlite"] and not str(made.database).startswith("file:"):
        made = made.set(database=str(kept_place(str(made.database))))
    table = made.query.get("table", TABLE)
    if not isinstance(table, str):
        raise ValueError("the database's URL names more than one table")
    return made.difference_update_query(["table"]), table


def refuses(error: Exception) -> bool:
    """Whether an error is about a record, rather than the server being unable to store any."""
    original = getattr(error, "orig", None)
    if original is None:  # a value that the driver can't even send; or SQLAlchemy's own trouble
        return not isinstance(error, exc.SQLAlchemyError)
    state = getattr(original, "pgcode", None)
    if state is not None:
        return state.startswith(REFUSING_STATES)
    number = original.args[0] if original.args else None
    return number in REFUSING_NUMBERS or isinstance(error, (exc.DataError, exc.IntegrityError))


def denies(error: Exception) -> bool:
    """Whether waiting won't help: no right to the table, or it is not what it should be."""
    if not isinstance(error, exc.DBAPIError):
        return False
    message, number = str(error.orig), (*getattr(error.orig, "args", ()), None)[0]
    denied = number in DENYING_NUMBERS or any(said in message for said in DENYING_MESSAGES)
    return isinstance(error, exc.ProgrammingError) or denied or MISSING.search(message) is not None


def _size(row: dict[str, Any]) -> int:
    return sum(len(row[payload] or "") for payload in PAYLOADS)


def _message(error: Exception) -> str:
    """The first line of what the driver says; further ones may show the record."""
    message = str(getattr(error, "orig", None) or error).strip()
    shown = message.splitlines()[0][:300] if message else type(error).__name__
    return shown + NOT_WRITABLE if shown.startswith(DENYING_MESSAGES[:2]) else shown
