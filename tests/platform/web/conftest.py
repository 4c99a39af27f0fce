"""A browser's side of the web page over plain HTTP: a cookie jar, form tokens, and HTML that can be asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests

SCRIPT = "<script>alert(1)</script>"
QUOTES = "\"'><img src=x onerror=alert(2)>"
SOURCE = f"""
import sys


class Odd(Exception):
    error_type = "{SCRIPT}"


def apply(value):
    print({SCRIPT + "printed"!r})
    if value == "fail":
        raise Odd({SCRIPT + "message"!r})
    if value == "text":
        return {SCRIPT + "result"!r}
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)[::-1]
    return {{{SCRIPT + "key"!r}: value}}
"""

VOID = {"br", "hr", "img", "input", "link", "meta", "source", "wbr"}


@dataclass
class Html(HTMLParser):
    """A parsed page: elements with their attributes, all text, and that the tags are balanced."""

    source: str
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.source)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """The attributes of every element of a tag that has those given."""
        return [
            found
            for name, found in self.elements
            if name == tag and all(found.get(key) == value for key, value in attributes.items())
        ]

    def value(self, name: str) -> str:
        """The value of a form's field."""
        return next(found["value"] for found in self.all("input") if found.get("name") == name)


@dataclass
class Browser:
    """One person's browser, without script."""

    server: Any
    session: requests.Session = field(default_factory=requests.Session)
    token: str = ""

    def __post_init__(self) -> None:
        self.session.headers["Accept"] = "text/html,application/xhtml+xml"

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request with the cookies so far; redirects are not followed unless asked for."""
        options = {"allow_redirects": False, "timeout": 60, "verify": self.server.verify, **options}
        return self.session.request(method, self.server.address + path, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def page(self, path: str) -> Html:
        """A page that must be there."""
        found = self.get(path)
        assert found.status_code == 200, (path, found.status_code, found.text[:2000])
        return Html(found.text)

    def post(self, path: str, fields: dict[str, Any] | None = None, **options: Any) -> requests.Response:
        """Sends a form with the session's token."""
        return self.request("POST", path, data={"token": self.token, **(fields or {})}, **options)

    def sign_in(self, key: str) -> Browser:
        """Signs in; the token of all later forms is then known."""
        self.token = self.page("/web/sign-in").value("token")
        answer = self.post("/web/sign-in", {"key": key})
        assert answer.status_code == 303, answer.text
        self.token = self.page(answer.headers["location"]).value("token")
        return self


@dataclass
class Hosted:
    """An algorithm of the first account."""

    server: Any
    name: str
    source: dict[str, str]
    folder: Path
    builds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def reference(self) -> str:
        return f"{self.server.facts['account']}/{self.name}"

    @property
    def page(self) -> str:
        return f"/web/algorithms/{self.reference}"

    def api(self, method: str, path: str = "", **options: Any) -> Any:
        answer = self.server.request(method, f"/v1/algorithms/{self.reference}{path}", **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def make(self, *, wait: bool = True, **fields: Any) -> Hosted:
        """Creates it, pushes its source with real git, and waits until that is built."""
        version = f"python{sys.version_info[0]}{sys.version_info[1]}"
        settings = {"source_visibility": "closed", "license": "apl", "network_access": "full"}
        fields = {"name": self.name, "settings": {**settings, "algorithm_environment": version}, **fields}
        made = self.server.request("POST", f"/v1/algorithms/{self.server.facts['account']}", json=fields)
        assert made.status_code == 201, made.text
        remote = f"{self.server.address}/git/{self.reference}.git".replace(
            "://", f"://local:{self.server.key}@"
        )
        self.git("clone", "-q", remote, ".")
        # Without the ADK there is nothing to install, and `apply` alone will do.
        self.git("rm", "-q", ".adk", "requirements.txt", f"src/{self.name}.py")
        for path, text in self.source.items():
            (self.folder / path).write_text(text, "utf-8")
        self.git("add", "-A")
        self.git("-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", "Replace the source")
        self.git("push", "-q", "origin", "HEAD:master")
        if wait:
            self.api("POST", "/compile", json={})
        self.builds = self.api("GET", "/builds")["results"]
        return self

    def git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.folder, check=True)

    def release(self, callability: str, **info: Any) -> Hosted:
        body = {"settings": {"algorithm_callability": callability}, "version_info": info}
        self.api("POST", "/versions", json=body)
        return self


@pytest.fixture
def host_web(tmp_path: Path) -> Callable[..., Hosted]:
    """An algorithm of the test's own, yet to be made: `host_web(server, name, source)`."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    return lambda server, name, source: Hosted(server, name, source, folder)


@pytest.fixture(scope="session")
def odd(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Hosted:
    """A private algorithm whose every word tries to become markup; 0.1.0 is released."""
    source = {
        "src/Odd.py": SOURCE,
        "README.md": f"{SCRIPT} of the read me\n",
        f"src/{QUOTES}.py": f"# {SCRIPT}\n",
    }
    made = Hosted(server, "Odd", source, tmp_path_factory.mktemp("odd"))
    details = {"label": f"{SCRIPT} label", "tagline": f"{QUOTES} tagline", "summary": f"{SCRIPT} summary"}
    made.make(details=details)
    notes = {
        "release_notes": f"{SCRIPT} notes",
        "sample_input": f'{{"a": "{SCRIPT}"}}',
        "sample_output": QUOTES,
    }
    return made.release("private", **notes)


@pytest.fixture(scope="session")
def broken(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Hosted:
    """A private algorithm whose build failed, with markup in the log."""
    source = {"src/Broken.py": f"def apply(value) {SCRIPT}\n"}
    return Hosted(server, "Broken", source, tmp_path_factory.mktemp("broken")).make()


SLOW = {"slow.html": "<!--" * 22_000, "slow.yaml": "&a " * 29_000, "slow.java": "a<" * 44_000}
"""Texts that lexers of Pygments take minutes or hours for."""


@pytest.fixture(scope="session")
def slow(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Hosted:
    """An algorithm with files that are slow to colour, and one that is not."""
    source = {"src/Costly.py": "def apply(value):\n    return value\n"}
    source |= {f"src/{name}": text for name, text in SLOW.items()}
    return Hosted(server, "Costly", source, tmp_path_factory.mktemp("slow")).make()


@pytest.fixture(scope="session")
def add_user(server: Any) -> Callable[[str], str]:
    """Registers an account; returns its key."""

    def add(name: str) -> str:
        body = {"username": name, "email": f"{name}@example.org"}
        server.request("POST", "/v1/users", server.admin_key, json=body)
        made = server.request("POST", f"/v1/users/{name}/keys", server.admin_key, json={"key_label": "web"})
        return str(made.json()["api_key"])

    return add


@pytest.fixture(scope="session")
def stranger(add_user: Callable[[str], str]) -> str:
    """The key of an account that has nothing to do with the first one."""
    return add_user("web_stranger")


@pytest.fixture(scope="session")
def restricted(server: Any) -> str:
    """A key of the first account that may neither manage algorithms nor call any."""
    permissions = {"allow_algo_management": False, "algo_acl": ["algo://nobody/*"]}
    path = f"/v1/users/{server.facts['account']}/keys"
    return str(
        server.request("POST", path, json={"key_label": "web", "permissions": permissions}).json()["api_key"]
    )


@pytest.fixture(scope="session")
def browse(server: Any) -> Callable[..., Browser]:
    """Opens a browser: `browse()` for nobody, `browse(key)` signed in, on the shared server unless told."""

    def start(key: str | None = None, on: Any = None) -> Browser:
        opened = Browser(on or server)
        return opened.sign_in(key) if key else opened

    return start


@pytest.fixture(scope="session")
def browser(server: Any, browse: Callable[..., Browser]) -> Browser:
    """The first account's browser, signed in."""
    return browse(server.key)


@pytest.fixture(scope="session")
def revoked(server: Any, browse: Callable[..., Browser]) -> Browser:
    """The browser of somebody whose key was revoked after they had signed in."""
    mine = f"/v1/users/{server.facts['account']}/keys"
    made = server.request("POST", mine, json={"key_label": "soon gone"}).json()
    signed_in = browse(made["api_key"])
    assert server.request("DELETE", f"{mine}/{made['id']}").status_code == 204
    return signed_in


@pytest.fixture(scope="session")
def html() -> Callable[[str], Html]:
    """Parses a page."""
    return Html
