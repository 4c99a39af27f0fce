"""The command as a user runs it, and a target and a spec to run it on."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import commands

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA")}
TARGET = "def apply(input):\n    return {'shout': input.upper()}\n"
SPEC = """version: 1
target:
  algorithm: nlp/Shout/0.1.0
wrapper:
  name: acme/ShoutBatch
  mode: both
datastore:
  url: data://acme/shouts
publish:
  examples: [hello, "it's {{ so }}"]
"""


@dataclass
class User:
    """Somebody with a folder of their own, and a platform whose home is known by flag.

    Args:
        folder: the current one of every command.
        home: the platform's.
    """

    folder: Path
    home: Path

    def wrapgen(self, *words: object, code: int = 0) -> str:
        """Runs the command, insists on its exit code, gives its standard output."""
        done = commands.run(*map(str, words), cwd=self.folder, env=ENVIRONMENT)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def diff(self, *words: object) -> dict[str, list[str]]:
        """Each level of `wrapgen diff --json` with how its findings stand; exit code 4 where one differs."""
        command = ["diff", "--json", "--home", str(self.home), *map(str, words)]
        done = commands.run(*command, cwd=self.folder, env=ENVIRONMENT)
        assert done.returncode in (0, 4), done.stderr
        levels: dict[str, list[str]] = {}
        for finding in json.loads(done.stdout)["levels"]:
            levels.setdefault(finding["what"], []).append(finding["level"])
            assert finding["level"] == "ok" or finding["hint"], finding
        assert (done.returncode == 4) == any("fault" in found for found in levels.values())
        return levels


def publish_target(user: User, text: str = TARGET) -> str:
    """Releases the next version of the target; gives its reference."""
    return publish(user, "Shout", text, "a")


def publish(user: User, name: str, text: str, example: object, *release: str) -> str:
    """Releases an algorithm of `nlp`, by its next number or this one; gives its reference."""
    folder = user.folder / name.lower()
    (folder / "src").mkdir(parents=True, exist_ok=True)
    conf = {"username": "nlp", "algoname": name, "langauge": "python3"}
    (folder / "algorithmia.conf").write_text(json.dumps(conf))
    (folder / "requirements.txt").write_text("")
    (folder / "src" / "__init__.py").write_text("")
    (folder / "src" / f"{name}.py").write_text(text)
    case = {"case_name": "a", "input": example, "type": "NO_EXCEPTION"}
    (folder / "TEST_CASES.json").write_text(json.dumps([case]))
    words = ["--release", *release] if release else []
    said = user.wrapgen("publish", folder, *words, "--home", user.home, "--json")
    out: dict[str, str] = json.loads(said.splitlines()[-1])
    return out["reference"]
