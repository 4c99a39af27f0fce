"""A real Chromium, driven by Playwright, for the tests of everything that people look at.

Fixtures:

`page`
    A Playwright page in a context of its own, once at desktop width (1280 x 800) and once as a phone (390 x
    844, touch). At the test's end it fails on any error in the console, any exception in the page, and any
    request that left the origin of the first page visited. A picture of where the test ended is written.
`expected(pattern)`
    Says that complaints matching this regular expression are no fault: a refused sign-in logs its 401.
`axe(page)`
    Runs axe-core in the light and in the dark scheme and asserts that nothing serious or critical is found.
    It works under the strictest content security policy, since the driver injects it.
`fits(page)`
    Asserts that nothing is wider than the window, so that nobody scrolls sideways.
`picture(name)`
    Writes a further picture of the page as it is now. All land in `build/screenshots/`, named after the test.
`platform`
    A real `wrapgen serve` on a free port, one per test process: its `address`, `key`, `home`, and
    `wrapgen(*arguments)`, which runs the command against it. Other tests leave things: assert on your own.
`browser`
    The browser of this file's tests, for a test that needs a context with other options.

The browser is started once a file (under two seconds), not once a process: Playwright keeps an event loop in
its thread while it is up, and later tests of the same process may want theirs. It is Debian's: nothing is
downloaded. Where there is none, these tests are skipped and say what is missing.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe_playwright_python  # type: ignore[import-untyped]
import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "screenshots"
PROGRAMS = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Without the last three the browser asks its maker for updates, which a closed network refuses."""
SCREENS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
PATIENCE_MS = 90_000
AXE_RUN = "axe.run({resultTypes: ['violations'], preload: false}).then(found => found.violations)"
"""Without preloading, in which axe fetches the page's style sheets again and a page from a disk may not."""
expect.set_options(timeout=PATIENCE_MS)  # of its own it gives a condition five seconds
GRAVE = ("serious", "critical")


@dataclass
class Watch:
    """What a page complained of, and which complaints are expected."""

    origin: str = ""
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def attach(self, page: Page) -> None:
        """Listens to everything that this page and its frames do."""
        page.on("console", lambda said: self.complain("console", said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complain("exception", str(error)))
        page.on("request", lambda request: self.leave(request.url))

    def complain(self, kind: str, text: str) -> None:
        self.complaints.append(f"{kind}: {text}")

    def leave(self, url: str) -> None:
        """Takes the first origin for the tested one; any other is a complaint."""
        parts = urlsplit(url)
        if parts.scheme in ("data", "blob", "about"):
            return
        origin = f"{parts.scheme}://{parts.netloc}"
        self.origin = self.origin or origin
        if origin != self.origin:
            self.complain("request", f"{url} is not of {self.origin}")

    def unexpected(self) -> list[str]:
        return [
            text for text in self.complaints if not any(re.search(known, text) for known in self.expected)
        ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, started once for the tests of a file."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium; as root: apt-get install chromium")
    with sync_playwright() as driver:
        try:
            started = driver.chromium.launch(executable_path=program, args=OPTIONS, timeout=PATIENCE_MS)
        except Error as error:
            pytest.skip(f"{program} does not start here: {error.message.splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture
def watch() -> Watch:
    """What the pages of this test complained of."""
    return Watch()


@pytest.fixture
def expected(watch: Watch) -> Callable[[str], None]:
    """Lets complaints pass that match a regular expression."""
    return watch.expected.append


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Writes a picture of a page, named after the test."""
    folder = PICTURES / Path(request.node.path).stem.removeprefix("test_")
    test = re.sub(r"[^\w]+", "-", request.node.name.removeprefix("test_")).strip("-")

    def take(name: str = "", of: Page | None = None) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{test}{'-' if name else ''}{name}.png"
        shown = of or request.getfixturevalue("page")
        shown.screenshot(path=path, full_page=True, animations="disabled", timeout=PATIENCE_MS)
        return path

    return take


@pytest.fixture(params=SCREENS)
def page(
    request: pytest.FixtureRequest, browser: Browser, watch: Watch, picture: Callable[..., Path]
) -> Iterator[Page]:
    """A page at desktop and at phone width that must not complain."""
    context = browser.new_context(**SCREENS[request.param])
    context.set_default_timeout(PATIENCE_MS)
    context.on("page", watch.attach)
    opened = context.new_page()
    yield opened
    picture(of=opened)
    context.close()
    assert not watch.unexpected(), "\n".join(watch.unexpected())


@pytest.fixture(scope="session")
def axe_source() -> str:
    """The text of axe-core, which a package from PyPI carries."""
    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")


@pytest.fixture
def axe(axe_source: str) -> Callable[[Page], None]:
    """Asserts that axe-core finds nothing serious, in the light scheme and in the dark one."""

    def check(page: Page) -> None:
        page.evaluate(axe_source)
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = page.evaluate(AXE_RUN)
            grave = [violation for violation in found if violation["impact"] in GRAVE]
            assert not grave, f"{page.url}, {scheme}:\n" + "\n".join(map(told, grave))
        page.emulate_media(color_scheme="light", reduced_motion="no-preference")

    return check


def told(violation: dict[str, object]) -> str:
    """One violation: the rule, and each element that breaks it."""
    nodes = violation["nodes"]
    assert isinstance(nodes, list)
    lines = [f"  {node['target']}: {node['failureSummary']}\n    {node['html']}" for node in nodes]
    return "\n".join([f"{violation['impact']} {violation['id']}: {violation['help']}", *lines])


@pytest.fixture
def fits() -> Callable[[Page], None]:
    """Asserts that a page is no wider than its window."""

    def check(page: Page) -> None:
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert page.viewport_size and wide <= page.viewport_size["width"], f"{page.url} is {wide} px wide"

    return check


@dataclass
class Platform:
    """A running `wrapgen serve`."""

    address: str
    account: str
    key: str
    home: Path

    def wrapgen(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs a command against this platform; fails with what it said."""
        flags = ("--address", self.address, "--api-key", self.key)
        command = [sys.executable, "-m", "wrapgen", *arguments, *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, **options)  # type: ignore[call-overload]
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of this process's browser tests."""
    home = tmp_path_factory.mktemp("platform")
    command = [
        sys.executable,
        "-m",
        "wrapgen",
        "serve",
        "--home",
        str(home),
        "--port",
        "0",
        "--json",
        "--allow-root-workers",
        *("--isolation", "none"),  # the algorithms wait for files that the tests write
    ]
    with (home / "serve.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    assert server.stdout is not None
    line = server.stdout.readline()
    assert line, (home / "serve.log").read_text("utf-8")
    facts = json.loads(line)
    facts |= json.loads(Path(facts["credentials"]).read_text())
    yield Platform(facts["address"], facts["account"], facts["api_key"], home)
    server.terminate()
    server.wait(timeout=60)
    server.stdout.close()
