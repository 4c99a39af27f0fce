"""`wrapgen init`: a commented spec from flags, from answers, and from what the platform knows."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import commands
import pytest
from shouting import ENVIRONMENT

from wrapgen.spec import load

FLAGS = ["--target", "nlp/Shout/0.1.0", "--name", "acme/B", "--mode", "both", "--datastore", "data://acme/b"]


def init(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a script: no terminal."""
    return commands.run("init", *words, cwd=folder, env=ENVIRONMENT)


def test_flags_make_a_spec_that_is_right(tmp_path: Path) -> None:
    """With every flag given nothing is asked, and what is written is a valid spec full of comments."""
    done = init(tmp_path, *FLAGS, "--no-look-up")
    assert done.returncode == 0, done.stderr
    spec = load(tmp_path / "spec.yaml")
    assert (spec.target.algorithm, spec.wrapper.name, spec.datastore.url) == (
        "nlp/Shout/0.1.0",
        "acme/B",
        "data://acme/b",
    )
    assert (tmp_path / "spec.yaml").read_text().count("#") > 10


@pytest.mark.parametrize("mode", ["batch", "log", "both"])
def test_every_mode_and_an_inline_folder_make_a_spec(tmp_path: Path, mode: str) -> None:
    """Mode batch needs no datastore; a folder becomes the source."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.py").write_text("def apply(input):\n    return input\n")
    store = [] if mode == "batch" else ["--datastore", "sqlite:////srv/records.db"]
    done = init(tmp_path, "new/spec.yaml", "--target", "../mine", "--name", "acme/B", "--mode", mode, *store)
    assert done.returncode == 0, done.stderr
    spec = load(tmp_path / "new" / "spec.yaml")
    assert (spec.target.source, spec.wrapper.mode) == ("../mine", mode)


def test_the_default_lines_are_the_defaults(tmp_path: Path) -> None:
    """Uncommenting every default changes nothing in what the spec means."""
    init(tmp_path, *FLAGS, "--no-look-up")
    text = (tmp_path / "spec.yaml").read_text()
    lines = text.splitlines()
    for number, line in enumerate(lines):
        bare = line.lstrip()
        words = bare.removeprefix("# ")
        key = words.partition(":")[0]
        if bare.startswith("# ") and key in SAFE:
            lines[number] = line.replace("# ", "", 1)
    (tmp_path / "full.yaml").write_text("\n".join(lines) + "\n")
    assert load(tmp_path / "full.yaml").digest == load(tmp_path / "spec.yaml").digest
    assert (
        len([1 for a, b in zip(text.splitlines(), lines, strict=True) if a != b]) == len(SAFE) + 1
    )  # input twice


SAFE = {
    "input",
    "result",
    "batch_size",
    "redact",
    "copies",
    "on_failure",
    "dispatch",
    "limits",
    "log",
    "already",
} | {"publish"}


def test_what_is_missing_is_named_in_a_script(tmp_path: Path) -> None:
    """Without a terminal a missing answer is an error that names its flag; nothing is written."""
    for missing in ("--target", "--name", "--mode", "--datastore"):
        place = FLAGS.index(missing)
        done = init(tmp_path, *FLAGS[:place], *FLAGS[place + 2 :], "--no-look-up")
        assert done.returncode == 2 and missing in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_spec_that_is_there_stays(tmp_path: Path) -> None:
    """Only --force writes over a file; an answer that is not a valid spec writes none."""
    (tmp_path / "spec.yaml").write_text("mine")
    assert init(tmp_path, *FLAGS, "--no-look-up").returncode == 2
    assert (tmp_path / "spec.yaml").read_text() == "mine"
    assert init(tmp_path, *FLAGS, "--no-look-up", "--force").returncode == 0
    wrong = [*FLAGS[:3], "acme/Json", *FLAGS[4:]]
    done = init(tmp_path, "other.yaml", *wrong, "--no-look-up")
    assert done.returncode == 2 and "would shadow json" in done.stderr
    assert not (tmp_path / "other.yaml").exists()


def test_a_terminal_is_asked(tmp_path: Path) -> None:
    """On a terminal every missing answer is asked for, with a default where there is one."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "wrapgen", "init", "--no-look-up"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdin=follower, stdout=follower, stderr=follower
    ) as asked:
        os.close(follower)
        for answer in (b"nlp/Shout/0.1.0\n", b"acme/B\n", b"\n", b"\n"):
            os.write(leader, answer)
        assert asked.wait(30) == 0
    os.close(leader)
    spec = load(tmp_path / "spec.yaml")
    assert (spec.wrapper.name, spec.wrapper.mode, spec.datastore.url) == (
        "acme/B",
        "both",
        "data://acme/records",
    )


def test_the_platform_is_asked_about_the_target(user, tmp_path: Path) -> None:
    """A reference without a version gets the newest one; the sample input becomes an example."""
    words = [
        "--target",
        "nlp/Shout",
        "--name",
        "acme/B",
        "--mode",
        "batch",
        "--home",
        str(user.home),
        "--json",
    ]
    done = init(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["target"].startswith("nlp/Shout/0.") and any(
        "newest release" in line for line in told["learned"]
    )
    assert load(tmp_path / "spec.yaml").target.algorithm == told["target"]


def test_an_unknown_target_is_told_but_stops_nobody(user, tmp_path: Path) -> None:
    """What the platform does not know is a note, unless --look-up insists."""
    words = ["--target", "nlp/Nobody/1.0.0", "--name", "acme/B", "--mode", "batch", "--home", str(user.home)]
    assert init(tmp_path, *words, "--look-up").returncode == 5
    done = init(tmp_path, *words)
    assert done.returncode == 0 and "says nothing of nlp/Nobody/1.0.0" in done.stderr


def test_an_algorithms_folder_is_written_once(tmp_path: Path) -> None:
    """`--algorithm` writes a folder named as the algorithm is, or as told, and never into one with files."""
    done = init(tmp_path, "--algorithm", "acme/Hello")
    assert (done.returncode, done.stdout) == (0, "Hello: written; next: wrapgen publish Hello\n"), done.stderr
    conf = json.loads((tmp_path / "Hello" / "algorithmia.conf").read_text())
    assert (conf["username"], conf["algoname"]) == ("acme", "Hello")
    compile((tmp_path / "Hello" / "src" / "Hello.py").read_text(), "Hello.py", "exec")
    again = init(tmp_path, "--algorithm", "acme/Hello")
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    elsewhere = json.loads(init(tmp_path, "--algorithm", "acme/Hello", "other", "--json").stdout)
    assert elsewhere["path"] == "other" and "src/Hello.py" in elsewhere["files"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--algorithm", "Hello"), "is not owner/Name"),
        (("--algorithm", "acme/9"), "9"),
        (("--algorithm", "acme/Json"), "would shadow json"),
        (("--algorithm", "acme/Hello", "--mode", "log"), "--algorithm writes no spec"),
    ],
)
def test_an_algorithm_that_can_not_be_is_one_error(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """A name that no module can have, and options of a spec, are refused; nothing is written."""
    done = init(tmp_path, *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not list(tmp_path.iterdir())
