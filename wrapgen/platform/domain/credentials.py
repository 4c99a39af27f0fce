"""The home's `credentials.json`: how commands on this machine find the platform and its first key.

Mode 0600, replaced as a whole, so that a reader never sees half of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wrapgen.files import PRIVATE, whole

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
    with whole(home / NAME, PRIVATE) as file:
        file.write(json.dumps(merged, indent=2).encode() + b"\n")


def announce(home: Path, *, address: str, pid: int) -> None:
    """Says where the platform of this home is served."""
    write_credentials(home, {"address": address, "pid": pid})
