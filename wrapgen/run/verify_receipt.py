"""A receipt checked against what it tells of: input, output and records. Needs nothing else of the run.

Memory is constant. What wrapgen wrote is decoded as JSON only where it is compared with a record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from wrapgen.errors import UsageError, WrapgenError
from wrapgen.run.checks import Check, RecordComparison, Records
from wrapgen.run.input.items import Items
from wrapgen.run.input.shards import Shard
from wrapgen.run.output.digests import ContentDigest
from wrapgen.run.output.sink import TABLES
from wrapgen.run.report.receipt import digest_of_receipt, read_receipt

_LINE = re.compile(rb'\{"index":(\d+),"id":"(?:[^"\\]|\\.)*","(result|error)":')
"""How a line of JSON Lines in the layout `keyed` starts."""

_CORRUPT = (LookupError, TypeError, ValueError, AttributeError)
"""What using a receipt ends with that somebody altered."""


class ReceiptVerification:
    """Checks a receipt.

    Args:
        path: of the receipt.
        output: where the output is now; None: beside the receipt, under its name.

    Raises:
        UsageError: it can't be read, or is no receipt.
    """

    def __init__(self, path: Path, output: Path | None = None) -> None:
        self.content = read_receipt(path)
        self._folder = path.parent
        self._moved = output
        try:
            self.run = str(self.content["run"])
            told = self.content["output"]
            self._output = output or (path.with_name(told["name"]) if told else None)
            self._keyed = bool(told) and told["layout"]["shape"] == "keyed" and not told["layout"]["pick"]
        except _CORRUPT as error:
            raise UsageError(f"{path} is a damaged receipt: {error!r}", hint="get it again") from error

    def checks(
        self,
        items: Callable[[], Items],
        opened: Callable[[str, str], AbstractContextManager[Records]],
        on_check: Callable[[str], None] = lambda _: None,
    ) -> list[Check]:
        """Every check.

        Args:
            items: gives the input.
            opened: gives the records of a datastore's URL and a run.
            on_check: told what is looked at next.
        """
        self._on_check = on_check
        return [
            self._made("receipt", self._receipt),
            self._made("input", self._input, items),
            self._made("output", self._written),
            self._made("items", self._items, items),
            self._made("errors", self._failed),
            self._made("records", self._records, opened),
        ]

    def _made(self, name: str, look: Callable[..., None], *arguments: Any) -> Check:
        check = Check(name)
        self._on_check(name)
        try:
            look(check, *arguments)
        except WrapgenError as error:
            return check.unknown(error.message)
        except OSError as error:
            return check.unknown(f"{error.filename}: {error.strerror}")
        except _CORRUPT as error:
            check.fault("altered", f"the receipt has no such content ({error!r})")
        return check

    def _receipt(self, check: Check) -> None:
        """Whether it is as it was written, and its sums agree."""
        told, items = self.content, self.content["items"]
        if told["digest"] != digest_of_receipt(told):
            check.fault("altered", "the receipt does not match its own digest")
        if items["items"] != items["succeeded"] + items["failed"] + items["open"]:
            check.fault("altered", "succeeded, failed and open are not all items")
        if sum(told["errors"].values()) > items["failed"]:
            check.fault("altered", "the errors by type are more than the failed items")
        if items["open"]:
            check.fault("missing", f"{items['open']:,} of {items['items']:,} items have no final outcome")
        check.detail = f"run {told['run']} of {told['ended_at']}, {told['state']}"

    def _input(self, check: Check, items: Callable[[], Items]) -> None:
        told = self.content["input"]
        if "sha256" not in told:
            check.unknown("the input was in no file")
            return
        paths = items().paths
        check.detail = ", ".join(map(str, paths[:3])) + (f" and {len(paths) - 3:,} more" * (len(paths) > 3))
        self._same(check, told, paths)

    def _written(self, check: Check) -> None:
        if self._output is None:
            check.unknown("no output was written")
            return
        check.detail = str(self._output)
        self._same(check, self.content["output"], [self._output])

    def _failed(self, check: Check) -> None:
        told = self.content["failed"]
        if told is None:
            check.detail = "no items failed"
            return
        beside = self._output or self._folder / told["name"]
        path = beside.with_name(told["name"])
        check.detail = str(path)
        self._same(check, told, [path])

    def _same(self, check: Check, told: dict[str, Any], paths: Any) -> None:
        missing = [path for path in paths if not path.exists()]
        for path in missing:
            check.fault("missing", f"there is no {path}")
        if not missing and (where := ContentDigest.from_json(told).first_difference(paths)):
            check.fault("altered", where)

    def _items(self, check: Check, items: Callable[[], Items]) -> None:
        """Whether each row of the input has its outcome, in order; counted from the files alone."""
        told = self.content["items"]
        if self._output is None or not self._output.exists():
            check.unknown("there is no output")
            return
        if not self._keyed or self._output.suffix.lower() in TABLES:
            check.unknown("outcomes are counted in JSON Lines of the layout keyed only")
            return
        found = {b"result": 0, b"error": 0}
        told_of, first = self.content["input"], 0
        reopened = told_of.get("format") == "errors"
        if told_of.get("shard"):
            first = Shard.parse(told_of["shard"]).rows(told_of["rows"]).start
        with self._output.open("rb") as file:
            for number, line in enumerate(file, start=first):
                match = _LINE.match(line)
                if match is None or (int(match[1]) != number and not reopened):
                    place = number - first + 1
                    check.fault("altered", f"line {place:,} is not the outcome of item {number:,}")
                    return
                found[match[2]] += 1
        for name, kind in (("succeeded", b"result"), ("failed", b"error")):
            if told[name] != found[kind]:
                check.fault("altered", f"{found[kind]:,} items {name}, the receipt says {told[name]:,}")
        rows = _rows(items())
        if rows != sum(found.values()):
            check.fault("missing", f"the input has {rows:,} rows, the output {sum(found.values()):,}")
        check.detail = f"{rows:,} rows, {found[b'result']:,} succeeded, {found[b'error']:,} failed"

    def _records(self, check: Check, opened: Callable[[str, str], AbstractContextManager[Records]]) -> None:
        told = self.content["records"]
        if not told:
            check.unknown("the wrapper records nothing")
        elif not self._keyed or self._output is None or not self._output.exists():
            check.unknown("there is no output of the layout keyed to compare them with")
        else:
            with opened(told[0]["datastore"], self.run) as records:
                self._compare(check, records)

    def _compare(self, check: Check, records: Records) -> None:
        left, told = int(self.content["unrecorded"]["items"]), self.content
        equal = int(told["items"]["equal"])
        target, spec = told["target"]["name"], told["wrapper"]["spec"]

        def unrecorded(index: int, item: str) -> str:
            nonlocal left
            left -= 1
            if left < 0:
                check.fault("missing", f"item {item} failed and has no record")
            del index
            return "of failed items are missing"

        assert self._output is not None
        compared = RecordComparison(check, records, self.run, target, spec, unrecorded)
        with self._output.open("rb") as file:
            for line in file:
                outcome = json.loads(line)
                if equal and records.get(self.run, outcome["id"]) is None:
                    equal -= 1
                    compared.equal(outcome["id"])
                else:
                    compared.compare(outcome["index"], outcome, None)
        held = records.runs().get(self.run, 0)
        check.detail = f"{held:,} keys of run {self.run}{compared.told()}"
        part = told["input"].get("format") == "errors" or told["input"].get("shard")
        if held > compared.seen and not part:
            more = held - compared.seen
            check.fault("doubled", f"{more:,} records of run {self.run} belong to none of its items")


def _rows(items: Items) -> int:
    sizes = items.sizes()
    return sum(1 for _ in (items.entries() if sizes is None else sizes))
