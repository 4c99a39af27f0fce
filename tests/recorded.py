"""A data service in memory that can stop working at any step, and records to put there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from wrapgen.errors import NotFound

URL = "data://acme/scores"


class Killed(BaseException):
    """The process ends here."""


@dataclass(frozen=True)
class File:
    """An entry of a listing."""

    name: str
    size: int


@dataclass
class Memory:
    """A `Store`: files by address. `steps` is how many changes it still makes before `Killed`."""

    content: dict[str, bytes] = field(default_factory=dict)
    steps: int | None = None

    def files(self, url: str) -> Iterator[File]:
        known = {where: body for where, body in self.content.items() if where.startswith(url + "/")}
        return iter([File(where.rpartition("/")[2], len(body)) for where, body in sorted(known.items())])

    def read(self, url: str) -> bytes:
        if url not in self.content:
            raise NotFound(url)
        return self.content[url]

    @contextmanager
    def stream(self, url: str) -> Iterator[Iterator[bytes]]:
        body = self.read(url)
        yield (body[start : start + 1000] for start in range(0, len(body), 1000))

    def put(self, url: str, body: bytes) -> None:
        self._step()
        self.content[url] = body

    def delete(self, url: str) -> None:
        self._step()
        if self.content.pop(url, None) is None:
            raise NotFound(url)

    def _step(self) -> None:
        if self.steps is not None:
            if self.steps == 0:
                raise Killed
            self.steps -= 1

    def add(self, name: str, *records: dict[str, Any]) -> None:
        """Puts an object of records."""
        body = "".join(json.dumps(record) + "\n" for record in records)
        self.content[f"{URL}/{name}"] = body.encode()


def record(key: str, *, run: str | None = "r", tries: int = 1, **rest: Any) -> dict[str, Any]:
    """A record; a result unless an error is given."""
    index = rest.pop("index", int(key) if key.isdigit() else 0)
    outcome = rest if "error" in rest else {"result": rest.get("result", key)}
    return {"run": run, "id": key, "index": index, "try": tries, **outcome}


def failed(key: str, *, retryable: bool, **rest: Any) -> dict[str, Any]:
    """A record of a failure."""
    error = {"type": "T", "message": "m", "retryable": retryable}
    return record(key, error=error, **rest)


def name(run: str = "r", *, first: int = 0, digest: str = "0" * 12, tries: int = 1, piece: int = 0) -> str:
    """An object's name as a wrapper gives it."""
    return f"{run}-{first:012d}-{digest}-t{tries}-p{piece}.jsonl"
