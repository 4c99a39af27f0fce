"""What a wrapper says of itself, read from its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wrapgen import protocol
from wrapgen.errors import RunError
from wrapgen.run.hosts.answers import Answered, read_answer
from wrapgen.run.scheduling.grants import SpendingLimits

DESCRIBE = b'{"$batch":[]}'
"""The input that makes a wrapper describe itself."""

DESCRIBE_SECONDS = 120.0
"""Time for the first call, which may have to start a worker."""


@dataclass(frozen=True)
class Description:
    """What a wrapper says of itself.

    Args:
        target: what it calls, such as `nlp/SentimentAnalysis/1.0.5`.
        mode: batch, log or both.
        spec: digest of the spec that it was made from.
        timeout: seconds it takes when it is not told.
        request_bytes: the most that a request may hold.
        parallel: calls that it makes at once.
        attempts: calls of the target for one item.
        batch_size: items in one call of the target, at most.
        item_timeout: seconds that one call of the target may take.
        datastore: URL of its records, or None.
        rpm, tpm: requests of the target and tokens a minute that its spec allows; None: any.
        price: of a million tokens, by `input` and `output`; None where the spec has none.
        digest: SHA-256 of its own source; empty where an older wrapper does not say it.
        max_cost_item: the most that an attempt of an item may cost beside its own bytes; None: not known.
        name: `owner/Name` of a served wrapper; empty where its reference says it.
        calls: calls that a served wrapper takes at once; None where a platform decides.
    """

    target: str
    mode: str
    spec: str
    timeout: float
    request_bytes: int
    parallel: int
    attempts: int
    datastore: str | None
    batch_size: int = 1
    item_timeout: float = 60.0
    rpm: float | None = None
    tpm: float | None = None
    price: dict[str, float] | None = None
    max_cost_item: float | None = None
    digest: str = ""
    name: str = ""
    calls: int | None = None

    @property
    def aim(self) -> int:
        """Bytes that a chunk's items may take."""
        return protocol.chunk_aim(self.request_bytes)

    def spending(self, max_cost: float | None, spent: float, largest: int) -> SpendingLimits:
        """What a run through it may spend.

        Args:
            max_cost: money for all of it; None: any.
            spent: what its earlier sessions spent.
            largest: bytes of the largest item, each of which may be a token.

        Raises:
            RunError: the cost is limited, and what an item may cost is not known.
        """
        if max_cost is not None and self.max_cost_item is None:
            raise RunError(
                "--max-cost needs to know what an item may cost at most, and the wrapper does not say",
                hint="its spec needs target.price with most_tokens, the most that one answer has, unless the "
                "request itself limits them (max_tokens)",
            )
        item = (_positive((self.price or {}).get("input")) or 0.0) * largest / 1e6
        return SpendingLimits(self.rpm, self.tpm, max_cost, (self.max_cost_item or 0.0) + item, spent)

    def as_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return dict(vars(self))


class NotLoaded(RunError):
    """A wrapper that could not be started, this time: its worker may have been killed while loading."""

    retryable = True


def read_description(body: bytes, reference: str) -> Description:
    """What a wrapper answered to `DESCRIBE`.

    Raises:
        RunError: it is no wrapper, or speaks another protocol.
        NotLoaded: it could not be started.
    """
    no_wrapper = RunError(
        f"{reference} is not a wrapper: it does not describe itself", hint="make one with: wrapgen build"
    )
    try:
        answer = read_answer(body)
    except protocol.ProtocolError as error:
        raise no_wrapper from error
    if not isinstance(answer, Answered):
        words = f"{reference} does not work: {answer.type}: {answer.message}"
        if answer.type in protocol.STOPPING_TYPES:
            raise RunError(words)
        if answer.type in protocol.RETRYABLE_TYPES or answer.type == "SystemError":
            raise NotLoaded(words)
        raise no_wrapper
    facts = answer.summary.get("wrapper")
    if not isinstance(facts, dict):
        raise no_wrapper
    spoken = facts.get("protocol")
    if spoken != protocol.PROTOCOL:
        raise RunError(
            f"{reference} speaks item protocol {spoken!r}, this wrapgen speaks {protocol.PROTOCOL}",
            hint="build and publish it again with this version of wrapgen",
        )
    return _of_facts(facts)


def _of_facts(facts: dict[str, Any]) -> Description:
    limits, dispatch, price, datastore = (
        found if isinstance(found := facts.get(name), dict) else {}
        for name in ("limits", "dispatch", "price", "datastore")
    )
    return Description(
        target=str(facts.get("target") or ""),
        mode=str(facts.get("mode") or ""),
        spec=str(facts.get("spec") or ""),
        digest=str(facts.get("digest") or ""),
        name=str(facts.get("name") or ""),
        calls=calls if type(calls := facts.get("calls")) is int and calls > 0 else None,
        timeout=float(limits.get("timeout") or 300),
        request_bytes=int(limits.get("request_bytes") or protocol.BODY_CAP),
        parallel=int(limits.get("parallel") or 1),
        attempts=int(limits.get("attempts") or 3),
        batch_size=int(limits.get("batch_size") or 1),
        item_timeout=float(limits.get("item_timeout") or 60),
        datastore=str(datastore.get("url") or "") or None,
        rpm=_positive(dispatch.get("rpm")),
        tpm=_positive(dispatch.get("tpm")),
        price=price or None,
        max_cost_item=_positive(facts.get("max_cost_item")),
    )


def _positive(value: Any) -> float | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and value > 0 else None
