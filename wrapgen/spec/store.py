"""Where records may go: what the URL of a datastore says, and which URLs are refused, and why. Pure text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from wrapgen.spec.names import OWNER_LENGTH, Refused, check_name, shown

CONNECTORS = ("s3", "azureblob", "dropbox", "gs")
"""Schemes of the platform's data connectors, each with an optional +LABEL (platform contract, section 4)."""


class SqlScheme(NamedTuple):
    """What the scheme of an SQL URL means.

    Args:
        dialect: of SQL, as SQLAlchemy calls it.
        driver: the one that a wrapper comes with, and `wrapgen[sql]`.
        requirement: the line that installs the driver; empty where Python has it.
    """

    dialect: str
    driver: str
    requirement: str


_POSTGRESQL = SqlScheme("postgresql", "psycopg2", "psycopg2-binary>=2.9")
_MYSQL = SqlScheme("mysql", "pymysql", "PyMySQL>=1.0")
DATABASES = {
    "postgresql": _POSTGRESQL,
    "postgres": _POSTGRESQL,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlite": SqlScheme("sqlite", "pysqlite", ""),
}
"""By the scheme of an SQL URL, without its driver."""

_VANISHING = {
    ".my": ".my is the caller's own account, so every caller would write somewhere else",
    ".session": ".session is gone when the call ends",
    ".algo": ".algo/temp is deleted after a day, and .algo/perm belongs to the caller",
}
MOST_BYTES_OF_A_NAME = 255
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_SECRET = re.compile(r"password|passwd|pwd|secret|token|credential|api_?key|access_?key", re.I)


@dataclass(frozen=True)
class StoreAddress:
    """One datastore.

    Args:
        kind: one of `KINDS`.
        url: as the spec gives it, or None when a variable holds it.
        url_env: the variable that holds an SQLAlchemy URL, or None.
        dialect: postgresql, mysql or sqlite; empty for other kinds and when only the variable knows.
    """

    kind: str
    url: str | None
    url_env: str | None = None
    dialect: str = ""

    @property
    def traits(self) -> StoreKind:
        """What its kind means for a spec and for a wrapper."""
        return KINDS[self.kind]

    @property
    def requirements(self) -> tuple[str, ...]:
        """What it needs installed: every driver where only the variable knows the dialect."""
        drivers = {each.requirement for each in DATABASES.values() if self.dialect in ("", each.dialect)}
        return (*self.traits.requirements, *(sorted(drivers - {""}) if self.kind == "sql" else ()))

    @property
    def where(self) -> str:
        """The store as it may be shown: its URL, or the variable's name."""
        return self.url or f"${self.url_env}"


def parse_store(url: str) -> StoreAddress:
    """Tells the kind of a datastore from its URL.

    Raises:
        Refused: it is none, it vanishes, or it holds credentials.
    """
    if not re.fullmatch(r"[!-~]+", url) or any(character in url for character in "\"'`<>\\{}|^"):
        raise Refused(f"{shown(url)} has characters that a URL can't have", "percent-encode them")
    scheme = url.partition("://")[0]
    if url.startswith(("./", "../")):
        return _folder(url)
    if scheme == url:
        raise Refused(
            f"{shown(url)} is not a URL",
            f"write data://{url.strip('/')}, or file:///{url.strip('/')} or ./{url.strip('/')} for a folder"
            if "/" in url
            else "write for example data://acme/records, or ./records for a folder beside the spec",
        )
    kind = KINDS.get(kind_of(url))
    if kind is None:
        _split(url)
        raise Refused(
            f"{shown(scheme)} is not a kind of datastore",
            f"write data://, {'://, '.join(CONNECTORS)}:// or file:///, an SQL URL, or an SQS queue's",
        )
    if not kind.in_folder:
        _split(url)
    return kind.parse(url)


def kind_of(url: str) -> str:
    """The key in `KINDS` of a URL's scheme; empty if none has it."""
    scheme = url.partition("://")[0].partition("+")[0]
    return next((name for name, kind in KINDS.items() if scheme in kind.schemes), "")


def check_credentials(url: str) -> None:
    """A file in a hosted collection.

    Raises:
        Refused: it is not one, or it is another for every caller.
    """
    collection, _, file = url.rpartition("/")
    if not collection.startswith("data://") or not _PART.match(file):
        raise Refused(
            f"{shown(url)} is not a file in a collection", "write data://owner/collection/file.json"
        )
    _hosted(collection)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # read for its ValueError
    except ValueError as error:
        raise Refused(f"{shown(url)} is not a URL: {error}") from error
    return parts


def _folder(url: str) -> StoreAddress:
    path = url.removeprefix("file://")
    if (
        not path.startswith(("/", "./", "../"))
        or "?" in path
        or "#" in path
        or path.strip("./") == ""
        or "%00" in path
    ):
        raise Refused(
            f"{shown(url)} is not a folder of this machine",
            "write file:///folder, or ./folder for one beside the spec",
        )
    if any(
        len(name.encode("utf-8", "surrogatepass")) > MOST_BYTES_OF_A_NAME for name in unquote(path).split("/")
    ):
        said = (
            f"{shown(url)} holds a name of more than {MOST_BYTES_OF_A_NAME} bytes, which no file system takes"
        )
        raise Refused(said, "write a shorter one")
    return StoreAddress("file", url.rstrip("/"))


def _data(url: str) -> StoreAddress:
    return _hosted(url) if url.startswith("data://") else _connector(url)


def _hosted(url: str) -> StoreAddress:
    owner, *rest = url.removeprefix("data://").strip("/").split("/")
    if owner in _VANISHING:
        raise Refused(
            f"{owner} can't be a datastore: {_VANISHING[owner]}",
            "name the owner's account: data://acme/records",
        )
    if len(rest) != 1 or not rest[0]:
        raise Refused(
            f"{shown(url)} is not a collection: hosted data has no folders inside collections",
            "write data://owner/collection",
        )
    check_name(owner, "the owner", OWNER_LENGTH)
    if not _PART.match(rest[0]):
        raise Refused(f"{shown(rest[0])} can't be the name of a collection", "use letters, digits and _")
    return StoreAddress("data", f"data://{owner}/{rest[0]}")


def _connector(url: str) -> StoreAddress:
    scheme = url.partition("://")[0]
    label = scheme.partition("+")[2]
    rest = url.removeprefix(f"{scheme}://").strip("/")
    if "+" in scheme and not _PART.match(label):
        raise Refused(
            f"{shown(scheme)} has no label after the +", "write for example s3+archive://bucket/folder"
        )
    if not rest or "@" in rest or "?" in rest or "#" in rest or ".." in rest.split("/") or "//" in rest:
        raise Refused(
            f"{shown(url)} is not a folder of a connector", f"write for example {scheme}://bucket/folder"
        )
    return StoreAddress("data", f"{scheme}://{rest}")


def _database(url: str) -> StoreAddress:
    parts = _split(url)
    name, _, driver = parts.scheme.partition("+")
    dialect, ours, _ = DATABASES[name]
    if driver not in ("", ours):
        raise Refused(f"the wrapper comes with the driver {ours}, not {shown(driver)}", f"write {name}://")
    if dialect == "sqlite" and parts.path.strip("/") in ("", ":memory:"):
        raise Refused(
            "a SQLite database in memory is gone with the process", "write sqlite:////path/to/records.db"
        )
    if parts.password or any(_SECRET.search(key) for key, _ in parse_qsl(parts.query)):
        raise Refused(
            "this URL holds a password, and a spec is no place for one",
            "put the URL into an environment variable and name that: url_env: DATABASE_URL",
        )
    return StoreAddress("sql", url, dialect=dialect)


def _queue(url: str) -> StoreAddress:
    if re.fullmatch(r"sqs://[a-z0-9-]+/[0-9]+/[A-Za-z0-9_-]{1,80}(\.fifo)?", url):
        _, _, region, account, queue = url.split("/")
        return StoreAddress("sqs", f"https://sqs.{region}.amazonaws.com/{account}/{queue}")
    if not re.fullmatch(
        r"https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._-]+)*/[0-9]+/[A-Za-z0-9_-]{1,80}(\.fifo)?", url
    ):
        raise Refused(
            f"{shown(url)} is not the URL of an SQS queue",
            "write https://sqs.REGION.amazonaws.com/ACCOUNT/QUEUE, or sqs://REGION/ACCOUNT/QUEUE",
        )
    return StoreAddress("sqs", url)


def parse_store_variable(name: str) -> StoreAddress:
    """The store whose SQLAlchemy URL the environment variable `name` holds."""
    return StoreAddress("sql", None, url_env=name)


@dataclass(frozen=True)
class StoreKind:
    """One kind of datastore: everything that differs between them, but for the code that reads and writes.

    Args:
        schemes: of its URLs, without what follows a `+`.
        parse: from a URL to its address; raises Refused.
        modules: of the runtime, that which opens it first.
        settings: what that module is opened with.
        private: those settings that are URLs of hosted files, which no caller may name.
        requirements: what it needs installed, but for the driver of a database.
        hosted: the records are files on the platform, written with the caller's rights.
        uses_platform: the platform's data API is called.
        in_folder: the records are files in a folder of the machine.
        takes_gzip: the records' files may be compressed.
        searchable: a result can be looked up by its key.
        exactly_once: what is recorded twice under one key is read once.
    """

    schemes: tuple[str, ...]
    parse: Callable[[str], StoreAddress]
    modules: tuple[str, ...]
    settings: tuple[str, ...]
    private: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    hosted: bool = False
    uses_platform: bool = False
    in_folder: bool = False
    takes_gzip: bool = False
    searchable: bool = False
    exactly_once: bool = True


KINDS = {
    "data": StoreKind(
        schemes=("data", *CONNECTORS),
        parse=_data,
        modules=("datastore_data",),
        settings=("url", "key_env", "gzip"),
        private=("url",),
        hosted=True,
        uses_platform=True,
        takes_gzip=True,
    ),
    "file": StoreKind(
        schemes=("file",),
        parse=_folder,
        modules=("datastore_file", "datastore_folder"),
        settings=("url", "gzip"),
        in_folder=True,
        takes_gzip=True,
    ),
    "sql": StoreKind(
        schemes=tuple(DATABASES),
        parse=_database,
        modules=("datastore_sql", "datastore_folder"),
        settings=("url", "url_env"),
        requirements=("SQLAlchemy>=2.0,<3",),
        searchable=True,
    ),
    "sqs": StoreKind(  # a record that is too large for a message goes to hosted data
        schemes=("sqs", "http", "https"),
        parse=_queue,
        modules=("datastore_sqs", "datastore_data"),
        settings=("url", "key_env", "gzip", "oversize"),
        private=("oversize",),
        requirements=("boto3>=1.26", "botocore>=1.29"),
        uses_platform=True,
        exactly_once=False,
    ),
}
"""The kinds of datastore. One more is an entry here, a module of the runtime and a page in
`templates/reading`; `records/reading.py` reads it back.
"""
