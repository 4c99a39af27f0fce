"""A platform in a process of its own that is killed and comes back, with a wrapper hosted on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

SPEC = """version: 1
target: {algorithm: nlp/Fickle/1.0.0, batch_size: 2}
wrapper: {name: acme/FickleBatch, mode: both}
datastore: {url: data://acme/fickle}
dispatch: {parallel: 4, attempts: 9, item_timeout: 1}
"""

QUICK = {
    "runtime/work.py": [
        ("\nPAUSES = (0.5, 30.0)", "\nPAUSES = (0.005, 0.05)"),
        ("THROTTLED_PAUSES = (2.0, 60.0)", "THROTTLED_PAUSES = (0.01, 0.05)"),
    ],
    "runtime/algorithm.py": [("READ_GRACE = 30.0", "READ_GRACE = 0.0")],
}
"""What makes a wrapper wait less, so that a test of many kills need not."""


class Hosted:
    """`wrapgen serve` with one home, to be killed and started again on the same port.

    Attributes:
        reference: the exact version of the wrapper, once it is published.
        key: of the first account.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("ALGORITHMIA")}
        self.server: subprocess.Popen[str] | None = None
        self.reference = self.key = ""

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it is ready."""
        words = ["-m", "wrapgen", "serve", "--home", "home", "--port", str(self.port), "--json"]
        words.append("--allow-root-workers")
        self.server = self.spawn(words, stderr=subprocess.DEVNULL)
        assert self.server.stdout is not None
        ready = json.loads(self.server.stdout.readline())
        self.port = int(ready["address"].rpartition(":")[2])
        self.key = self.environment["ALGORITHMIA_API_KEY"] = json.loads(
            Path(ready["credentials"]).read_text()
        )["api_key"]

    def spawn(self, words: list[str], stderr: Any = subprocess.PIPE) -> subprocess.Popen[str]:
        """Starts a Python process in the folder."""
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )

    def __call__(self, *words: str, ends: int = 0) -> dict[str, Any]:
        """Runs a wrapgen command with --json to its end."""
        home = [] if words[0] in ("build", "merge") else ["--home", "home"]
        self.environment.pop("ALGORITHMIA_API", None)
        process = self.spawn(["-m", "wrapgen", *words, *home, "--json"])
        out, err = process.communicate(timeout=200)
        assert process.returncode == ends, f"{words}: {process.returncode}\n{out}\n{err}"
        found: dict[str, Any] = json.loads(out)
        return found

    def publish(self, target: str) -> None:
        """Publishes the wrapper, whose target is at another address and who waits less than others."""
        (self.folder / "spec.yaml").write_text(SPEC)
        self("build", "spec.yaml")
        source = self.folder / "generated" / "FickleBatch" / "src"
        elsewhere = f'url="{target}", headers={{"Authorization": "k"}}'
        changes = {
            **QUICK,
            "FickleBatch.py": [("Target(server,", f"Target(server._replace({elsewhere}),")],
        }
        for name, pairs in changes.items():
            text = (source / name).read_text()
            for old, new in pairs:
                assert text.count(old) == 1, f"{name} no longer says {old}"
                text = text.replace(old, new)
            (source / name).write_text(text)
        self.reference = self("publish", "generated/FickleBatch", "--skip-cases")["reference"]

    def kill(self) -> None:
        """SIGKILL, and the same home on the same port again."""
        assert self.server is not None
        self.server.kill()
        self.server.communicate()
        self.start()

    def stop(self) -> None:
        """SIGTERM."""
        assert self.server is not None
        self.server.send_signal(signal.SIGTERM)
        self.server.communicate(timeout=60)

    def workers(self) -> list[int]:
        """The processes that run algorithms of this home."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"/bootstrap.py" in words and str(self.folder).encode() in words.split(b"\0")[0]:
                    found.append(int(entry.name))
        return found
