"""Records in an SQS queue: one message per record, for whoever takes them from there.

A queue is at least once: a record may come twice, and an old try after a newer one. Whoever reads decides by
run and id, rank and try, as with any datastore. A FIFO queue drops what repeats within five minutes and keeps
the records of one key in order.
"""

import hashlib
import os
import re
import urllib.parse
from typing import Any  # noqa: F401 - for the type comments

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from .protocol import dumps
from .records import Refused, Unavailable

LARGEST = 262144  # bytes of a message, and of all messages of one request
TOGETHER = 10
ANYWHERE = (
    "us-east-1"  # for servers other than Amazon's, which do not care but want a region in the signature
)
SECONDS = Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard", "max_attempts": 2})
# What the service says of a message that it will never take; all else is the queue's own trouble.
REFUSING = ("InvalidMessageContents", "InvalidParameterValue", "BatchRequestTooLong", "MessageTooLong")
# What waiting won't mend: no such queue, no right to it.
DENYING = (
    "AccessDenied",
    "AccessDeniedException",
    "InvalidAddress",
    "InvalidClientTokenId",
    "NonExistentQueue",
    "QueueDoesNotExist",
    "SignatureDoesNotMatch",
)


class Piece:
    """What is left of the records of one write, and those that were refused, with the words for it."""

    def __init__(self, records):
        # type: (list) -> None
        self.records = records
        self.left = list(records)
        self.refused = {}  # type: dict

    def settle(self, record, refused=None):
        # type: (Any, str | None) -> None
        """The queue has taken a record, or never will."""
        self.left.remove(record)
        if refused:
            self.refused[record] = refused


class Datastore:
    """Sends records to a queue, one piece after the other. AWS credentials are where boto3 looks for them."""

    def __init__(self, _client, settings):
        # type: (Any, dict) -> None
        """``settings``: the ``url`` of the queue. Connects at the first write only."""
        self._url = settings["url"]
        self._queue = boto3.client(
            "sqs", region_name=region_of(self._url), endpoint_url=root_of(self._url), config=SECONDS
        )
        self._piece = Piece([])

    def write(self, records, _piece):
        # type: (list, int) -> None
        """Send one piece; after an outage, the same piece goes on where it broke off.

        Raises ``Unavailable``, or ``Refused`` with the records at fault once all others are sent.
        """
        if records is not self._piece.records:
            self._piece = Piece(records)
        piece = self._piece  # its own from here on: a write that takes too long goes on beside the next
        for batch in batches(self._messages(piece)):
            self._send(piece, batch)
        if piece.refused:
            raise Refused(next(iter(piece.refused.values())), list(piece.refused))

    def oversize(self, record):
        # type: (Any) -> str
        """The message for a record that is too large for one. Raises ``Refused``."""
        words = "the record has {} bytes, and a message of a queue at most {}"
        raise Refused(words.format(len(record.line), LARGEST))

    def _messages(self, piece):
        """Pairs of record and message for what is left."""
        for record in list(piece.left):
            try:
                yield record, record.line if len(record.line) <= LARGEST else self.oversize(record)
            except Refused as refused:
                piece.settle(record, str(refused))

    def _send(self, piece, batch):
        failures = self._ask(batch)
        if failures is None:  # the service does not say which is at fault
            for message in batch:
                self._send(piece, [message])
            return
        away = None
        for place, (record, _) in enumerate(batch):
            code, words = failures.get(str(place), (None, None))
            if code is None or code.endswith(REFUSING):
                piece.settle(record, words)
            else:
                away = words
        if away:
            raise Unavailable(away)

    def _ask(self, batch):
        """Code and words for each message that failed; None where all were refused as one."""
        entries = [self._entry(place, record, body) for place, (record, body) in enumerate(batch)]
        try:
            answer = self._queue.send_message_batch(QueueUrl=self._url, Entries=entries)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if not code.endswith(REFUSING):
                raise Unavailable(str(error), lasting=code.endswith(DENYING)) from None
            return None if len(batch) > 1 else {"0": (code, str(error))}
        except BotoCoreError as error:  # no answer, or no credentials
            raise Unavailable(str(error), lasting=isinstance(error, NoCredentialsError)) from None
        return {
            failure["Id"]: (failure["Code"], "{Code}: {Message}".format(**dict({"Message": ""}, **failure)))
            for failure in answer.get("Failed", [])
        }

    def _entry(self, place, record, body):
        entry = {"Id": str(place), "MessageBody": body}
        if self._url.endswith(".fifo"):
            key = hashlib.sha256(dumps(list(record.key)).encode("ascii")).hexdigest()
            entry["MessageGroupId"] = key
            entry["MessageDeduplicationId"] = "{}-{}-{}".format(key, record.rank, record.fields["try"])
        return entry


def batches(messages):
    # type: (Any) -> Any
    """Yields lists of (record, body) that one request may carry."""
    batch, size = [], 0  # type: list, int
    for message in messages:
        if len(batch) == TOGETHER or (batch and size + len(message[1]) > LARGEST):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += len(message[1])
    if batch:
        yield batch


def root_of(url):
    # type: (str) -> str
    """Where the queue's service is."""
    return "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(url))


def region_of(url):
    # type: (str) -> str
    """The region in the queue's address, else the environment's."""
    match = re.search(r"\bsqs(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.", url)
    return match.group(1) if match else os.environ.get("AWS_DEFAULT_REGION", ANYWHERE)
