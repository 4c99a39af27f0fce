"""A model behind HTTP: sends what ``mapping.py`` makes of items, and reads what it finds in the answers."""

from __future__ import annotations

import gzip
import hashlib
import time
import urllib.parse
from types import ModuleType
from typing import Any

from . import network
from .connection import Response
from .exchange import Transport
from .http_answer import failure_of_answer
from .http_body import UNMAPPED, checked_headers, decode, encode, unmapped, unreadable
from .item_notes import notes_of
from .items import Item
from .protocol import NOT_CALLED, Failure, dumps
from .statuses import failure_of
from .waits import announced_wait

MOST_TOKENS = 10**12  # of one answer; what reports more reports nothing


class Endpoint:
    """The target of a wrapper: ``call`` for one item, ``call_list`` for a list of them."""

    def __init__(self, mapping: ModuleType, target: dict[str, Any], limits: dict[str, Any], **parts: Any):
        """``parts`` are what the spec asks for: ``auth``, ``rates``, ``schemas``. Raises ``ValueError``."""
        self.mapping = mapping
        self.settings = target
        self.auth = parts.get("auth")
        self.schemas = parts.get("schemas")
        self.rates = parts.get("rates")
        self.open_at = 0.0  # when the endpoint takes requests again, by time.monotonic
        self._most = limits["request_bytes"]
        address = self.auth.address(target["url"]) if self.auth else target["url"]
        url = urllib.parse.urlsplit(address)
        self._path = url.path + ("?" + url.query if url.query else "")
        self._headers = {"Content-Type": target["content_type"], **target["headers"]}
        server = network.server_of(address, target["tls"])
        self._transport = Transport(
            server._replace(headers={"Accept-Encoding": "gzip"}) if target["gzip"] else server
        )

    def authorize(self, seconds: float) -> None:
        """Have credentials within so many seconds, before an attempt begins. Raises ``Failure``."""
        if self.auth:
            self.auth.ready(seconds)

    def prepare(self, item: Item) -> None:
        """Find what a request takes of an item. Raises ``InputError``, before anything is sent."""
        if self.schemas:
            self.schemas.check_item(item.value)
        if self.mapping.LISTS:
            try:
                notes_of(item).taken = self.mapping.taken(item.value)
            except UNMAPPED as error:
                raise unmapped(error) from None

    def call(self, item: Item, seconds: float) -> Any:
        """The result for one item. Raises ``Failure``."""
        self.prepare(item)
        if self.mapping.LISTS:
            (result,) = self._results([item], seconds)
        else:
            result = self._result(item, *self._answer([item], seconds))
        if isinstance(result, Failure):
            raise result
        return result

    def call_list(self, items: list[Item], seconds: float) -> list[Any]:
        """A result or a ``Failure`` for each of these items, which are prepared. Raises ``Failure``."""
        return self._results(items, seconds)

    def most_cost(self, items: list[Item]) -> float:
        """The most that one request for these items can cost: a byte of it is at most a token."""
        price, most = self.settings["price"], self.settings["most_tokens"]
        if not price or most is None:
            return 0.0
        for item in items:
            self.prepare(item)
        return float(len(self._content(items)[0]) * price["input"] + most * price["output"]) / 1e6

    def _results(self, items: list[Item], seconds: float) -> list[Any]:
        answer, body = self._answer(items, seconds)
        try:
            found = self.mapping.each(answer, [item.value for item in items])
        except UNMAPPED as error:
            raise unreadable(error, self._masked(body)) from None
        if len(found) != len(items):
            message = f"the endpoint answered {len(items)} items with {len(found)} results"
            raise failure_of("ParsingError", message)
        errors = self._item_errors(answer, len(items), body)
        return [
            self._item_error(error) if error else self._result(item, one, body, answer)
            for item, one, error in zip(items, found, errors)
        ]

    def _item_errors(self, answer: Any, count: int, body: bytes) -> list[Any]:
        """For each item the error that the answer tells of it; None without one. Raises ``Failure``."""
        if not hasattr(self.mapping, "item_errors"):
            return [None] * count
        try:
            errors = self.mapping.item_errors(answer)
        except UNMAPPED as error:
            raise unreadable(error, self._masked(body)) from None
        if len(errors) != count and any(errors):
            raise failure_of("ParsingError", f"the endpoint answered {count} items with {len(errors)} errors")
        return errors if len(errors) == count else [None] * count

    def _item_error(self, error: Any) -> Failure:
        said = error.get("message") if isinstance(error, dict) else error
        said = said if isinstance(said, str) else dumps(error)
        return failure_of("AlgorithmError", self.auth.hidden(said)[:1000] if self.auth else said[:1000])

    def _masked(self, body: bytes) -> bytes:
        """What a server answered, as messages may show it: without the credentials that it may repeat."""
        return self.auth.hidden(body.decode("utf-8", "replace")).encode("utf-8") if self.auth else body

    def _result(self, item: Item, one: Any, body: bytes, *answer: Any) -> Any:
        """What stands in the answer for an item; a ``Failure`` if nothing does, or not what should."""
        try:
            if self.schemas and hasattr(self.mapping, "said"):
                notes_of(item).said = self.mapping.said(one)
            result = self.mapping.result(one, *answer)
        except UNMAPPED as error:
            if not self.schemas:
                return unreadable(error, self._masked(body))
            result = self.schemas.refused(item, str(error))
        else:
            result = self.schemas.checked(item, result) if self.schemas else result
        if isinstance(result, Failure) and self.auth:
            result.message = self.auth.hidden(result.message)
        return result

    def _answer(self, items: list[Item], seconds: float) -> tuple[Any, bytes]:
        """What the endpoint answers for these items, and its body. Raises ``Failure``."""
        body, headers = self._content(items)
        if len(body) > self._most:
            message = f"the request has {len(body)} bytes; at most {self._most} may be sent"
            raise failure_of("TooLargeError", message, NOT_CALLED)
        response = self._send(items[0], body, headers, seconds)
        return self._read(items[0], response), response.body

    def _content(self, items: list[Item]) -> tuple[bytes, dict[str, str]]:
        """The body of a request for these items, and its headers. Raises ``InputError``."""
        key = _key_of(items, self.settings["source"]) if self.mapping.KEYED else ""
        what = [notes_of(item).taken for item in items] if self.mapping.LISTS else items[0].value
        try:
            content = self.mapping.request(what, key)
            if self.schemas:
                content = self.schemas.asked_again(items[0], content)
            headers = dict(self._headers)
            if hasattr(self.mapping, "headers"):
                headers.update(checked_headers(self.mapping.headers(what, key)))
            is_same = content is what and self.mapping.LISTS and "json" in self.settings["content_type"]
            if is_same and _is_listed(items):
                return items[0].listed[1].encode("ascii"), headers  # type: ignore[index]
            return encode(content, self.settings["content_type"]), headers
        except UNMAPPED as error:
            raise unmapped(error) from None

    def _send(self, item: Item, body: bytes, headers: dict[str, str], seconds: float) -> Response:
        """One exchange; once more, if there are fresh credentials, after they were refused."""
        if self.settings["gzip"]:
            body = gzip.compress(body, 5)
            headers = {**headers, "Content-Encoding": "gzip"}
        item.sent += len(body)
        for is_last in (False, True):
            signed = self.auth.headers(self._path, headers, body) if self.auth else headers
            response = self._transport.send("POST", self._path, body, signed, seconds)
            if is_last or not self.auth or response.status not in self.auth.refused:
                break
            if not self.auth.refresh(str(signed), seconds):
                break
        item.received += len(response.body)
        if response.headers:
            self.open_at = max(self.open_at, time.monotonic() + (announced_wait(response.headers) or 0.0))
        return response

    def _read(self, item: Item, response: Response) -> Any:
        """The answer in a response. Raises ``Failure`` for what is none."""
        answer, status = decode(response, self.settings["answer"]), response.status
        if hasattr(self.mapping, "reported"):
            version, *tokens = self.mapping.reported(answer)
            if isinstance(version, str) and self.auth:
                version = self.auth.hidden(version)
            notes = notes_of(item)
            notes.usage = _usage(notes.usage, [version, *tokens], self.settings["price"])
        found = self.mapping.own_error(status, answer) if hasattr(self.mapping, "own_error") else None
        if not found and 200 <= status < 300 and not isinstance(answer, Failure):
            return answer
        response = response._replace(body=self._masked(response.body))
        failure: Failure
        if found or not 200 <= status < 300:
            failure = failure_of_answer(response, found)
        else:
            failure = unreadable(answer, response.body, retryable=True)
        failure.message = self.auth.hidden(failure.message) if self.auth else failure.message
        raise failure


def _is_listed(items: list[Item]) -> bool:
    """Whether the JSON of these items' values is known, and a request takes nothing else of them."""
    listed = items[0].listed
    return (
        listed is not None
        and listed[0] == len(items)
        and all(notes_of(item).taken is item.value for item in items)
    )


def _usage(used: dict[str, Any] | None, reported: Any, price: dict[str, float] | None) -> dict[str, Any]:
    """The tokens and cost of an item's attempts so far, and the versions that answered."""
    version, *tokens = reported
    used = used or {"versions": {}}
    if isinstance(version, str):
        used["versions"][version] = used["versions"].get(version, 0) + 1
    for name, kind, count in zip(("tokens_in", "tokens_out"), ("input", "output"), tokens):
        if type(count) is int and 0 <= count < MOST_TOKENS:
            used[name] = used.get(name, 0) + count
            if price:
                used["cost"] = used.get("cost", 0.0) + count * price[kind] / 1e6
    return used


def _key_of(items: list[Item], target: str) -> str:
    """The same for every attempt at the same items of a run; another where a result is asked for again."""
    wrong = [len(notes_of(item).wrong) for item in items]
    named = dumps([target, items[0].call, [item.id for item in items], wrong])
    return hashlib.sha256(named.encode("ascii")).hexdigest()[:32]
