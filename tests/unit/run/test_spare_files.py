"""Files that a run must not write over: its own input, and what it did not write."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrapgen.cli.inputs import spare_files
from wrapgen.errors import UsageError
from wrapgen.run.folder import Folder, folder_for


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("written", ["out.jsonl", "out.jsonl.errors.jsonl", "out.jsonl.report.html"])
def test_the_input_is_never_written_over(tmp_path: Path, written: str, fresh: bool) -> None:
    """Output, errors file and report can't be the input, by whatever name, even where all starts over."""
    (tmp_path / "sub").mkdir()
    (tmp_path / written).write_text("1\n")
    source, output = tmp_path / "sub" / ".." / written, tmp_path / "out.jsonl"
    with pytest.raises(UsageError, match="is the input"):
        spare_files(str(source), output, Folder(folder_for(output)), fresh=fresh)


def test_an_output_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A file is only written over where a ledger beside it, or --fresh, says that it may go."""
    output = tmp_path / "out.jsonl"
    folder = Folder(folder_for(output))
    spare_files("in.jsonl", output, folder, fresh=False)
    output.write_text("mine\n")
    folder.path.mkdir()  # of a run that was refused before it began
    with pytest.raises(UsageError, match="not of a run here"):
        spare_files("in.jsonl", output, folder, fresh=False)
    spare_files("in.jsonl", output, folder, fresh=True)
    folder.ledger.write_text("{}\n")
    spare_files("in.jsonl", output, folder, fresh=False)
    with pytest.raises(UsageError, match="no folder"):
        spare_files("in.jsonl", tmp_path / "none" / "out.jsonl", folder, fresh=True)
