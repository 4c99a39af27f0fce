"""Further datastores: written with best effort after the one that counts, and reported in the summary."""

from __future__ import annotations

from typing import Any

from .engine import Deadline
from .protocol import Failure
from .records import Record, Refused
from .timeouts import call_with_timeout


class Copies:
    """A datastore with copies. Whatever happens to a copy, the records are safe."""

    def __init__(self, datastore: Any, copies: dict[str, Any]) -> None:
        """``copies`` maps where each further datastore is to the datastore."""
        self.datastore = datastore
        self.copies = copies

    def for_call(self, deadline: Deadline, counts: dict[str, Any]) -> CopiesOfCall:
        """The same for one call; its ``counts`` get the report."""
        return CopiesOfCall(self, deadline, counts)

    def __getattr__(self, name: str) -> Any:
        """What else the datastore that counts can do."""
        return getattr(self.datastore, name)


class CopiesOfCall:
    """Writes the records of one call."""

    def __init__(self, stores: Copies, deadline: Deadline, counts: dict[str, Any]) -> None:
        self._datastore = stores.datastore
        self._copies = stores.copies
        self._reports = {
            url: {"url": url, "recorded": 0, "failed": 0, "error": None} for url in stores.copies
        }
        self._deadline = deadline
        self._unavailable: set[str] = set()
        counts["copies"] = list(self._reports.values())

    def write(self, records: list[Record], part: int) -> None:
        """Store one part. Raises ``Refused`` or ``Failure`` for the datastore itself only."""
        try:
            self._datastore.write(records, part)
        except Refused as refused:
            if refused.records:  # all others are stored; otherwise halves of the part are written again
                self._copy([record for record in records if record not in refused.records], part)
            raise
        self._copy(records, part)

    def _copy(self, records: list[Record], part: int) -> None:
        for url, copy in self._copies.items() if records else ():
            report: dict[str, Any] = self._reports[url]
            failed = len(records)
            try:
                if url in self._unavailable:
                    raise Failure("DatastoreError", report["error"])
                # Half of the time, so that the time of the datastore itself can't run out over its copies.
                call_with_timeout(self._deadline.left_to_answer() / 2, copy.write, records, part)
                failed = 0
            except Exception as error:  # best effort: not even a driver's own fault may fail the call
                report["error"] = str(error) or type(error).__name__
                if isinstance(error, Refused):
                    failed = len(error.records) or failed
                else:
                    self._unavailable.add(url)  # waiting for it once is enough in one call
            report["failed"] += failed
            report["recorded"] += len(records) - failed
