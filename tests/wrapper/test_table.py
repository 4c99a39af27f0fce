"""The table of docs/item-protocol.md: each kind of input with each kind of spec, cell by cell."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flow import Wrapper
from runtime import algorithm_lists, connection, protocol

PAGE = Path(__file__).resolve().parents[2] / "docs" / "item-protocol.md"
BYTES = b"\x00\xff"


def cells() -> list[tuple[str, int, str]]:
    """Item, number of the column, and what the page says."""
    text = PAGE.read_text("utf-8").partition("<!-- table")[2].partition("<!-- /table")[0]
    rows = [line.strip("|").split(" | ") for line in text.splitlines()[3:]]
    return [
        (row[0].strip().strip("`"), column, said.strip())
        for row in rows
        for column, said in enumerate(row[1:])
    ]


class Transport:
    """Takes calls, and answers with the input, or the list of inputs."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def send(self, method: str, path: str, body: bytes, headers: Any, timeout: float) -> Any:
        self.sent.append((headers["Content-Type"], body))
        answer = {"result": 1, "metadata": {"content_type": "json"}}
        if headers["Content-Type"] == "application/json" and body.startswith(b"["):
            answer["result"] = [1] * len(json.loads(body))
        return SimpleNamespace(status=200, headers={}, body=json.dumps(answer).encode())


def wrapper_of(column: int) -> tuple[Wrapper, list[tuple[str, Any]]]:
    """The wrapper of a column, and what its target gets: content type and body, or the value in process."""
    if column >= 6:
        seen: list[tuple[str, Any]] = []
        return Wrapper(lambda value, seconds: seen.append(("value", value)), one_by_one=True), seen
    called, transport = (
        algorithm_lists.Target(
            connection.Server("http://h", {}), {"reference": "o/t"}, {"request_bytes": 1000}
        ),
        Transport(),
    )
    called._transport = transport
    batch_size = 2 if column in (4, 5) else 1
    return Wrapper(called.call, bare_lists=column not in (2, 3), batch_size=batch_size), transport.sent  # type: ignore[return-value]


IN_A_BATCH = (1, 5, 7)


def test_the_page_has_the_whole_table() -> None:
    """Fourteen items by eight kinds of call."""
    assert len(cells()) == 14 * 8


@pytest.mark.parametrize(("item", "column", "said"), cells())
def test_each_cell_is_true(item: str, column: int, said: str) -> None:
    """What the page says the target gets is what it gets."""
    value = BYTES if item == "bytes" else json.loads(item)
    wrapper, seen = wrapper_of(column)
    wanted, _, travels = said.partition(", as ")
    wire = protocol.to_wire(value)
    if travels:
        assert list(wire) == [travels.strip("`")]
    else:
        assert column not in IN_A_BATCH or wire == value or wanted == "InputError"
    call = {"$batch": [wire]} if column in IN_A_BATCH else value
    if wanted == "InputError":
        assert_input_error(wrapper, call)
        assert seen == []
        return
    wrapper(call)
    if wanted == "a batch":
        assert len(seen) == (len(value) + 1) // 2 if column == 4 else len(seen) == len(value)
    elif wanted == "list of one":
        assert seen == [("application/json", json.dumps([value]).encode())]
    elif wanted == "value":
        assert seen == [("value", value)]
    else:
        kind = {"text": "text/plain", "JSON": "application/json", "bytes": "application/octet-stream"}[wanted]
        body = value if wanted == "bytes" else (value if wanted == "text" else json.dumps(value)).encode()
        assert seen == [(kind, body)]


def assert_input_error(wrapper: Wrapper, call: Any) -> None:
    try:
        reply = wrapper(call)
    except protocol.Failure as failure:
        assert failure.error_type == "InputError"
    else:
        assert reply["$results"][0]["$error"]["type"] == "InputError"
