"""The home's `credentials.json`: how commands on this machine find the platform and its first key.

Mode 0600, replaced as a whole, so that a reader never sees half of it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

NAME = "credentials.json"
"""The file's name inside the home."""


def read_credentials(home: Path) -> dict[str, Any]:
    """What the file says; empty when there is none."""
    try:
        found = json.loads((home / NAME).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def write_credentials(home: Path, facts: dict[str, Any]) -> None:
    """Adds facts to the file, keeping the others.

    Args:
        home: the platform's folder.
        facts: `account`, `api_key`, `admin_key`; `address` and `pid` while a server runs.
    """
    merged = {**read_credentials(home), **facts}
    part = home / f".{NAME}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(merged, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(home / NAME)


def announce(home: Path, *, address: str, pid: int) -> None:
    """Says where the platform of this home is served."""
    write_credentials(home, {"address": address, "pid": pid})
