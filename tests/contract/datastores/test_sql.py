"""What is particular to databases: crashes, rights, URLs, and `wrapgen records` on a table."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from places import Maria, PostgreSQL, Sqlite, failure, record
from runtime import datastore_sql
from runtime.protocol import Failure
from runtime.records import Refused
from servers import SECURED, Server

from wrapgen.cli import verify
from wrapgen.cli.options import PlatformChoice
from wrapgen.cli.records import command
from wrapgen.errors import NotFound, RecordsUnreadable, Unreachable, UsageError
from wrapgen.records import open_records, shown


def open_sql(url: str) -> Any:
    """The wrapper's datastore for a URL."""
    return datastore_sql.Datastore({"url": url, "url_env": None, "key_env": None})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///{folder}/none/records.db", "wrapgen serve --writable"),
        ("sqlite:///{folder}", "wrapgen serve --writable"),
        ("sqlite:///file:{folder}/there.db?mode=ro&uri=true", "wrapgen serve --writable"),
        ("sqlite:///{folder}/text.db", "file is not a database"),
    ],
)
def test_what_waiting_does_not_help_in_a_file_is_told_at_once(tmp_path: Path, url: str, said: str) -> None:
    """No such folder, no file, no right to write, no database: final, and one message says what to do."""
    with contextlib.closing(sqlite3.connect(tmp_path / "there.db")):
        (tmp_path / "text.db").write_text("no database at all, but some text" * 100)
    with pytest.raises(Failure, match=said) as caught:
        open_sql(url.format(folder=tmp_path)).write([record("x")], 1)
    assert not caught.value.retryable


def test_a_server_that_refuses_the_writer_is_not_waited_for(postgres: Server, mariadb: Server) -> None:
    """A database or a user that does not exist: final, on either kind of server."""
    for server in (postgres, mariadb):
        right = sa.engine.make_url(server.url(server.port))
        wrong = [right.set(database="no_such_database")]
        if server is postgres:  # the other asks nobody who they are
            wrong.append(right.set(username="nobody_known"))
        for url in wrong:
            with pytest.raises(Failure) as caught:
                open_sql(url.render_as_string(hide_password=False)).write([record("x")], 1)
            assert not caught.value.retryable, caught.value


def test_a_wrong_password_is_not_waited_for(postgres: Server) -> None:
    """A password that the server does not take, or none: final, and not repeated in the error."""
    right = sa.engine.make_url(postgres.url(postgres.port)).set(username=SECURED, password="let-me-in")
    right = right.update_query_dict({"table": "secured"})
    with psycopg2.connect(postgres.url(postgres.port)) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"CREATE ROLE {SECURED} LOGIN PASSWORD 'let-me-in'; GRANT ALL ON SCHEMA public TO {SECURED}"
        )
    open_sql(right.render_as_string(hide_password=False)).write([record("x")], 1)
    for url in (right.set(password="let-me-out"), right._replace(password=None)):
        with pytest.raises(Failure) as caught:
            open_sql(url.render_as_string(hide_password=False)).write([record("x")], 1)
        assert not caught.value.retryable and "let-me" not in str(caught.value), caught.value


@pytest.fixture
def table(postgres: Server, tmp_path: Path) -> Any:
    """A table of its own in PostgreSQL."""
    made = PostgreSQL(postgres, tmp_path)
    yield made
    made.close()


def test_what_was_acknowledged_survives_a_crash_of_the_server(table: PostgreSQL, postgres: Server) -> None:
    """The server crashes while a writer goes on; every acknowledged piece is there, each key once."""
    datastore, acknowledged, first, crashed = table.open(), [], threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not (crashed.is_set() and acknowledged[-1] == number - 1 and number > 60):
            piece = [record(f"{number}-{n}", index=n, input="x" * 500) for n in range(50)]
            try:
                datastore.write(piece, number)
            except Failure:
                crashed.wait(60)  # the server is about to be back
                continue
            acknowledged.append(number)
            number += 1
            first.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert first.wait(60)
    postgres.kill()
    postgres.start()
    crashed.set()
    writer.join(60)
    assert not writer.is_alive()
    found = {name for _, name in table.read()}
    assert found == {f"{number}-{n}" for number in acknowledged for n in range(50)}


def test_a_role_that_may_only_write_needs_just_the_table(table: PostgreSQL, postgres: Server) -> None:
    """With the table made by somebody else, no right to create is needed; without any, waiting is no use."""
    table.open().write([record("1")], 1)
    name = table.url.rpartition("=")[2]
    owner = psycopg2.connect(host="127.0.0.1", port=postgres.port, user="wrapgen", dbname="postgres")
    with owner, owner.cursor() as cursor:
        cursor.execute(
            f"CREATE ROLE writer_{name} LOGIN; GRANT SELECT, INSERT, UPDATE ON {name} TO writer_{name}"
        )
        cursor.execute(f"CREATE ROLE nobody_{name} LOGIN")
    owner.close()
    open_sql(table.url.replace("wrapgen:", f"writer_{name}:")).write([record("2")], 1)
    with pytest.raises(Failure) as caught:
        open_sql(table.url.replace("wrapgen:", f"nobody_{name}:")).write([record("3")], 1)
    assert not caught.value.retryable
    assert "permission denied" in str(caught.value)
    assert {name for _, name in table.read()} == {"1", "2"}


def test_an_id_that_the_database_can_not_hold_is_refused(table: PostgreSQL) -> None:
    """PostgreSQL has no NUL in text, and UTF-8 no lone surrogate: such an id is a refused record."""
    for name in ("a\x00b", "a\ud800b"):
        with pytest.raises(Refused):
            table.open().write([record(name)], 1)
    with pytest.raises(Refused):
        table.open().write([record("far", index=2**70)], 1)


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgres://u@h/d", "postgresql+psycopg2"),
        ("postgresql://u@h/d", "postgresql+psycopg2"),
        ("mysql://u@h/d", "mysql+pymysql"),
        ("mariadb://u@h/d?table=t", "mariadb+pymysql"),
        ("sqlite:////folder/f.db", "sqlite+pysqlite"),
    ],
)
def test_the_driver_is_the_one_that_the_requirements_name(url: str, driver: str) -> None:
    """Whatever SQLAlchemy of that release would choose."""
    assert datastore_sql.read_url(url)[0].drivername == driver


@pytest.mark.parametrize(
    "url",
    ["oracle://u:secret@h/d", "sqlite://", "sqlite:///:memory:", "secret", "postgresql://u:secret@h:x/d"],
)
def test_a_url_that_can_not_be_used_is_refused_without_being_shown(url: str) -> None:
    """When the wrapper is loaded, not at the first record; a password is never repeated."""
    with pytest.raises(ValueError, match=r".+") as caught:
        open_sql(url)
    assert "secret" not in str(caught.value)


def test_the_url_may_come_from_a_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`url_env` names it; when it is missing the message says so."""
    settings = {"url": None, "url_env": "SOME_DATABASE", "key_env": None}
    monkeypatch.delenv("SOME_DATABASE", raising=False)
    with pytest.raises(ValueError, match="SOME_DATABASE is not set"):
        datastore_sql.Datastore(settings)
    monkeypatch.setenv("SOME_DATABASE", f"sqlite:///{tmp_path / 'f.db'}")
    datastore_sql.Datastore(settings).write([record("1")], 1)


def test_the_command_reads_a_table_without_a_platform(tmp_path: Path) -> None:
    """`wrapgen records sqlite:///...` prints each key once; --run selects."""
    place = Sqlite(None, tmp_path)
    written = [record("a", run="r1"), record("b", run="r2", error=failure(retryable=False))]
    place.open().write(written, 1)
    answer = CliRunner().invoke(command, [place.url], catch_exceptions=False)
    assert answer.stdout.splitlines() == [each.line.replace(": ", ":").replace(", ", ",") for each in written]
    answer = CliRunner().invoke(command, [place.url, "--run", "r2", "--count"], catch_exceptions=False)
    assert answer.output == "1\n"


def test_a_table_that_can_not_be_read_says_why(table: PostgreSQL, postgres: Server, tmp_path: Path) -> None:
    """No file, no table, another table, no server, no such kind: one sentence each, and no file is made."""

    def why(url: str, kind: type[Exception]) -> str:
        with pytest.raises(kind) as caught, open_records(None, url):
            pass
        assert "secret" not in str(caught.value)
        return str(caught.value)

    assert "no such file" in why(f"sqlite:///{tmp_path / 'none.db'}", NotFound)
    assert not (tmp_path / "none.db").exists()
    assert "has no table records_x" in why(table.url.partition("?")[0] + "?table=records_x", NotFound)
    with psycopg2.connect(host="127.0.0.1", port=postgres.port, user="wrapgen", dbname="postgres") as other:
        other.cursor().execute("CREATE TABLE IF NOT EXISTS other (name text)")
    assert "table other of" in why(table.url.partition("?")[0] + "?table=other", RecordsUnreadable)
    assert "can't be read" in why("postgresql://u:secret@127.0.0.1:1/d", Unreachable)
    assert "sqlite+other databases" in why("sqlite+other:///f", UsageError)
    assert shown("mysql://u:secret@h:1/d") == "mysql://u:***@h:1/d"


def test_a_url_may_say_mariadb_instead_of_mysql(mariadb: Server, tmp_path: Path) -> None:
    """Both names of the dialect open the same table, for writing and for reading."""
    place = Maria(mariadb, tmp_path)
    other = place.url.replace("mysql://", "mariadb://")
    open_sql(other).write([record("1", send=1, result="old")], 1)
    open_sql(place.url).write([record("1", send=2, result="new")], 1)
    with open_records(None, other) as records:
        assert [fields["result"] for fields in records] == ["new"]
    place.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_verify_reads_the_database_that_a_variable_names(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapper tells `$DATABASE_URL` as its datastore: verify takes the variable's value, or --datastore."""
    made = Sqlite(None, tmp_path) if kind == "sqlite" else request.getfixturevalue("table")
    made.open().write([record("a"), record("b", run="r2")], 0)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(UsageError, match="DATABASE_URL is not set"):
        verify._records("$DATABASE_URL", "r1", PlatformChoice())
    with verify._records(made.url, "r1", PlatformChoice()) as records:
        assert records.runs() == {"r1": 1}
    monkeypatch.setenv("DATABASE_URL", made.url)
    with verify._records("$DATABASE_URL", "r1", PlatformChoice()) as records:
        assert records.get("r1", "a")["result"] == {"score": 0.5}


def test_new_tables_of_postgresql_have_types_that_analysts_query(postgres: Server) -> None:
    """Payloads are `json`, kept letter by letter, moments `timestamptz`; both read back as written."""
    url = postgres.url(postgres.port) + "?table=typed"
    odd = {"nul": "\u0000", "half": "\ud800", "big": 10**40, "long": 1.5}
    written = [record("1", result=odd), record("2", result={"score": 1.5})]
    with contextlib.closing(open_sql(url)) as datastore:
        datastore.write(written, 1)
        with datastore._engine.connect() as connection:
            rows = connection.exec_driver_sql(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'typed'"
            )
            types = dict(rows.tuples().all())
            query = "SELECT result->>'score' FROM typed WHERE id = '2'"
            assert connection.exec_driver_sql(query).scalars().all() == ["1.5"]
    assert {types[name] for name in ("input", "result", "error")} == {"json"}
    assert types["started_at"] == "timestamp with time zone"
    with open_records(None, url) as records:
        assert sorted(records, key=lambda fields: fields["id"]) == [each.fields for each in written]


def test_a_table_of_an_older_wrapper_goes_on_working(postgres: Server) -> None:
    """It has text where new ones have types of their own; precedence, look-ups and reading are the same."""
    url = postgres.url(postgres.port) + "?table=older"
    with contextlib.closing(open_sql(url)) as datastore:
        text = [
            f"{name} text" for name in ("id", "input", "result", "error", "target", "wrapper", "started_at")
        ]
        columns = [
            "key varchar(64) PRIMARY KEY",
            "run text",
            "index bigint",
            "try int",
            "rank smallint",
            *text,
        ]
        with datastore._engine.begin() as connection:
            connection.exec_driver_sql(
                f"CREATE TABLE older ({', '.join(columns)}, duration_ms bigint, attempts int)"
            )
        datastore.write([record("1", send=1, result={"a": "old"}), record("2", result="kept")], 1)
        datastore.write([record("1", send=2, result={"a": "new"})], 2)
        assert datastore.results("r1", ["1", "2", "3"]) == {"1": '{"a": "new"}', "2": '"kept"'}
    with open_records(None, url) as records:
        assert {fields["id"]: fields["result"] for fields in records} == {"1": {"a": "new"}, "2": "kept"}


@pytest.mark.parametrize("kind", [Sqlite, PostgreSQL, Maria])
def test_an_older_table_gets_the_version_that_answered(kind: Any, request: Any, tmp_path: Path) -> None:
    """A table without the column keeps its rows, and gets the column with the first record that has one."""
    server = request.getfixturevalue(kind.server) if kind.server else None
    place = kind(server, tmp_path)
    older = place.open()
    older._table = datastore_sql.new_table(older._table.name, has_version=False)
    older.write([record("old")], 1)
    place.open().write([record("none")], 1)
    assert all("version" not in found for found in place.read().values())
    both = [record("new", result=1, version="2"), record("plain")]
    place.open().write(both, 2)
    older.write([record("late", result=1, version="1")], 3)
    found = {name: each.get("version") for (_, name), each in place.read().items()}
    assert found == {"old": None, "none": None, "new": "2", "plain": None, "late": "1"}
    place.open().write([record("new", result=1, version="3", send=2)], 4)
    assert place.read()["r1", "new"]["version"] == "3"
    place.close()


def test_without_the_right_to_change_a_table_versions_are_left_out(table: Any, postgres: Server) -> None:
    """Records are written all the same by a role that may only write."""
    older = table.open()
    older._table = datastore_sql.new_table(older._table.name, has_version=False)
    older.write([record("1")], 1)
    name = table.url.rpartition("=")[2]
    with psycopg2.connect(postgres.url(postgres.port)) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"CREATE ROLE plain_{name} LOGIN; GRANT SELECT, INSERT, UPDATE ON {name} TO plain_{name}"
        )
    writer = open_sql(table.url.replace("wrapgen:", f"plain_{name}:"))
    for number in (2, 3):
        writer.write([record(str(number), result=1, version="2")], number)
    assert {key: "version" in each for (_, key), each in table.read().items()} == dict.fromkeys("123", False)
