"""A file's name is a promise about its content, for what is read and for what is written."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import zipfile

import pyarrow
import pytest
import zstandard
from pyarrow import parquet
from pyarrow.parquet import encryption

from wrapgen.errors import RunError, UsageError
from wrapgen.run.input.files import find
from wrapgen.run.ledger.folder import Folder, folder_for
from wrapgen.run.output.overwrite import ensure_output_writable
from wrapgen.run.output.sink import refuse_name

ROWS = b'{"a": 1}\n{"a": 2}\n'


def table() -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    parquet.write_table(pyarrow.table({"a": [1]}), out)
    return out.getvalue()


def workbook() -> bytes:
    """What starts like an Excel workbook."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    return out.getvalue()


BROKEN = {
    "in.jsonl.gz": (ROWS, "is not gzip, as its name says"),
    "in.csv.zst": (gzip.compress(b"a,b\n1,2\n"), "is not zstd, as its name says"),
    "empty.jsonl.gz": (b"", "is not gzip, as its name says"),
    "in.parquet": (ROWS, "it is not Parquet"),
    "in.jsonl": (table(), "is Parquet, not text"),
    "in.csv": (workbook(), "is a ZIP archive, as an Excel workbook is, not text"),
    "in.txt": (bz2.compress(ROWS), "is bzip2, not text"),
    "packed.csv.gz": (gzip.compress(workbook()), "is a ZIP archive"),
    "page.csv": (b"<!DOCTYPE html>\n<html>", "first line is that of a web page"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_input_that_is_not_what_its_name_says_is_refused(tmp_path, name):
    """Content that breaks the promise of a name is one message that says what it is."""
    content, says = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RunError) as raised:
        list(find(str(tmp_path / name)).rows())
    assert says in raised.value.message


@pytest.mark.parametrize(
    "name", ["in.jsonl.bz2", "in.csv.xz", "in.tar.gz", "in.jsonl.zip", "in.XLSX", "in.parquet.gz"]
)
@pytest.mark.parametrize("format_", [None, "jsonl"])
def test_an_unknown_compression_or_format_is_refused(tmp_path, name, format_):
    """A name that promises what can't be read is refused, whatever --format says, before it is looked at."""
    (tmp_path / name).write_bytes(gzip.compress(ROWS) if name.endswith("gz") else ROWS)
    with pytest.raises(UsageError, match="can't be read"):
        find(str(tmp_path / name), format_)


def test_packed_content_may_have_a_plain_name(tmp_path):
    """A name without a compression promises none: gzip and zstd are recognized by their content."""
    for pack in (gzip.compress, zstandard.compress):
        (tmp_path / "in.jsonl").write_bytes(pack(ROWS))
        assert [row.value for row in find(str(tmp_path / "in.jsonl")).rows()] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    "name",
    [
        "x.json",
        "x.csv.gz",
        "x.jsonl.zst",
        "x.XLSX",
        "x.arrow",
        "x.tab",
        "x.errors.jsonl",
        "x.csv.bz2",
        "x.report.html",
    ],
)
def test_an_output_whose_name_promises_what_is_not_written_is_refused(tmp_path, name):
    """Before the first call, the message names what is written instead; a run that has begun may go on."""
    output = tmp_path / name
    folder = Folder(folder_for(output))
    with pytest.raises(UsageError, match="file is written here"):
        ensure_output_writable(output, folder, fresh=False)
    folder.make()
    folder.ledger.touch()  # an older version began it
    ensure_output_writable(output, folder, fresh=False)


def test_an_output_may_have_a_name_that_promises_nothing(tmp_path):
    """A suffix that is no format's is JSON Lines, as one that is missing."""
    for name in ("scores", "scores.v2", "scores-1.0.5", "x.txt", "X.CSV", "x.ndjson"):
        ensure_output_writable(tmp_path / name, Folder(folder_for(tmp_path / name)), fresh=False)


def test_a_name_of_a_table_is_refused_where_only_lines_are_written(tmp_path):
    """`wrapgen records --output` writes JSON Lines: a name that promises a table is refused."""
    refuse_name(tmp_path / "x.jsonl", tables=False)
    with pytest.raises(UsageError, match=r"no \.CSV file is written here"):
        refuse_name(tmp_path / "x.CSV", tables=False)


def test_an_output_is_no_url(tmp_path, monkeypatch):
    """A URL is refused as one, not looked for as a folder."""
    monkeypatch.chdir(tmp_path)
    for url in ("s3://bucket/x.jsonl", "data://acme/x.jsonl"):
        with pytest.raises(UsageError, match="is a URL"):
            ensure_output_writable(tmp_path.__class__(url), Folder(tmp_path / "x.run"), fresh=False)


def test_an_encrypted_parquet_file_is_called_that(tmp_path):
    """Its footer is encrypted, or only what is in its columns; a name of text changes nothing."""
    kms = encryption.KmsConnectionConfig()
    for plain in (False, True):
        settings = encryption.EncryptionConfiguration("k", column_keys={"c": ["a"]}, plaintext_footer=plain)
        properties = encryption.CryptoFactory(lambda _: _Keys()).file_encryption_properties(kms, settings)
        path = tmp_path / f"{plain}.parquet"
        parquet.write_table(pyarrow.table({"a": [1]}), path, encryption_properties=properties)
        with pytest.raises(RunError, match="it is encrypted; write it again without encryption"):
            list(find(str(path)).rows())
    text = (tmp_path / "False.parquet").rename(tmp_path / "in.jsonl")
    with pytest.raises((RunError, UsageError), match="is encrypted Parquet, not text"):
        list(find(str(text)).rows())


class _Keys(encryption.KmsClient):
    """Wraps a key by nothing."""

    def wrap_key(self, key_bytes, _master):
        return base64.b64encode(key_bytes)

    def unwrap_key(self, wrapped_key, _master):
        return base64.b64decode(wrapped_key)


def test_what_a_pattern_would_leave_out_is_told(tmp_path):
    """A link to nothing among the files is named, as are a folder and a URL in place of files."""
    (tmp_path / "a.json").write_text("1")
    (tmp_path / "lost.json").symlink_to("nowhere")
    for name, says in (
        (tmp_path / "*.json", r"lost\.json is a link to a file that is not there"),
        (tmp_path, "is a folder"),
        ("ftp://example.org/in.jsonl", "is a URL that is not read"),
    ):
        with pytest.raises(UsageError, match=says):
            find(str(name), "document")
