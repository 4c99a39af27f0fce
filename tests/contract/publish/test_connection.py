"""The ways in which a command finds its platform, each tried for real."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wrapgen.client import Client

BARE = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA")}


@pytest.fixture
def reference(make, publisher) -> str:
    """Something to call."""
    return publisher(make("input", name="Found")).reference


def profile(folder: Path, client: Client, name: str = "default") -> dict[str, str]:
    """A user's home with the vendor's profile file in it, as `algo auth` writes it."""
    (folder / ".algorithmia").mkdir(parents=True)
    (folder / ".algorithmia" / "config").write_text(
        f"[profiles]\n[profiles.{name}]\napi_key = '{client.connection.key}'\n"
        f"api_server = '{client.connection.address}'\nca_cert = ''\nbearer_token = ''\n"
    )
    return {**BARE, "HOME": str(folder)}


def test_the_vendors_profile_file_is_enough(wrapgen, reference, client, tmp_path: Path) -> None:
    """What `algo auth` wrote is used without a word."""
    env = profile(tmp_path / "user", client)
    done = wrapgen("call", reference, "hello", at_home=False, env=env, cwd=tmp_path)
    assert done.stdout == "hello\n", done.stderr


def test_a_profile_can_be_named(wrapgen, reference, client, tmp_path: Path) -> None:
    """--profile picks one; a name that is not there lists those that are."""
    env = profile(tmp_path / "user", client, "work")
    named = wrapgen("call", reference, "hello", "--profile", "work", at_home=False, env=env, cwd=tmp_path)
    assert named.stdout == "hello\n", named.stderr
    wrong = wrapgen("call", reference, "hello", "--profile", "play", at_home=False, env=env, cwd=tmp_path)
    assert wrong.returncode == 2
    assert "work" in wrong.stderr


def test_the_vendors_variables_are_enough(wrapgen, reference, client, tmp_path: Path) -> None:
    """ALGORITHMIA_API and ALGORITHMIA_API_KEY, as every client of the vendor reads them."""
    variables = {"ALGORITHMIA_API": client.connection.address, "ALGORITHMIA_API_KEY": client.connection.key}
    done = wrapgen("call", reference, "hello", at_home=False, env={**BARE, **variables}, cwd=tmp_path)
    assert done.stdout == "hello\n", done.stderr


def test_a_key_can_be_taken_from_any_variable(wrapgen, reference, client, tmp_path: Path) -> None:
    """--key-env names it, so that the key is on no command line."""
    words = ["call", reference, "hello", "--address", client.connection.address, "--key-env", "MY_KEY"]
    done = wrapgen(*words, at_home=False, env={**BARE, "MY_KEY": client.connection.key}, cwd=tmp_path)
    assert done.stdout == "hello\n", done.stderr
    missing = wrapgen(*words, at_home=False, env=BARE, cwd=tmp_path)
    assert missing.returncode == 2
    assert "MY_KEY" in missing.stderr


def test_the_home_in_the_current_folder_is_found(wrapgen, reference, home: Path, tmp_path: Path) -> None:
    """`.wrapgen` here needs no option."""
    (tmp_path / ".wrapgen").symlink_to(home)
    env = {**BARE, "HOME": str(tmp_path)}
    done = wrapgen("call", reference, "hello", at_home=False, env=env, cwd=tmp_path)
    assert done.stdout == "hello\n", done.stderr


def test_without_any_of_them_the_error_says_what_to_do(wrapgen, tmp_path: Path) -> None:
    """Exit code 5 and a way out."""
    env = {**BARE, "HOME": str(tmp_path)}
    done = wrapgen("call", "acme/Found/0.1.0", "hello", at_home=False, env=env, cwd=tmp_path)
    assert done.returncode == 5
    assert "wrapgen serve" in done.stderr


def test_options_that_contradict_each_other_are_refused(wrapgen, home: Path, tmp_path: Path) -> None:
    """A home and a profile, or two keys, are a mistake."""
    for words in (["--profile", "x"], ["--api-key", "k", "--key-env", "HOME"]):
        assert wrapgen("call", "a/B/1.0.0", "x", *words).returncode == 2
