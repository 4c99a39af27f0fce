"""The console of a version: every kind of input, result and refusal, and the same call as a program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wrapgen.platform.web.snippets import snippets

SCRIPT = "<script>alert(1)</script>"
HOSTILE = [
    'it\'s "quoted" `id` $(id) $HOME \\ !! %s {{ x }} </script><!--',
    "@/etc/passwd",
    "-d",
    "line\none\ttab\u2028sep 🐍 é",
    {"__proto__": {"a": 1}, "b": [None, True, 1.5, "'"]},
    [1, [2, {"c": "\\'\n"}]],
    "",
    None,
]


def call(browser: Any, page: str, html: Callable[[str], Any], **fields: Any) -> Any:
    """Sends the console's form as a browser does, and parses what comes."""
    files = fields.pop("files", {"file": ("", b"")})
    answer = browser.post(page, fields, files=files)
    assert answer.status_code == 200, answer.text
    return html(answer.text)


def test_the_form_starts_with_the_sample_input(odd: Any, browser: Any) -> None:
    """The sample is laid out as JSON, the programs hold it, and no key is anywhere."""
    page = browser.page(f"{odd.page}/versions/0.1.0")
    assert json.dumps({"a": SCRIPT}, indent=2) in page.text
    assert page.all("input", name="kind", value="json")[0].get("checked") == ""
    assert f'client.algo("{odd.reference}/0.1.0")' in page.text
    assert page.text.count("ALGORITHMIA_API_KEY") == 4
    assert odd.server.key not in page.source


def test_json_text_and_bytes_are_called(odd: Any, browser: Any, html: Any) -> None:
    """Each kind of input reaches the algorithm as it is, and its answer is shown as text."""
    at = f"{odd.page}/versions/0.1.0"
    page = call(browser, at, html, kind="json", input='{"b": 1.10}')
    assert '"b": 1.1' in page.text and f"{SCRIPT}key" in page.text
    assert "req-" in page.text and f"{SCRIPT}printed" in page.text
    assert f"{SCRIPT}result" in call(browser, at, html, kind="text", input="text").text
    page = call(browser, at, html, kind="binary", files={"file": ("some.bin", b"\x00\x01\xff")})
    assert "3 bytes" in page.text
    assert page.all("a", download="result.bin")[0]["href"] == "data:application/octet-stream;base64,/wEA"
    assert len(page.all("script")) == 1


def test_failures_are_shown_with_their_type(odd: Any, browser: Any, html: Any) -> None:
    """The algorithm's own error with its traceback; what the platform refuses with its status."""
    at = f"{odd.page}/versions/0.1.0"
    page = call(browser, at, html, kind="text", input="fail")
    assert page.all("p", role="alert")
    assert f"{SCRIPT}message" in page.text and "Traceback" in page.text
    assert f'"error_type": "{SCRIPT}"' in page.text
    assert len(page.all("script")) == 1
    page = call(browser, at, html, kind="json", input="{nonsense")
    assert "InputError" in page.text and "400" in page.text and "{nonsense" in page.text
    assert "not a number of seconds" in call(browser, at, html, input="1", timeout="nan").text
    assert "3000" in call(browser, at, html, input="1", timeout="9999").text
    assert browser.post(at, {"kind": "xml"}).status_code == 400


def test_a_call_counts_like_any_other(odd: Any, browser: Any, server: Any, html: Any) -> None:
    """It is in the platform's numbers and in the algorithm's list of errors, under the account."""
    call(browser, f"{odd.page}/versions/0.1.0", html, kind="text", input="fail")
    assert f'algorithm="{odd.reference}/0.1.0"' in server.request("GET", "/metrics").text
    assert any(entry["error"] == f"{SCRIPT}message" for entry in odd.api("GET", "/errors"))


def test_a_key_that_may_not_call_is_told_so(odd: Any, restricted: str, browse: Any, html: Any) -> None:
    """The page says it beforehand, and the call is refused as the API refuses it."""
    someone = browse(restricted)
    at = f"{odd.page}/versions/0.1.0"
    assert "may not call" in someone.page(at).text
    page = call(someone, at, html, kind="json", input="1")
    assert "403" in page.text and "may not call" in page.text


def test_a_build_can_be_tried_before_its_release(odd: Any, browser: Any, html: Any) -> None:
    """Its owner may call it by its hash."""
    commit = odd.builds[0]["commit_sha"]
    page = call(browser, f"{odd.page}/versions/{commit}", html, kind="json", input="7")
    assert f'"{SCRIPT}key": 7' in page.text


ADDRESS, REFERENCE = "http://h'\"$(id):1", "o/n/1.0.0"


def programs(language: int) -> list[str]:
    """The programs of one language for every hostile input."""
    inputs = [("text", each) if isinstance(each, str) else ("json", json.dumps(each)) for each in HOSTILE]
    found = [snippets(ADDRESS, REFERENCE, kind, text)[language] for kind, text in inputs]
    assert not any(each.reads for each in found)
    return [each.text for each in found]


def test_python_programs_send_exactly_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the input is, the vendor's client gets that value, and the same address."""
    seen: list[Any] = []
    algo = SimpleNamespace(pipe=lambda value: seen.append(value) or SimpleNamespace(result=0))
    client = SimpleNamespace(algo=lambda reference: seen.append(reference) or algo)
    stub = SimpleNamespace(client=lambda key, address: seen.append((key, address)) or client)
    monkeypatch.setitem(sys.modules, "Algorithmia", stub)  # type: ignore[arg-type]
    monkeypatch.setenv("ALGORITHMIA_API_KEY", "k")
    for program in programs(0):
        exec(program, {})
    assert seen == [part for value in HOSTILE for part in (("k", ADDRESS), REFERENCE, value)]


def test_curl_programs_send_exactly_the_input(tmp_path: Path) -> None:
    """A shell gives curl the address, the key from the environment, and the input as one word."""
    fake = tmp_path / "curl"
    fake.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    fake.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ALGORITHMIA_API_KEY": "k"}
    script = "\n".join(programs(1))
    done = subprocess.run(["sh", "-c", script], env=variables, capture_output=True, check=True)
    words = done.stdout.decode("utf-8").split("\0")[:-1]
    calls = [words[at : at + 8] for at in range(0, len(words), 8)]
    assert len(calls) == len(HOSTILE)
    for value, (_, url, _, key, _, kind, option, body) in zip(HOSTILE, calls, strict=True):
        assert (url, option) == (f"{ADDRESS}/v1/algo/{REFERENCE}", "--data-raw")
        assert key == "Authorization: Simple k"
        assert (body if kind == "Content-Type: text/plain" else json.loads(body)) == value


@pytest.mark.skipif(not shutil.which("node"), reason="no Node here")
def test_node_programs_send_exactly_the_input() -> None:
    """The vendor's client for Node gets that value; a key that would be a prototype stays a key."""
    stub = """
        const seen = [], wait = { then() {} }, pipe = (v) => { seen.push(v); return wait; };
        const algo = { pipe, pipeJson: (v) => pipe(JSON.parse(v)) };
        const made = (k, a) => ({ algo: (r) => { seen.push([k, a], r); return algo; } });
        require = () => ({ client: made });
    """
    runs = "".join(f"(() => {{ {program} }})();\n" for program in programs(2))
    done = subprocess.run(
        ["node", "-e", f"{stub}{runs}console.log(JSON.stringify(seen))"],
        env={**os.environ, "ALGORITHMIA_API_KEY": "k"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [p for value in HOSTILE for p in (["k", ADDRESS], REFERENCE, value)]


def test_large_inputs_and_files_are_read_from_disk() -> None:
    """What is too long for a program, is not JSON after all, or is bytes, comes from a file."""
    for kind, text in (("json", json.dumps("x" * 5000)), ("json", "{no"), ("json", "1e999"), ("binary", "")):
        found = snippets("http://h", "o/n/1.0.0", kind, text)
        assert all(each.reads and each.reads in each.text for each in found)
        for each in found[:1]:
            compile(each.text, "program", "exec")
    assert snippets("http://h", "o/n/1", "text", "a\0b")[0].reads == "input.txt"
    assert not any("x" * 100 in each.text for each in snippets("http://h", "o/n/1", "text", "x" * 5000))
