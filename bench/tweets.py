"""The input: 4,200 tweets that people rated, repeated to as many items as are asked for."""

from __future__ import annotations

import json
import sys
from itertools import cycle, islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "examples" / "sentiment"))

SAMPLE = "I love this film, but the ending was a little disappointing!"


def write(path: Path, items: int) -> Path:
    """A file of JSON Lines, `{"document": text}`, of so many items."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        with beside.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"document": text}) + "\n" for text in islice(cycle(texts()), items))
        beside.replace(path)
    return path


def texts() -> list[str]:
    """The tweets; fetched once, with pip."""
    from ratings import read

    return [each.text for each in read()]
