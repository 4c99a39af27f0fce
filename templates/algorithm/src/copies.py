"""Further datastores: written with best effort after the one that counts, and reported in the summary."""

from typing import Any  # noqa: F401 - for the type comments

from .deadline import within
from .records import Refused, Unavailable


class Copies:
    """The datastore of one call, with copies. Whatever happens to a copy, the records are safe."""

    def __init__(self, datastore, copies, deadline, summary):
        # type: (Any, dict, Any, dict) -> None
        """``copies`` maps where each further datastore is to the datastore; ``summary`` gets the report."""
        self._datastore = datastore
        self._copies = copies
        self._reports = {url: {"url": url, "recorded": 0, "failed": 0, "error": None} for url in copies}
        self._deadline = deadline
        self._away = set()  # type: set
        summary["copies"] = list(self._reports.values())

    def write(self, records, piece):
        # type: (list, int) -> None
        """Store one piece. Raises ``Refused`` or ``Unavailable`` for the datastore itself only."""
        try:
            self._datastore.write(records, piece)
        except Refused as refused:
            if refused.records:  # all others are stored; otherwise parts of the piece are written again
                self._copy([record for record in records if record not in refused.records], piece)
            raise
        self._copy(records, piece)

    def _copy(self, records, piece):
        if not records:
            return
        for url, copy in self._copies.items():
            report = self._reports[url]
            failed = len(records)
            try:
                if url in self._away:
                    raise Unavailable(report["error"])
                # Half of the time, so that the time of the datastore itself can't run out over its copies.
                within(self._deadline.left_for_records() / 2, copy.write, records, piece)
                failed = 0
            except Exception as error:  # best effort: not even a driver's own fault may fail the call
                report["error"] = str(error) or type(error).__name__
                if isinstance(error, Refused):
                    failed = len(error.records) or failed
                else:
                    self._away.add(url)  # waiting for it once is enough in one call
            report["failed"] += failed
            report["recorded"] += len(records) - failed
