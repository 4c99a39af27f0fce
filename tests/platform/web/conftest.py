"""A browser's side of the web page over plain HTTP: a cookie jar, form tokens, and HTML that can be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest
import requests

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
