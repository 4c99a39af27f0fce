"""A run reconciled: its input, its outcomes, its output, its failed items and its records. Reads only."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from wrapgen.errors import RunError, WrapgenError
from wrapgen.run.bucket import Bucket, is_remote
from wrapgen.run.checks import Check, RecordComparison, Records
from wrapgen.run.history import Event, History, Kind, LedgerHistory
from wrapgen.run.input.items import Items
from wrapgen.run.ledger.folder import ERRORS, Folder
from wrapgen.run.ledger.ledger import digest_of
from wrapgen.run.ledger.replay import rebuild
from wrapgen.run.ledger.spool import EQUAL, Slots
from wrapgen.run.ledger.store import SPOOL
from wrapgen.run.output.comparison import Same, differences, same_but_input
from wrapgen.run.output.digests import ContentDigest
from wrapgen.run.output.layouts import LaidOut, Layout
from wrapgen.run.output.outcomes import outcomes, write_errors
from wrapgen.run.output.sink import sink_for
from wrapgen.run.scheduling.replies import Fate

OLD_DIGEST = 32
"""Hexadecimal digits of an output's digest as earlier versions noted it; now it is its SHA-256."""


class Verification:
    """A run's files, open for looking; a context manager.

    Args:
        folder: the run's.

    Raises:
        RunError: there is no ledger, or it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Folder(folder)
        self._stack = ExitStack()

    def __enter__(self) -> Verification:
        with self._stack as stack:
            name = stack.enter_context(TemporaryDirectory(prefix="wrapgen-verify-"))
            self._scratch = Path(name)
            self._slots = Slots(self._scratch / "slots", fresh=True)
            stack.callback(self._slots.close)
            self._damage = ""
            try:
                found = rebuild(self.folder, self._slots)
            except RunError as error:
                found = rebuild(self.folder, None)  # raises if the ledger is to blame
                self._damage = error.message
            if found is None:
                raise RunError(f"there is no run in {self.folder.path}")
            self.run_state = found
            self._damage = self._damage or found.damage
            self._spool = self.folder.open(SPOOL)
            stack.callback(self._spool.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def history(self) -> Check:
        """Whether what the ledger tells of sends and outcomes breaks a rule that holds for every run."""
        check, counts = Check("history"), self.run_state.counts
        if self._damage or not self.run_state.integrity.checked:
            return check.unknown(self._damage or "the ledger has no digests, as wrapgen 0.1.0 wrote it")
        indexes = max(self._slots.size, self.run_state.indexes)  # the last ones sent may have no outcome
        found = History(indexes, 0)
        rebuild(self.folder, None, LedgerHistory(found, self.folder.header() or {}).take)
        found.take(Event(Kind.END, counts={"succeeded": counts.succeeded, "failed": counts.failed}))
        check.detail = f"{found.checked[Kind.SEND]:,} sends, {found.checked[Kind.SETTLE]:,} settled"
        for violation in found.violations:
            check.fault(*violation.split(": ", 1))
        return check

    def input(self, items: Callable[[], Items]) -> Check:
        """Whether the input is still what the run began with."""
        check = Check("input")
        try:
            found = items()
            if found.fingerprint() != self.run_state.header["input"]["fingerprint"]:
                check.fault("altered", f"{found.name} has other content than when the run began")
        except WrapgenError as error:
            return check.unknown(error.message)
        check.detail = found.name
        return check

    def ledger(self) -> Check:
        """Whether the entries of the ledger, and the outcomes that they point at, match their digests."""
        check, known = Check("ledger"), self.run_state
        found = known.integrity
        check.detail = f"{found.checked:,} entries and their outcomes match their digests"
        if known.told:
            check.detail += f"; {known.told:,} were damaged before, and made up for"
        if self._damage:
            check.fault("damaged", f"{self._damage}: the same command sends their items again")
        elif found.unchecked or known.unchecked:
            return check.unknown(
                f"{found.unchecked:,} entries and the outcomes of {known.unchecked:,} calls have no digest, "
                "as wrapgen 0.1.0 wrote them"
            )
        return check

    def items(self) -> Check:
        """Whether every item has a final outcome, and the spool holds what the ledger points at."""
        check = Check("items")
        expected, counts = self.run_state.header["survey"]["items"], self.run_state.counts
        check.detail = f"{counts.succeeded:,} succeeded, {counts.failed:,} failed, of {expected:,}"
        if self._damage:
            check.fault("damaged", self._damage)
            return check
        for index, slot, line in outcomes(self._slots, self._spool):
            if slot.fate != Fate.AGAIN and not _reads(line, index):
                check.fault("damaged", f"the outcome of item {index:,} can't be read from the spool")
        if counts.finished != expected:
            missing = expected - counts.finished
            check.fault("missing", f"{missing:,} of {expected:,} items have no final outcome")
        return check

    def output(self, items: Callable[[], Items]) -> Check:
        """Whether the output is, byte for byte, what the outcomes make."""
        check = Check("output")
        wrote = self.run_state.output
        if wrote is None:
            return check.unknown("no output has been written yet")
        layout = Layout(**{"edition": 1, **wrote["layout"]})
        make = partial(self._write, layout, items)
        return self._compared(check, wrote["path"], make, wrote.get("h"))

    def _write(self, layout: Layout, items: Callable[[], Items], to: Path) -> None:
        sink_for(to, layout).write(LaidOut(layout, items(), self._slots, self._spool))

    def errors(self) -> Check:
        """Whether the file of failed items holds exactly those."""
        check = Check("errors")
        wrote = self.run_state.output
        if wrote is None:
            return check.unknown("no output has been written yet")
        name = str(wrote["path"]) + ERRORS
        path = self._here(name)
        if self._damage:
            return check.unknown(self._damage)
        if not self.run_state.counts.failed:
            check.detail = "no items failed"
            if path.exists():
                check.fault("doubled", f"{name} exists, but no item failed")
            return check
        run = self.run_state.header["run"]
        make = partial(write_errors, run=run, slots=self._slots, spool=self._spool)
        self._compared(check, name, make, same=same_but_input)
        if check.ok and path.read_bytes() != (self._scratch / path.name).read_bytes():
            check.detail += ", with inputs that were corrected and have not been run yet"
        return check

    def _compared(
        self,
        check: Check,
        name: str,
        make: Callable[[Path], object],
        expected: str | None = None,
        same: Same = operator.eq,
    ) -> Check:
        """The check of a file against what the outcomes make, or against the digest that is expected."""
        check.detail, path = name, self._here(name)
        if not path.exists():
            check.fault("missing", f"{name} is gone")
            return check
        if self._damage and expected:
            wrote = digest_of(path) if len(expected) == OLD_DIGEST else ContentDigest.of([path]).sha256
            if wrote != expected:
                check.fault("altered", f"{path.name} is not what was written")
            return check
        if self._damage:
            return check.unknown(self._damage)
        again = self._scratch / path.name
        try:
            make(again)
        except WrapgenError as error:
            return check.unknown(error.message)
        except (ValueError, LookupError) as error:
            return check.unknown(f"the outcomes can't be read from the spool: {error}")
        for kind, what in differences(path, again, same):
            check.fault(kind, what)
        return check

    def _here(self, name: str) -> Path:
        """A file of the run; of one in a bucket, a copy, if it is there.

        Raises:
            RunError: it can't be read.
        """
        if not is_remote(name):
            return Path(name)
        prefix, _, last = name.rpartition("/")
        folder = self._scratch / "there"
        folder.mkdir(exist_ok=True)
        try:
            Bucket(prefix).download(last, folder / last)
        except FileNotFoundError:
            (folder / last).unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"can't read {name}: {error.strerror or error}") from error
        return folder / last

    def records(self, opened: Callable[[str, str], AbstractContextManager[Records]]) -> Check:
        """Whether the datastore holds each key's outcome as the run has it.

        Args:
            opened: gives the records of a datastore's URL and a run.
        """
        check = Check("records")
        url = self.run_state.header["wrapper"]["datastore"]
        if not url:
            return check.unknown("the wrapper records nothing")
        if self._damage:
            return check.unknown(self._damage)
        try:
            with opened(url, self.run_state.header["run"]) as records:
                self._reconcile(check, records)
        except WrapgenError as error:
            return check.unknown(error.message)
        return check

    def _reconcile(self, check: Check, records: Records) -> None:
        run, wrapper = self.run_state.header["run"], self.run_state.header["wrapper"]
        unrecorded = partial(self._unrecorded, check)
        compared = RecordComparison(check, records, run, wrapper["target"], wrapper["spec"], unrecorded)
        # A call whose answer was lost may have recorded items that are still open here.
        header = self.run_state.header  # and other shards record under the same run
        unfinished = header["input"].get("rows", header["survey"]["items"]) - self.run_state.counts.finished
        for index, slot, line in outcomes(self._slots, self._spool):
            if slot.fate == Fate.AGAIN:
                continue
            if not _reads(line, index):  # which `items` tells
                unfinished += 1
                continue
            if slot.attempts == EQUAL:  # a lost call of its own may have recorded it, before
                compared.equal(json.loads(line)["id"])
            else:
                compared.compare(index, json.loads(line), slot.tries)
        held, seen = records.runs().get(run, 0), compared.seen
        check.detail = f"{held:,} keys of run {run}{compared.told()}"
        if self.run_state.header["input"].get("format") == "errors":
            check.detail += f", {held - seen:,} of items that this run did not reopen"
            return
        still_open = min(held - seen, unfinished)
        if held - seen > still_open:
            more = held - seen - still_open
            check.fault("doubled", f"{more:,} records of run {run} belong to none of its items")
        if still_open:
            check.detail += f", {still_open:,} of items without a final outcome"

    def _unrecorded(self, check: Check, index: int, item: str) -> str:
        """Why a failed item has no record; a fault where nothing says why it may have none."""
        if index in self.run_state.given_up:
            return "of items that the runner gave up are missing: no call could record them"
        if not self.run_state.integrity.unchecked:
            check.fault("missing", f"item {item} failed and has no record")
        return "of failed items are missing"


def _reads(line: bytes, index: int) -> bool:
    try:
        return bool(json.loads(line)["index"] == index)
    except (ValueError, LookupError, TypeError):
        return False
