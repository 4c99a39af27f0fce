"""Names, references, paths and datastore URLs: what is read, what is refused, and why."""

from __future__ import annotations

import keyword
import sys

import pytest

from wrapgen.references import Reference
from wrapgen.spec.names import (
    Refused,
    check_reference,
    check_variable,
    check_wrapper_name,
    parse_path,
)
from wrapgen.spec.store import parse_store


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("nlp/SentimentAnalysis/1.0.5", ("nlp", "SentimentAnalysis", "1.0.5", True)),
        ("algo://nlp/SentimentAnalysis/1.0.5", ("nlp", "SentimentAnalysis", "1.0.5", True)),
        ("nlp/S", ("nlp", "S", None, False)),
        ("nlp/S/1.0", ("nlp", "S", "1.0", False)),
        ("nlp/S/1.*", ("nlp", "S", "1.*", False)),
        ("nlp/S/latestPrivate", ("nlp", "S", "latestPrivate", False)),
        (f"nlp/S/{'a1' * 20}", ("nlp", "S", "a1" * 20, False)),
    ],
)
def test_references_are_read_as_the_platform_reads_them(text, parts):
    """Every spelling of a version that the platform resolves is a reference; only a full one is for ever."""
    check_reference(text)
    reference = Reference.parse(text)
    assert (reference.owner, reference.name, reference.version, reference.is_full) == parts


@pytest.mark.parametrize(
    "text", ["", "/", "nlp", "nlp/", "/S", "nlp//1", "a b/c", "nlp/S/1.0.5/", "nlp/S/v1", "nlp/S/1.0.5\n"]
)
def test_what_is_no_reference_is_refused(text):
    """No text that the platform would not take passes, whatever surrounds it."""
    with pytest.raises(Refused):
        check_reference(text)


@pytest.mark.parametrize(
    "name",
    [
        *keyword.kwlist,
        *sorted(sys.stdlib_module_names),
        *("Algorithmia", "src", "hooks", "requests", "six", "urllib3", "certifi", "idna", "yaml"),
        *("boto3", "botocore", "sqlalchemy", "psycopg2", "pymysql", "pytest", "conftest"),
    ],
)
def test_no_name_shadows_a_module_or_a_keyword(name):
    """Keywords, the standard library and the wrapper's own modules are refused in any case of letters."""
    for spelled in {name, name.lower(), name.upper(), name.title()}:
        with pytest.raises(Refused):
            check_wrapper_name(f"acme/{spelled}")


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("$", ()),
        ("$.a", ("a",)),
        ("$.a.b-c[0][*].d", ("a", "b-c", 0, None, "d")),
        ("$['odd key'][\"it's\"].*", ("odd key", "it's", None)),
        ("$[12]", (12,)),
    ],
)
def test_paths_are_read_to_steps(text, steps):
    """Names, indexes and every-element; quotes for odd keys."""
    assert parse_path(text) == steps


@pytest.mark.parametrize(
    "text", ["", "a", ".a", "$a", "$.", "$..a", "$[", "$[]", "$[-1]", "$['a]", "$.a b", "$[?(@.x)]", "$.a\n"]
)
def test_what_is_no_path_is_refused(text):
    """Filters, negative indexes and half-written paths are not silently something else."""
    with pytest.raises(Refused):
        parse_path(text)


@pytest.mark.parametrize(
    ("url", "kind", "kept", "dialect"),
    [
        ("data://acme/records", "data", "data://acme/records", ""),
        ("data://acme/records/", "data", "data://acme/records", ""),
        ("s3://bucket/a/b", "data", "s3://bucket/a/b", ""),
        ("s3+archive://bucket", "data", "s3+archive://bucket", ""),
        ("gs://bucket/", "data", "gs://bucket", ""),
        (
            "sqs://eu-west-1/123456789012/q.fifo",
            "sqs",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo",
            "",
        ),
        (
            "https://sqs.eu-west-1.amazonaws.com/123456789012/q",
            "sqs",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/q",
            "",
        ),
        ("http://localhost:4566/000000000000/q", "sqs", "http://localhost:4566/000000000000/q", ""),
        ("postgresql://me@host:5432/db", "sql", "postgresql://me@host:5432/db", "postgresql"),
        ("mysql+pymysql://host/db?table=r", "sql", "mysql+pymysql://host/db?table=r", "mysql"),
        ("sqlite:////tmp/r.db", "sql", "sqlite:////tmp/r.db", "sqlite"),
    ],
)
def test_a_url_tells_its_kind(url, kind, kept, dialect):
    """The scheme decides what kind of datastore it is, and short spellings become the full one."""
    store = parse_store(url)
    assert (store.kind, store.url, store.dialect) == (kind, kept, dialect)


@pytest.mark.parametrize("key", ["sim" + "a1B2c" * 5, "sim" + "x" * 20])
def test_an_api_key_is_no_name_of_a_variable(key):
    """A key put where its variable's name belongs is refused, and not repeated in the message."""
    with pytest.raises(Refused, match="this is a value") as caught:
        check_variable(key)
    assert key not in caught.value.message + caught.value.hint
    check_variable("simulation_of_the_whole_world_key")


def test_pwd_in_a_database_url_is_a_password():
    """The short spelling that some drivers take is a secret as the long one is."""
    with pytest.raises(Refused, match="holds a password"):
        parse_store("mysql://db.example/records?pwd=x")
