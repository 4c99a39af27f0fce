"""One way through everything, as a person goes it: sign in, publish, try, watch a run, browse its records."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

TARGET = '''"""Says how long a text is, once its gate is open."""

import pathlib
import time

GATE = pathlib.Path({gate!r})


def apply(value):
    while value == "wait" and not GATE.exists():
        time.sleep(0.05)
    return {{"length": len(value)}}
'''
SPEC = """
version: 1
target: {{source: ./length}}
wrapper: {{name: local/Lengths{who}, mode: both}}
datastore: {{url: "data://local/lengths{who}"}}
"""


@pytest.fixture
def who(request):
    """Keeps the two widths apart on the one platform."""
    return request.node.callspec.params["page"].title()


@pytest.fixture
def folder(tmp_path, who):
    """The source of a target, the spec of a wrapper around it, and an input."""
    project = tmp_path / "length"
    (project / "src").mkdir(parents=True)
    (project / "src" / "__init__.py").write_text("")
    (project / "src" / "Length.py").write_text(TARGET.format(gate=str(tmp_path / "gate")))
    conf = {"username": "local", "algoname": "Length", "language": "python3"}
    (project / "algorithmia.conf").write_text(json.dumps(conf))
    (tmp_path / "spec.yaml").write_text(SPEC.format(who=who))
    (tmp_path / "texts.jsonl").write_text("".join(f"{json.dumps(text)}\n" for text in ["wait", "a", "bb"]))
    return tmp_path


def test_from_signing_in_to_a_run(page, platform, folder, who, axe, fits, picture):
    """The page shows the build that a publish makes, a run's calls while they go, and then its records."""
    page.goto(platform.address)
    page.get_by_label("API key").fill(platform.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Algorithms")).to_be_visible()
    publish(page, platform, folder, who)
    page.get_by_role("link", name=re.compile("^Try ")).click()
    page.get_by_label("JSON", exact=True).check()
    page.get_by_label("Input as JSON or text").fill('["four"]')
    page.get_by_role("button", name="Call").click()
    expect(page.get_by_role("region", name="Result")).to_contain_text('"length": 4')
    watch(page, platform, folder, who, picture)
    axe(page)
    fits(page)
    browse(page, platform, who)
    axe(page)
    fits(page)


def publish(page, platform, folder: Path, who: str) -> None:
    """Builds and publishes the wrapper by the commands; the page lists what became of it."""
    built = [sys.executable, "-m", "wrapgen", "build", "spec.yaml", "--output", f"Lengths{who}"]
    subprocess.run(built, cwd=folder, check=True, capture_output=True, timeout=240)
    platform.wrapgen("publish", str(folder / f"Lengths{who}"))
    page.reload()
    page.get_by_role("link", name=re.compile(rf"Lengths{who}$")).first.click()
    expect(page.get_by_text("succeeded").first).to_be_visible()
    expect(page.get_by_role("link", name="0.1.0").first).to_be_visible()


def watch(page, platform, folder: Path, who: str, picture) -> None:
    """A run whose first item waits: its call is in progress on the page, and done once the gate is open."""
    flags = ["--address", platform.address, "--api-key", platform.key]
    command = ["run", f"local/Lengths{who}", "texts.jsonl", "-o", "lengths.jsonl", "--run", f"watched-{who}"]
    page.goto(f"{platform.address}/web/activity?run=watched-{who}")
    with subprocess.Popen(
        [sys.executable, "-m", "wrapgen", *command, *flags], cwd=folder, stderr=subprocess.DEVNULL
    ) as run:
        try:
            expect(page.get_by_text(re.compile(r"In progress: [1-9]"))).to_be_visible()
            expect(page.get_by_text("running").first).to_be_visible()
            picture("in-progress")
            (folder / "gate").touch()
            assert run.wait(timeout=120) == 0
        finally:
            run.kill()
    expect(page.get_by_text("No call is open.")).to_be_visible()
    expect(page.get_by_text("done").first).to_be_visible()


def browse(page, platform, who: str) -> None:
    """The run's records are a table among the account's data."""
    page.goto(f"{platform.address}/web/data/open?at=data://local/lengths{who}")
    page.get_by_role("link", name=re.compile(f"watched-{who}")).first.click()
    expect(page.get_by_role("cell", name=re.compile('"length":')).first).to_be_visible()
