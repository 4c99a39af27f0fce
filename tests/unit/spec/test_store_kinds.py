"""One table says which kinds of datastore there are; everything else asks it."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

import wrapgen
from wrapgen.build import plan, program, requirements
from wrapgen.build.templates import read_templates
from wrapgen.records.reading import is_database, is_folder, is_queue
from wrapgen.spec.load import parse
from wrapgen.spec.store import KINDS, StoreAddress, kind_of, parse_store

URLS = {
    "data": ("data://acme/records", "s3+old://bucket/folder"),
    "file": ("file:///srv/records", "./records"),
    "sql": ("postgresql://host/db", "mariadb://host/db", "sqlite:////srv/records.db"),
    "sqs": ("sqs://eu-west-1/123/records", "http://127.0.0.1:9324/123/records"),
}


@pytest.mark.parametrize(("kind", "url"), [(kind, url) for kind, urls in URLS.items() for url in urls])
def test_each_url_has_the_kind_of_its_scheme(kind, url):
    """A URL is parsed by the kind that has its scheme, and is read back as one of that kind."""
    assert parse_store(url).kind == kind
    if not url.startswith("."):
        assert kind_of(url) == kind
        assert (is_database(url), is_folder(url), is_queue(url)) == (
            kind == "sql",
            kind == "file",
            kind == "sqs",
        )


def test_each_kind_has_its_modules_and_its_page():
    """The runtime has every module that a kind names, and the README has a page on reading it."""
    files = read_templates("algorithm")
    pages = read_templates("reading")
    for name, kind in KINDS.items():
        assert not {f"src/runtime/{module}.py" for module in kind.modules} - set(files)
        assert f"{name}.md.jinja" in pages
        assert set(kind.private) <= set(kind.settings)


def test_a_kind_more_is_one_entry(monkeypatch):
    """A wrapper of a kind that was added to the table opens it, ships its modules and needs what it needs."""
    added = replace(
        KINDS["file"],
        schemes=("redis",),
        parse=lambda url: StoreAddress("redis", url),
        modules=("datastore_redis", "datastore_folder"),
        requirements=("redis>=5",),
        takes_gzip=False,
        in_folder=False,
    )
    monkeypatch.setitem(KINDS, "redis", added)
    text = (
        "version: 1\ntarget: {algorithm: nlp/Sentiment/1.0.5}\nwrapper: {name: acme/Batch, mode: both}\n"
        "datastore: {url: 'redis://host/0'}\n"
    )
    spec = parse(text.encode())
    assert "datastore_redis.Datastore(" in str(program.opened(spec))
    assert "datastore_redis" in " ".join(program.imports(spec))
    assert "redis>=5" in requirements.lines(spec)
    assert not plan.CONDITIONS["src/runtime/datastore_file.py"](spec)
    assert plan.CONDITIONS["src/runtime/datastore_folder.py"](spec)


def test_no_other_module_tells_kinds_apart_by_name():
    """Nothing but the table's own module compares a store's kind with the name of one."""
    root = Path(wrapgen.__file__).parent
    found = []
    for file in (each for top in ("spec", "build", "doctor", "local") for each in (root / top).rglob("*.py")):
        where = file.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Compare) and where != "spec/store.py":
                sides = map(ast.unparse, (node.left, *node.comparators))
                found += [f"{where}:{node.lineno}" for side in sides if re.search(r"store\.kind$", side)]
    assert found == []
