"""Credentials in a private JSON file on the platform, which the spec names."""

from __future__ import annotations

import json
import os
from typing import Any

import Algorithmia
import pytest
from runtime import credentials_file
from runtime.platform import connect
from servers import Server

from wrapgen.build import generate
from wrapgen.spec import parse

SPEC = b"""
version: 1
target: {algorithm: nlp/SentimentAnalysis/1.0.5}
wrapper: {name: acme/SentimentBatch, mode: log}
datastore: {url_env: DATABASE_URL, credentials: "data://acme/private/credentials_file.json"}
"""


@pytest.fixture
def vendor(platform: Server) -> Any:
    """The vendor's client on wrapgen's own platform, with a private collection."""
    assert hasattr(platform, "facts")
    client = Algorithmia.client(platform.facts["api_key"], platform.facts["address"])
    if not client.dir("data://.my/private").exists():
        client.dir("data://.my/private").create()
    return client


def test_the_files_variables_are_there_unless_the_environment_has_them(
    vendor: Any, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret store's value goes before the file's."""
    monkeypatch.setattr(os, "environ", {"SET": "already"})
    vendor.file("data://.my/private/credentials_file.json").put(
        json.dumps({"SET": "file", "DATABASE_URL": "x://ü"})
    )
    url = f"data://{platform.facts['account']}/private/credentials_file.json"
    server = connect(vendor)
    assert credentials_file.use(server, url) is server
    assert os.environ == {"SET": "already", "DATABASE_URL": "x://ü"}


@pytest.mark.parametrize("content", ["secret", '["secret"]', '{"A": {"secret": 1}}', b"\xffsecret"])
def test_a_file_that_is_none_says_so_and_shows_nothing(vendor: Any, platform: Any, content: Any) -> None:
    """One object of texts, or an error that names the file and never its content."""
    vendor.file("data://.my/private/bad.json").put(content)
    with pytest.raises(ValueError, match="must be one JSON object") as caught:
        credentials_file.use(connect(vendor), f"data://{platform.facts['account']}/private/bad.json")
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="can't be read"):
        credentials_file.use(connect(vendor), f"data://{platform.facts['account']}/private/none.json")


def test_the_wrapper_reads_them_before_it_opens_a_datastore() -> None:
    """The generated `load` asks for them first; without the key in the spec the module is not there."""
    made = generate(parse(SPEC, "spec.yaml"))
    main = made["src/SentimentBatch.py"].decode()
    assert main.index("credentials_file.use(") < main.index("datastore_sql.Datastore(")
    assert "src/runtime/credentials_file.py" in made
    without = generate(
        parse(SPEC.replace(b', credentials: "data://acme/private/credentials_file.json"', b""), "spec.yaml")
    )
    assert "src/runtime/credentials_file.py" not in without
    assert "credentials_file" not in without["src/SentimentBatch.py"].decode()
