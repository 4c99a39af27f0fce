"""Files that a run must not write over: its own input, and what it did not write."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from wrapgen.errors import RunError, UsageError
from wrapgen.run.input.inputs import find_input, open_input
from wrapgen.run.input.items import Selection
from wrapgen.run.ledger.folder import Folder, folder_for
from wrapgen.run.output.overwrite import ensure_output_writable

OWN = ("out.jsonl", "out.jsonl.part", "out.jsonl.errors.jsonl", "out.jsonl.report.html")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output that is not there yet."""
    return tmp_path / "out.jsonl"


def begun(output: Path) -> Folder:
    """The folder of a run of this output that has begun."""
    folder = Folder(folder_for(output))
    folder.path.mkdir()
    folder.ledger.write_text('{"e":"run"}\n')
    return folder


@pytest.mark.parametrize("written", [*OWN, "out.jsonl.run/spool.jsonl", "out.jsonl.run/input"])
@pytest.mark.parametrize("name", ["sub/../{}", "link", "{}*"])
def test_the_input_is_never_written_over(tmp_path: Path, output: Path, written: str, name: str) -> None:
    """No file that a run writes can be its input, by whatever name; here no run has begun."""
    (tmp_path / "sub").mkdir()
    folder_for(output).mkdir()
    (tmp_path / written).write_text("1\n")
    (tmp_path / "link").hardlink_to(tmp_path / written)
    source = tmp_path / name.format(written)
    with pytest.raises(UsageError, match="is the input, and would be written over"):
        open_input(
            str(source),
            "jsonl",
            Selection(),
            Folder(folder_for(output)),
            stdin=io.BytesIO(),
            data=None,  # type: ignore[arg-type]
            replace=True,
            output=output,
        )


def test_a_pattern_leaves_out_what_the_run_wrote(tmp_path: Path, output: Path) -> None:
    """A pattern that matches a run's own files gives its input alone, in the first session and later ones."""
    (tmp_path / "in.jsonl").write_text("1\n")
    folder = begun(output)
    for written in (*OWN, "out.jsonl.run/spool.jsonl"):
        (tmp_path / written).write_text("1\n")
    source = find_input(str(tmp_path / "**/*"), "jsonl", folder, output)
    assert source.paths == [tmp_path / "in.jsonl"]
    os.link(output, tmp_path / "same.jsonl")
    with pytest.raises(UsageError, match=r"same\.jsonl is the input"):
        find_input(str(tmp_path / "*.jsonl"), "jsonl", folder, output)


def test_an_output_of_somebody_else_is_left_alone(output: Path) -> None:
    """A file is only written over where a ledger beside it, or --fresh, says that it may go."""
    folder = Folder(folder_for(output))
    ensure_output_writable(output, folder, fresh=False)
    output.write_text("mine\n")
    folder.path.mkdir()  # of a run that was refused before it began
    with pytest.raises(UsageError, match="not of a run here"):
        ensure_output_writable(output, folder, fresh=False)
    ensure_output_writable(output, folder, fresh=True)
    folder.ledger.write_text("{}\n")
    ensure_output_writable(output, folder, fresh=False)
    with pytest.raises(UsageError, match="no folder"):
        ensure_output_writable(output.parent / "none" / "out.jsonl", folder, fresh=True)


def test_a_file_in_the_place_of_failed_items_is_left_alone(output: Path) -> None:
    """What no run wrote stays where failed items would go; a file of failed items may go."""
    errors = output.with_name("out.jsonl.errors.jsonl")
    folder = begun(output)
    errors.write_text("my notes\n")
    for fresh in (False, True):
        with pytest.raises(UsageError, match="no run wrote it"):
            ensure_output_writable(output, folder, fresh=fresh)
    errors.write_text(
        json.dumps({"run": "r", "index": 0, "try": 1, "id": "0", "error": {}, "input": 1}) + "\n"
    )
    ensure_output_writable(output, folder, fresh=False)
    folder.ledger.unlink()
    with pytest.raises(UsageError, match="not of a run here"):
        ensure_output_writable(output, folder, fresh=False)
    ensure_output_writable(output, folder, fresh=True)


@pytest.mark.parametrize("fresh", [False, True])
def test_the_folder_of_another_output_is_left_alone(tmp_path: Path, output: Path, fresh: bool) -> None:
    """A run's folder serves no other output, unless it was moved: by its name, or as the user says."""
    folder = Folder(tmp_path / "state")
    folder.path.mkdir()
    folder.ledger.write_text(json.dumps({"e": "open", "output": str(output)}) + "\n")
    ensure_output_writable(output, folder, fresh=fresh)
    with pytest.raises(UsageError, match=r"state is the folder of a run that writes .*out\.jsonl"):
        ensure_output_writable(tmp_path / "other.jsonl", folder, fresh=fresh)
    ensure_output_writable(tmp_path / "other.jsonl", folder, fresh=fresh, moved=True)
    ensure_output_writable(
        tmp_path / "moved.jsonl", Folder(folder.path.rename(tmp_path / "moved.jsonl.run")), fresh=fresh
    )


def test_an_output_among_the_files_of_the_run_is_refused(tmp_path: Path) -> None:
    """Output and folder may be together, but no file of the run may be the output."""
    ensure_output_writable(tmp_path / "scores.jsonl", Folder(tmp_path), fresh=False)
    with pytest.raises(UsageError, match="a file of the run itself"):
        ensure_output_writable(tmp_path / "ledger.jsonl", Folder(tmp_path), fresh=False)


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A file in the place of the run's folder, or one where nothing can be written, is one clear line."""
    (tmp_path / "out.jsonl.run").write_text("")
    for path, says in (
        (tmp_path / "out.jsonl.run", "a file is in its place"),
        (Path("/proc/x.run"), "No such"),
    ):
        refused = pytest.raises(RunError, match=f"can't be made or written to: {says}")
        with refused, Folder(path).provisional(), Folder(path).locked():
            pass
    with pytest.raises(UsageError, match="has no name"):
        folder_for(Path())


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.part"])
def test_a_pipe_or_a_device_is_never_replaced(output: Path, name: str, fresh: bool) -> None:
    """`--fresh` puts no file in the place of what is none: a run of root would take /dev/null from all."""
    os.mkfifo(output.with_name(name))
    with pytest.raises(UsageError, match="is no file that a run can write, read again"):
        ensure_output_writable(output, Folder(folder_for(output)), fresh=fresh)


def test_standard_output_is_no_output() -> None:
    """A run is completed by a later command, which can't be done on a terminal; no file gets the name -."""
    with pytest.raises(UsageError, match="is no file that a run can write, read again"):
        ensure_output_writable(Path("-"), Folder(folder_for(Path("-"))), fresh=False)


def test_a_name_without_room_for_the_files_beside_it_is_refused(tmp_path: Path) -> None:
    """The longest of those names has to fit, by bytes."""
    for name in ("z" * 250 + ".jsonl", "ü" * 120 + ".jsonl"):
        output = tmp_path / name
        with pytest.raises(UsageError, match="bytes too long for the files beside it"):
            ensure_output_writable(output, Folder(folder_for(output)), fresh=False)
