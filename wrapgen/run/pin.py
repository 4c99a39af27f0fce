"""The version of a target that a run began with, by what answers report, and refusing any other."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from wrapgen.run.scheduling.replies import LossKind, Lost


class VersionPin:
    """Keeps the first version that an answer reported, over all sessions of a run. Safe in several threads.

    Attributes:
        version: that one; None until an answer reports any.
    """

    def __init__(self) -> None:
        self.version: str | None = None
        self._lock = threading.Lock()

    def note(self, entry: Mapping[str, Any]) -> None:
        """Takes an entry of the ledger of an earlier session."""
        self.refusal(entry.get("target") or {})

    def refusal(self, told: Mapping[str, Any]) -> Lost | None:
        """Why the outcomes of an answer are refused, by its `$summary`; None where they are not."""
        versions = told.get("versions")
        with self._lock:
            for version in versions if isinstance(versions, dict) else ():
                self.version = self.version or version
                if version != self.version:
                    said = f"the target reports version {version}, and this run began with {self.version}"
                    return Lost(LossKind.STOPPED, "VersionChanged", said)
        return None
