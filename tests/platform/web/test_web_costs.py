"""Pages of what was made to cost much: each ends soon, in little memory, and calls don't wait for it."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from wrapgen.platform.web.preview import preview
from wrapgen.platform.web.shown import laid_out

DEEP = '{"a":' + "[" * 900 + ",".join(["1"] * 58_000) + "]" * 900 + "}"
"""116 KiB of JSON: laid out for reading it would have 104 million spaces."""
WAITED = 8.0
"""Seconds that /health may take while pages are made; it took 25 when calls waited for them."""


def memory(server: Any) -> int:
    """The most bytes that the server ever had in memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) * 1024


def slowest(server: Any, work: Callable[[], Any]) -> tuple[Any, float]:
    """What a page gives, and the longest that the server took for /health meanwhile."""
    times = [0.0]
    with ThreadPoolExecutor(1) as threads:
        page = threads.submit(work)
        while not page.done():
            began = time.monotonic()
            assert server.request("GET", "/health").status_code == 200
            times.append(time.monotonic() - began)
            threading.Event().wait(0.01)
    return page.result(), max(times)


def test_a_deep_value_is_shown_as_it_is(server: Any, browser: Any) -> None:
    """What would be large when it is laid out is not: a data file, a result, a sample input."""
    server.request("POST", "/v1/data/local", json={"name": "costs"})
    server.request("PUT", "/v1/data/local/costs/deep.json", data=DEEP.encode())
    before = memory(server)
    page, waited = slowest(server, lambda: browser.get("/web/data/open?at=data://local/costs/deep.json"))
    assert page.status_code == 200
    assert "1,1,1" in page.text
    assert len(page.text) < 200_000
    assert memory(server) - before < 30 * 1024 * 1024
    assert waited < WAITED


def test_a_result_is_laid_out_only_where_that_is_small(server: Any, browser: Any, zoo: str) -> None:
    """The console answers a deep value with the value, and a call waits for neither."""
    before = memory(server)
    form = {"token": browser.token, "kind": "json", "input": DEEP}
    place = f"/web/algorithms/{zoo}/versions/0.1.0"
    page, waited = slowest(server, lambda: browser.request("POST", place, files={"file": b""}, data=form))
    assert page.status_code == 200
    assert memory(server) - before < 60 * 1024 * 1024
    assert waited < WAITED


@pytest.mark.parametrize(
    "name",
    ["slow.html", *(pytest.param(each, marks=pytest.mark.soak) for each in ("slow.yaml", "slow.java"))],
)
def test_colouring_ends(server: Any, browser: Any, slow: Any, name: str) -> None:
    """A file that no lexer gets through is shown plain, after seconds; health checks never wait."""
    began = time.monotonic()
    page, waited = slowest(server, lambda: browser.get(f"{slow.page}/source/master/src/{name}"))
    assert page.status_code == 200
    assert page.text.count('<span id="L-1">') == 1
    assert waited < WAITED
    assert time.monotonic() - began < 60


def test_what_is_small_is_laid_out_and_coloured(browser: Any, slow: Any) -> None:
    """Ordinary files look as they always did."""
    page = browser.get(f"{slow.page}/source/master/src/Costly.py").text
    assert '<span class="k">def</span>' in page
    assert preview("a.json", b'{"a": [1, {"b": 2}], "c": []}', whole=True).text == json.dumps(
        {"a": [1, {"b": 2}], "c": []}, indent=2
    )


@pytest.mark.parametrize(
    "text",
    ['{"a":"[[[,{\\"","b":[1,2]}', "[]", "1", '"\\\\"', "not json", '["\\"' + '\\"' * 50_000, DEEP],
    ids=["marks in a string", "empty", "number", "backslash", "no JSON", "no end", "deep"],
)
def test_laying_out_keeps_to_its_bound(text: str) -> None:
    """The result is never larger than asked for, unless the text is; it means the same."""
    began = time.process_time()
    found = laid_out(text, 1_000_000)
    assert time.process_time() - began < 2
    assert len(found) <= max(1_000_000, len(text))
    if found != text:
        assert json.loads(found) == json.loads(text)


def spent(server: Any) -> float:
    """Processor seconds of the server's own process so far."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_server_does_not_render(server: Any, browser: Any) -> None:
    """What a page costs the process that serves calls is little, however much there is to lay out."""
    place = "/web/data/open?at=data://local/rows/many.json"
    server.request("POST", "/v1/data/local", json={"name": "rows"})
    server.request("PUT", "/v1/data/local/rows/many.json", json={"a": [[1], [2]] * 10_000})
    assert browser.get(place).text.count("2") > 10_000
    before = spent(server)
    for _ in range(30):
        assert browser.get(place).status_code == 200
    assert (spent(server) - before) / 30 < 0.016  # 0.034 when the server laid them out


def test_pages_beyond_the_queue_are_refused(serve: Any, browse: Any, tmp_path: Path) -> None:
    """More pages at once than may be open are answered 503 with Retry-After; the others are made."""
    server = serve(tmp_path / "home", "--limit", "pages-open=2")
    browsers = [browse(server.key, server) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = [
            each for _ in range(4) for each in threads.map(lambda one: one.get("/web/charts"), browsers)
        ]
    refused = [each for each in answers if each.status_code == 503]
    assert refused and all(int(each.headers["retry-after"]) >= 1 for each in refused)
    assert {each.status_code for each in answers} == {200, 503}
    assert browsers[0].get("/web/charts").status_code == 200


def test_a_renderer_that_was_killed_is_started_again(serve: Any, browse: Any, tmp_path: Path) -> None:
    """One page may be refused; the next ones are made by a new process."""
    server = serve(tmp_path / "home")
    browser = browse(server.key, server)
    (renderer,) = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"render_process" in path.read_bytes()
        and f"\nPPid:\t{server.process.pid}\n" in (path.parent / "status").read_text()
    ]
    os.kill(renderer, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while browser.get("/web/charts").status_code != 200:
        assert time.monotonic() < deadline
    assert browser.get("/web/").status_code == 200


@pytest.mark.soak
def test_browsers_that_hammer_get_a_share(serve: Any, browse: Any, tmp_path: Path) -> None:
    """Once their credit is used up, pages take little of the time of the process that serves calls."""
    server = serve(tmp_path / "home")
    browsers = [browse(server.key, server) for _ in range(4)]

    def hammer(seconds: float) -> None:
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(4) as threads:
            list(
                threads.map(
                    lambda one: [one.get("/web/") for _ in iter(lambda: time.monotonic() < end, False)],
                    browsers,
                )
            )

    before = spent(server)
    while spent(server) - before < 2.5:
        hammer(1)
    before, began = spent(server), time.monotonic()
    hammer(5)
    assert (spent(server) - before) / (time.monotonic() - began) < 0.25
