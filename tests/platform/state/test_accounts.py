"""Users, organizations, members and keys."""

from __future__ import annotations

import pytest

from wrapgen.errors import BadRequest, Conflict, NotAuthorized, NotFound
from wrapgen.platform.domain.credentials import read_credentials
from wrapgen.platform.domain.model import Caller, Permissions
from wrapgen.platform.state import State


def test_a_new_home_has_a_user_with_two_keys(state: State) -> None:
    """The first key has the shape the vendor's command insists on; the file is nobody else's to read."""
    kept = read_credentials(state.home)
    assert kept["account"] == "local"
    assert kept["api_key"].startswith("sim")
    assert len(kept["api_key"]) == 28
    assert not state.accounts.caller(kept["api_key"]).admin
    assert state.accounts.caller(kept["admin_key"]).admin
    assert (state.home / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert state.home.stat().st_mode & 0o777 == 0o700


def test_keys_are_stored_hashed(state: State) -> None:
    """No file of the database holds a key."""
    key, _ = state.accounts.create_key("local")
    for file in state.home.glob("platform.sqlite*"):
        assert key.encode() not in file.read_bytes()


def test_an_unknown_key_is_nobody(state: State) -> None:
    """Wrong keys, empty ones and odd ones are refused alike."""
    for key in ("", "sim" + "x" * 25, "\udcff", "x" * 100_000):
        with pytest.raises(NotAuthorized, match="invalid API key"):
            state.accounts.caller(key)


def test_a_revoked_key_is_worthless_at_once(state: State) -> None:
    """Revoking works although the caller was remembered."""
    key, made = state.accounts.create_key("local")
    state.accounts.caller(key)
    state.accounts.revoke_key("local", made.id)
    with pytest.raises(NotAuthorized):
        state.accounts.caller(key)
    with pytest.raises(NotFound):
        state.accounts.revoke_key("local", made.id)


def test_another_accounts_key_can_not_be_revoked(state: State, other: Caller) -> None:
    """A key is only found under its own account."""
    with pytest.raises(NotFound):
        state.accounts.revoke_key("local", other.key_id)


def test_membership_shows_at_once(state: State, local: Caller) -> None:
    """A caller that was remembered is looked up again after a change of members."""
    key = read_credentials(state.home)["api_key"]
    state.accounts.create("organization", "Acme", {})
    assert not state.accounts.caller(key).owns("acme")
    assert state.accounts.add_member("ACME", "LOCAL")
    assert not state.accounts.add_member("acme", "local")
    assert state.accounts.caller(key).owns("Acme")
    state.accounts.remove_member("acme", "local")
    assert not state.accounts.caller(key).owns("acme")


def test_the_last_owner_stays(state: State) -> None:
    """An organization is never left without an owner."""
    state.accounts.create("organization", "acme", {})
    state.accounts.add_member("acme", "local", "owner")
    with pytest.raises(Conflict, match="last owner"):
        state.accounts.remove_member("acme", "local")


def test_the_homes_own_user_stays(state: State) -> None:
    """Deleting it is refused in words: commands on the machine would be left with keys of nobody."""
    with pytest.raises(Conflict, match="local belongs to this platform"):
        state.accounts.delete(state.accounts.get("LOCAL"))
    assert state.accounts.caller(read_credentials(state.home)["admin_key"]).account == "local"


def test_another_owner_lets_the_first_go(state: State) -> None:
    """A member becomes an owner, and then the first one may be less; being added again changes no role."""
    state.accounts.create("organization", "acme", {})
    state.accounts.create("user", "jane", {})
    state.accounts.add_member("acme", "local", "owner")
    state.accounts.add_member("acme", "jane")
    with pytest.raises(Conflict, match="last owner"):
        state.accounts.add_member("acme", "local", "member")
    assert not state.accounts.add_member("acme", "jane", "owner")
    assert not state.accounts.add_member("acme", "jane")
    assert not state.accounts.add_member("acme", "local", "member")
    assert state.accounts.members("acme") == [("jane", "owner"), ("local", "member")]
    with pytest.raises(BadRequest, match="no role 'king'"):
        state.accounts.add_member("acme", "jane", "king")


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "a/b", "..", "x" * 31, "temp", "Perm", "é"])
def test_names_that_can_not_be(state: State, name: str) -> None:
    """Names follow the OpenAPI pattern; those that data paths need are refused."""
    with pytest.raises(BadRequest, match="can't be the name"):
        state.accounts.create("user", name, {})


def test_names_and_addresses_are_unique(state: State) -> None:
    """Users and organizations share one space of names, in any letter case."""
    state.accounts.create("user", "Jane", {"email": "jane@example.org"})
    with pytest.raises(Conflict, match="is taken"):
        state.accounts.create("organization", "jane", {})
    with pytest.raises(Conflict, match="e-mail"):
        state.accounts.create("user", "Joan", {"email": "jane@example.org"})


@pytest.mark.parametrize(
    ("kind", "field", "there", "wanted"),
    [
        ("user", "email", "jane@example.org", "JANE@Example.org"),
        ("organization", "external_id", "e-1", "e-1"),
    ],
)
def test_what_is_unique_stays_so_at_updates(
    state: State, kind: str, field: str, there: str, wanted: str
) -> None:
    """Neither a new account nor a changed one gets another's address or external id; its own it keeps."""
    state.accounts.create(kind, "First", {field: there})
    with pytest.raises(Conflict, match="is taken"):
        state.accounts.create(kind, "Second", {field: wanted})
    second = state.accounts.create(kind, "Second", {field: "another"})
    with pytest.raises(Conflict, match="is taken"):
        state.accounts.update(second, {field: wanted})
    assert state.accounts.get("Second").details == {field: "another"}
    assert state.accounts.update(state.accounts.get("First"), {field: wanted}).details == {field: wanted}


def test_a_last_owner_is_not_deleted(state: State) -> None:
    """Deleting the account is no way around it; with a second owner, or without the organization, it goes."""
    for name in ("jane", "joe"):
        state.accounts.create("user", name, {})
    for name in ("acme", "nlp"):
        state.accounts.create("organization", name, {})
        state.accounts.add_member(name, "jane", "owner")
        state.accounts.add_member(name, "joe")
    with pytest.raises(Conflict, match="jane is the last owner of"):
        state.accounts.delete(state.accounts.get("jane"))
    assert dict(state.accounts.members("acme"))["jane"] == "owner"
    state.accounts.delete(state.accounts.get("acme"))
    state.accounts.remove_member("nlp", "joe")
    state.accounts.add_member("nlp", "joe", "owner")
    state.accounts.delete(state.accounts.get("jane"))
    assert state.accounts.members("nlp") == [("joe", "owner")]


def test_an_account_with_belongings_is_not_deleted(state: State, local: Caller) -> None:
    """Deleting never takes algorithms or data along unasked."""
    state.algorithms.create(local, "local", {"name": "Hello"})
    with pytest.raises(Conflict, match="1 algorithms"):
        state.accounts.delete(state.accounts.get("local"))


def test_deleting_a_user_ends_its_keys(state: State, other: Caller) -> None:
    """With the account go its keys and memberships."""
    key, _ = state.accounts.create_key("jane")
    state.accounts.delete(state.accounts.get("jane"))
    with pytest.raises(NotAuthorized):
        state.accounts.caller(key)


@pytest.mark.parametrize(
    ("patterns", "allowed"),
    [
        (("algo://*",), True),
        (("algo://nlp/*",), True),
        (("algo://NLP/sentiment/*",), True),
        (("algo://nlp/Other/*",), False),
        (("algo://nl/*",), False),
        ((), False),
        (("algo://acme/*", "algo://nlp/*"), True),
    ],
)
def test_a_key_says_which_algorithms_it_calls(patterns: tuple[str, ...], allowed: bool) -> None:
    """Patterns name all, an owner's, or one algorithm, in any letter case."""
    caller = Caller("jane", "key", permissions=Permissions(algorithms=patterns))
    assert caller.may_call("nlp", "Sentiment") is allowed


def test_permissions_survive_the_database(state: State) -> None:
    """A key's restrictions come back as they were given."""
    wanted = Permissions(("algo://nlp/*",), data_read=True, data_write=False, manage=False)
    key, _ = state.accounts.create_key("local", permissions=wanted)
    assert state.accounts.caller(key).permissions == wanted
    assert state.accounts.keys("local")[-1].permissions == wanted


def test_the_database_refuses_what_the_code_forgets(state: State) -> None:
    """Foreign keys are on: no key without an account."""
    with pytest.raises(NotFound):
        state.database.execute("INSERT INTO keys VALUES ('k', 'nobody', '', 0, 'h', 'm', '{}', 0, '')")
