"""One call of the wrapper from its input to its answer: which part does what."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

from . import VERSION, protocol
from .answer import Answer
from .calls import Calls
from .deadline import Deadline
from .engine import Engine
from .files import Files
from .items import Items
from .log import Log
from .protocol import Failure
from .work import Hooks, OneByOne


class Wrapper:
    """What all calls share: the settings, the user's hooks, and the opened target, files and datastore."""

    work: type[OneByOne] = OneByOne
    engine: type[Engine] = Engine
    answer: type[Answer] = Answer
    calls: Any = Calls
    deadline: Any = Deadline
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
        self._log = Log(config.LOG)
        self._bare_lists = config.MODE != "log" and config.TARGET["input"] == "item"
        self._raising = (protocol.ITEM, protocol.LIST) if config.ON_ERROR == "raise" else (protocol.ITEM,)

    def call(self, value: Any) -> Any:
        """Answer one item, a list of items, or an object with ``$batch``.

        Raises ``protocol.Failure``, whose ``error_type`` the platform reports.
        """
        request = protocol.read(value, self._bare_lists)
        if request is None:
            return self._describe()
        if request.trial and self.datastore is not None:
            self.files.require_owner()
        deadline = self.deadline(request.timeout or self.config.LIMITS["timeout"])
        values: Any = self.files.read(request, deadline) if request.source else request.values
        items = Items(request, values, self.record_id)
        answer = self.answer(request, items, self.config.LIMITS["response_bytes"], deadline)
        answer.raises = request.form in self._raising or request.trial
        calls, engine = self._parts(request, items, answer)
        try:
            try:
                engine.run()
            finally:
                answer.finish()
            summary = answer.summary(calls, engine.stopped)
            if answer.raises and answer.failures:
                raise answer.first_failure()
            reply = answer.write(self.files.write, summary)
        except Failure as error:
            self._log.call(request, answer, answer.summary(calls, engine.stopped), error)
            raise
        self._log.call(request, answer, summary, None)
        return reply

    def _parts(self, request: protocol.Request, items: Items, answer: Answer) -> tuple[Calls, Engine]:
        """What does the work of one call."""
        limits, change = self.config.LIMITS, threading.Condition()
        target = dict(self.config.TARGET, request_bytes=limits["request_bytes"])
        call = self.target.call_list if target["batch_size"] > 1 else self.target.call
        calls = self.calls(call, limits["attempts"], limits["item_timeout"], answer.deadline)
        hooks = Hooks(self.hooks, items)
        work = self.work(calls, hooks, target, request.try_number <= 1, answer.deadline)
        if self.datastore is not None:
            wrapper = f"{self.config.WRAPPER}@{self.config.SPEC[:19]}"
            settings = dict(self.config.RECORDS, target=target["reference"], wrapper=wrapper)
            answer.open(self.datastore, settings, change)  # type: ignore[attr-defined]
        skips = self.already and not request.trial
        known = self.already(items, self.datastore, answer) if skips else items
        return calls, self.engine(work, iter(known), answer, limits["parallel"], change)

    def _describe(self) -> dict[str, Any]:
        """The answer to ``{"$batch": []}``: nothing was done, and this is who did it."""
        config = self.config
        store = getattr(config, "DATASTORE", None)
        facts = {
            "protocol": protocol.PROTOCOL,
            "runtime": VERSION,
            "mode": config.MODE,
            "spec": config.SPEC,
            "target": config.TARGET["reference"],
            "datastore": {"url": store["url"] or "$" + store["url_env"]} if store else None,
            "limits": dict(config.LIMITS, batch_size=config.TARGET["batch_size"]),
        }
        counts = dict.fromkeys(
            ("items", "succeeded", "failed", "untried", "calls", "throttled", "duration_ms"), 0
        )
        if store:
            counts["recorded"] = 0
        return {"$results": [], "$summary": dict(counts, stopped=None, wrapper=facts)}


def private_places(config: Any) -> list[str]:
    """The URLs of what this wrapper keeps for itself: its records and its credentials."""
    stores = [getattr(config, "DATASTORE", {}), *getattr(config, "COPIES", [])]
    places = [store.get(key) for store in stores for key in ("url", "oversize")]
    places.append(getattr(config, "CREDENTIALS", "").rpartition("/")[0])
    return [place for place in places if place]
