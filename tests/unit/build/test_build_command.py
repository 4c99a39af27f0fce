"""`wrapgen build`: writes, checks, shows and never undoes somebody's work."""

from __future__ import annotations

import json

from wrapgen.wrapper import Wrapper

MAIN = "src/SentimentBatch.py"


def test_a_wrapper_is_written_and_then_up_to_date(folder, wrapgen):
    """The first build writes everything, the second nothing; the folder is named after the algorithm."""
    code, out, _ = wrapgen("build", "spec.yaml")
    assert (code, out.split(",")[0]) == (0, "generated/SentimentBatch: written")
    written = Wrapper.read(folder / "generated" / "SentimentBatch")
    assert {"algorithmia.conf", ".adk", "requirements.txt", MAIN, "README.md", "TEST_CASES.json"} <= set(
        written
    )
    assert written["spec.yaml"] == (folder / "spec.yaml").read_bytes()
    times = {path: (folder / "generated" / "SentimentBatch" / path).stat().st_mtime_ns for path in written}
    assert wrapgen("build")[1].startswith("generated/SentimentBatch: up to date")
    assert times == {
        path: (folder / "generated" / "SentimentBatch" / path).stat().st_mtime_ns for path in written
    }


def test_output_is_the_wrappers_own_folder(folder, wrapgen):
    """--output DIR is the folder itself; what lies there beside the wrapper stays."""
    (folder / "here").mkdir()
    (folder / "here" / "NOTES.txt").write_text("mine")
    assert wrapgen("build", "--output", "here")[0] == 0
    assert (folder / "here" / MAIN).is_file()
    assert (folder / "here" / "NOTES.txt").read_text() == "mine"


def test_check_writes_nothing(folder, wrapgen):
    """--check says what differs with exit code 4, and 0 once nothing does."""
    code, _, err = wrapgen("build", "--check")
    assert code == 4 and "added: src/SentimentBatch.py" in err
    assert not (folder / "generated").exists()
    wrapgen("build")
    assert wrapgen("build", "--check")[0] == 0
    (folder / "generated" / "SentimentBatch" / MAIN).unlink()
    code, out, err = wrapgen("build", "--check", "--json")
    assert code == 4 and json.loads(out)["error"]["code"] == "drift"


def test_a_committed_wrapper_is_checked_by_its_own_spec(folder, wrapgen):
    """The spec inside a wrapper is enough to check it, from anywhere and as a folder."""
    wrapgen("build", "--output", "elsewhere")
    (folder / "spec.yaml").unlink()
    assert wrapgen("build", "elsewhere/spec.yaml", "--check")[0] == 0
    assert wrapgen("build", "elsewhere", "--check")[0] == 0


def test_a_file_edited_by_hand_is_not_written_over(folder, wrapgen):
    """The build stops with exit code 4, shows the difference and changes nothing; --force overrides."""
    wrapgen("build")
    place = folder / "generated" / "SentimentBatch"
    edited = (place / MAIN).read_bytes() + b"# mine\n"
    (place / MAIN).write_bytes(edited)
    (folder / "spec.yaml").write_text((folder / "spec.yaml").read_text() + "dispatch: {attempts: 5}\n")
    before = Wrapper.read(place)
    code, out, err = wrapgen("build")
    assert code == 4 and MAIN in err and "--force" in err and "-# mine" in out
    assert Wrapper.read(place) == before
    code, out, _ = wrapgen("build", "--json")
    assert code == 4 and json.loads(out)["error"]["code"] == "edited"
    assert wrapgen("build", "--force")[0] == 0
    assert wrapgen("build", "--check")[0] == 0


def test_an_edit_is_known_without_a_manifest(folder, wrapgen):
    """Where the manifest is lost or broken, a file that differs counts as edited."""
    wrapgen("build")
    place = folder / "generated" / "SentimentBatch"
    for broken in (b"", b"[]", b'{"files": {"../../x": "y"}}', b"\xff"):
        (place / ".wrapgen.json").write_bytes(broken)
        assert wrapgen("build")[0] == 0
        (place / ".wrapgen.json").write_bytes(broken)
        (place / "README.md").write_text("mine")
        assert wrapgen("build")[0] == 4
        assert wrapgen("build", "--force")[0] == 0


def test_the_hooks_file_is_the_users(folder, wrapgen):
    """It is written once; edited, it is neither drift nor an edit; only a missing one is written anew."""
    wrapgen("build")
    hooks = folder / "generated" / "SentimentBatch" / "src" / "hooks.py"
    hooks.write_text("def before(item):\n    return item['text']\n")
    assert wrapgen("build", "--check")[0] == 0
    (folder / "spec.yaml").write_text((folder / "spec.yaml").read_text() + "dispatch: {attempts: 5}\n")
    assert wrapgen("build")[0] == 0
    assert wrapgen("build", "--force")[0] == 0
    assert "item['text']" in hooks.read_text()
    hooks.unlink()
    assert "added: src/hooks.py" in wrapgen("build", "--check")[2]
    assert wrapgen("build")[0] == 0 and "never touched" in hooks.read_text()


def test_a_hooks_file_that_is_a_link_stays_one(folder, wrapgen):
    """A link to the user's own hooks, even a dangling one, is neither drift nor an edit, and stays."""
    wrapgen("build")
    hooks = folder / "generated" / "SentimentBatch" / "src" / "hooks.py"
    hooks.unlink()
    hooks.symlink_to(folder / "mine.py")
    for there in (False, True):
        if there:
            (folder / "mine.py").write_text("# mine\n")
        assert wrapgen("build", "--check")[0] == 0
        assert wrapgen("build", "--force")[0] == 0
        assert hooks.is_symlink()
    assert hooks.read_text() == "# mine\n"


def test_a_link_in_place_of_a_generated_file_is_an_edit(folder, wrapgen):
    """Where a build wrote a file and now a link stands, the build stops; --force replaces only the link."""
    wrapgen("build")
    items = folder / "generated" / "SentimentBatch" / "src" / "runtime" / "items.py"
    (folder / "mine.py").write_bytes(items.read_bytes() + b"# mine\n")
    items.unlink()
    items.symlink_to(folder / "mine.py")
    code, _, err = wrapgen("build")
    assert code == 4 and "edited by hand: src/runtime/items.py" in err and items.is_symlink()
    assert wrapgen("build", "--force")[0] == 0
    assert not items.is_symlink() and (folder / "mine.py").read_text().endswith("# mine\n")


def test_files_that_are_no_longer_planned_go(folder, wrapgen):
    """A module that the spec does not use any more is removed, unless it was edited."""
    wrapgen("build", "--output", "w")
    assert (folder / "w" / "src" / "runtime" / "records.py").is_file()
    text = (folder / "spec.yaml").read_text()
    (folder / "spec.yaml").write_text(text.replace("mode: both", "mode: batch").split("datastore:")[0])
    assert wrapgen("build", "--output", "w", "--json")[0] == 0
    assert not (folder / "w" / "src" / "runtime" / "records.py").exists()
    (folder / "spec.yaml").write_text(text)
    wrapgen("build", "--output", "w")
    (folder / "w" / "src" / "runtime" / "records.py").write_text("# mine\n")
    (folder / "spec.yaml").write_text(text.replace("mode: both", "mode: batch").split("datastore:")[0])
    assert wrapgen("build", "--output", "w")[0] == 4
    assert (folder / "w" / "src" / "runtime" / "records.py").read_text() == "# mine\n"


def test_diff_shows_what_a_build_would_change(folder, wrapgen):
    """--diff prints a unified diff and writes nothing; --json lists the files."""
    wrapgen("build")
    (folder / "spec.yaml").write_text((folder / "spec.yaml").read_text() + "dispatch: {attempts: 5}\n")
    code, out, _ = wrapgen("build", "--diff")
    assert code == 0 and '-    "attempts": 3,' in out and '+    "attempts": 5,' in out
    assert wrapgen("build", "--check")[0] == 4
    changes = json.loads(wrapgen("build", "--json")[1])["changes"]
    assert changes[MAIN] == "changed" and changes["spec.yaml"] == "changed"


def test_check_and_diff_go_together(folder, wrapgen):
    """--check --diff prints the differences and ends as --check does; --json is one object with them."""
    wrapgen("build")
    assert wrapgen("build", "--check", "--diff") == wrapgen("build", "--check")
    same = json.loads(wrapgen("build", "--diff", "--json")[1])
    assert (same["state"], same["diff"], same["changes"]) == ("up to date", "", {})
    (folder / "spec.yaml").write_text((folder / "spec.yaml").read_text() + "dispatch: {attempts: 5}\n")
    code, out, err = wrapgen("build", "--check", "--diff")
    assert code == 4 and '+    "attempts": 5,' in out and "changed: src/SentimentBatch.py" in err
    code, out, _ = wrapgen("build", "--diff", "--json")
    found = json.loads(out)
    assert code == 0 and found["state"] == "different" and found["changes"][MAIN] == "changed"
    assert '+    "attempts": 5,' in found["diff"]
    code, out, _ = wrapgen("build", "--check", "--diff", "--json")
    assert code == 4 and '+    "attempts": 5,' in json.loads(out)["error"]["diff"]
    assert wrapgen("build", "--check")[0] == 4


def test_places_that_cannot_hold_a_wrapper_are_told(folder, wrapgen):
    """A file in the way, or a folder in a file's place, is one clear message."""
    (folder / "file").write_text("x")
    assert wrapgen("build", "--output", "file")[0] == 2
    assert wrapgen("build", "--output", "file/below")[0] == 2
    (folder / "w" / MAIN).mkdir(parents=True)
    code, _, err = wrapgen("build", "--output", "w")
    assert code == 2 and "can't be written" in err and "Traceback" not in err


def test_a_link_is_replaced_and_not_followed(folder, wrapgen):
    """A link where a file belongs never leads the build out of its folder."""
    outside = folder / "outside.py"
    outside.write_text("theirs")
    (folder / "w" / "src").mkdir(parents=True)
    (folder / "w" / MAIN).symlink_to(outside)
    assert wrapgen("build", "--output", "w")[0] == 0
    assert outside.read_text() == "theirs" and not (folder / "w" / MAIN).is_symlink()


def test_a_wrong_spec_builds_nothing(folder, wrapgen):
    """Exit code 3, every problem, no file."""
    (folder / "spec.yaml").write_text("version: 2\n")
    code, _, err = wrapgen("build")
    assert code == 3 and err.count("spec.yaml:1:") == 3
    assert not (folder / "generated").exists()
