"""The web page in a real browser: data browsed, taken in and given out; calls watched while a run goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parents[2]
ITEMS = 60

expect.set_options(timeout=90_000)


def wrapgen(platform: Any, *words: str) -> str:
    """What a command says on the platform's own home, which may make organizations."""
    command = [sys.executable, "-m", "wrapgen", *words, "--home", str(platform.home)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=clean, cwd=ROOT)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wrapper(platform: Any) -> str:
    """The reference of the example's wrapper, hosted with its target."""
    wrapgen(platform, "publish", "examples/sentiment/target", "--release", "1.0.5")
    told = json.loads(wrapgen(platform, "publish", "generated/SentimentBatch", "--json"))
    return str(told["reference"])


@pytest.fixture
def signed_in(page: Page, platform: Any) -> Page:
    """The page, signed in."""
    page.goto(platform.address)
    page.get_by_label("API key").fill(platform.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Algorithms")).to_be_visible()
    return page


def test_data_comes_in_is_looked_at_and_goes_out(
    signed_in: Page,
    tmp_path: Path,
    axe: Callable[[Page], None],
    fits: Callable[[Page], None],
    picture: Callable[..., Path],
) -> None:
    """By links and forms only: a new collection, two files, a table, the same bytes back, and all deleted."""
    page, name = signed_in, f"shown {tmp_path.parent.name}-{tmp_path.name}"[:90]
    lines = [{"id": at, "text": f"<b>tweet</b> {at}", "scores": {"good": 0.5}} for at in range(150)]
    table, odd = tmp_path / "table.jsonl", tmp_path / 'it\'s "odd" & <b>.txt'
    table.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    odd.write_text("Grüße", "utf-8")
    page.get_by_role("link", name="Data", exact=True).click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Private: nobody else reads it").check()
    axe(page)
    fits(page)
    picture("overview")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("No file yet.")).to_be_visible()
    page.get_by_label("Files", exact=True).set_input_files([table, odd])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("status")).to_have_text("2 files are stored.")
    expect(page.get_by_role("link", name=odd.name, exact=True)).to_be_visible()
    axe(page)
    fits(page)
    picture("collection")
    page.get_by_role("link", name="table.jsonl", exact=True).click()
    preview = page.get_by_role("region", name="Preview")
    expect(preview.get_by_role("row")).to_have_count(101)
    expect(preview.get_by_role("cell", name='{"good":0.5}').first).to_be_visible()
    axe(page)
    fits(page)
    picture("preview")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download").click()
    assert waiting.value.suggested_filename == "table.jsonl"
    assert waiting.value.path().read_bytes() == table.read_bytes()
    page.get_by_role("link", name=f"data://local/{name}").click()
    page.get_by_label("Public: everyone with a key").check()
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_label("Public: everyone with a key")).to_be_checked()
    page.get_by_role("link", name="Delete the collection").click()
    expect(page.get_by_text("its 2 files are gone for good then")).to_be_visible()
    fits(page)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Data")).to_be_visible()
    assert not page.get_by_role("link", name=name, exact=True).count()


def test_a_run_is_watched(
    signed_in: Page,
    platform: Any,
    wrapper: str,
    tmp_path: Path,
    axe: Callable[[Page], None],
    fits: Callable[[Page], None],
    picture: Callable[..., Path],
) -> None:
    """A run appears by itself on a page that was open before it began; so do its numbers in the charts."""
    page = signed_in
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_text("Live.")).to_be_visible()
    page.evaluate("window.sameAsBefore = true")
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"document": f"lovely {at}"}) + "\n" for at in range(ITEMS)), "utf-8")
    told = json.loads(
        wrapgen(platform, "run", wrapper, str(items), "-o", str(tmp_path / "out.jsonl"), "--json")
    )
    run = page.get_by_role("region", name="Runs").get_by_role("row").filter(has_text=told["run"])
    expect(run.get_by_role("cell").nth(3)).to_have_text(str(ITEMS))
    assert page.evaluate("window.sameAsBefore")
    axe(page)
    fits(page)
    picture("activity")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused.")).to_be_visible()
    run.get_by_role("link").click()
    page.get_by_role("region", name="Recent calls").get_by_role("row").nth(1).get_by_role("link").last.click()
    expect(page.get_by_role("heading", name=wrapper)).to_be_visible()
    expect(page.get_by_role("region", name="Calls below this one")).to_be_visible()
    fits(page)
    picture("call")
    page.get_by_role("link", name="Charts").click()
    expect(page.get_by_role("img", name="Calls per minute")).to_be_visible()
    expect(page.get_by_role("region", name="By version")).to_contain_text(wrapper)
    axe(page)
    fits(page)
    picture("charts")
    page.get_by_role("link", name="Workers").click()
    expect(page.get_by_role("region", name=f"Workers of {wrapper}")).to_be_visible()
    axe(page)
    fits(page)
