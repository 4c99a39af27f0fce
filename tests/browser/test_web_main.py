"""The web page in a real browser: signing in, an algorithm, its source, its builds, and the console."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

expect.set_options(timeout=90_000)  # of a condition; the machine may be slow

NAME = "local/Shout"
SOURCE = '''"""Says it louder."""


class Quiet(Exception):
    """Nothing was said."""

    error_type = "InputError"


def apply(value):
    if not value:
        raise Quiet("say something")
    print("heard", len(value), "characters")
    return {"loud": str(value).upper() + "!", "<script>alert(1)</script>": True}
'''


@pytest.fixture(scope="session")
def shout(platform: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the page of a released algorithm is."""
    folder: Path = tmp_path_factory.mktemp("shout")
    write_algorithm(folder, "Shout", SOURCE)
    (folder / "README.md").write_text("# Shout\n\nSays it louder.\n")
    platform.wrapgen("publish", str(folder))
    return f"{platform.address}/web/algorithms/{NAME}"


def write_algorithm(folder: Path, name: str, source: str) -> None:
    """An algorithm's project that needs nothing installed."""
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "__init__.py").write_text("")
    (folder / "src" / f"{name}.py").write_text(source)
    conf = {"username": "local", "algoname": name, "language": "python3"}
    (folder / "algorithmia.conf").write_text(json.dumps(conf))


def sign_in(page: Page, platform: Any) -> None:
    page.goto(platform.address)
    page.get_by_label("API key").fill(platform.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Algorithms")).to_be_visible()


def test_signing_in_and_out(
    page: Page,
    platform: Any,
    axe: Callable[[Page], None],
    fits: Callable[[Page], None],
    expected: Callable[[str], None],
) -> None:
    """The address leads to the form; a wrong key says so; signed out, one is asked again."""
    expected("401")
    page.goto(platform.address)
    expect(page.get_by_label("API key")).to_be_focused()
    axe(page)
    fits(page)
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("invalid API key")
    axe(page)
    sign_in(page, platform)
    assert page.context.cookies()[0]["httpOnly"]
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.goto(f"{platform.address}/web/find?name=a/b")
    assert "/web/sign-in" in page.url


def test_from_the_list_to_source_and_log(
    page: Page,
    platform: Any,
    shout: str,
    axe: Callable[[Page], None],
    fits: Callable[[Page], None],
    picture: Callable[..., Path],
) -> None:
    """By links only: list, algorithm, build with its log, coloured source with line numbers."""
    sign_in(page, platform)
    axe(page)
    fits(page)
    page.get_by_role("link", name="Shout").click()
    expect(page.get_by_role("heading", name="Shout")).to_be_visible()
    expect(page.get_by_text("Says it louder.")).to_be_visible()
    axe(page)
    fits(page)
    picture("algorithm")
    page.get_by_role("region", name="Builds").get_by_role("link").first.click()
    expect(page.get_by_role("log")).to_contain_text("build succeeded")
    axe(page)
    fits(page)
    page.get_by_text(re.compile("^[0-9a-f]{40}$")).click()
    page.get_by_role("link", name="src/Shout.py").click()
    expect(page.locator("#L-10")).to_contain_text("def apply(value):")
    assert page.locator("#L-10 .k").inner_text() == "def"
    axe(page)
    fits(page)


def test_the_console(
    page: Page,
    platform: Any,
    shout: str,
    tmp_path: Path,
    axe: Callable[[Page], None],
    fits: Callable[[Page], None],
    picture: Callable[..., Path],
) -> None:
    """Text, JSON and a file are called; what failed says why; the programs follow the input."""
    sign_in(page, platform)
    page.goto(shout)
    page.get_by_role("link", name=re.compile(r"^Try ")).click()
    page.get_by_label("Text", exact=True).check()
    page.get_by_label("Input as JSON or text").fill('it\'s "me"')
    page.keyboard.press("Control+Enter")
    result = page.get_by_role("region", name="Result")
    expect(result).to_contain_text('"loud": "IT\'S \\"ME\\"!"')
    expect(result).to_contain_text("<script>alert(1)</script>")
    expect(result.get_by_role("region", name="Printed")).to_have_text("heard 9 characters\n")
    expect(page.get_by_label("Input as JSON or text")).to_have_value('it\'s "me"')
    page.get_by_text("curl", exact=True).click()
    expect(page.get_by_role("region", name="curl")).to_contain_text("--data-raw 'it'\"'\"'s \"me\"'")
    axe(page)
    fits(page)
    picture("result")
    page.get_by_label("JSON", exact=True).check()
    page.get_by_label("Input as JSON or text").fill("[]")
    page.get_by_role("button", name="Call").click()
    expect(result.get_by_role("alert")).to_contain_text("InputError: say something")
    expect(result.get_by_role("region", name="Traceback")).to_contain_text("Quiet")
    axe(page)
    (tmp_path / "some.bin").write_bytes(b"bytes")
    page.locator("#file").set_input_files(tmp_path / "some.bin")
    expect(page.get_by_label("File", exact=True).first).to_be_checked()
    page.get_by_role("button", name="Call").click()
    expect(result).to_contain_text("B'BYTES'!")


@pytest.mark.parametrize("page", ["desktop"], indirect=True)
def test_a_build_is_watched_to_its_end(
    page: Page, platform: Any, tmp_path: Path, axe: Callable[[Page], None]
) -> None:
    """While a build runs its page gains what the log gains, and becomes the finished one by itself."""
    folder, gate = tmp_path / "slow", tmp_path / "more.txt"
    write_algorithm(folder, "Slow", "def apply(value):\n    return value\n")
    (folder / "requirements.txt").write_text(f"-r {gate}\n")
    os.mkfifo(gate)  # the build waits where it reads the requirements until somebody writes

    def publish() -> None:
        try:
            platform.wrapgen("publish", str(folder))
        finally:
            os.close(os.open(gate, os.O_RDONLY | os.O_NONBLOCK))  # nobody waits for a build that failed

    sign_in(page, platform)
    publishing = threading.Thread(target=publish)
    publishing.start()
    with gate.open("w") as requirements:  # opens when the build does
        page.goto(f"{platform.address}/web/algorithms/local/Slow")
        page.get_by_role("region", name="Builds").get_by_role("link").first.click()
        expect(page.get_by_text("in-progress")).to_be_visible()
        expect(page.get_by_role("log")).to_contain_text("building")
        axe(page)
        requirements.write("\n")
    expect(page.get_by_text("succeeded", exact=True)).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("build succeeded")
    publishing.join(120)
    assert not publishing.is_alive()
