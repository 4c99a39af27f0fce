"""`make screenshots`: takes the pictures of README.md and docs/ anew, from a real platform and a real run.

Each picture shows what the commands and pages say today; nothing is drawn. It needs Debian's Chromium. The
pictures are palette PNGs, and the terminal's an SVG, so that all of them stay small enough to be committed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SIZE = {"width": 1120, "height": 760}
SHARPNESS = 1.5
WRAPPER = "acme/SentimentBatch"
ITEMS = 1200
POISON_EVERY = 97
"""Every so many items is a number in place of a text, so that the report has failures to show."""


def main() -> None:
    """Takes every picture."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, platform(Path(folder)) as server:
        home = Path(folder)
        (home / "examples").symlink_to(ROOT / "examples")
        items(home / "tweets.jsonl")
        terminal(
            home,
            [
                "wrapgen check examples/sentiment/spec.yaml",
                "wrapgen build examples/sentiment/spec.yaml",
                "wrapgen publish generated/SentimentBatch",
                f"wrapgen plan {WRAPPER} tweets.jsonl",
                f"wrapgen run {WRAPPER} tweets.jsonl -o scores.jsonl --run night-1",
                "wrapgen show scores.jsonl",
                "wrapgen verify scores.jsonl",
            ],
        )
        with browser() as page:
            web(page, server)
            watched(page, server, home)
            page.goto((home / "scores.jsonl.report.html").as_uri())
            take(page, "report")


@contextlib.contextmanager
def platform(folder: Path) -> Iterator[dict[str, str]]:
    """A platform with the sample target on it; commands in the folder find it."""
    command = [sys.executable, "-m", "wrapgen", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            ready |= json.loads(Path(ready["credentials"]).read_text())
            said(
                folder, ["wrapgen", "publish", str(ROOT / "examples/sentiment/target"), "--release", "1.0.5"]
            )
            yield ready
        finally:
            server.terminate()


def items(path: Path) -> None:
    """Writes the input of the run: the sample texts, each a little different, and a few that are bad."""
    texts = [json.loads(line) for line in (ROOT / "examples/sentiment/texts.jsonl").read_text().splitlines()]
    with path.open("w") as file:
        for number in range(ITEMS):
            document = f"{texts[number % len(texts)]['document']} (#{number})"
            file.write(json.dumps({"document": document if (number + 1) % POISON_EVERY else number}) + "\n")


def said(folder: Path, words: list[str]) -> str:
    """What a command shows on a terminal."""
    environment = {
        **os.environ,
        "COLUMNS": "100",
        "TERM": "xterm-256color",
        "PYTHONPATH": str(ROOT),
    }
    terminal_end, command_end = pty.openpty()
    command = [sys.executable, "-m", *words]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=command_end, stderr=command_end):
        os.close(command_end)
        with os.fdopen(terminal_end, "rb", buffering=0) as stream:
            read = b"".join(body_parts(stream))
    return as_left(read.decode()).replace(f"{folder}/", "~/")


def body_parts(stream: io.RawIOBase) -> Iterator[bytes]:
    """What comes from a terminal until its last process has ended, which Linux says with an error."""
    with contextlib.suppress(OSError):
        while part := stream.read(65536):
            yield part


def as_left(stream: str) -> str:
    """What a terminal shows at the end: progress erases its lines and writes them again."""
    lines, at = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", stream):
        if part == "\n":
            at += 1
            lines += [""] * (at + 1 - len(lines))
        elif part.endswith("A") and part.startswith("\x1b"):
            at = max(0, at - int(part[2:-1] or 1))
        elif part == "\x1b[2K":
            lines[at] = ""
        elif part != "\r" and (part.endswith("m") or not part.startswith("\x1b")):
            lines[at] += part
    return "\n".join(lines)


def terminal(folder: Path, commands: list[str]) -> None:
    """docs/images/terminal.svg: a session of commands with what they said."""
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, highlight=False)
    for command in commands:
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        console.print(Text.from_ansi(said(folder, command.split()).strip()))
        console.print()
    svg = console.export_svg(title="wrapgen")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # fonts of another site
    svg = svg.replace("Fira Code", "ui-monospace, DejaVu Sans Mono")
    (IMAGES / "terminal.svg").write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE), "utf-8")


@contextlib.contextmanager
def browser() -> Iterator[Page]:
    """A page in the light scheme."""
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        context = chromium.new_context(
            viewport=SIZE, device_scale_factor=SHARPNESS, color_scheme="light", reduced_motion="reduce"
        )
        yield context.new_page()
        chromium.close()


def web(page: Page, server: dict[str, str]) -> None:
    """The pictures of the platform's web page, along the way that a person takes through it."""
    page.goto(server["web"])
    page.get_by_label("API key").fill(server["api_key"])
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Algorithms").wait_for()
    take(page, "web-algorithms")
    page.goto(f"{server['web']}algorithms/{WRAPPER}")
    take(page, "web-algorithm")
    page.get_by_role("link", name=re.compile(r"^Try ")).first.click()
    page.get_by_label("Input as JSON or text").fill(
        '[{"document": "I like wrappers."}, {"document": "Not so good."}]'
    )
    page.get_by_role("button", name="Call").click()
    page.get_by_role("region", name="Result").get_by_text("sentiment").first.wait_for()
    page.evaluate("scrollTo(0, 0)")
    take(page, "web-console")
    page.goto(f"{server['web']}charts")
    take(page, "web-charts")
    page.goto(f"{server['web']}data/open?at=data://acme/sentiment")
    page.get_by_role("link", name=re.compile("night-1")).first.click()
    take(page, "web-data")


def watched(page: Page, server: dict[str, str], home: Path) -> None:
    """The picture of what goes on while a run does."""
    words = ["run", WRAPPER, "tweets.jsonl", "-o", "again.jsonl", "--run", "night-2", "--chunk", "32"]
    with subprocess.Popen([sys.executable, "-m", "wrapgen", *words], cwd=home, stderr=subprocess.DEVNULL):
        page.goto(f"{server['web']}activity")
        page.get_by_text(re.compile(r"In progress: [2-9]")).wait_for()
        page.get_by_role("button", name="Pause").click()
        take(page, "web-activity")


def take(page: Page, name: str) -> None:
    """Writes what the window shows as a small PNG."""
    page.wait_for_load_state("load")
    shot = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
    palette = shot.convert("RGB").quantize(
        256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
    )
    palette.save(IMAGES / f"{name}.png", optimize=True)
    sys.stdout.write(f"docs/images/{name}.png\n")


if __name__ == "__main__":
    main()
