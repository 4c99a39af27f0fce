"""plan, runs, show, verify, and the inputs and outputs of `wrapgen run`, as a user meets them."""

from __future__ import annotations

import gzip
import json

import pytest

from wrapgen.errors import NotAuthorized

REF = "acme/SentimentBatch"


def lines(path) -> list:
    """A file of JSON Lines, decoded."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def table(wrapgen):
    """A small CSV input."""
    path = wrapgen.folder / "in.csv"
    path.write_text('key,text\nk1,hello\nk2,"two, three"\nk3,four\n')
    return path


def test_a_table_through_a_template_into_a_table(wrapgen, platform, table):
    """Rows become items by a template under ids of a column, and the output joins them."""
    ran = wrapgen(
        *("run", REF, "in.csv", "-o", "out.csv", "--id", "key", "--template", '{"document": "{text}"}'),
        *("--layout", "joined", "--keep", "text", "--pick", "seen.document"),
    )
    assert ran.returncode == 0, ran.stderr
    assert (wrapgen.folder / "out.csv").read_text() == (
        "index,id,input.text,result.seen.document,error_type,error_message\n"
        '0,k1,hello,hello,,\n1,k2,"two, three","two, three",,\n2,k3,four,four,,\n'
    )
    assert platform.wrapper.calls[0]["$ids"] == ["k1", "k2", "k3"]


def test_standard_input_is_kept_and_resumed(wrapgen, platform):
    """What comes through a pipe is copied: the same again, or nothing, goes on; other data is refused."""
    platform.wrapper.faults = {str(n): ["InputError"] for n in range(300)}
    text = "".join(f"{n}\n" for n in range(3000))
    assert wrapgen("run", REF, "-", "-o", "out.jsonl", text=text).returncode == 11
    refused = wrapgen("run", REF, "-", "-o", "out.jsonl", text="1\n2\n")
    assert refused.returncode == 8 and "gives something else" in refused.stderr
    platform.wrapper.faults = {}
    assert wrapgen("run", REF, "-", "-o", "out.jsonl", "--budget", "100", text="").returncode == 10
    assert len(lines(wrapgen.folder / "out.jsonl")) == 3000


def test_a_copy_of_standard_input_is_only_its_own_run_s(wrapgen, platform, table):
    """What was copied for a run that never began, or was started over with a file, is nobody's input."""
    assert wrapgen("run", f"{REF}/9.9.9x", "-", "-o", "out.jsonl", text="7\n").returncode == 2
    assert wrapgen("run", REF, "-", "-o", "out.jsonl", text="8\n").returncode == 0
    assert [call["$batch"] for call in platform.wrapper.calls] == [[8]]
    (kept, *_) = json.loads(wrapgen("verify", "out.jsonl", "--json").stdout)["checks"]
    assert (kept["state"], kept["detail"]) == ("ok", "the run's copy of standard input")
    (moved, *_) = json.loads(wrapgen("verify", "out.jsonl", "--input", "in.csv", "--json").stdout)["checks"]
    assert moved["state"] == "faulty"
    assert wrapgen("run", REF, "in.csv", "-o", "out.jsonl", "--fresh").returncode == 0
    (now, *_) = json.loads(wrapgen("verify", "out.jsonl", "--json").stdout)["checks"]
    assert (now["state"], now["detail"]) == ("ok", str(table))


def test_a_data_url_is_an_input(wrapgen, platform):
    """A file of the platform's data service is read like one on the disk."""
    platform.files["/v1/data/acme/in/rows.jsonl.gz"] = gzip.compress(b"1\n2\n3\n")
    ran = wrapgen("run", REF, "data://acme/in/rows.jsonl.gz", "-o", "out.jsonl")
    assert ran.returncode == 0, ran.stderr
    assert [line["result"]["seen"] for line in lines(wrapgen.folder / "out.jsonl")] == [1, 2, 3]


def test_an_oversize_item_goes_by_sideband(wrapgen, platform):
    """An item that no call can hold is put in a data file, which is removed afterwards."""
    platform.wrapper.limits["request_bytes"] = 20_000
    wrapper, seen = platform.wrapper, []
    batch = wrapper.batch

    def from_file(asked):
        if isinstance(asked["$batch"], str):
            path = asked["$batch"].replace("data://", "/v1/data/")
            seen.append(path)
            asked = {**asked, "$batch": [json.loads(line) for line in platform.files[path].splitlines()]}
        return batch(asked)

    wrapper.batch = from_file
    (wrapgen.folder / "in.jsonl").write_text("\n".join(['"small"', json.dumps("x" * 30_000), '"small"']))
    ran = wrapgen("run", REF, "in.jsonl", "-o", "out.jsonl")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(seen) == 1 and seen[0] not in platform.files
    assert [len(line["result"]["seen"]) for line in lines(wrapgen.folder / "out.jsonl")] == [5, 30_000, 5]


def test_failed_items_go_again_by_their_file(wrapgen, platform, table):
    """`wrapgen run REF out.errors.jsonl` sends exactly the failed keys, in the same run."""
    platform.wrapper.faults = {"k2": ["InputError", None]}
    assert wrapgen("run", REF, "in.csv", "-o", "out.jsonl", "--id", "key", "--run", "mine").returncode == 10
    before = len(platform.wrapper.calls)
    ran = wrapgen("run", REF, "out.jsonl.errors.jsonl", "-o", "again.jsonl", "--json")
    assert ran.returncode == 0 and json.loads(ran.stdout)["run"] == "mine"
    (call,) = platform.wrapper.calls[before:]
    assert call["$ids"] == ["k2"] and call["$index"] in (1, [1]) and call["$try"] == 2


def test_a_plan_says_what_a_run_takes_and_its_probe_counts(wrapgen, platform, table):
    """Without an output nothing is sent; with one the first items are the start of the run."""
    planned = wrapgen("plan", REF, "in.csv", "--json")
    plan = json.loads(planned.stdout)
    assert (plan["items"], plan["chunks"], plan["concurrent"], plan["account_limit"]) == (3, 1, 9, 80)
    assert plan["seconds"] == {} and not platform.wrapper.calls
    probed = wrapgen("plan", REF, "in.csv", "-o", "out.jsonl", "--probe", "2")
    assert probed.returncode == 0 and " s with 1, " in probed.stdout, probed.stdout + probed.stderr
    assert [len(call["$batch"]) for call in platform.wrapper.calls] == [1, 1]
    assert wrapgen("run", REF, "in.csv", "-o", "out.jsonl").returncode == 0
    assert [call["$index"] for call in platform.wrapper.calls] == [0, 1, 2]
    assert len(lines(wrapgen.folder / "out.jsonl")) == 3
    again = wrapgen("plan", REF, "in.csv", "-o", "out.jsonl")
    assert again.returncode == 2 and "nothing left to probe with" in again.stderr


@pytest.mark.parametrize("words", [("run", "in.csv", "-o", "o.jsonl"), ("plan", "in.csv")])
def test_a_folder_in_place_of_a_reference_says_what_to_do(wrapgen, table, words):
    """`generated/Name` may be an algorithm's name; where there is none, the hint tells of the folder."""
    (wrapgen.folder / "generated" / "Name").mkdir(parents=True)
    told = wrapgen(words[0], "generated/Name", *words[1:])
    assert (
        told.returncode != 0
        and "generated/Name is a folder here: `wrapgen publish generated/Name`" in told.stderr
    )
    assert "./generated/Name executes it on this machine" in told.stderr


def test_a_probe_that_brings_nothing_says_why(wrapgen, platform, table):
    """A plan whose probe is refused names the refusal."""
    platform.wrapper.calls_fail = {1: NotAuthorized("no", status=401)}
    probed = wrapgen("plan", REF, "in.csv", "-o", "out.jsonl")
    assert probed.returncode == 8 and "the probe brought nothing: AuthenticationError" in probed.stderr


def test_runs_are_listed_and_shown(wrapgen, platform, table):
    """Every run of a folder is in the list with its state; one is shown by output, folder or id."""
    platform.wrapper.faults = {"1": ["InputError"]}
    assert wrapgen("run", REF, "in.csv", "-o", "out.jsonl", "--run", "mine").returncode == 10
    (listed,) = json.loads(wrapgen("runs", "--json").stdout)
    assert (listed["run"], listed["state"], listed["failed"]) == ("mine", "finished-with-errors", 1)
    assert "mine" in wrapgen("runs").stdout
    for name in ("mine", "out.jsonl", "out.jsonl.run"):
        shown = json.loads(wrapgen("show", name, "--json").stdout)
        assert shown["errors"]["InputError"]["count"] == 1 and shown["items"] == 3
    text = wrapgen("show", "mine").stdout
    assert "3: 2 succeeded, 1 failed, 0 open" in text and "as planned for 1" in text
    assert wrapgen("show", "nobody").returncode == 2


def test_a_run_is_verified(wrapgen, platform, table):
    """Nothing wrong is 0, something wrong is 13, and records that can't be read are not checked."""
    assert wrapgen("run", REF, "in.csv", "-o", "out.jsonl").returncode == 0
    ran = wrapgen("verify", "out.jsonl", "--json")
    found = {check["name"]: check["state"] for check in json.loads(ran.stdout)["checks"]}
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert found.pop("records") == "not checked" and set(found.values()) == {"ok"} and len(found) == 6
    with table.open("a") as file:
        file.write("k4,five\n")
    output = wrapgen.folder / "out.jsonl"
    output.write_bytes(output.read_bytes().splitlines(keepends=True)[0])
    ran = wrapgen("verify", "out.jsonl")
    assert ran.returncode == 13 and "altered: in.csv" in ran.stdout.replace(str(wrapgen.folder) + "/", "")
    assert "missing: 2 in all" in ran.stdout


def test_a_lone_mistake_in_options_is_said_before_any_call(wrapgen, platform, table):
    """Options that contradict each other, and unknown formats, are refused."""
    for words in (
        ["--keep", "text"],
        ["--format", "xml"],
        ["--field", "text", "--template", "1"],
        ["--run", "not an id"],
    ):
        ran = wrapgen("run", REF, "in.csv", "-o", "out.jsonl", *words)
        assert ran.returncode == 2 and "Traceback" not in ran.stderr, ran.stderr
    assert not platform.wrapper.calls


def test_a_damaged_ledger_does_not_hide_the_other_runs(wrapgen, table):
    """`runs` calls a run damaged whose first entry can't be read, and lists the others."""
    for name in ("bad.jsonl", "good.jsonl"):
        assert wrapgen("run", REF, "in.csv", "-o", name).returncode == 0
    path = wrapgen.folder / "bad.jsonl.run" / "ledger.jsonl"
    path.write_text(path.read_text().replace('"format":1', '"format":7', 1))
    listed = wrapgen("runs", "--json")
    assert listed.returncode == 0, listed.stderr
    bad, good = json.loads(listed.stdout)
    assert (bad["state"], good["state"]) == ("damaged", "ok")
    path.write_text("no ledger\n" + path.read_text())
    assert wrapgen("show", good["run"]).returncode == 0
