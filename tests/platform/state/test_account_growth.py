"""What accounts cost as they become many: nothing that is done with one looks at all of them."""

from __future__ import annotations

import time

import pytest

from wrapgen.errors import Conflict
from wrapgen.platform.domain.accounts import Accounts
from wrapgen.platform.storage.account_table import AccountTable
from wrapgen.platform.storage.database import Database


@pytest.fixture
def table(tmp_path):
    return AccountTable(Database(tmp_path / "platform.sqlite"))


@pytest.fixture
def accounts(table):
    return Accounts(table, time.time)


def test_pages_of_accounts_together_are_the_whole_listing(accounts):
    """Page after page gives every user once, by name in any letter case, and an unknown place gives none."""
    for name in ("bo", "Al", "cy", "Di", "ed"):
        accounts.create("user", name, {"email": f"{name}@acme.test"})
    accounts.create("organization", "corp", {"org_name": "corp"})
    found, last = [], None
    while page := accounts.page("user", last, 2):
        found += [each.name for each in page]
        last = page[-1].id
    assert found == [each.name for each in accounts.all("user")] == ["Al", "bo", "cy", "Di", "ed"]
    assert accounts.page("user", "no such id", 2) is None
    assert accounts.page("organization", last, 2) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ann@acme.test", "ANN@Acme.test"),
        ("MÜLLER@acme.test", "müller@acme.test"),
        ("sam@acme.test", "ſam@acme.test"),
        ("ſam@acme.test", "sam@acme.test"),
    ],
)
def test_an_address_is_taken_in_any_letter_case(accounts, first, second):
    """Also in letters that SQLite does not know the case of, and that become ASCII without it."""
    accounts.create("user", "one", {"email": first})
    accounts.create("user", "three", {"email": "other@acme.test"})
    with pytest.raises(Conflict):
        accounts.create("user", "two", {"email": second})


def test_neither_a_new_account_nor_a_page_reads_all_accounts(table, accounts, monkeypatch):
    """Three hundred users change nothing in how many rows are read for one more, or for one page."""
    read = []
    asked = Database.all
    monkeypatch.setattr(Database, "all", lambda *given: read.append(asked(*given)) or read[-1])
    for number in range(300):
        accounts.create("user", f"user{number}", {"email": f"user{number}@acme.test"})
    read.clear()
    accounts.create("user", "last", {"email": "last@acme.test"})
    accounts.page("user", None, 10)
    assert sum(map(len, read)) < 20
