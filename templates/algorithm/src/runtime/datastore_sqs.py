"""Records in an SQS queue: one message per record, for a consumer to read.

A record that is too large for a message goes to a data URL; the message then has the record's key, index and
try, and under ``pointer`` the URL of an object that holds the whole record as one line of JSON.

A queue is at least once: a record may come twice, and an old try after a newer one. The reader decides by
run and id, rank and try, as with any datastore. A FIFO queue drops what repeats within five minutes and keeps
the records of one key in order.
"""

from __future__ import annotations

import hashlib
import os
import re
import urllib.parse
from typing import Any, Iterator

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from . import datastore_data
from .connection import Server
from .protocol import Failure, dumps
from .records import Record, Refused, object_name

LARGEST = 262144  # bytes of a message, and of all messages of one request
MESSAGES = 10
DEFAULT_REGION = (
    "us-east-1"  # for servers other than Amazon's, which do not care but want a region in the signature
)
SECONDS = Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard", "max_attempts": 2})
# What the service says of a message that it will never take; all else is the queue's own trouble.
REFUSING = ("InvalidMessageContents", "InvalidParameterValue", "BatchRequestTooLong", "MessageTooLong")
# What waiting does not help: no such queue, no right to it.
DENYING = (
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "InvalidAddress",
    "InvalidClientTokenId",
    "NonExistentQueue",
    "QueueDoesNotExist",
    "SignatureDoesNotMatch",
)


class Part:
    """What is left of the records of one write, and those that were refused, with the reasons."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.left = list(records)
        self.refused: dict[Record, str] = {}

    def settle(self, record: Record, refused: str | None = None) -> None:
        """The queue has taken a record, or never will."""
        self.left.remove(record)
        if refused:
            self.refused[record] = refused


class Datastore:
    """Sends records to a queue, one part after the other. AWS credentials are where boto3 looks for them."""

    def __init__(self, server: Server, settings: dict[str, Any]) -> None:
        """``settings``: the ``url`` of the queue, and ``oversize``, the data URL for larger records.

        Connects at the first write only.
        """
        self._collection = settings["oversize"]
        self._large = self._collection and datastore_data.Datastore(
            server, dict(settings, url=self._collection)
        )
        self._url = settings["url"]
        self._queue = boto3.client(
            "sqs", region_name=region_of(self._url), endpoint_url=root_of(self._url), config=SECONDS
        )
        self._part = Part([])

    def write(self, records: list[Record], _part: int) -> None:
        """Send one part; after an outage, the same part goes on where it broke off.

        Raises ``Failure``, or ``Refused`` with the records at fault once all others are sent.
        """
        if records is not self._part.records:
            self._part = Part(records)
        part = self._part  # its own from here on: a write that takes too long goes on beside the next
        for batch in batches(self._messages(part)):
            self._send(part, batch)
        if part.refused:
            raise Refused(next(iter(part.refused.values())), list(part.refused))

    def _pointer(self, record: Record) -> str:
        """Store a record that is too large for a message, and point to it."""
        if not self._large:
            size = len(record.line)
            raise Refused(f"the record has {size} bytes, and a message of a queue at most {LARGEST}")
        self._large.write([record], 1)
        pointer = {key: record.fields[key] for key in ("run", "id", "index", "try")}
        pointer["pointer"] = f"{self._collection}/{object_name([record], 1)}"
        return dumps(pointer)

    def _messages(self, part: Part) -> Iterator[tuple[Record, str]]:
        """Pairs of record and message for what is left."""
        for record in list(part.left):
            try:
                yield record, record.line if len(record.line) <= LARGEST else self._pointer(record)
            except Refused as refused:
                part.settle(record, str(refused))

    def _send(self, part: Part, batch: list[tuple[Record, str]]) -> None:
        failures = self._ask(batch)
        if failures is None:  # the service does not say which is at fault
            for pair in batch:
                self._send(part, [pair])
            return
        unavailable = None
        for place, (record, _) in enumerate(batch):
            code, message = failures.get(str(place), (None, None))
            if code is None or code.endswith(REFUSING):
                part.settle(record, message)
            else:
                unavailable = message
        if unavailable:
            raise Failure("DatastoreError", unavailable, True)

    def _ask(self, batch: list[tuple[Record, str]]) -> dict[str, tuple[str, str]] | None:
        """Code and message for each message that failed; None where all were refused as one."""
        entries = [self._entry(place, record, body) for place, (record, body) in enumerate(batch)]
        try:
            answer = self._queue.send_message_batch(QueueUrl=self._url, Entries=entries)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if not code.endswith(REFUSING):
                raise Failure("DatastoreError", str(error), not code.endswith(DENYING)) from None
            return None if len(batch) > 1 else {"0": (code, str(error))}
        except BotoCoreError as error:  # no answer, or no credentials
            denied = isinstance(error, (NoCredentialsError, PartialCredentialsError))
            raise Failure("DatastoreError", str(error), not denied) from None
        return {
            failure["Id"]: (failure["Code"], "{Code}: {Message}".format(**dict({"Message": ""}, **failure)))
            for failure in answer.get("Failed", [])
        }

    def _entry(self, place: int, record: Record, body: str) -> dict[str, str]:
        entry = {"Id": str(place), "MessageBody": body}
        if self._url.endswith(".fifo"):
            key = hashlib.sha256(dumps(list(record.key)).encode("ascii")).hexdigest()
            entry["MessageGroupId"] = key
            entry["MessageDeduplicationId"] = "{}-{}-{}".format(key, record.rank, record.fields["try"])
        return entry


def batches(messages: Iterator[tuple[Record, str]]) -> Iterator[list[tuple[Record, str]]]:
    """Yields lists of (record, body) that one request may carry."""
    batch: list[tuple[Record, str]] = []
    size = 0
    for message in messages:
        if len(batch) == MESSAGES or (batch and size + len(message[1]) > LARGEST):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += len(message[1])
    if batch:
        yield batch


def root_of(url: str) -> str:
    """Where the queue's service is."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def region_of(url: str) -> str:
    """The region in the queue's address, else the environment's."""
    match = re.search(r"\bsqs(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.", url)
    return match.group(1) if match else os.environ.get("AWS_DEFAULT_REGION", DEFAULT_REGION)
