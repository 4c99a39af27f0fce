"""The credentials of an endpoint: from a variable, a file, a program or OAuth 2; never kept anywhere else."""

from __future__ import annotations

import base64
import collections
import json
import os
import subprocess
import threading
import time
import urllib.parse
from typing import Any

from . import network
from .exchange import Transport
from .protocol import STOP, UNREACHABLE, Failure
from .statuses import failure_of

EARLY = 60.0  # seconds before it expires that a token is fetched again; at most half of its life
SECONDS = 60.0  # that a program or a server may take to give a token
PASSING = (408, 425, 429)  # statuses of a server of tokens that works again later; so are all from 500 on
KEPT = 8  # tokens that answers may still repeat


class Credentials:
    """The token that each request carries; ``refresh`` finds whether there is a fresher one."""

    refused = (401,)

    def __init__(self, target: dict[str, Any]) -> None:
        self._settings = target["auth"]
        self._tls = target["tls"]
        self._lock = threading.Lock()
        self._token = ""
        self._said: collections.deque[str] = collections.deque(maxlen=KEPT)
        self._stamp: Any = None  # of the file that the token is from
        self._expires = float("inf")

    def address(self, url: str) -> str:
        """Where requests with these credentials go."""
        return url

    def ready(self, seconds: float) -> None:
        """Have a token that is valid still, within so many seconds. Raises ``Failure``."""
        with self._lock:
            if not self._token or time.monotonic() > self._expires or self._is_stale():
                self._token = self._read(seconds)

    def headers(self, _path: str, headers: dict[str, str], _body: bytes) -> dict[str, str]:
        """The headers of a request with the credentials among them, once they are ``ready``."""
        name = self._settings.get("header")
        return {**headers, name or "Authorization": self._token if name else f"Bearer {self._token}"}

    def refresh(self, refused: str, seconds: float) -> bool:
        """Whether the credentials are now others than those of the request that was ``refused``."""
        with self._lock:
            if self._token and self._token in refused:
                self._token = self._read(seconds)
            return self._token not in refused

    def hidden(self, text: str) -> str:
        """A text of the server's without any token that was sent to it."""
        for token in self._said:
            for written in (token, json.dumps(token)[1:-1]):
                text = text.replace(written, "***")
        return text

    def _is_stale(self) -> bool:
        path = self._settings.get("bearer_file")
        try:
            return bool(path) and self._stamp != _stamp(path)
        except OSError:  # gone, which reading it tells
            return True

    def _read(self, seconds: float) -> str:
        """The token as it is now. Raises ``Failure``, which never shows any of it."""
        settings, seconds = self._settings, min(seconds, SECONDS)
        try:
            if settings.get("bearer_env"):
                token = os.environ.get(settings["bearer_env"], "")
                where = f"the variable {settings['bearer_env']}"
            elif settings.get("bearer_file"):
                where = settings["bearer_file"]
                self._stamp = _stamp(where)
                token = network.place_of(where).read_text("utf-8")
            elif settings.get("command"):
                where = settings["command"][0]
                token = _output(settings["command"], seconds)
            else:
                where = settings["oauth2"]["token_url"]
                token = self._fetch(settings["oauth2"], seconds)
        except (OSError, ValueError, OverflowError, RecursionError, subprocess.SubprocessError) as error:
            said = getattr(error, "strerror", None) or type(error).__name__
            raise _missing(f"{where} gives no token: {said}") from None
        token = token.strip()
        if not token or not token.isascii() or not token.isprintable():
            raise _missing(f"{where} holds no token")
        if token not in self._said:
            self._said.append(token)
        return token

    def _fetch(self, settings: dict[str, Any], seconds: float) -> str:
        """A token by client credentials, with when it expires. Raises ``ValueError`` or ``Failure``."""
        url = urllib.parse.urlsplit(settings["token_url"])
        login = [
            urllib.parse.quote(os.environ.get(settings[name], ""), safe="")
            for name in ("client_id_env", "client_secret_env")
        ]
        basic = base64.b64encode(":".join(login).encode("ascii")).decode("ascii")
        form = {"grant_type": "client_credentials"}
        if settings.get("scope"):
            form["scope"] = settings["scope"]
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        body = urllib.parse.urlencode(form).encode("ascii")
        try:
            path = url.path + (f"?{url.query}" if url.query else "")
            transport = Transport(network.server_of(settings["token_url"], self._tls))
            response = transport.send("POST", path or "/", body, headers, seconds)
        except Failure as error:
            raise _missing(f"{settings['token_url']}: {error}", error.effect != STOP) from None
        if response.status != 200:
            said = f"{settings['token_url']} answers with status {response.status}"
            raise _missing(said, response.status in PASSING or response.status >= 500)
        answer = json.loads(response.body.decode("utf-8"))
        told = answer.get("expires_in") if isinstance(answer, dict) else None
        lives = float(told) if type(told) in (int, float) else float("inf")
        self._expires = time.monotonic() + max(lives - EARLY, lives / 2)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        return token if isinstance(token, str) else ""


def _stamp(path: str) -> Any:
    """What changes with a file: Kubernetes replaces projected tokens by new files."""
    found = network.place_of(path).stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def _output(command: list[str], seconds: float) -> str:
    done = subprocess.run(
        command, capture_output=True, timeout=seconds, check=True, cwd=str(network.place_of(""))
    )
    return done.stdout.decode("utf-8")


def _missing(said: str, is_passing: bool = False) -> Any:
    """No call can succeed without a token; that of a server which works again later is waited for."""
    if is_passing:
        return failure_of("ConnectionError", said, UNREACHABLE, True)
    return failure_of("AuthenticationError", said, STOP, True)
