"""Reading specs: defaults, places, encodings, limits; an inline target's folder."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from wrapgen.errors import SpecError
from wrapgen.files import IGNORED_FOLDERS
from wrapgen.publish import Project
from wrapgen.spec import check, load, parse
from wrapgen.wrapper import Wrapper

SHORTEST = b"""version: 1
target:
  algorithm: nlp/SentimentAnalysis/1.0.5
wrapper:
  name: acme/SentimentBatch
  mode: both
datastore:
  url: data://acme/sentiment
"""


def problems(text: bytes) -> list[str]:
    """What is said of a spec, each with its place."""
    with pytest.raises(SpecError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_shortest_spec_has_every_default():
    """Eight lines are a whole spec; what they don't say is the design's default."""
    spec = parse(SHORTEST)
    assert (spec.target.input, spec.target.result, spec.target.batch_size) == ("item", "whole", 1)
    assert (spec.wrapper.owner, spec.wrapper.algorithm_name, spec.wrapper.environment) == (
        "acme",
        "SentimentBatch",
        None,
    )
    assert (spec.datastore.input, spec.datastore.redact, spec.datastore.copies) == ("keep", (), ())
    assert (spec.parallel, spec.dispatch.attempts, spec.dispatch.item_timeout) == (8, 3, 60)
    assert (spec.limits.timeout, spec.limits.request_bytes, spec.limits.response_bytes) == (
        300,
        10_000_000,
        10_000_000,
    )
    assert (spec.record.id, spec.dispatch.on_error) == ("random", "collect")
    assert (spec.publish.callability, spec.publish.network_access, spec.publish.version) == (
        "private",
        "full",
        "minor",
    )
    assert spec.source_text == SHORTEST


def test_the_digest_is_of_the_meaning():
    """Comments, order and spelled-out defaults change nothing; a changed value does."""
    same = b"# hello\n" + SHORTEST + b"dispatch: {attempts: 3, parallel: 8}\n"
    moved = b"datastore: {url: data://acme/sentiment}\n" + SHORTEST.split(b"datastore:")[0]
    assert parse(same).digest == parse(SHORTEST).digest == parse(moved).digest
    assert parse(SHORTEST + b"dispatch: {attempts: 4}\n").digest != parse(SHORTEST).digest
    assert parse(SHORTEST).digest.startswith("sha256:") and len(parse(SHORTEST).digest) == 71


@pytest.mark.parametrize(
    "text", [b"\xef\xbb\xbf" + SHORTEST, SHORTEST.replace(b"\n", b"\r\n"), SHORTEST.rstrip()]
)
def test_a_mark_and_other_line_ends_change_nothing(text: bytes):
    """A UTF-8 byte order mark, Windows line ends and a missing last one are read like the plain file."""
    assert parse(text).digest == parse(SHORTEST).digest


def test_places_are_right_with_a_mark_and_windows_line_ends():
    """Line and column count as an editor does."""
    text = b"\xef\xbb\xbf" + SHORTEST.replace(b"mode: both", b"mode: bth").replace(b"\n", b"\r\n")
    assert problems(text) == ["6:9: mode is the text 'bth'; did you mean both?"]
    assert problems("# é😀\n".encode() + SHORTEST.replace(b"version: 1", 'version: "é😀" # x'.encode()))[
        0
    ].startswith("2:10:")


def test_a_huge_file_is_refused_by_its_size(tmp_path: Path):
    """100 MB are not read to be refused."""
    file = tmp_path / "huge.yaml"
    with file.open("wb") as stream:
        os.truncate(stream.fileno(), 100_000_000)
    started = time.perf_counter()
    with pytest.raises(SpecError, match=r"huge.yaml:1:1: the file has 100,000,000 bytes"):
        load(file)
    assert time.perf_counter() - started < 60


@pytest.mark.parametrize(
    "text", [b"[" * 900_000, b"- " * 400_000, b"{a: " * 200_000, b"x" * 999_000, b"&a " * 300_000]
)
def test_hostile_text_up_to_the_limit_ends_quickly(text: bytes):
    """What is under the size limit but no spec is refused in well under the time of a coffee."""
    started = time.perf_counter()
    assert problems(text)
    assert time.perf_counter() - started < 60


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path):
    """A path that can't be read is one clear problem; a folder stands for its spec.yaml."""
    with pytest.raises(SpecError, match="there is no such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="there is no such file"):
        load(tmp_path)
    (tmp_path / "spec.yaml").write_bytes(SHORTEST)
    assert load(tmp_path).wrapper.name == "acme/SentimentBatch"
    with pytest.raises(SpecError, match="can't be read"):
        load("nul\0byte.yaml")


def test_aliases_within_reason_are_read():
    """An anchor used twice is the same value twice."""
    text = SHORTEST + b"publish: {examples: [&a {x: [1, 2]}, *a]}\n"
    assert parse(text).publish.examples == ({"x": [1, 2]}, {"x": [1, 2]})


def test_scalars_are_read_as_yaml_1_2():
    """Numbers, text and null; quotes make anything text."""
    text = (
        SHORTEST
        + b"publish: {examples: [0x1F, 1_000, -2.5, 1.0e+3, \"010\", 'yes', ~, true, False, 1.0.5, 9:30pm]}\n"
    )
    expected = (31, 1000, -2.5, 1000.0, "010", "yes", None, True, False, "1.0.5", "9:30pm")
    assert parse(text).publish.examples == expected


def test_warnings_have_places():
    """A version that can change and a datastore only the owner fills are told, but are no errors."""
    text = SHORTEST.replace(b"/1.0.5", b"/latest").replace(
        b"mode: both", b"mode: both\n  environment: python36"
    )
    found = [(problem.line, problem.column) for problem in _warnings(text)]
    assert found == [(3, 14), (9, 8), (7, 16)]


def _warnings(text: bytes):
    from wrapgen.spec.load import _parse

    return _parse(text, "spec.yaml")[1]


@pytest.fixture
def inline(tmp_path: Path) -> Path:
    """A spec with an inline target's folder beside it."""
    folder = tmp_path / "my_algorithm"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "Shout.py").write_text("def apply(input):\n    return input.upper()\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_bytes(b"x")
    spec = tmp_path / "spec.yaml"
    spec.write_bytes(SHORTEST.replace(b"algorithm: nlp/SentimentAnalysis/1.0.5", b"source: ./my_algorithm"))
    return spec


def test_an_inline_target_brings_its_files(inline: Path):
    """The folder's files are part of the spec and of its digest, caches are not; it is serial by default."""
    spec, warnings = check(inline)
    assert list(spec.source_files) == ["src/Shout.py"]
    assert spec.parallel == 1
    before = spec.digest
    (inline.parent / "my_algorithm" / "src" / "Shout.py").write_text("def apply(input):\n    return input\n")
    assert load(inline).digest != before
    assert [problem.line for problem in warnings] == [8]


def test_a_missing_source_is_told_with_everything_else(tmp_path):
    """A wrong spec whose source folder is missing names both at once; a name that is wrong is told once."""
    wrong = "version: 1\nnonsense: 1\ntarget: {source: %s, batch_size: zero}\n"
    wrong += "wrapper: {name: acme/X, mode: batch}\n"
    file = tmp_path / "spec.yaml"
    for source, said in (("./nowhere", "there is no folder ./nowhere"), ("/absolute", "/absolute")):
        file.write_text(wrong % source)
        with pytest.raises(SpecError) as caught:
            load(file)
        told = [problem.message for problem in caught.value.problems]
        assert len(told) == 3 and sum(said in message for message in told) == 1, told
    (tmp_path / "nowhere").mkdir()
    file.write_text(wrong % "./nowhere")
    with pytest.raises(SpecError) as caught:
        load(file)
    assert len(caught.value.problems) == 2


def test_an_inline_target_without_code_is_told(inline: Path):
    """A missing folder and one without Python are problems of the line that names it."""
    (inline.parent / "my_algorithm" / "src" / "Shout.py").unlink()
    with pytest.raises(SpecError, match=r"spec.yaml:3:11: target.source: .* holds no Python file"):
        load(inline)
    (inline.parent / "my_algorithm").rename(inline.parent / "other")
    with pytest.raises(SpecError, match=r"there is no folder \./my_algorithm"):
        load(inline)


def test_a_link_out_of_an_inline_targets_folder_is_refused(inline: Path):
    """What lies elsewhere never lands in a wrapper by a link; a link to a file of the folder is read."""
    folder = inline.parent / "my_algorithm"
    (folder / "same.py").symlink_to("src/Shout.py")
    assert list(load(inline).source_files) == ["same.py", "src/Shout.py"]
    (inline.parent / "secret").mkdir()
    (inline.parent / "secret" / "key.txt").write_text("x")
    for target in ("secret", "secret/key.txt", "nothing"):
        (folder / "link").symlink_to(inline.parent / target)
        with pytest.raises(SpecError, match=r"spec.yaml:3:11: .*'link' is a link that leads out of"):
            load(inline)
        (folder / "link").unlink()


def test_an_unreadable_file_of_an_inline_target_is_told(inline: Path, monkeypatch: pytest.MonkeyPatch):
    """A file or folder that can't be read is one problem that names it, not a wrapper without it."""

    def refuse(path: object) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", refuse)
        with pytest.raises(SpecError, match=r"spec.yaml:3:11: .*'src/Shout.py' in .* can't be read: Perm"):
            load(inline)
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SpecError, match=r"spec.yaml:3:11: .*my_algorithm can't be read: Perm"):
        load(inline)


@pytest.mark.parametrize("ignored", sorted(IGNORED_FOLDERS))
def test_caches_and_environments_are_part_of_nothing(inline: Path, ignored: str):
    """A folder of a tool is left out of an inline target, of a wrapper and of what is published alike."""
    folder = inline.parent / "my_algorithm"
    (folder / ignored).mkdir(exist_ok=True)
    (folder / ignored / "x.py").write_text("")
    (folder / "algorithmia.conf").write_text('{"username": "acme", "algoname": "Shout"}')
    expected = ["algorithmia.conf", "src/Shout.py"]
    assert list(load(inline).source_files) == list(Wrapper.read(folder)) == expected
    assert [path.as_posix() for path in Project.read(folder).files()] == expected


def test_log_off_needs_no_quotes():
    """`log: off` is text in a spec, although older YAML reads it as false; `on` is refused as before."""
    assert parse(SHORTEST + b"log: off\n").log == "off"
    assert problems(SHORTEST + b"log: on\n")[0].startswith("9:6: on is ambiguous")


@pytest.mark.parametrize(
    ("record", "redact", "said"),
    [
        ("{id: content}", "[]", "ids are of version 1: they identify the content alone"),
        ("{id: content}", "[$.a]", "they can confirm a guess of what is redacted"),
        ("{id: $.user.mail}", "[$.user]", "they can confirm a guess of what is redacted"),
        ("{id: $.user}", "[$.user.mail]", "they can confirm a guess of what is redacted"),
        ("{id: '$.rows[3].id'}", "['$.rows[*]']", "they can confirm a guess of what is redacted"),
        ("{id: $.id}", "[$.user]", None),
        ("{id: random}", "[$.user]", None),
        ("{id: content, id_version: 2}", "[]", None),
        ("{id: content, id_version: 2, id_key_env: SECRET}", "[$.a]", None),
        ("{id: $.user.mail, id_version: 2, id_key_env: SECRET}", "[$.user]", None),
    ],
)
def test_ids_of_version_1_are_warned_of_where_it_matters(record, redact, said):
    """A content id without the target in it, and an id that tells what is redacted, are warnings."""
    store = b"url_env: DATABASE_URL\n  redact: " + redact.encode()
    text = SHORTEST.replace(b"url: data://acme/sentiment", store) + f"record: {record}\n".encode()
    told = [problem.message for problem in _warnings(text)]
    assert (len(told) == 1 and said in told[0]) if said else not told


def test_new_keys_leave_the_digest_of_old_specs():
    """The digest of the shortest spec is that of 0.1.0: a key that was not there then changes nothing."""
    digest = "sha256:154183f571df626d175383871daf16e110d4fbce824ef0e4194610b0bfe15344"
    assert parse(SHORTEST).digest == digest
    assert parse(SHORTEST + b"log: errors\nalready: call\nrecord: {id_version: 1}\n").digest == digest
    assert parse(SHORTEST + b"record: {id_version: 2}\n").digest != digest
