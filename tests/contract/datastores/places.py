"""What the suite needs of each kind of datastore: open, read back, take away, what it refuses."""

from __future__ import annotations

import contextlib
import itertools
import resource
import sqlite3
from pathlib import Path
from typing import Any, ClassVar

import Algorithmia
import boto3
from runtime import datastore_data, datastore_file, datastore_sql, datastore_sqs
from runtime.connection import Server as Address
from runtime.platform import connect
from runtime.records import Record
from servers import Door, Server

from wrapgen.client import Client, Connection
from wrapgen.records import Collected, open_records
from wrapgen.records.record import read

WRAPPER = "acme/SentimentBatch@sha256:0123456789ab"
_numbers = itertools.count()


def record(name: str, *, run: str | None = "r1", index: int = 0, send: int = 1, **outcome: Any) -> Record:
    """A record as the wrapper makes it; without an outcome it has a result."""
    fields: dict[str, Any] = {"run": run, "id": name, "index": index, "try": send}
    if "input" in outcome:
        fields["input"] = outcome.pop("input")
    fields.update(outcome or {"result": {"score": 0.5}})
    fields.update(target="nlp/SentimentAnalysis/1.0.5", wrapper=WRAPPER)
    fields.update(started_at="2026-01-02T03:04:05.678Z", duration_ms=12, attempts=1)
    return Record(fields)


def failure(*, retryable: bool, message: str = "no good") -> dict[str, Any]:
    """The `error` field of a record."""
    return {"type": "TimeoutError" if retryable else "InputError", "message": message, "retryable": retryable}


class Place:
    """An empty datastore behind a door that can be shut."""

    server: ClassVar[str] = ""
    refusal: ClassVar[str] = ""
    """Why a record can't be refused here; empty where one can."""

    def __init__(self, server: Server | None, folder: Path) -> None:
        self._folder = folder
        self._opened: list[Any] = []
        self._door = Door(server.port) if server is not None else None

    def open(self) -> Any:
        """A new `Datastore` on the same store, as another process would have it."""
        raise NotImplementedError

    def read(self) -> dict[tuple[str | None, str], dict[str, Any]]:
        """All records, one per key, as a reader gets them."""
        raise NotImplementedError

    def shut(self) -> None:
        """The store goes away."""
        assert self._door is not None
        self._door.shut()

    def reopen(self) -> None:
        """The store comes back."""
        assert self._door is not None
        self._door.open()

    def poison(self, name: str, index: int) -> Record:
        """A record that this store refuses but would take without its payload."""
        raise NotImplementedError

    def close(self) -> None:
        """Lets go of everything."""
        for datastore in self._opened:
            getattr(datastore, "close", lambda: None)()
        if self._door is not None:
            self._door.shut()

    def _remember(self, datastore: Any) -> Any:
        self._opened.append(datastore)
        return datastore


class Sql(Place):
    """A table of its own in a database."""

    url = ""

    def open(self) -> Any:
        settings = {"url": self.url, "url_env": None, "key_env": None}
        return self._remember(datastore_sql.Datastore(settings))

    def read(self) -> dict[tuple[str | None, str], dict[str, Any]]:
        with open_records(None, self.url) as records:  # type: ignore[arg-type]
            assert records.lines == records.tally().keys, "the table itself holds each key once"
            return by_key(records)


class Sqlite(Sql):
    """A file; it is unavailable while another process has it locked."""

    def __init__(self, server: Server | None, folder: Path) -> None:
        super().__init__(server, folder)
        self._file = folder / "records.db"
        self.url = f"sqlite:///{self._file}?timeout=0.2"
        self._lock: sqlite3.Connection | None = None

    def shut(self) -> None:
        self._lock = sqlite3.connect(self._file, isolation_level=None)
        self._lock.execute("BEGIN EXCLUSIVE")

    def reopen(self) -> None:
        assert self._lock is not None
        self._lock.close()

    def poison(self, name: str, index: int) -> Record:
        with contextlib.closing(sqlite3.connect(self._file)) as database, database:
            database.execute(
                "CREATE TRIGGER IF NOT EXISTS clean BEFORE INSERT ON records WHEN NEW.input LIKE '%poison%' "
                "BEGIN SELECT RAISE(ABORT, 'not clean'); END"
            )
        return record(name, index=index, input="poison")


class PostgreSQL(Sql):
    """A table in a real PostgreSQL server."""

    server = "postgres"

    def __init__(self, server: Any, folder: Path) -> None:
        super().__init__(server, folder)
        assert self._door is not None
        self.url = server.url(self._door.port) + f"?table=records_{next(_numbers)}"

    def poison(self, name: str, index: int) -> Record:
        engine = self._opened[0]._engine
        table = self._opened[0]._table.name
        with engine.begin() as connection:
            connection.exec_driver_sql(
                f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS clean, "
                f"ADD CONSTRAINT clean CHECK (input IS NULL OR strpos(CAST(input AS text), 'poison') = 0)"
            )
        return record(name, index=index, input="poison")


class Maria(PostgreSQL):
    """A table in a real MariaDB server; what it refuses is a record over its packet size."""

    server = "mariadb"

    def poison(self, name: str, index: int) -> Record:
        return record(name, index=index, input="x" * 1_200_000)


class Queue(Place):
    """A queue of a real SQS-speaking server; reading takes the messages and keeps what was read."""

    server = "sqs"
    name = "records"

    def __init__(self, server: Any, folder: Path) -> None:
        super().__init__(server, folder)
        assert self._door is not None
        self._client = client_of(server.port)
        self._name = self.name.replace("records", f"records_{next(_numbers)}")
        attributes = {"FifoQueue": "true"} if self._name.endswith(".fifo") else {}
        queue = self._client.create_queue(QueueName=self._name, Attributes=attributes)["QueueUrl"]
        self._url = queue
        self.url = f"http://127.0.0.1:{self._door.port}/" + queue.split("/", 3)[3]
        self.messages: list[str] = []
        self.large = Address("http://127.0.0.1:9", {})
        self.settings = {"url": self.url, "key_env": None, "gzip": False, "oversize": None}

    def open(self) -> Any:
        return self._remember(datastore_sqs.Datastore(self.large, self.settings))

    def read(self) -> dict[tuple[str | None, str], dict[str, Any]]:
        self.receive()
        with Collected() as records:
            records.add((read(line.encode(), "a message")[0], line.encode()) for line in self.messages)
            return by_key(records)

    def receive(self) -> list[str]:
        """Takes all messages from the queue."""
        while messages := self._client.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            self.messages += [message["Body"] for message in messages]
            entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
        return self.messages

    def poison(self, name: str, index: int) -> Record:
        return record(name, index=index, input="x" * 300_000)


class FifoQueue(Queue):
    """The same, in order and without repeats."""

    name = "records.fifo"


class DataUrl(Place):
    """A collection on wrapgen's own platform."""

    server = "platform"
    refusal = "a data URL takes whatever can be written as JSON"
    gzip = False

    def __init__(self, server: Any, folder: Path) -> None:
        super().__init__(server, folder)
        assert self._door is not None
        self._key = server.facts["api_key"]
        self.url = f"data://{server.facts['account']}/records_{next(_numbers)}"
        self._address = server.facts["address"]

    def open(self) -> Any:
        assert self._door is not None
        server = connect(Algorithmia.client(self._key, f"http://127.0.0.1:{self._door.port}"))
        settings = {"url": self.url, "url_env": None, "key_env": None, "gzip": self.gzip}
        return self._remember(datastore_data.Datastore(server, settings))

    def read(self) -> dict[tuple[str | None, str], dict[str, Any]]:
        with (
            Client(Connection(self._address, self._key, "the test")) as client,
            open_records(client.data, self.url) as records,
        ):
            return by_key(records)


class GzippedDataUrl(DataUrl):
    """The same with gzipped objects."""

    gzip = True


class FileUrl(Place):
    """A folder of this machine; it is unavailable while this process may open no file."""

    refusal = "a folder takes whatever can be written as JSON"
    gzip = False

    def __init__(self, server: Server | None, folder: Path) -> None:
        super().__init__(server, folder)
        self.url = (folder / "my records").as_uri()
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def open(self) -> Any:
        return self._remember(datastore_file.Datastore({"url": self.url, "gzip": self.gzip}))

    def read(self) -> dict[tuple[str | None, str], dict[str, Any]]:
        with open_records(None, self.url) as records:
            return by_key(records)

    def shut(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, self._limits[1]))

    def reopen(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)

    def close(self) -> None:
        self.reopen()
        super().close()


class GzippedFileUrl(FileUrl):
    """The same with gzipped files."""

    gzip = True


class S3Url(DataUrl):
    """A folder of a bucket of a real S3-speaking server, through the platform's connector."""

    server = "connected"
    refusal = "an object store takes whatever can be written as JSON"

    def __init__(self, server: Any, folder: Path) -> None:
        super().__init__(server, folder)
        self.url = f"s3://{server.bucket}/records_{next(_numbers)}"


def client_of(port: int, service: str = "sqs") -> Any:
    """boto3's client for a local server that speaks for Amazon."""
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def by_key(records: Collected) -> dict[tuple[str | None, str], dict[str, Any]]:
    """Records by run and id."""
    return {(fields["run"], fields["id"]): fields for fields in records}


KINDS: dict[str, type[Place]] = {
    "sqlite": Sqlite,
    "postgresql": PostgreSQL,
    "mariadb": Maria,
    "sqs": Queue,
    "sqs-fifo": FifoQueue,
    "data": DataUrl,
    "data-gzip": GzippedDataUrl,
    "file": FileUrl,
    "file-gzip": GzippedFileUrl,
    "s3": S3Url,
}
