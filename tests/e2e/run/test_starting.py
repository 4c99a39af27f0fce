"""Starting a run before its platform: the command waits for it, and says so."""

from __future__ import annotations


def test_a_run_waits_for_a_platform_that_is_not_up_yet(wrapgen, later):
    """With nobody at the address the run says what it waits for, and begins as soon as somebody answers."""
    address = f"http://127.0.0.1:{later.server_address[1]}"
    (wrapgen.folder / "in.jsonl").write_text("1\n2\n3\n")
    process = wrapgen.start(
        "run", "acme/SentimentBatch", "in.jsonl", "-o", "out.jsonl", "--address", address, "--api-key", "simx"
    )
    assert process.stderr.readline().startswith("waiting, 600 s at most: ")
    with later.answering():
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len((wrapgen.folder / "out.jsonl").read_text().splitlines()) == 3


def test_patience_can_be_short(wrapgen):
    """Where nobody ever answers, the error is told after --patience seconds, and nothing is left behind."""
    (wrapgen.folder / "in.jsonl").write_text("1\n")
    words = ("--address", "http://127.0.0.1:9", "--api-key", "simx", "--patience", "0")
    ended = wrapgen("run", "acme/SentimentBatch", "in.jsonl", "-o", "out.jsonl", *words)
    assert ended.returncode == 5 and "does not answer" in ended.stderr
    assert [path.name for path in wrapgen.folder.iterdir()] == ["in.jsonl"]
