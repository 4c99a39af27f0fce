"""The golden cases: what each folder holds, what it should hold, and the command that writes it.

A case is a folder with `spec.yaml` and `wrapper/`: every rendered file of the wrapper, and `files.txt` with
the paths of all of them (plain modules are copied from `templates/` byte for byte, so their text is not
repeated). A bad spec is a file `bad/NAME.yaml` beside `bad/NAME.txt`, what `wrapgen check` says of it. Run
this file to write what is expected from what is so, then review the difference as code.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wrapgen.build import generate
from wrapgen.build.templates import read_templates
from wrapgen.errors import SpecError
from wrapgen.files import MANIFEST
from wrapgen.spec import load, parse
from wrapgen.wrapper import Wrapper

HERE = Path(__file__).resolve().parent
CASES = sorted(path.parent for path in HERE.glob("*/spec.yaml"))
BAD = sorted((HERE / "bad").glob("*.yaml"))


def expected_wrapper(case: Path) -> Wrapper:
    """The rendered files that a case's spec generates, and the list of all files."""
    spec = load(case / "spec.yaml")
    wrapper = generate(spec)
    verbatim = set(read_templates().values())
    files = {
        path: text
        for path, text in wrapper.items()
        if path not in (MANIFEST, "spec.yaml") and not path.startswith("tests/") and text not in verbatim
    }
    return Wrapper({**files, "files.txt": "".join(f"{path}\n" for path in wrapper).encode()})


def complaint(path: Path) -> str:
    """What `wrapgen check` says of a bad spec; says so if it is not bad."""
    try:
        parse(path.read_bytes(), path.name)
    except SpecError as error:
        return f"{error.message}\n"
    return "nothing is wrong with it\n"


def write() -> None:
    """Writes what is expected of every case, and removes what belongs to none."""
    for case in CASES:
        expected = expected_wrapper(case)
        for change in Wrapper.read(case / "wrapper").diff(expected):
            if change.after is None:
                (case / "wrapper" / change.path).unlink()
        expected.write(case / "wrapper")
    for path in BAD:
        path.with_suffix(".txt").write_text(complaint(path), encoding="utf-8")
    print(f"{len(CASES)} cases, {len(BAD)} bad specs")


if __name__ == "__main__":
    sys.exit(write())
