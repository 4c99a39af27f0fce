"""What was measured so far, on disk after each measurement: an interrupted bench goes on where it was."""

from __future__ import annotations

import json
from copy import copy
from pathlib import Path
from typing import Any


class Store:
    """A JSON file of two levels below `parts`: part, then the name of a measurement.

    What an older commit takes in the same rounds is below `against`, in the same form.

    Args:
        path: the file; made with the first measurement.
        fresh: forget what is in it.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self._path, self._below = path, "parts"
        self.data: dict[str, Any] = {"about": {}, "parts": {}}
        if path.exists() and not fresh:
            self.data = json.loads(path.read_text("utf-8"))

    def against(self) -> Store:
        """The same file, where measurements go below `against`."""
        beside = copy(self)
        beside._below = "against"
        self.data.setdefault("against", {})
        return beside

    def about(self, **facts: Any) -> None:
        """Notes facts on the whole."""
        self.data["about"].update(facts)
        self._write()

    def has(self, part: str, name: str) -> bool:
        """Whether that was measured."""
        return name in self.data[self._below].get(part, {})

    def get(self, part: str, name: str) -> Any:
        """A measurement; None if there is none."""
        return self.data[self._below].get(part, {}).get(name)

    def put(self, part: str, name: str, value: Any) -> None:
        """Notes a measurement at once."""
        self.data[self._below].setdefault(part, {})[name] = value
        self._write()

    def fail(self, part: str, why: str) -> None:
        """Notes that a part was not measured to its end."""
        self.about(failed={**self.data["about"].get("failed", {}), part: why})

    def failed(self, part: str) -> str:
        """Why a part was not measured to its end; empty when it was."""
        return str(self.data["about"].get("failed", {}).get(part, ""))

    def retry(self, part: str) -> None:
        """Forgets what failed in a part, so that it is measured again."""
        self.data["about"].get("failed", {}).pop(part, None)
        for below in ("parts", "against"):
            if part in self.data.get(below, {}):
                self.data[below][part] = _without_failures(self.data[below][part])
        self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".part")
        beside.write_text(json.dumps(self.data, indent=1, ensure_ascii=False) + "\n", "utf-8")
        beside.replace(self._path)


def _without_failures(notes: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_failures(note) if isinstance(note, dict) else note
        for name, note in notes.items()
        if not (isinstance(note, dict) and note.get("failed"))
    }
