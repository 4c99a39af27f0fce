"""One queue as the worker uses it: receive, delete, change visibility, read attributes. Only here is boto3.

Decides nothing. AWS credentials come from where boto3 looks for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wrapgen.errors import (
    BadRequest,
    MissingExtra,
    NotAuthorized,
    NotFound,
    PlatformError,
    Unreachable,
    UsageError,
)
from wrapgen.references import split_url
from wrapgen.run.integrations.message_queue import MAX_BATCH
from wrapgen.run.integrations.sqs_messages import Message

ANYWHERE = "us-east-1"
"""Region that is signed for where a server is not Amazon's and the environment names none."""


@dataclass(frozen=True)
class QueueFacts:
    """What a live queue says of itself.

    Args:
        arn: its address.
        visibility: seconds for which a received message is hidden.
        max_receives: deliveries before a message goes to the dead-letter queue, or None without one.
        dead_letter: that queue's address, or None.
        retention: seconds that a message is kept.
    """

    arn: str
    visibility: int
    max_receives: int | None
    dead_letter: str | None
    retention: int


@dataclass(frozen=True)
class DeadLetterFacts:
    """What a live dead-letter queue says of itself.

    Args:
        retention: seconds that a message is kept.
        takes: whether it takes the dead letters of the queue that was asked for.
    """

    retention: int
    takes: bool


class SqsQueue:
    """A queue behind its URL. Safe to share between threads.

    Args:
        url: as SQS gives it.
        region: where the URL does not say it; None: the environment's.
        calls: connections kept open.

    Raises:
        MissingExtra: boto3 is not installed.
        UsageError: this is no queue's URL, or no region or credentials are to be found.
    """

    def __init__(self, url: str, region: str | None = None, *, calls: int = 10) -> None:
        self.url = url
        self._client, self._errors = _connect(url, region, calls)

    def facts(self) -> QueueFacts:
        """Its attributes.

        Raises:
            PlatformError: as every method here, of the class that fits.
        """
        answer = self._ask("get_queue_attributes", AttributeNames=["All"])
        found = answer.get("Attributes") or {}
        redrive = json.loads(found.get("RedrivePolicy") or "{}")
        receives = redrive.get("maxReceiveCount")
        return QueueFacts(
            arn=found["QueueArn"],
            visibility=int(found.get("VisibilityTimeout") or 30),
            max_receives=None if receives is None else int(receives),
            dead_letter=redrive.get("deadLetterTargetArn"),
            retention=int(found.get("MessageRetentionPeriod") or 345_600),
        )

    def dead_letters(self, facts: QueueFacts) -> DeadLetterFacts:
        """Attributes of its dead-letter queue, which `facts` names."""
        account, name = (facts.dead_letter or "").split(":")[-2:]
        url = self._request("get_queue_url", QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
        answer = self._request("get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
        found = answer.get("Attributes") or {}
        allowed = json.loads(found.get("RedriveAllowPolicy") or "{}")
        permission = allowed.get("redrivePermission") or "allowAll"
        return DeadLetterFacts(
            retention=int(found.get("MessageRetentionPeriod") or 345_600),
            takes=permission == "allowAll"
            or (permission == "byQueue" and facts.arn in (allowed.get("sourceQueueArns") or [])),
        )

    def remaining(self) -> int:
        """See `MessageQueue`."""
        names = ["", "NotVisible", "Delayed"]
        asked = [f"ApproximateNumberOfMessages{name}" for name in names]
        found = self._ask("get_queue_attributes", AttributeNames=asked).get("Attributes") or {}
        return sum(int(found.get(name) or 0) for name in asked)

    def receive(self, count: int, *, wait: int, visibility: int) -> list[Message]:
        """See `MessageQueue`."""
        answer = self._ask(
            "receive_message",
            MaxNumberOfMessages=max(1, min(MAX_BATCH, count)),
            WaitTimeSeconds=wait,
            VisibilityTimeout=visibility,
            AttributeNames=["ApproximateReceiveCount", "MessageGroupId"],
        )
        return [Message.of_receive(found) for found in answer.get("Messages") or []]

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        """See `MessageQueue`."""
        left: list[Message] = []
        for part in _tens(messages):
            entries = [{"Id": str(at), "ReceiptHandle": one.handle} for at, one in enumerate(part)]
            left += self._batch("delete_message_batch", entries, part)
        return left

    def hide(self, messages: Sequence[tuple[Message, float]]) -> list[Message]:
        """See `MessageQueue`."""
        left: list[Message] = []
        for part in _tens(messages):
            entries = [
                {"Id": str(at), "ReceiptHandle": one.handle, "VisibilityTimeout": round(seconds)}
                for at, (one, seconds) in enumerate(part)
            ]
            left += self._batch("change_message_visibility_batch", entries, [one for one, _ in part])
        return left

    def _batch(self, method: str, entries: list[Any], messages: Sequence[Message]) -> list[Message]:
        answer = self._ask(method, Entries=entries)
        return [messages[int(failed["Id"])] for failed in answer.get("Failed") or []]

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._request(method, QueueUrl=self.url, **parameters)

    def _request(self, method: str, **parameters: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, method)(**parameters)
            return answer
        except self._errors as error:
            raise _error(self.url, error) from error


def _tens(found: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (found[at : at + MAX_BATCH] for at in range(0, len(found), MAX_BATCH))


def region_of(url: str) -> str | None:
    """The region in the URL of one of Amazon's queues, or None for any other server."""
    host = split_url(url).hostname or ""
    match = re.fullmatch(r"(?:sqs\.|queue\.)?([a-z0-9-]+)(?:\.queue)?\.amazonaws\.com(?:\.cn)?", host)
    return match[1] if match and match[1] not in ("sqs", "queue") else None


def _connect(url: str, region: str | None, calls: int) -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise MissingExtra(extra="sqs", needed_for="the SQS worker") from error
    parts = split_url(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(parts.path.strip("/")) < 1:
        raise UsageError(
            f"not the URL of a queue: {url!r}", hint="write https://sqs.REGION.amazonaws.com/ACCOUNT/QUEUE"
        )
    errors = (BotoCoreError, ClientError)
    try:
        session = boto3.Session()
        if session.get_credentials() is None:
            raise UsageError(
                "found no AWS credentials", hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role"
            )
        client = session.client(
            "sqs",
            region_name=region or region_of(url) or session.region_name or ANYWHERE,
            endpoint_url=f"{parts.scheme}://{parts.netloc}",
            config=Config(
                connect_timeout=10,
                read_timeout=40,
                retries={"mode": "standard", "max_attempts": 4},
                max_pool_connections=max(10, calls),
            ),
        )
    except (*errors, ValueError) as error:  # half of a pair of keys, no such profile, no such region
        raise UsageError(
            f"AWS's settings do not suffice for {url}: {_line(str(error))}",
            hint="look at --region, the AWS_* variables and ~/.aws",
        ) from None
    return client, errors


_BY_CODE: Iterable[tuple[str, type[PlatformError]]] = (
    ("NonExistentQueue", NotFound),
    ("QueueDoesNotExist", NotFound),
    ("AccessDenied", NotAuthorized),
    ("InvalidClientTokenId", NotAuthorized),
    ("SignatureDoesNotMatch", NotAuthorized),
    ("ExpiredToken", NotAuthorized),
    ("UnrecognizedClient", NotAuthorized),
    ("InvalidSignature", NotAuthorized),
    ("AuthFailure", NotAuthorized),
    ("MissingAuthenticationToken", NotAuthorized),
)

_PASSING = ("Throttl", "TooManyRequests", "RequestLimit", "RequestTimeout")
"""Parts of the codes of what a queue refuses for now only."""


def _error(url: str, error: Exception) -> PlatformError:
    response = getattr(error, "response", None) or {}
    details = response.get("Error") or {}
    said = _line(str(details.get("Message") or error))
    known = f"{details.get('Code') or ''} {said}"
    message = f"the queue {url}: {said}"
    for part, kind in _BY_CODE:
        if part in known:
            return kind(message, hint="is this the right queue and region, and may these credentials use it?")
    status = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 500
    if 400 <= status < 500 and status != 429 and not any(part in known for part in _PASSING):
        return BadRequest(message, hint="is this the URL of a queue?")
    return Unreachable(message, hint="is the queue's address right, and to be reached from here?")


def _line(text: str) -> str:
    """A server's words without markup and line breaks."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())
