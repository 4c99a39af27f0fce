"""What stands in for the network: a target, a datastore and files in memory; and the wrapper itself.

The settings are those of ``src/config.py``, so that the tests try what this wrapper really does.
"""

from __future__ import annotations

import copy
import importlib
import io
import json
import os
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Callable, ContextManager, Iterable
from unittest import mock

from src import config, hooks
from src.runtime import protocol

FOLDER = Path(__file__).resolve().parent.parent
NAME = json.loads((FOLDER / "algorithmia.conf").read_text())["algoname"]
wrapper = importlib.import_module("src." + NAME)

RECORDS: dict[str, Any] = getattr(config, "RECORDS", {})


class Target:
    """Answers ``{"echo": item}``, alone or in a list as the target does, or what ``result`` makes of it."""

    def __init__(self, result: Callable[[Any], Any] | None = None) -> None:
        self.result = result or self.echo
        self.got: list[Any] = []

    def call(self, item: Any, seconds: float) -> Any:
        """One call for an item; ``seconds`` is the time it is given."""
        assert 0 < seconds <= config.LIMITS["item_timeout"]
        self.got.append(copy.deepcopy(item.value))
        result = self.result(item.value)
        return [result] if config.TARGET["result"] == "first" else result

    def call_list(self, items: list[Any], seconds: float) -> list[Any]:
        """One call for a list of items."""
        assert 0 < seconds <= config.LIMITS["item_timeout"]
        most: Any = config.TARGET["batch_size"]
        assert 0 < len(items) <= most
        values = [item.value for item in items]
        self.got.extend(copy.deepcopy(values))
        return [self.result(value) for value in values]

    @staticmethod
    def echo(item: Any) -> Any:
        """The result for one item."""
        if item == "broken":
            raise protocol.Failure("InputError", "not this one", effect=protocol.ATTEMPT)
        if item == "denied":
            raise protocol.Failure("AuthenticationError", "not you", True, protocol.STOP)
        return {"echo": item}


class Datastore:
    """Keeps the records it is given, and tells results that are recorded; ``error`` is raised instead."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def write(self, records: list[Any], part: int) -> None:
        """Store one part."""
        assert part > 0
        if self.error is not None:
            raise self.error
        self.records.extend(json.loads(record.line) for record in records)

    def results(self, run: str | None, ids: list[str]) -> dict[str, str]:
        """Recorded results as JSON, by id."""
        known = [record for record in self.records if record["id"] in ids and "result" in record]
        return {record["id"]: json.dumps(record["result"]) for record in known if record["run"] == run}


class Files:
    """Items and results in memory, by URL."""

    def __init__(self) -> None:
        self.content: dict[str, list[Any]] = {}

    def read(self, url: str, deadline: Any) -> list[Any]:
        """The items at a URL."""
        assert deadline.left() > 0
        return self.content[url]

    def write(self, url: str | None, lines: Iterable[str], deadline: Any) -> str:
        """Store results."""
        assert deadline.left_to_answer() > 0
        url = url or "data://.algo/temp/results.jsonl"
        self.content[url] = [json.loads(line) for line in lines]
        return url


class WrapperTest(unittest.TestCase):
    """A wrapper put together from stand-ins; a test says if it wants the user's hooks and items' own ids."""

    with_hooks = with_ids = False

    def setUp(self) -> None:
        self.target, self.datastore, self.files = Target(), Datastore(), Files()
        if RECORDS.get("id_key_env"):
            self.enter(mock.patch.dict(os.environ, {RECORDS["id_key_env"]: "a secret for tests"}))
        for name in () if self.with_hooks else ("before", "after", "error"):
            if hasattr(hooks, name):
                self.enter(mock.patch.object(hooks, name, None))
        self.state = wrapper.assemble(self.target, self.files, *([self.datastore] if RECORDS else []))
        if not self.with_ids:
            self.state.record_id = None

    def enter(self, context: ContextManager[Any]) -> None:
        """As ``enterContext`` of Python 3.11."""
        context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def call(self, value: Any) -> Any:
        """The answer, as it goes over the wire."""
        with redirect_stdout(io.StringIO()):
            return json.loads(json.dumps(wrapper.apply(value, self.state)))

    def record(self, item: Any, **instructions: Any) -> dict[str, Any]:
        """The one record of a batch of one item."""
        self.datastore.records.clear()
        self.call({"$batch": [item], **instructions})
        (record,) = self.datastore.records
        return record


def place(path: list[Any], value: Any) -> Any:
    """The smallest item with a value at a path of keys and places; None stands for every element."""
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [*[None] * (step or 0), value]
    return value
