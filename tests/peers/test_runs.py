"""Whole runs of a spec against model servers, and behind nginx: `wrapgen run`, then `wrapgen verify`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import commands
import pytest
import real_servers
from scoring import score
from stand_in_servers import Answer, Asked, handler, stand_in
from test_presets_of_servers import CASES, CHAT, Case


def wrapgen(folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    """A command as a user gives it; its JSON."""
    variables = {**os.environ, "WRAPGEN_CACHE": str(folder / "cache")}
    done = commands.run(*words, "--json", cwd=folder, env=variables)
    assert done.returncode == code, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def prepared(folder: Path, target: str, items: list[Any], more: str = "") -> None:
    """Writes spec and input."""
    indented = "".join(f"  {line}\n" for line in target.splitlines())
    wrapper = "wrapper: {name: acme/Peers, mode: both}\ndatastore: {url: ./records}\n"
    (folder / "spec.yaml").write_text(f"version: 1\ntarget:\n{indented}{wrapper}{more}")
    (folder / "in.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))


def results(folder: Path) -> list[Any]:
    """The output, an error's type in place of a failed item."""
    lines = [json.loads(line) for line in (folder / "out.jsonl").open()]
    return [line["result"] if "result" in line else line["error"]["type"] for line in lines]


RUN = ("run", "spec.yaml", "in.jsonl", "-o", "out.jsonl", "--budget", "100")


@pytest.mark.soak
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.preset}-{case.server}")
def test_a_run_through_the_real_server(address, tmp_path, case: Case):
    """2,000 texts, some refused and some that crash the server: all answered, recorded and verified."""
    texts = [f"poison {n}" if n % 400 == 7 else f"text {n} {'x' * (n % 20)}" for n in range(2000)]
    prepared(tmp_path, case.target.replace("URL", address(case.server, "real")), list(map(case.item, texts)))
    summary = wrapgen(tmp_path, *RUN, code=10)
    assert (summary["succeeded"], summary["failed"]) == (1995, 5)
    for text, found in zip(texts, results(tmp_path), strict=True):
        assert (found == pytest.approx(case.result(text))) is not text.startswith("poison")
    checks = wrapgen(tmp_path, "verify", "out.jsonl")["checks"]
    assert {one["state"] for one in checks} == {"ok"}


def test_tokens_cost_and_equal_items(tmp_path, monkeypatch):
    """Equal texts are sent once; a run stops below --max-cost, and one with a higher limit finishes it."""
    monkeypatch.setenv("PEERS_KEY", "sk-peers")
    with stand_in(handler("litellm")) as url:
        target = CHAT.replace("URL", url).replace("NAME", "mock")
        prepared(
            tmp_path, target, [{"text": f"ticket {n % 100}"} for n in range(300)], "dispatch: {rpm: 60000}\n"
        )
        stopped = wrapgen(tmp_path, *RUN, "--equal", "once", "--max-cost", "0.003", code=12)
        assert "that the run may cost" in stopped["reason"]
        assert stopped["target"]["cost"] <= 0.003
        assert stopped["target"]["cost"] == pytest.approx(50e-6 * (stopped["succeeded"] - stopped["equal"]))
        summary = wrapgen(tmp_path, *RUN, "--equal", "once", "--max-cost", "0.1")
    assert (summary["succeeded"], summary["equal"]) == (300, 200)
    assert summary["target"]["cost"] == pytest.approx(100 * 50e-6)
    assert results(tmp_path) == ['{"label": "short"}'] * 300
    page = (tmp_path / "out.jsonl.report.html").read_text()
    for name, value in (("calls-equal", 200), ("target-tokens_in", 1000), ("target-tokens_out", 2000)):
        assert f'<data id="{name}" value="{value}">' in page
    assert re.search(r'<data id="target-cost" value="0.00(5|49999)\d*">0.005</data>', page)
    receipt = json.loads((tmp_path / "out.jsonl.receipt.json").read_text())
    assert (receipt["tokens_in"], receipt["tokens_out"]) == (1000, 2000)
    checks = wrapgen(tmp_path, "verify", "out.jsonl")["checks"]
    assert {one["state"] for one in checks} == {"ok"}


OPENAI = """
import json, sys
from openai import OpenAI
client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="sk-peers", max_retries=0)
for line in open(sys.argv[2]):
    message = {"role": "user", "content": json.loads(line)["text"]}
    answer = client.chat.completions.create(model="mock", messages=[message], max_tokens=50)
    usage = answer.usage
    print(json.dumps([answer.choices[0].message.content, usage.prompt_tokens, usage.completion_tokens]))
"""


@pytest.mark.soak
def test_litellm_answers_us_as_it_answers_the_openai_client(address, tmp_path, monkeypatch):
    """The same texts through LiteLLM's proxy by the official client: same results, same tokens."""
    if reason := real_servers.missing("openai"):
        pytest.skip(reason)
    monkeypatch.setenv("PEERS_KEY", "sk-peers")
    url = address("litellm", "real")
    prepared(
        tmp_path, CHAT.replace("URL", url).replace("NAME", "mock"), [{"text": f"t {n}"} for n in range(20)]
    )
    summary = wrapgen(tmp_path, *RUN)
    python = real_servers.peers.installed("openai")
    done = subprocess.run(
        [str(python), "-c", OPENAI, url, str(tmp_path / "in.jsonl")],
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    assert results(tmp_path) == [content for content, _, _ in theirs]
    assert summary["target"]["tokens_in"] == sum(tokens for _, tokens, _ in theirs)
    assert summary["target"]["tokens_out"] == sum(tokens for _, _, tokens in theirs)


LIMITED = "location /one { proxy_pass BEHIND; proxy_read_timeout 2s; limit_req zone=all burst=2 nodelay; } location /gone { proxy_pass http://127.0.0.1:9; }"


@pytest.mark.soak
def test_nginx_in_front(tmp_path):
    """Pages of nginx (503 of a limit, 504 of a slow answer, 502 of a server that is down) are waited out or final."""
    for name in ("nginx", "fastapi"):
        if reason := real_servers.missing(name):
            pytest.skip(reason)
    with real_servers.server("fastapi", tmp_path / "fastapi") as behind:
        extra = LIMITED.replace("BEHIND", behind.address)
        zone = "limit_req_zone $binary_remote_addr zone=all:1m rate=10r/s;"
        with real_servers.nginx(tmp_path / "nginx", behind, extra, zone) as front:
            texts = [*(f"text {n}" for n in range(60)), "slow 4 forever", "poison", "fine"]
            target = f"endpoint: {front.address}/one\nprotocol: json"
            prepared(tmp_path, target, [{"text": text} for text in texts])
            summary = wrapgen(tmp_path, *RUN, code=10)
            assert summary["failed"] == 2
            assert summary["throttled"], "nginx refused some with 503"
            found = results(tmp_path)
            assert found[:60] == [score(text) for text in texts[:60]]
            assert found[-1] == score("fine")
            assert found[-2] == "InputError"
            assert found[-3] in ("TimeoutError", "ServerError")
            gone = tmp_path / "gone"
            gone.mkdir()
            prepared(gone, target.replace("/one", "/gone"), [{"text": "a"}, {"text": "b"}])
            wrapgen(gone, *RUN, code=10)
            assert results(gone) == ["ServerError", "ServerError"]


@pytest.mark.soak
def test_rates_hold_over_processes(tmp_path):
    """1,200 requests a minute over three processes: 240 take 12 s, and no ten seconds have more than their share."""
    moments: list[float] = []

    def timed(asked: Asked) -> Answer:
        moments.append(time.monotonic())
        return Answer(200, score(asked.value["text"]))

    with stand_in(timed) as url:
        target = f"endpoint: {url}/one\nprotocol: json"
        prepared(tmp_path, target, [{"text": f"text {n}"} for n in range(240)], "dispatch: {rpm: 1200}\n")
        wrapgen(tmp_path, *RUN, "--processes", "3")
    moments.sort()
    assert moments[-1] - moments[0] >= 240 / 20 - 2
    burst = 20 + 3  # a second of the rate, and a request of each process
    assert all(sum(at <= each < at + 10 for each in moments) <= 200 + burst for at in moments)
