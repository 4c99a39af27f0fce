"""What the pages show: lists, versions, builds, logs, source; with words that try to become markup."""

from __future__ import annotations

import html as markup
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

SCRIPT = "<script>alert(1)</script>"
QUOTES = "\"'><img src=x onerror=alert(2)>"


def harmless(page: Any) -> Any:
    """A page in which nothing that somebody wrote became an element."""
    sources = [found.get("src", "") for found in page.all("script")]
    assert all(source.startswith("/web/static/") for source in sources), sources
    assert all(found["src"].startswith("/web/static/") for found in page.all("img"))
    assert not [name for _, found in page.elements for name in found if name.startswith("on")]
    return page


def links(page: Any) -> list[str]:
    return [found["href"] for found in page.all("a")]


def test_the_overview_lists_what_is_ones_own(odd: Any, broken: Any, browser: Any, server: Any) -> None:
    """Name, tagline, newest version and the state of the newest build; current in the bar."""
    page = harmless(browser.page("/web/"))
    assert {odd.page, f"{odd.page}/versions/0.1.0", broken.page} <= set(links(page))
    assert f"{QUOTES} tagline" in page.text
    assert {"failed", "succeeded"} <= set(page.text.split())
    (current,) = [found for found in page.all("a") if "aria-current" in found]
    assert current["href"] == "/web/"


def test_an_empty_overview_says_how_to_begin(
    browse: Callable[..., Any], server: Any, tmp_path: Path, add_user: Callable[[str], str]
) -> None:
    """Whoever has no algorithm is shown commands that run as they are printed, in order."""
    key = add_user("web_beginner")
    page = browse(key).page("/web/")
    assert not [link for link in links(page) if link.startswith("/web/algorithms/")]
    shown = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", page.source, re.DOTALL)
    script = "\n".join(markup.unescape(block) for block in shown).replace(
        "ALGORITHMIA_API_KEY=…", f"ALGORITHMIA_API_KEY={key}"
    )
    script = script.replace("git clone http://", f"git clone http://web_beginner:{key}@")
    variables = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    assert "/web/algorithms/web_beginner/HelloBatch" in links(browse(key).page("/web/"))


def test_an_algorithm_is_found_by_its_name(odd: Any, browser: Any) -> None:
    """As people write it: with or without scheme and version; anything else leads back."""
    for name, path in (
        (odd.reference, odd.page),
        (f" algo://{odd.reference}/ ", odd.page),
        (f"{odd.reference}/0.1.0", f"{odd.page}/versions/0.1.0"),
        ("../x//", "/web/"),
        ("a/b/c/d", "/web/"),
    ):
        assert browser.get("/web/find", params={"name": name}).headers["location"] == path


def test_an_algorithms_page_shows_all_about_it(odd: Any, browser: Any) -> None:
    """Versions with notes, builds, settings, the read-me as plain text, and where to clone from."""
    page = harmless(browser.page(odd.page))
    build = odd.builds[0]
    assert {f"{odd.page}/builds/{build['build_id']}", f"{odd.page}/source/0.1.0"} <= set(links(page))
    for words in ("label", "summary", "notes", "of the read me"):
        assert f"{SCRIPT} {words}" in page.text
    assert f"git clone {odd.server.address}/git/{odd.reference}.git" in page.text
    assert build["commit_sha"][:10] in page.text


def test_a_build_shows_its_log(broken: Any, browser: Any) -> None:
    """The state and everything that the build said, as text."""
    path = f"{broken.page}/builds/{broken.builds[0]['build_id']}"
    page = harmless(browser.page(path))
    assert SCRIPT in page.text
    assert "build failed" in page.text
    assert page.all("pre", id="log")
    assert "0 releases" not in page.text and "Nothing is released yet" in browser.page(broken.page).text


def test_a_log_can_be_followed(broken: Any, browser: Any) -> None:
    """A script gets what it has not seen yet, and the state; a wrong position means the beginning."""
    path = f"{broken.page}/builds/{broken.builds[0]['build_id']}/log"
    whole = browser.get(path).json()
    assert whole["status"] == "failed"
    assert whole["next"] == len(whole["text"]) > 50
    rest = browser.get(path, params={"from": 50}).json()
    assert rest["text"] == whole["text"][50:]
    for wrong in ("-1", "x", "9" * 40, "²"):
        assert browser.get(path, params={"from": wrong}).json() == whole


def test_source_is_coloured_and_escaped(odd: Any, browser: Any) -> None:
    """Lines can be linked to, tokens have classes, and every odd file name leads somewhere."""
    page = harmless(browser.page(f"{odd.page}/source/0.1.0/src/Odd.py"))
    assert page.all("span", id="L-1") and page.all("span", **{"class": "kn"})
    assert SCRIPT in page.text
    strange = next(link for link in links(page) if "onerror" in link)
    assert f"# {SCRIPT}" in harmless(browser.page(strange)).text
    css = browser.get("/web/source.css")
    assert css.headers["content-type"].startswith("text/css") and "prefers-color-scheme: dark" in css.text


def test_source_is_there_by_version_commit_and_branch(odd: Any, browser: Any) -> None:
    """One may ask for a number, a full hash or the branch; nothing else is looked up in the repository."""
    commit = odd.builds[0]["commit_sha"]
    for reference in ("0.1.0", commit, "master"):
        assert commit[:10] in browser.page(f"{odd.page}/source/{reference}").text
    for reference in ("0.2.0", "HEAD", "--help", "f" * 40, quote("master:src", safe="")):
        assert browser.get(f"{odd.page}/source/{reference}").status_code == 404
    for path in ("src", "src/Nothing.py", "%2e%2e/config", "..%2f..%2fconfig"):
        assert browser.get(f"{odd.page}/source/0.1.0/{path}").status_code == 404


def test_a_download_is_never_shown(odd: Any, browser: Any) -> None:
    """A file comes back byte for byte, as an attachment of no particular kind."""
    answer = browser.get(f"{odd.page}/source/0.1.0/src/Odd.py", params={"download": "1"})
    assert answer.text == odd.source["src/Odd.py"]
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == 'attachment; filename="Odd.py"'
    strange = browser.get(f"{odd.page}/source/0.1.0/{quote(f'src/{QUOTES}.py')}", params={"download": "1"})
    assert strange.text == f"# {SCRIPT}\n"
    assert "<" not in strange.headers["content-disposition"]


def test_a_public_version_opens_the_page_but_not_what_is_private(
    server: Any, host_web: Callable[..., Any], stranger: str, browse: Callable[..., Any]
) -> None:
    """Others see an algorithm once a version is public: that version, no builds, no closed source."""
    shared = host_web(server, "Shared", {"src/Shared.py": "def apply(value):\n    return value\n"})
    shared.make().release("private")
    shared.api("POST", "/compile", json={})
    shared.release("public", version_type="major")
    other = browse(stranger)
    page = harmless(other.page(shared.page))
    assert f"{shared.page}/versions/1.0.0" in links(page)
    assert f"{shared.page}/versions/0.1.0" not in links(page)
    assert not [link for link in links(page) if "/builds/" in link or "/source/" in link]
    assert other.page(f"{shared.page}/versions/1.0.0")
    for hidden in ("0.1.0", shared.builds[0]["commit_sha"]):
        assert other.get(f"{shared.page}/versions/{hidden}").status_code == 404
    assert other.get(f"{shared.page}/source/1.0.0").status_code == 403
    shared.api("PUT", json={"settings": {"source_visibility": "open"}})
    assert "return" in other.page(f"{shared.page}/source/1.0.0/src/Shared.py").text


def test_a_running_build_is_followed_to_its_end(
    server: Any, host_web: Callable[..., Any], browser: Any, tmp_path: Path
) -> None:
    """While it runs the page says so and brings its script; afterwards neither."""
    gate = tmp_path / "more.txt"
    os.mkfifo(gate)  # whoever installs the requirements waits here until somebody writes
    source = {"src/Slow.py": "def apply(value):\n    return value\n", "requirements.txt": f"-r {gate}\n"}
    slow = host_web(server, "Slow", source).make(wait=False)
    path = f"{slow.page}/builds/{slow.builds[0]['build_id']}"
    page = browser.page(path)
    assert "in-progress" in page.text
    assert page.all("script") and page.all("meta", **{"http-equiv": "refresh"})
    assert browser.get(f"{path}/log").json()["status"] == "in-progress"
    threading.Thread(target=gate.write_text, args=["\n"], daemon=True).start()
    never, deadline = threading.Event(), time.monotonic() + 120
    while browser.get(f"{path}/log").json()["status"] == "in-progress":
        assert time.monotonic() < deadline
        never.wait(0.05)
    page = browser.page(path)
    assert "succeeded" in page.text and "build succeeded" in page.text
    assert not page.all("script") and not page.all("meta", **{"http-equiv": "refresh"})


def test_a_secret_is_set_and_removed_on_the_algorithms_page(odd: Any, browser: Any, server: Any) -> None:
    """A value is written once and never shown; the same variable again replaces it; markup stays text."""
    set_at, removed_at = f"{odd.page}/secrets", f"{odd.page}/secrets/remove"
    assert browser.post(set_at, {"variable": "SHOP_TOKEN", "value": "hunter2"}).status_code == 303
    assert browser.post(set_at, {"variable": "SHOP_TOKEN", "value": "hunter3"}).status_code == 303
    page = browser.page(odd.page)
    assert "SHOP_TOKEN" in page.text
    assert "hunter" not in page.source
    (secret,) = odd.api("GET", "/secrets")["results"]
    assert browser.post(set_at, {"variable": "<b>", "value": "x"}).status_code == 400
    assert browser.post(set_at, {"variable": "SHOP_TOKEN"}).status_code == 400
    assert browser.post(removed_at, {"secret": secret["id"]}).status_code == 303
    assert odd.api("GET", "/secrets")["results"] == []
    assert browser.post(removed_at, {"secret": secret["id"]}).status_code == 404


def test_secrets_are_for_those_who_manage(odd: Any, browse: Any, stranger: str, restricted: str) -> None:
    """A stranger and a key that may not manage change no secret and see none."""
    for key, statuses in ((stranger, {403, 404}), (restricted, {403})):
        visitor = browse(key)
        answer = visitor.post(f"{odd.page}/secrets", {"variable": "SHOP_TOKEN", "value": "x"})
        assert answer.status_code in statuses, answer.text
    assert odd.api("GET", "/secrets")["results"] == []
