"""One call of the wrapper from its input to its answer: which part does what, and what is logged of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from . import VERSION, answer, protocol
from .engine import Deadline, Engine
from .items import Items
from .work import Hooks, Work

LOGGED = ("items", "succeeded", "failed", "untried", "throttled", "attempts", "unrecorded")


class Wrapper:
    """What all calls share: the settings, the user's hooks, and the opened target, files and datastore."""

    work: type[Work] = Work
    engine: type[Engine] = Engine
    deadline: type[Deadline] = Deadline
    recorder: Any = None
    redaction: Any = None
    record_id: Any = None
    already: Any = None

    def __init__(
        self, config: Any, hooks: ModuleType, target: Any, files: Any, datastore: Any = None, **parts: Any
    ) -> None:
        """``parts`` are what the spec asks for in place of the attributes above."""
        self.config = config
        self.hooks = hooks
        self.target = target
        self.files = files
        self.datastore = datastore
        vars(self).update(parts)
        self._bare_lists = config.MODE != "log" and config.TARGET["input"] == "item"

    def call(self, value: Any) -> Any:
        """Answer one item, a list of items, or an object with ``$batch``. Raises ``Failure``."""
        request: Any = protocol.Request(protocol.ITEM)  # until it is read
        items, summary = None, {}
        try:
            request = protocol.read(value, self._bare_lists)
            if request is None:
                return self._describe()
            if request.trial and self.datastore is not None:
                self.files.require_owner()
            deadline = self.deadline(request.timeout or self.config.LIMITS["timeout"])
            values = self.files.read(request.source, deadline) if request.source else request.values or []
            request.check_count(len(values))
            items, recorder = self._items(request, values, deadline)
            engine = self._engine(items, recorder, deadline)
            try:
                engine.run()
            finally:
                summary = answer.summary_of(items, engine, recorder)
            reply = answer.write(items, self.config.LIMITS, self.files, deadline, summary)
        except protocol.Failure as failure:
            self._log(request, items, summary, failure)
            raise
        self._log(request, items, summary)
        return reply

    def _items(self, request: protocol.Request, values: Any, deadline: Deadline) -> tuple[Items, Any]:
        """The items of a call, and what records them, if anything does."""
        config, recorder, items = self.config, None, Items(request, values)
        if self.datastore is not None:
            items = self.recorder.items(request, values, self.record_id)
            about = {"target": config.TARGET["reference"], "wrapper": f"{config.WRAPPER}@{config.SPEC[:19]}"}
            settings = {**config.RECORDS, **about, "redaction": self.redaction}
            recorder = self.recorder(self.datastore, settings, items, deadline)
        on_list = request.form == protocol.LIST and config.ON_ERROR == "raise"
        items.raises = request.form == protocol.ITEM or on_list or request.trial
        return items, recorder

    def _engine(self, items: Items, recorder: Any, deadline: Deadline) -> Engine:
        """What does the work of a call."""
        config, request = self.config, items.request
        todo: Any = items.once()
        if recorder and self.already and not request.trial:
            todo = self.already(items, self.datastore, recorder)
        sent = {"may_retry": request.try_number <= 1, "try": request.try_number, "rate": request.rate or {}}
        settings = {**config.TARGET, **config.LIMITS, **sent, "recorded": recorder is not None}
        work = self.work(self.target, settings, todo, Hooks(self.hooks, items), deadline)
        return self.engine(work, items, config.LIMITS["parallel"], recorder)

    def _log(self, request: Any, items: Items | None, summary: Any, failed: Any = None) -> None:
        """A line of JSON for failed items and calls, on standard output; never their data."""
        level, lines = self.config.LOG, []
        about = {"run": items.run if items else request.run, "try": request.try_number}
        for item, outcome, failure in items.failures() if items and level != "off" else ():
            if not failure.untried:
                facts = dict(about, log="item", id=item.id, index=item.index, error=failure.error_type)
                lines.append(dict(facts, attempts=outcome.attempts, ms=int(outcome.seconds * 1000)))
        went_wrong = failed or any(summary.get(key) for key in ("failed", "stopped", "unrecorded"))
        if level == "all" or (level == "errors" and went_wrong):
            counts = {key: summary[key] for key in LOGGED if key in summary}
            stopped = (summary.get("stopped") or {}).get("type")
            facts = dict(about, log="call", error=failed.error_type if failed else None, stopped=stopped)
            lines.append(dict(facts, **counts, ms=summary.get("duration_ms", 0)))
        with contextlib.suppress(OSError, ValueError):  # standard output is closed
            sys.stdout.write("".join(json.dumps(line) + "\n" for line in lines))
            sys.stdout.flush()

    def _describe(self) -> dict[str, Any]:
        """The answer to ``{"$batch": []}``: nothing was done, and this is who did it."""
        config, store = self.config, getattr(self.config, "DATASTORE", None)
        facts = {
            "protocol": protocol.PROTOCOL,
            "runtime": VERSION,
            "mode": config.MODE,
            "spec": config.SPEC,
            "digest": _digest(Path(__file__).resolve().parents[1]),
            "target": config.TARGET["reference"],
            "datastore": {"url": store["url"] or "$" + store["url_env"]} if store else None,
            "limits": dict(config.LIMITS, batch_size=config.TARGET["batch_size"]),
            **getattr(config, "RATES", {}),
        }
        names = ["items", "succeeded", "failed", "untried", "calls", "throttled", "duration_ms"]
        counts = dict.fromkeys(names + ["recorded"] * bool(store), 0)
        return {"$results": [], "$summary": dict(counts, stopped=None, wrapper=facts)}


def _digest(folder: Path) -> str:
    """SHA-256 of the wrapper's own source, name by name: what was built, with what was edited since."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        found.update(path.relative_to(folder).as_posix().encode("utf-8") + b"\0" + path.read_bytes() + b"\0")
    return "sha256:" + found.hexdigest()
