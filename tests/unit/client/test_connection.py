"""Where a command finds its platform and its key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wrapgen.client.connection import Connection, authorization, check_address, find
from wrapgen.errors import NoCredentials, UsageError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test stands in a folder that holds no platform's home."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def look(tmp_path: Path, environ: dict[str, str] | None = None, **flags: object) -> Connection:
    given = {"address": None, "key": None, "home": None, "profile": None, **flags}
    return find(**given, environ=environ or {}, user_home=tmp_path / "user")


def write_profile(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "user" / ".algorithmia"
    folder.mkdir(parents=True)
    (folder / "config").write_text(text)


def write_home(folder: Path, address: str = "http://127.0.0.1:8080") -> None:
    folder.mkdir(parents=True)
    content = {
        "address": address,
        "account": "local",
        "api_key": "sim-home",
        "admin_key": "sim-admin",
        "pid": 1,
    }
    (folder / "credentials.json").write_text(json.dumps(content))


PROFILES = """
[profiles.default]
api_key = "sim-default"
api_server = "https://api.default.example"
ca_cert = ""
bearer_token = ""
[profiles.token]
api_key = ""
api_server = "https://api.token.example/"
ca_cert = "/etc/cluster.pem"
bearer_token = "aaa.bbb.ccc"
"""


def test_nothing_named_anywhere_says_what_to_do(tmp_path: Path) -> None:
    """With no source at all the error names every place that was looked at and a way out."""
    with pytest.raises(NoCredentials) as caught:
        look(tmp_path)
    assert "ALGORITHMIA_API_KEY" in caught.value.message
    assert "wrapgen serve" in caught.value.hint


def test_the_local_home_is_found_in_the_current_folder(tmp_path: Path) -> None:
    """`.wrapgen/credentials.json` here is enough, and brings account and admin key."""
    write_home(Path(".wrapgen"))
    found = look(tmp_path)
    assert (found.address, found.key, found.account) == ("http://127.0.0.1:8080", "sim-home", "local")
    assert found.is_local


def test_the_local_home_is_found_from_a_subfolder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest `.wrapgen` of this user above counts; another user's, as in /tmp, does not."""
    home = (tmp_path / "project/.wrapgen").absolute()
    (tmp_path / "project/a/b").mkdir(parents=True)
    write_home(home)
    monkeypatch.chdir(tmp_path / "project/a/b")
    assert look(tmp_path).home == home
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(NoCredentials):
        look(tmp_path)


def test_a_user_without_a_home_folder_has_no_profile() -> None:
    """HOME of a service's user may be `/dev/null` or missing: nothing is read there."""
    for user_home in (Path("/dev/null"), Path("/nonexistent")):
        variables = {"ALGORITHMIA_API": "http://x.test", "ALGORITHMIA_API_KEY": "k"}
        flags = dict.fromkeys(("address", "key", "home", "profile"))
        found = find(**flags, environ=variables, user_home=user_home)
        assert found.address == "http://x.test"


def test_variables_come_before_the_profile_and_the_home(tmp_path: Path) -> None:
    """The vendor's variables win over its profile file, and that over the local home."""
    write_home(Path(".wrapgen"))
    write_profile(tmp_path, PROFILES)
    assert look(tmp_path).key == "sim-default"
    variables = {"ALGORITHMIA_API": "https://api.here.example", "ALGORITHMIA_API_KEY": "sim-variable"}
    found = look(tmp_path, variables)
    assert (found.address, found.key) == ("https://api.here.example", "sim-variable")
    assert not found.is_local


def test_a_named_home_or_profile_comes_before_the_variables(tmp_path: Path) -> None:
    """A flag is stronger than any variable."""
    variables = {"ALGORITHMIA_API": "https://api.here.example", "ALGORITHMIA_API_KEY": "sim-variable"}
    write_profile(tmp_path, PROFILES)
    write_home(tmp_path / "other", "http://127.0.0.1:9")
    assert look(tmp_path, variables, home=tmp_path / "other").key == "sim-home"
    found = look(tmp_path, variables, profile="token")
    assert (found.address, found.ca_cert) == ("https://api.token.example", "/etc/cluster.pem")
    assert authorization(found.key) == "Bearer aaa.bbb.ccc"


def test_a_key_is_not_sent_to_another_platform(tmp_path: Path) -> None:
    """A key that was found beside one address is not used with another."""
    write_home(Path(".wrapgen"))
    variables = {"ALGORITHMIA_API": "https://api.here.example", "ALGORITHMIA_API_KEY": "sim-variable"}
    with pytest.raises(NoCredentials, match=r"api\.there\.example"):
        look(tmp_path, variables, address="https://api.there.example")


def test_an_address_picks_the_key_that_belongs_to_it(tmp_path: Path) -> None:
    """--address with the local home's own address takes the home's key, whatever the spelling."""
    write_home(Path(".wrapgen"))
    write_profile(tmp_path, PROFILES)
    assert look(tmp_path, address="http://127.0.0.1:8080/").key == "sim-home"
    assert look(tmp_path, address="https://api.default.example/v1").key == "sim-default"


def test_a_key_variable_alone_goes_with_any_named_address(tmp_path: Path) -> None:
    """ALGORITHMIA_API_KEY without ALGORITHMIA_API is for the address that is named, else the vendor's own."""
    write_home(Path(".wrapgen"))
    variables = {"ALGORITHMIA_API_KEY": "sim-variable"}
    assert look(tmp_path, variables, address="https://api.there.example").key == "sim-variable"
    assert look(tmp_path, variables).address == "https://api.algorithmia.com"


def test_a_key_given_outright_goes_to_the_first_address_named(tmp_path: Path) -> None:
    """--api-key alone is used with the platform that the other sources name."""
    write_home(Path(".wrapgen"))
    found = look(tmp_path, key="sim-mine")
    assert (found.address, found.key) == ("http://127.0.0.1:8080", "sim-mine")


@pytest.mark.parametrize("flags", [{"profile": "nobody"}, {"home": Path("nowhere")}])
def test_a_named_source_that_is_missing_is_an_error(tmp_path: Path, flags: dict[str, object]) -> None:
    """A home or profile that was asked for and is not there is never skipped."""
    write_profile(tmp_path, PROFILES)
    with pytest.raises(UsageError):
        look(tmp_path, **flags)


@pytest.mark.parametrize("text", ["[profiles", "profiles = 3", "[profiles.default]\napi_key = 5"])
def test_a_broken_profile_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    """Whatever stands in the profile file, there is no traceback."""
    write_profile(tmp_path, text)
    with pytest.raises((UsageError, NoCredentials)):
        look(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"address": 5}', "[" * 100_000, " " * (2 << 20)])
def test_a_broken_credentials_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    """Whatever stands in credentials.json, there is no traceback."""
    Path(".wrapgen").mkdir()
    Path(".wrapgen/credentials.json").write_text(text)
    with pytest.raises((UsageError, NoCredentials)):
        look(tmp_path)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "api.example",
        "ftp://x",
        "http://",
        "https://name:word@api.example",
        "http://[::1",
        "http://a:99999",
        "http://a:b",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Only http and https addresses without credentials in them are taken."""
    with pytest.raises(UsageError):
        check_address(address)


def test_the_key_is_not_in_the_representation() -> None:
    """A connection that ends up in a log shows no key."""
    assert "sim-x" not in repr(Connection("http://a", "sim-x", "a test", admin_key="sim-x"))
    assert authorization("sim-x") == "Simple sim-x"
