"""What README.md and docs/ print: their fenced blocks, and the steps that running a page's blocks takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<language>\w*)[ ]*(?P<note>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (?P<path>[\w./-]+\.(?:py|yaml))\n")
"""The first line of a block that is a file's text."""
HIDDEN = re.compile(r"^<!-- hidden: (?P<command>.*?) -->$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, what follows it on the fence's line, and its text."""

    language: str
    note: str
    body: str


@dataclass(frozen=True)
class Step:
    """A `shell` or `python` script, a `serve` or `uvicorn` line, which stays up, or a file to `save`."""

    kind: str
    script: str
    path: str = ""


def name(page: Path) -> str:
    """A page's name in a test's id."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in its order, but for those that include a file."""
    found = FENCE.finditer(page.read_text("utf-8"))
    every = [Block(match["language"], match["note"].strip(), match["body"]) for match in found]
    return [block for block in every if not block.note.startswith("{include}")]


def steps(page: Path) -> list[Step]:
    """What to do for a page, in its order; neighbouring scripts of a kind are one step."""
    merged: list[Step] = []
    for step in _single_steps(page.read_text("utf-8")):
        if merged and merged[-1].kind == step.kind in ("shell", "python"):
            merged[-1] = Step(step.kind, f"{merged[-1].script}\n{step.script}")
        else:
            merged.append(step)
    return merged


def _single_steps(text: str) -> Iterator[Step]:
    found = [(match.start(), "sh", match["command"]) for match in HIDDEN.finditer(text)]
    found += [
        (match.start(), match["language"], match["body"])
        for match in FENCE.finditer(text)
        if match["language"] in ("sh", "python", "yaml") and not match["note"].strip()
    ]
    for _, language, body in sorted(found):
        file = FILE.match(body)
        if file:
            yield Step("save", body, file["path"])
        elif language == "python":
            yield Step("python", body)
        elif language == "sh":
            yield from map(_line, filter(_runs, body.replace("\\\n", " ").splitlines()))


def _runs(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


def _line(line: str) -> Step:
    if " uvicorn serve:app" in line:
        return Step("uvicorn", line)
    return Step("serve" if line.startswith("wrapgen serve") else "shell", line)
