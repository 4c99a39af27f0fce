"""What is done with a platform, one thing after the other, as a program whose system calls are kept.

    python platform_life.py FOLDER

The home is in FOLDER, below `root`. Before a request leaves, standard output says what it will change; after
its answer has come, that it was acknowledged.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import requests

PLACE = "/v1/algorithms/local/Power"
SOURCE = {
    "requirements.txt": "",
    "src/__init__.py": "",
    "src/Power.py": "def apply(input):\n    return {'seen': input}\n",
}
LINE = (
    '{"attempts":1,"duration_ms":1,"id":"%d","index":%d,"result":%d,"run":"r",'
    '"started_at":"2026-01-01T00:00:00.000Z","target":"a/b/1.0.0","try":%d,"wrapper":"a/c/1.0.0"}\n'
)
"""A record."""


class Life:
    """A server, and a client that tells what it asks and what was acknowledged.

    Args:
        folder: where everything is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "root" / "home"
        words = ["serve", "--home", str(self.home), "--port", "0", "--json", "--isolation", "none"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wrapgen", *words, "--allow-root-workers", "--workers", "1"],
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.facts = json.loads(self.process.stdout.readline())
        self.keys = json.loads((self.home / "credentials.json").read_text())
        self.key = self.keys["api_key"]
        self.session = requests.Session()
        self.commits: list[str] = []

    def tell(self, kind: str, name: str, value: Any) -> None:
        """A fact that may be true from now on (`may`), or is (`is`)."""
        os.write(1, json.dumps([kind, name, value]).encode() + b"\n")

    def ask(self, method: str, path: str, fact: tuple[str, Any] | None = None, **options: Any) -> Any:
        """One request; its answer, decoded where it is JSON."""
        if fact:
            self.tell("may", *fact)
        key = options.pop("key", self.key)
        answer = self.session.request(
            method, self.facts["address"] + path, headers={"Authorization": key}, timeout=60, **options
        )
        assert answer.ok, (path, answer.text)
        if fact:
            self.tell("is", *fact)
        return (
            answer.json() if answer.headers.get("content-type", "").startswith("application/json") else None
        )

    def data(self) -> None:
        """Collections, files and records."""
        self.ask("POST", "/v1/data/.my", ("collection col", True), json={"name": "col"})
        self.ask("PUT", "/v1/data/.my/col/one", ("file col/one", "first"), data=b"first")
        self.ask("PUT", "/v1/data/.my/col/one", ("file col/one", "second" * 900), data=b"second" * 900)
        self.ask("PUT", "/v1/data/.my/col/two", ("file col/two", "two"), data=b"two")
        self.ask("DELETE", "/v1/data/.my/col/two", ("file col/two", None))
        self.ask("POST", "/v1/data/.my", ("collection gone", True), json={"name": "gone"})
        self.ask("PUT", "/v1/data/.my/gone/file", data=b"x")
        self.ask("DELETE", "/v1/data/.my/gone?force=true", ("collection gone", False))
        self.ask("POST", "/v1/data/.my", ("collection records", True), json={"name": "records"})
        for number in range(1, 4):
            lines = "".join(LINE % (at, at, at * number, number) for at in range(number, 4))
            name = f"r-{number:012d}-{number:012x}-t{number}-p1.jsonl"
            self.ask("PUT", f"/v1/data/.my/records/{name}", data=lines.encode())
        self.tell("is", "records", [[str(at), at * at] for at in range(1, 4)])

    def settle(self) -> None:
        """`records --settle`."""
        words = [sys.executable, "-m", "wrapgen", "records", "data://.my/records", "--run", "r", "--settle"]
        variables = {**os.environ, "ALGORITHMIA_API_KEY": self.key, "ALGORITHMIA_API": self.facts["address"]}
        self.tell("may", "settled", True)
        done = subprocess.run(words, env=variables, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        self.tell("is", "settled", True)

    def accounts(self) -> None:
        """A user, a key, and a key that is revoked."""
        admin = self.keys["admin_key"]
        user = {"username": "jane", "email": "jane@example.org"}
        self.ask("POST", "/v1/users", ("user jane", True), key=admin, json=user)
        made = self.ask("POST", "/v1/users/local/keys", json={"key_label": "one"})
        self.tell("is", f"key {made['api_key']}", True)
        (found,) = [one for one in self.ask("GET", "/v1/users/local/keys") if one.get("key_label") == "one"]
        self.ask("DELETE", f"/v1/users/local/keys/{found['id']}", (f"key {made['api_key']}", False))

    def algorithm(self) -> None:
        """An algorithm, two pushes with their builds, and a release."""
        self.ask("POST", "/v1/algorithms/local", ("algorithm Power", True), json={"name": "Power"})
        clone = self.folder / "clone"
        remote = self.facts["address"].replace("//", f"//local:{self.key}@") + "/git/local/Power.git"
        self.git(self.folder, "clone", "-q", remote, str(clone))
        for number in range(2):
            for name, text in SOURCE.items():
                (clone / name).parent.mkdir(exist_ok=True)
                (clone / name).write_text(f"{text}# {number}\n" if text else text)
            (clone / ".adk").unlink(missing_ok=True)
            self.git(clone, "add", "-A")
            self.git(clone, "commit", "-qm", f"Change {number}")
            commit = self.git(clone, "rev-parse", "HEAD")
            self.tell("may", "commit", commit)
            self.git(clone, "push", "-q", "origin", "HEAD:master")
            self.tell("is", "commit", commit)
            self.ask("POST", f"{PLACE}/compile", (f"build {commit}", True), json={})
        self.ask(
            "POST",
            f"{PLACE}/versions",
            ("version", commit),
            json={"settings": {"algorithm_callability": "public"}},
        )

    def calls(self) -> None:
        """Void calls: no caller waits for their answers."""
        for number in range(2):
            made = self.ask("POST", "/v1/algo/local/Power?output=void", json=number)
            request = made["request_id"]
            self.tell("is", f"void {request}", number)
            tick = threading.Event()
            while (answer := self.ask("GET", f"/v1/requests/{request}")).get("status") == "running":
                tick.wait(0.02)
            assert answer["result"] == {"seen": number}, answer
            self.tell("is", f"outcome {request}", number)

    def removal(self) -> None:
        """An algorithm that goes."""
        self.ask("POST", "/v1/algorithms/local", ("algorithm Gone", True), json={"name": "Gone"})
        self.ask("DELETE", "/v1/algorithms/local/Gone", ("algorithm Gone", False))

    def git(self, folder: Path, *words: str) -> str:
        """git, as a user has it."""
        variables = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1"}
        named = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", *words]
        done = subprocess.run(
            named,
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


PARTS = ("data", "settle", "accounts", "algorithm", "calls", "removal")


def main(folder: Path, parts: list[str]) -> None:
    """What is recorded."""
    life = Life(folder)
    try:
        life.tell("is", f"key {life.key}", True)
        for part in parts or PARTS:
            getattr(life, part)()
    finally:
        life.process.send_signal(signal.SIGTERM)
        assert life.process.wait(60) == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
