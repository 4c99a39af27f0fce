"""One call of the wrapper from its input to its answer: which part does what, and what is logged of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from . import VERSION, protocol
from .answer import Answer
from .engine import Deadline, Engine
from .files import Files
from .items import Items
from .protocol import Failure
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
        self, config: Any, hooks: ModuleType, target: Any, files: Files, datastore: Any = None, **parts: Any
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
        request = protocol.read(value, self._bare_lists)
        if request is None:
            return self._describe()
        if request.trial and self.datastore is not None:
            self.files.require_owner()
        deadline = self.deadline(request.timeout or self.config.LIMITS["timeout"])
        values = self.files.read(request.source, deadline) if request.source else request.values or []
        request.check_count(len(values))
        answer, engine, recorder = self._parts(request, values, deadline)
        try:
            try:
                engine.run()
            finally:
                if recorder:
                    recorder.finish(answer.put)
            failure = answer.first_failure() if answer.raises else None
        except Failure as error:
            failure = error
        summary, reply = _summary(answer, engine, recorder), None
        if failure is None:
            try:
                reply = answer.write(self.files.write, deadline, summary)
            except Failure as error:
                failure = error
        self._log(answer, summary, failure)
        if failure is not None:
            raise failure
        return reply

    def _parts(
        self, request: protocol.Request, values: Any, deadline: Deadline
    ) -> tuple[Answer, Engine, Any]:
        """What keeps the outcomes of one call, what does its work, and what records it, if anything does."""
        config, recorder, items = self.config, None, Items(request, values)
        if self.datastore is not None:
            items = self.recorder.items(request, values, self.record_id)
            wrapper = f"{config.WRAPPER}@{config.SPEC[:19]}"
            settings = dict(config.RECORDS, target=config.TARGET["reference"], wrapper=wrapper)
            settings["redaction"] = self.redaction
            recorder = self.recorder(self.datastore, settings, items, deadline)
        on_list = request.form == protocol.LIST and config.ON_ERROR == "raise"
        raises = request.form == protocol.ITEM or on_list or request.trial
        answer = Answer(items, config.LIMITS["response_bytes"], raises)
        todo: Any = items
        if recorder and self.already and not request.trial:
            todo = self.already(items, self.datastore, recorder, answer.put)
        sent = {"may_retry": request.try_number <= 1, "try": request.try_number, "rate": request.rate or {}}
        settings = {**config.TARGET, **config.LIMITS, **sent, "recorded": recorder is not None}
        work = self.work(self.target, settings, todo, Hooks(self.hooks, items), deadline)
        return answer, self.engine(work, answer, config.LIMITS["parallel"], recorder), recorder

    def _log(self, answer: Answer, summary: dict[str, Any], failure: Failure | None) -> None:
        """A line of JSON for failed items and calls, on standard output; never their data."""
        items, level = answer.items, self.config.LOG
        about, lines = {"run": items.run, "try": items.request.try_number}, []
        for item, outcome, one in answer.failures() if level != "off" else ():
            if not one.untried:
                facts = dict(about, log="item", id=item.id, index=item.index, error=one.error_type)
                lines.append(dict(facts, attempts=outcome.attempts, ms=int(outcome.seconds * 1000)))
        failed = failure or any(summary.get(key) for key in ("failed", "stopped", "unrecorded"))
        if level == "all" or (level == "errors" and failed):
            stopped = summary["stopped"] and summary["stopped"]["type"]
            counts = {key: summary[key] for key in LOGGED if key in summary}
            error = failure.error_type if failure else None
            ms = summary["duration_ms"]
            lines.append(dict(about, log="call", error=error, stopped=stopped, **counts, ms=ms))
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


def _summary(answer: Answer, engine: Engine, recorder: Any) -> dict[str, Any]:
    """The ``$summary`` of a call."""
    work, stopped = engine.work, engine.stopped
    durations = sorted(work.durations) or [0.0]
    return {
        **answer.summary(),
        "calls": work.count,
        "throttled": work.throttled,
        "stopped": stopped and {"type": stopped.error_type, "message": stopped.message},
        "duration_ms": int((work.deadline.clock() - work.deadline.start) * 1000),
        "p50_ms": int(1000 * durations[len(durations) // 2]),
        "p99_ms": int(1000 * durations[len(durations) * 99 // 100]),
        **work.usage,
        **(recorder.counts if recorder else {}),
    }
