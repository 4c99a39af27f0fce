"""`wrapgen run spec.yaml`: a run that needs no platform, no key and no server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import commands
import pytest

SPEC = """
version: 1
target: {source: ./model}
wrapper: {name: acme/Upper, mode: batch}
"""


class Place:
    """A folder with a spec, a model and an input, and `wrapgen` in it without any platform.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA")}
        self._variables = {**kept, "WRAPGEN_CACHE": str(folder / "cache"), "HOME": str(folder)}

    def model(self, source: str, spec: str = SPEC) -> None:
        """Writes spec and model."""
        (self.folder / "spec.yaml").write_text(spec)
        (self.folder / "model").mkdir(exist_ok=True)
        (self.folder / "model" / "model.py").write_text(source)

    def items(self, count: int) -> None:
        """Writes an input of so many texts."""
        (self.folder / "in.jsonl").write_text("".join(f'"text {n}"\n' for n in range(count)))

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command."""
        return commands.run(*words, cwd=self.folder, env=self._variables)

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        """`wrapgen run spec.yaml in.jsonl -o out.jsonl`."""
        return self("run", "spec.yaml", "in.jsonl", "-o", "out.jsonl", *more)

    @property
    def results(self) -> list[object]:
        """The results that the output holds."""
        lines = map(json.loads, (self.folder / "out.jsonl").read_text().splitlines())
        return [line["result"] for line in lines if "result" in line]


@pytest.fixture
def place(tmp_path):
    """An empty place."""
    return Place(tmp_path)


def test_a_spec_runs_without_a_platform(place):
    """Every item is scored, in order, by more than one process; verify finds nothing wrong."""
    place.model("def apply(text):\n    return text.upper()\n")
    place.items(500)
    ran = place.run("--processes", "2", "--json")
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert (summary["succeeded"], summary["reference"]) == (500, "acme/Upper/local")
    assert place.results == [f"TEXT {n}" for n in range(500)]
    assert place("verify", "out.jsonl").returncode == 0


def test_a_run_that_is_killed_goes_on(place):
    """The runner is killed twice in the middle; the same command finishes, each item once, in order."""
    place.model(
        "import os, pathlib, signal\n"
        "def apply(text):\n"
        "    mark = pathlib.Path(__file__).with_name(f'killed at {text}')\n"
        "    if text in ('text 300', 'text 650') and not mark.exists():\n"
        "        mark.touch()\n"
        "        os.kill(os.getppid(), signal.SIGKILL)\n"
        "    return text.upper()\n"
    )
    place.items(900)
    codes = [place.run("--processes", "1", "--chunk", "50").returncode for _ in range(3)]
    assert codes == [-9, -9, 0]
    assert place.results == [f"TEXT {n}" for n in range(900)]
    verified = place("verify", "out.jsonl")
    assert verified.returncode == 0, verified.stdout


def test_an_item_that_ends_its_process_fails_alone(place):
    """A crash is that item's error, after the attempts it may have; all others have results."""
    place.model("import os\ndef apply(text):\n    return os._exit(9) if text == 'text 1' else text\n")
    place.items(40)  # among them it is found by halving
    ran = place.run("--budget", "100")
    assert ran.returncode == 10, ran.stderr
    (failed,) = (place.folder / "out.jsonl.errors.jsonl").read_text().splitlines()
    assert json.loads(failed)["index"] == 1 and "exited with code 9" in failed
    assert len(place.results) == 39


def test_what_cannot_be_loaded_is_one_clear_error(place):
    """Nothing is left behind, and the message names the module's own error."""
    place.model("raise OSError('weights.bin is missing')\ndef apply(text):\n    return text\n")
    place.items(3)
    ran = place.run()
    assert ran.returncode == 8 and "weights.bin is missing" in ran.stderr
    assert "Traceback" not in ran.stderr and not (place.folder / "out.jsonl.run").exists()


def test_what_processes_print_is_in_the_log(place):
    """Neither output nor progress is disturbed by it."""
    place.model("print('model is there')\ndef apply(text):\n    print('at', text)\n    return text\n")
    place.items(5)
    ran = place.run()
    assert ran.returncode == 0 and "at text 3" not in ran.stdout + ran.stderr
    log = (place.folder / "out.jsonl.run" / "processes.log").read_text()
    assert "model is there" in log and "at text 3" in log


def test_a_changed_source_is_another_run(place):
    """Half of the results of one model and half of another need a word of the user's."""
    place.model("def apply(text):\n    return text.upper()\n")
    place.items(10)
    assert place.run().returncode == 0
    place.model("def apply(text):\n    return text.lower()\n")
    again = place.run()
    assert again.returncode == 8 and "describes itself differently" in again.stderr
    assert place.run("--fresh").returncode == 0 and place.results[0] == "text 0"


def test_plan_estimates_a_spec(place):
    """Nothing is billed here, and as many calls are open as there are processes."""
    place.model("def apply(text):\n    return text\n")
    place.items(100)
    planned = place("plan", "spec.yaml", "in.jsonl", "--processes", "3", "--json")
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["open_calls"] == 3


def test_call_tries_one_item_of_a_spec(place):
    """Text, JSON and bytes go in as in a direct call; an error has the same exit code."""
    place.model(
        "def apply(item):\n"
        "    if item == 'bad':\n"
        "        raise ValueError('no good')\n"
        "    return item[::-1] if isinstance(item, (str, bytes)) else item\n"
    )
    assert place("call", "spec.yaml", "abc").stdout == "cba\n"
    assert json.loads(place("call", "spec.yaml", "-j", '{"a": [1]}').stdout) == {"a": [1]}
    (place.folder / "in.bin").write_bytes(b"\x00\xff")
    assert place("call", "spec.yaml", "-b", "-f", "in.bin", "-o", "out.bin").returncode == 0
    assert (place.folder / "out.bin").read_bytes() == b"\xff\x00"
    failed = place("call", "spec.yaml", "bad")
    assert failed.returncode == 6 and "no good" in failed.stderr


RECORDING = """
version: 1
target: {source: ./model}
wrapper: {name: acme/Upper, mode: both}
datastore: {url: ./kept records}
"""


def test_records_go_to_a_folder_beside_the_spec(place):
    """They are read, verified and settled with no platform, wherever the command is given."""
    place.model("def apply(text):\n    return text.upper()\n", RECORDING.replace("kept ", "kept%20"))
    place.items(300)
    assert place.run("--run", "r1").returncode == 0
    assert len(list((place.folder / "kept records").glob("r1-*.jsonl"))) > 1
    assert place("records", "spec.yaml", "--count").stdout == "300\n"
    verified = place("verify", "out.jsonl")
    assert verified.returncode == 0 and "300 keys of run r1" in verified.stdout
    assert place("records", "spec.yaml", "--settle").returncode == 0
    url = (place.folder / "kept records").as_uri()
    assert place("records", url, "--run", "r1", "--count").stdout == "300\n"
    assert place("verify", "out.jsonl").returncode == 0


def test_what_is_too_large_for_a_call_goes_by_files(place):
    """An item and an answer beyond the caps of a call arrive whole, and no file is left."""
    place.model(
        "def apply(item):\n    return item if len(item) < 2000 else item + item\n",
        SPEC + "limits: {request_bytes: 5000, response_bytes: 5000}\n",
    )
    large = ["x" * 6000, "y" * 20, "z" * 3000]
    (place.folder / "in.jsonl").write_text("".join(json.dumps(text) + "\n" for text in large))
    ran = place.run()
    assert ran.returncode == 0, ran.stdout + ran.stderr + (place.folder / "out.jsonl").read_text()[:500]
    assert place.results == [text if len(text) < 2000 else text * 2 for text in large]


def test_a_datastore_may_be_a_url_alone(place):
    """`datastore: file:///folder` says all that a folder needs."""
    url = (place.folder / "kept").as_uri()
    spec = SPEC.replace("mode: batch", "mode: log") + f"datastore: {url}\n"
    place.model("def apply(text):\n    return text.upper()\n", spec)
    place.items(20)
    assert place.run().returncode == 0
    assert place("records", url, "--count").stdout == "20\n"
