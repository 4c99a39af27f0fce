"""The reader of requirements against pip: what it makes of the author's folder and of the wrapper is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrapgen.build import generate
from wrapgen.spec import load

req_file = pytest.importorskip("pip._internal.req.req_file")
session = pytest.importorskip("pip._internal.network.session")

OURS = ("algorithmia", "requests")
FOLDERS = [
    {"requirements.txt": "six # c\nidna \\\n  >=3\n# x \\\nfoo\n"},
    {"requirements.txt": "six#nocomment\nidna\t#c"},
    {"requirements.txt": "-r d/a.txt", "d/a.txt": "-c ../c.txt\n-e ./pkg\nsix", "c.txt": "six<2"},
    {"requirements.txt": "--requirement 'my file.txt'", "my file.txt": "six"},
    {"requirements.txt": "-e ./pkg#egg=pkg\n--editable=./pkg\n-e./pkg\n"},
    {"requirements.txt": "six==1.0 --global-option=x\n"},
    {"requirements.txt": "\n\n  six  \n\tidna ; python_version > '3'\n"},
    {"requirements.txt": "pkg/x.zip\npkg/x-1-py3-none-any.whl ; python_version>'3'\nx.tar.gz\n"},
    {"requirements.txt": "./pkg[a,b] ; python_version>'3'\n./pkg#subdirectory=x"},
    {
        "requirements.txt": "-c c.txt\n-c d/c.txt\nsix",
        "c.txt": "-r more.txt",
        "more.txt": "idna",
        "d/c.txt": "six",
    },
    {"requirements.txt": "six\\\n"},
    {"requirements.txt": "six\n\\\nidna\n"},
    {"requirements.txt": "six \\\n# comment inside\n>=1\n"},
    {
        "requirements.txt": "a @ https://x/y#sha256=1 ; python_version>'3'\nhttps://e.org/x.zip\ngit+ssh://e.org/x.git\n"
    },
    {"requirements.txt": "-f ./pkg\n--find-links=pkg --no-index\n--pre\nsix\n"},
]


def as_pip_reads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Each requirement: its text without needless spaces, whether editable, whether a constraint, options."""
    monkeypatch.chdir(folder)
    found = req_file.parse_requirements("requirements.txt", session.PipSession())
    return [
        (" ".join(one.requirement.split()), one.is_editable, one.constraint, one.options) for one in found
    ]


@pytest.mark.parametrize("files", FOLDERS, ids=lambda files: files["requirements.txt"][:20].strip())
def test_pip_reads_the_same_from_the_wrapper(tmp_path, monkeypatch, files):
    """The wrapper's file asks for what the author's asks for, each path led into the copy, beside our own."""
    present = ["pkg/setup.py", "pkg/x.zip", "pkg/x-1-py3-none-any.whl", "x.tar.gz"]
    apply = "def apply(input):\n    return input\n"
    for name, text in {"src/Own.py": apply, **dict.fromkeys(present, ""), **files}.items():
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    spec = tmp_path / "spec.yaml"
    spec.write_text("version: 1\ntarget: {source: ./own}\nwrapper: {name: acme/Own, mode: batch}\n")
    generate(load(spec)).write(tmp_path / "made")
    theirs = as_pip_reads(tmp_path / "own", monkeypatch)
    made = [one for one in as_pip_reads(tmp_path / "made", monkeypatch) if not one[0].startswith(OURS)]
    assert [(one[0].replace("./inline/", "", 1), *one[1:]) for one in made] == [
        (one[0].removeprefix("./"), *one[1:]) for one in theirs
    ]
