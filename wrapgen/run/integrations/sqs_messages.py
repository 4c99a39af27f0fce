"""Messages of a queue as items: what a body means, its id, the run, and which messages go together. Pure.

The worker and the Lambda handler read messages through this. Nothing here talks to a queue.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from wrapgen import protocol
from wrapgen.run.hosts.answers import no_constant
from wrapgen.run.input.values import failing_item, field_of, id_of, within_limits
from wrapgen.run.scheduling.chunks import Entry

POINTERS = (
    "software.amazon.payloadoffloading.PayloadS3Pointer",
    "com.amazon.sqs.javamessaging.MessageS3Pointer",
)
"""First element of a body that Amazon's own libraries for large messages write; the second says where."""

BODY = "$body"
"""Sole key of our own pointer: a data or connector URL with the message's real body."""


@dataclass(frozen=True)
class Message:
    """A message as a queue delivered it.

    Args:
        id: its MessageId.
        handle: what deleting and extending it takes.
        body: its text.
        receives: how often it has been delivered, this time included.
        group: its group in a FIFO queue, else None.
    """

    id: str
    handle: str
    body: str
    receives: int = 1
    group: str | None = None

    @classmethod
    def of_receive(cls, answer: dict[str, Any]) -> Message:
        """From an element of ReceiveMessage's answer."""
        attributes = answer.get("Attributes") or {}
        return cls(
            answer["MessageId"],
            answer["ReceiptHandle"],
            answer.get("Body") or "",
            max(1, int(attributes.get("ApproximateReceiveCount") or 1)),
            attributes.get("MessageGroupId"),
        )

    @classmethod
    def of_event(cls, record: dict[str, Any]) -> Message:
        """From an element of a Lambda event's `Records`."""
        attributes = record.get("attributes") or {}
        return cls(
            record["messageId"],
            record.get("receiptHandle") or "",
            record.get("body") or "",
            max(1, int(attributes.get("ApproximateReceiveCount") or 1)),
            attributes.get("MessageGroupId"),
        )

    @cached_property
    def weight(self) -> int:
        """Bytes that it may take in a call; a pointer may take a whole one."""
        return protocol.CHUNK_AIM if pointer(self.body) else len(self.body.encode("utf-8", "replace")) + 16


def run_of(arn: str) -> str:
    """The run that a queue's messages belong to: the same for every worker, on every day.

    Args:
        arn: the queue's address, `arn:aws:sqs:REGION:ACCOUNT:NAME`.
    """
    name = re.sub(r"[^A-Za-z0-9_-]", "-", arn.rpartition(":")[2])[:40]
    return f"sqs-{name}-{hashlib.sha256(arn.encode()).hexdigest()[:12]}"


def pointer(body: str) -> str | None:
    """The URL that a body points to, or None where it is the item itself.

    Either our own `{"$body": "data://..."}`, or what Amazon's libraries for large messages write.
    """
    if not body.startswith(("{", "[")) or (BODY not in body and "S3Pointer" not in body):
        return None
    try:
        value = json.loads(body)
    except ValueError:
        return None
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get(BODY), str):
        return str(value[BODY])
    if isinstance(value, list) and len(value) == 2 and value[0] in POINTERS and isinstance(value[1], dict):
        return f"s3://{value[1].get('s3BucketName')}/{value[1].get('s3Key')}"
    return None


def read_body(body: str) -> tuple[Any, bytes]:
    """The item in a body, and how it travels: JSON where it is an object, a list or a quoted text, else text.

    A bare `123` or `true` is text: a number is sent inside an object or a list.
    """
    if body.lstrip()[:1] in ("{", "[", '"'):
        try:
            raw = body.encode("utf-8")
            if (item := within_limits(raw)) is not raw:
                return None, item
            value = json.loads(body, parse_constant=no_constant)
        except (ValueError, RecursionError):
            return body, protocol.dumps(body)
        if isinstance(value, dict) and len(value) == 1 and "$error" in value:
            raw = b'{"$literal":' + raw + b"}"
        return value, raw
    return body, protocol.dumps(body)


def entry(index: int, message: Message, body: str, id_path: str | None, attempts: int = 0) -> Entry:
    """A message as an item of a call; one that is unreadable becomes an item that carries the reason.

    Args:
        index: its place in the call.
        message: where it came in.
        body: its real body, once a pointer was followed.
        id_path: where in the body the id is; None: the MessageId is the id.
        attempts: calls of the target that are known to have been made for it.
    """
    value, item = read_body(body)
    id_ = message.id
    if id_path is not None:
        try:
            id_ = id_of(field_of(value, id_path))
        except LookupError as reason:
            item = failing_item("InputError", f"the message has no id at {id_path!r}: {reason.args[0]}")
    return Entry(index, item, id_, attempts, message.receives - 1)


class Backlog:
    """Messages that wait for a call. Those of one receive count go together, as their send is one try.

    In a FIFO queue a call takes one message of a group, and the next only when that one is settled.
    """

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._busy: set[str] = set()
        self.weight = 0

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, messages: Iterable[Message]) -> None:
        """More messages, in the order in which they came."""
        for message in messages:
            self._messages.append(message)
            self.weight += message.weight

    def take(self, count: int, aim: int) -> list[Message]:
        """The messages of the next call, at most so many and so many bytes; empty if all have to wait."""
        taken: list[Message] = []
        seen = set(self._busy)
        room = aim
        for message in self._messages:
            first = message.group is None or message.group not in seen
            if message.group is not None:
                seen.add(message.group)
            if not first or (taken and message.receives != taken[0].receives):
                continue
            room -= message.weight
            if taken and (room < 0 or len(taken) >= count):
                break
            taken.append(message)
        self._busy.update(message.group for message in taken if message.group is not None)
        self._keep_without(taken)
        return taken

    def settled(self, message: Message, *, succeeded: bool) -> list[Message]:
        """A message of a call is done; after a failure the rest of its group is handed out, to go back."""
        if message.group is None:
            return []
        self._busy.discard(message.group)
        rest = [] if succeeded else [other for other in self._messages if other.group == message.group]
        self._keep_without(rest)
        return rest

    def empty(self) -> list[Message]:
        """Hands out everything, to go back."""
        rest = self._messages
        self._keep_without(rest)
        return rest

    def _keep_without(self, gone: list[Message]) -> None:
        handles = {message.handle for message in gone}
        self._messages = [message for message in self._messages if message.handle not in handles]
        self.weight = sum(message.weight for message in self._messages)
