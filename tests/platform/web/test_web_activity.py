"""Calls in progress, recent calls, charts and workers over plain HTTP: true, live, and nobody else's."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wrapgen.client import Client, Connection
from wrapgen.platform.calls.call import Call, CallLimits, CallOutcome, Request
from wrapgen.platform.calls.worker_protocol import CallFailure, Result
from wrapgen.platform.domain.model import Caller, Runnable
from wrapgen.platform.observe.activity import KEPT_ACCOUNTS, KEPT_CALLS, KEPT_RUNS, Activity
from wrapgen.platform.observe.call_record import KEPT_TEXT, CallRecord, record_outcome
from wrapgen.platform.observe.minutes import KEPT_MINUTES, Minute, Minutes
from wrapgen.run.integrations.plain_calls import PlainCalls

MARKUP = "<script>alert(1)</script>"
SOURCE = f'''
import json
import os
import time
import urllib.request


def apply(value):
    print("{MARKUP}printed")
    if value == "fail":
        raise ValueError("{MARKUP}message")
    if isinstance(value, dict) and "gate" in value:
        while not os.path.exists(value["gate"]):
            time.sleep(0.01)
    if isinstance(value, dict) and "below" in value:
        request = urllib.request.Request(
            os.environ["ALGORITHMIA_API"] + "/v1/algo/" + value["algorithm"],
            json.dumps(value["below"]).encode(),
            {{
                "Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"],
                "Content-Type": "application/json",
            }},
        )
        return json.load(urllib.request.urlopen(request))["result"]
    return value
'''


@pytest.fixture(scope="session")
def watched(server: Any, odd: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A public algorithm that fails, waits at a gate, or calls itself as its input asks, as 1.0.0."""
    made = type(odd)(server, "Watched", {"src/Watched.py": SOURCE}, tmp_path_factory.mktemp("watched"))
    return made.make().release("public", version_type="major")


def call(server: Any, watched: Any, value: Any, key: str | None = None, run: str = "", **query: Any) -> Any:
    """The reply of one call."""
    headers = {"X-Run-Id": run} if run else {}
    path = f"/v1/algo/{watched.reference}"
    answer = server.request("POST", path, key, json=value, params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def new_run() -> str:
    return f"run-{uuid.uuid4().hex[:12]}"


def until(condition: Callable[[], Any]) -> Any:
    """What a condition gives once it holds."""
    end = time.monotonic() + 90
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_calls_are_grouped_by_the_run_they_carry(server: Any, watched: Any, browser: Any) -> None:
    """A run's calls and those below them are counted together; each leads to the other."""
    run = new_run()
    value = {"algorithm": watched.reference, "below": "x"}
    outer = [call(server, watched, value, run=run)["request_id"] for _ in range(2)]
    failed = call(server, watched, "fail", run=run)["request_id"]
    page = browser.page(f"/web/activity?run={run}&nested=1")
    row = page.text.partition("Last")[2].partition("Recent")[0].split()
    assert row[:6] == [run, f"{watched.reference}/1.0.0", "3", "1", "2", "0"]
    addresses = [found["href"] for found in page.all("a")]
    assert [f"/web/activity/calls/{each}" in addresses for each in [*outer, failed]] == [True] * 3
    below = browser.page(f"/web/activity/calls/{outer[0]}")
    nested = [
        each["href"] for each in below.all("a") if "/calls/" in each["href"] and outer[0] not in each["href"]
    ]
    assert len(nested) == 1
    inner = browser.page(nested[0])
    assert run in inner.text and f"/web/activity/calls/{outer[0]}" in [
        each["href"] for each in inner.all("a")
    ]
    assert nested[0] not in [each["href"] for each in browser.page(f"/web/activity?run={run}").all("a")]


def test_a_header_that_is_no_run_id_is_ignored(server: Any, watched: Any, browser: Any) -> None:
    """Whatever the header holds, the call runs; what can't be an id is not shown as one."""
    for odd in ("x" * 65, "two words", MARKUP, "a/b"):
        found = call(server, watched, 1, run=odd)["request_id"]
        page = browser.page(f"/web/activity/calls/{found}")
        assert odd not in page.text and not [each for each in page.all("a") if "run=" in each["href"]]


def test_our_clients_name_their_run(server: Any, watched: Any, browser: Any) -> None:
    """What `wrapgen run`, Spark and the queues call with puts the run's id into the header."""
    reference, first, second = f"{watched.reference}/1.0.0", new_run(), new_run()
    with Client(Connection(server.address, server.key, source="a test")) as client:
        client.call_body(reference, b"1", timeout=60, run=first)
    calls = PlainCalls(Connection(server.address, server.key, "a test"))
    calls.host(reference).in_run(second).call(b"1", 60)
    for run in (first, second):
        assert browser.page(f"/web/activity?run={run}").text.partition("Last")[2].split()[0] == run


def test_a_call_in_progress_is_shown_until_it_ends(
    server: Any, watched: Any, browser: Any, tmp_path: Path
) -> None:
    """While a call is open it is listed with its state, as a whole page and as a fragment for the script."""
    run, gate = new_run(), tmp_path / "gate"
    path = f"/web/activity?run={run}"
    thread = threading.Thread(target=call, args=(server, watched, {"gate": str(gate)}), kwargs={"run": run})
    thread.start()
    try:
        text = until(lambda: "In progress: 1" in (found := browser.page(path).text) and found)
        until(lambda: "running" in browser.page(path).text)
        part = browser.get(path, headers={"X-Fragment": "1", "Accept": "*/*"}).text
        assert "In progress: 1" in part and "<html" not in part and "<nav" not in part
        assert run in text
        assert until(lambda: watched.reference in browser.page("/web/workers").text)
    finally:
        gate.touch()
        thread.join(60)
    assert "No call is open" in until(lambda: "done" in (found := browser.page(path).text) and found)


def test_a_failed_call_tells_its_owner_all(server: Any, watched: Any, browser: Any) -> None:
    """Error type, message, traceback, and what was printed where that was asked for; never as markup."""
    failed = call(server, watched, "fail", stdout="true")["request_id"]
    page = browser.page(f"/web/activity/calls/{failed}")
    for word in ("AlgorithmError", f"{MARKUP}message", "Traceback", f"{MARKUP}printed"):
        assert word in page.text
    assert all(found.get("src", "").startswith("/web/static/") for found in page.all("script"))
    quiet = browser.page(f"/web/activity/calls/{call(server, watched, 1)['request_id']}")
    assert "Printed" not in quiet.text


def test_nothing_of_others_is_shown(
    server: Any, watched: Any, browser: Any, browse: Callable[..., Any], stranger: str
) -> None:
    """Another account sees its own calls of a public algorithm, and no other's call, run, pool, traceback."""
    run, theirs = new_run(), new_run()
    own = call(server, watched, "fail", run=run)["request_id"]
    someone = browse(stranger)
    called = call(server, watched, "fail", stranger, theirs)["request_id"]
    page = someone.page("/web/activity")
    assert run not in page.text and own[4:12] not in page.text and theirs in page.text
    assert someone.get(f"/web/activity/calls/{own}").status_code == 404
    assert browser.get(f"/web/activity/calls/{called}").status_code == 404
    assert theirs not in browser.page("/web/activity?nested=1").text
    seen = someone.page(f"/web/activity/calls/{called}")
    assert "AlgorithmError" in seen.text and "Traceback" not in seen.text
    assert watched.reference not in someone.page("/web/workers").text
    name = f"{watched.reference}/1.0.0"
    mine, all_calls = (each.page(f"/web/charts?version={name}").text for each in (someone, browser))
    assert mine.partition("Calls")[2] != all_calls.partition("Calls")[2]


def test_charts_are_plain_accessible_svg(server: Any, watched: Any, browser: Any) -> None:
    """Three charts with titles and descriptions, and a table by version; no style or script inside."""
    call(server, watched, 1)
    page = browser.page("/web/charts")
    charts = page.all("svg", role="img")
    assert len(charts) == 3 and len(page.all("desc")) == 3
    assert not [tag for tag, found in page.elements if "style" in found or tag == "style"]
    assert f"{watched.reference}/1.0.0" in page.text
    one = browser.page(f"/web/charts?version={watched.reference}/1.0.0")
    assert one.all("option", selected="")[0]["value"] == f"{watched.reference}/1.0.0"
    assert "nothing yet" in browser.page("/web/charts?version=no/such/1.0.0").text


def test_a_removed_accounts_calls_are_forgotten(
    server: Any, watched: Any, browse: Callable[..., Any]
) -> None:
    """The next account of the same name sees nothing of the one before."""
    name, run = f"web_{uuid.uuid4().hex[:8]}", new_run()

    def register() -> str:
        body = {"username": name, "email": f"{name}@example.org"}
        server.request("POST", "/v1/users", server.admin_key, json=body)
        made = server.request("POST", f"/v1/users/{name}/keys", server.admin_key, json={"key_label": "web"})
        return str(made.json()["api_key"])

    key = register()
    call(server, watched, 1, key, run)
    assert run in browse(key).page("/web/activity").text
    assert server.request("DELETE", f"/v1/users/{name}", server.admin_key).status_code == 204
    again = browse(register())
    assert run not in again.page("/web/activity").text
    assert watched.reference not in again.page("/web/charts").text


def test_a_restricted_key_sees_what_it_may_call(
    server: Any, watched: Any, browse: Callable[..., Any]
) -> None:
    """Calls and runs of other algorithms of its account are not shown to it, by address neither."""
    run = new_run()
    made = call(server, watched, "fail", run=run)["request_id"]
    for acl, seen in ((["algo://nobody/*"], False), ([f"algo://{watched.reference}/*"], True)):
        body = {"permissions": {"algo_acl": acl}}
        key = server.request("POST", "/v1/users/local/keys", json=body).json()["api_key"]
        someone = browse(key)
        page = someone.page("/web/activity")
        assert (run in page.text, made in page.source) == (seen, seen)
        assert someone.get(f"/web/activity/calls/{made}").status_code == (200 if seen else 404)


# -- what is kept ------------------------------------------------------------------------------------------


def ended(
    account: str, run: str = "", answer: Result | CallFailure | None = None, took: float = 0
) -> CallRecord:
    """The record of a call that ended right now."""
    runnable = Runnable("k", "a", "b", "nlp", "Sent", "1.0.5", "h", Path("/"), Path("/"), {})
    request, began = Request("nlp/Sent", "application/json", b"[]"), time.monotonic() - took
    made = Call(
        "req-1", Caller(account, "k"), runnable, None, request, [], CallLimits(), 1, began, began + 1, run=run
    )
    outcome = CallOutcome(made, answer or Result("json", b"[1]"), 0.1, None, True)
    return record_outcome(outcome, time.time(), KEPT_TEXT)


def test_memory_is_bounded() -> None:
    """Calls, runs, accounts and texts are kept up to their limits, the newest of each."""
    kept = Activity(SimpleNamespace())  # type: ignore[arg-type]
    for number in range(KEPT_CALLS + 20):
        kept.add(ended("one", f"run-{number}"))
    assert len(kept.recent("one")) == KEPT_CALLS
    assert [run.id for run in kept.runs("one")][:2] == [f"run-{KEPT_CALLS + 19}", f"run-{KEPT_CALLS + 18}"]
    assert len(kept.runs("one")) == KEPT_RUNS
    kept.add(ended("one", "", CallFailure("E", "m" * 100_000, "t" * 100_000)))
    newest = kept.recent("one")[0]
    assert (len(newest.message), len(newest.trace)) == (KEPT_TEXT, KEPT_TEXT)
    for number in range(KEPT_ACCOUNTS):
        kept.add(ended(f"account{number}"))
    assert not kept.recent("one") and kept.recent("account0")


def test_the_minutes_of_a_deleted_algorithm_are_dropped() -> None:
    """The next algorithm of its name starts with empty charts."""
    kept = Minutes()
    kept.add(ended("one"))
    kept.forget("nlp/another")
    assert kept.seen_by(Caller("one", "k"))
    kept.forget("nlp/Sent")
    assert not kept.seen_by(Caller("one", "k"))


def test_percentiles_are_exact_to_a_fifth() -> None:
    """A minute's percentiles lie within their class of the real ones; without calls there are none."""
    now = [time.time()]
    kept = Minutes(clock=lambda: now[0])
    assert Minute(1).percentile(0.5) is None
    for milliseconds in range(1, 1001):
        kept.add(ended("one", took=milliseconds / 1000))
    (minutes,) = kept.seen_by(Caller("one", "k")).values()
    for share in (0.5, 0.9, 0.99):
        assert minutes[0].percentile(share) == pytest.approx(share, rel=0.25)
    assert not kept.seen_by(Caller("two", "k"))
    assert kept.seen_by(Caller("two", "k", organizations=frozenset({"nlp"})))
    now[0] += KEPT_MINUTES * 60
    assert not kept.seen_by(Caller("one", "k"))


def test_minutes_go_with_either_account() -> None:
    """What an account called, and what others called of it, is dropped when the account is no more."""
    for gone in ("one", "nlp"):
        kept = Minutes()
        kept.add(ended("one"))
        kept.forget("another")
        assert kept.seen_by(Caller("one", "k"))
        kept.forget(gone)
        assert not kept.seen_by(Caller("one", "k")) and not kept.seen_by(Caller("nlp", "k"))
