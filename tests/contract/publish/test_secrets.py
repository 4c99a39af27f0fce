"""`wrapgen platform secrets`, and what `publish` says of a wrapper whose variables nothing sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wrapgen.client import Client
from wrapgen.errors import UsageError
from wrapgen.publish import Project

SEEN = "sorted((name, value) for name, value in __import__('os').environ.items() if name.startswith('SHOP_'))"


def test_a_secret_is_set_replaced_listed_and_removed(
    make: Callable[..., Path], publisher: Any, client: Client, wrapgen: Callable[..., Any], tmp_path: Path
) -> None:
    """The worker gets the value from a pipe, a variable or a file, and no command shows it."""
    reference = publisher(make(SEEN)).reference
    name = reference.rpartition("/")[0]
    secrets = ("platform", "secrets")
    assert wrapgen(*secrets, "list", name).stdout == ""

    piped = wrapgen(*secrets, "set", name, "SHOP_TOKEN", text="one\n")
    assert (piped.stdout, piped.returncode) == ("set SHOP_TOKEN\n", 0), piped.stderr
    assert client.call(reference, None).result == [["SHOP_TOKEN", "one"]]

    (tmp_path / "value").write_text("two\n")
    replaced = wrapgen(*secrets, "set", name, "SHOP_TOKEN", "--from-file", str(tmp_path / "value"))
    assert replaced.stdout == "replaced SHOP_TOKEN\n"
    assert client.call(reference, None).result == [["SHOP_TOKEN", "two"]]

    listed = json.loads(wrapgen(*secrets, "list", name, "--json").stdout)
    assert listed == [{"variable": "SHOP_TOKEN"}]
    assert wrapgen(*secrets, "remove", name, "SHOP_TOKEN").stdout == "removed SHOP_TOKEN\n"
    assert client.call(reference, None).result == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("set", "{name}", "SHOP_X", "--from-env", "NOT_SET_ANYWHERE"),
            "the variable NOT_SET_ANYWHERE holds no",
        ),
        (("set", "{name}", "SHOP_X", "--from-env", "A", "--from-file", "b"), "not both"),
        (("set", "{name}", "SHOP_X", "--from-file", "missing.txt"), "can't read the value of SHOP_X"),
        (("set", "{name}", "SHOP_X"), "standard input holds no value"),
        (
            ("set", "{name}", "SHOP X", "--from-file", "{file}"),
            "can't be the name of an environment variable",
        ),
        (
            ("set", "acme/NotThere", "SHOP_X", "--from-file", "{file}"),
            "`wrapgen publish DIR` makes the algorithm",
        ),
        (("remove", "{name}", "SHOP_X"), "it has: none"),
    ],
)
def test_what_can_not_be_set_is_one_clear_error(
    make: Callable[..., Path],
    publisher: Any,
    wrapgen: Callable[..., Any],
    tmp_path: Path,
    words: tuple[str, ...],
    said: str,
) -> None:
    """A missing value, name or algorithm is one error that says what to do."""
    name = publisher(make("1", name="NoSecrets")).reference.rpartition("/")[0]
    (tmp_path / "value").write_text("v")
    filled = [word.format(name=name, file=tmp_path / "value") for word in words]
    done = wrapgen("platform", "secrets", *filled)
    assert said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert 0 < done.returncode < 70


def test_publish_names_the_command_for_a_missing_secret(
    make: Callable[..., Path], publisher: Any, write_spec: Callable[..., Path], client: Client
) -> None:
    """A wrapper whose key nothing sets is not released; the error names what to type; then it is."""
    folder = make("1")
    write_spec(folder, "data://acme/secrets", datastore="  key_env: SHOP_KEY\n")
    name = Project.read(folder).reference.path
    with pytest.raises(UsageError) as error:
        publisher(folder)
    assert f"wrapgen platform secrets set {name} SHOP_KEY" in error.value.hint
    assert client.versions(name) == []
    client.algorithms.set_secret(name, "SHOP_KEY", "sim")
    assert publisher(folder).released
