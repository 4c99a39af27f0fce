"""The SQS worker as a process, against a real platform and an SQS server over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from wrapgen.run.integrations.sqs_messages import run_of


def run_id(queue) -> str:
    """The run of a queue's messages."""
    found = queue.client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])
    return run_of(found["Attributes"]["QueueArn"])


def test_every_message_is_recorded_and_then_deleted(platform, make_queue, work):
    """Text and JSON bodies become items, the MessageId is the id, and the queue ends empty."""
    queue = make_queue()
    ids = queue.send({"n": 3}, "plain words", "123", '"quoted"')
    code, summary, said = work(queue.url, "--until-empty").end()
    assert code == 0, said
    records = platform.records(run_id(queue))
    assert [records[id_]["result"] for id_ in ids] == [{"n": 3, "square": 9}, "PLAIN WORDS", "123", "QUOTED"]
    assert {record["try"] for record in records.values()} == {1}
    assert (summary["received"], summary["deleted"], summary["failed"]) == (4, 4, 0)
    assert queue.count() == 0 and queue.dead() == []


def test_messages_go_together(platform, make_queue, work):
    """Many messages take few calls, and all of them are recorded."""
    queue = make_queue()
    queue.send_many([{"n": n} for n in range(300)])
    code, summary, said = work(queue.url, "--until-empty", "--batch", "60", "--linger", "2").end()
    assert code == 0, said
    assert len(platform.records(run_id(queue))) == 300
    assert summary["deleted"] == 300 and summary["calls"] <= 12


def test_poison_ends_in_the_dead_letter_queue_and_its_reason_in_the_datastore(platform, make_queue, work):
    """What fails for good is left to the queue's own redrive, and is not tried again on its way."""
    queue = make_queue(max_receives=2)
    note = platform.folder / "poison.txt"
    good, bad = queue.send({"n": 1}, {"n": 2, "fail": "InputError", "note": str(note)})
    code, _, said = work(queue.url, "--until-empty").end()
    assert code == 0, said
    assert [message["MessageId"] for message in queue.dead()] == [bad]
    records = platform.records(run_id(queue))
    assert records[bad]["error"] == {"type": "InputError", "message": "as planned", "retryable": False}
    assert records[good]["result"]["square"] == 1
    assert note.read_text() == "2\n"
    assert f"message {bad} failed for good" in said


def test_failed_messages_can_be_deleted_once_recorded(platform, make_queue, work):
    """With --failed delete the record is all that remains."""
    queue = make_queue()
    (bad,) = queue.send({"n": 2, "fail": "InputError"})
    code, summary, said = work(queue.url, "--until-empty", "--failed", "delete").end()
    assert code == 0, said
    assert summary["failed"] == 1 and queue.count() == 0 and queue.dead() == []
    assert platform.records(run_id(queue))[bad]["error"]["type"] == "InputError"


def test_ids_from_the_body_catch_duplicates_of_the_producer(platform, make_queue, work):
    """Two messages with one id share a record, in one call and in calls of their own."""
    queue = make_queue()
    queue.send({"n": 7, "order": "a"}, {"n": 7, "order": "a"}, {"n": 8, "order": 15})
    assert work(queue.url, "--until-empty", "--id", "order").end()[0] == 0
    queue.send({"n": 7, "order": "a"})
    assert work(queue.url, "--until-empty", "--id", "order").end()[0] == 0
    assert sorted(platform.records(run_id(queue))) == ["15", "a"]
    assert queue.count() == 0


def test_a_message_without_its_id_fails_with_that_reason(platform, make_queue, work):
    """An id that is not there is a poison message: the wrapper records why, its target is not asked."""
    queue = make_queue(max_receives=1)
    (bad,) = queue.send({"n": 7})
    assert work(queue.url, "--until-empty", "--id", "order").end()[0] == 0
    record = platform.records(run_id(queue))[bad]
    assert record["error"]["message"].startswith("the message has no id at 'order': there is no field")
    assert record["attempts"] == 0
    assert [message["MessageId"] for message in queue.dead()] == [bad]


def test_a_pointer_stands_for_a_large_body(platform, make_queue, work):
    """`$body` names a data file with the real body, of any size; one that is missing is poison."""
    queue = make_queue(max_receives=1)
    data = platform.client().data
    data.create("data://local/inbox")
    data.put("data://local/inbox/large.json", json.dumps({"n": 4, "pad": "x" * 150_000}).encode())
    large, missing = queue.send(
        {"$body": "data://local/inbox/large.json"}, {"$body": "data://local/inbox/no"}
    )
    assert work(queue.url, "--until-empty").end()[0] == 0
    records = platform.records(run_id(queue))
    assert records[large]["result"] == {"n": 4, "square": 16}
    assert "data://local/inbox/no" in records[missing]["error"]["message"]
    assert [message["MessageId"] for message in queue.dead()] == [missing]


def test_the_receive_count_is_the_try(platform, make_queue, work):
    """A message that was delivered before goes out as the try that its receive count says."""
    queue = make_queue()
    (id_,) = queue.send({"n": 5})
    queue.client.receive_message(QueueUrl=queue.url, VisibilityTimeout=0)
    assert work(queue.url, "--until-empty").end()[0] == 0
    assert platform.records(run_id(queue))[id_]["try"] == 2


def test_a_fifo_group_keeps_its_order(platform, make_queue, work):
    """One message of a group is in work at a time, groups go side by side."""
    queue = make_queue(fifo=True)
    note = platform.folder / "order.txt"
    for n in range(6):
        queue.send({"n": n, "note": str(note)}, group="one")
        queue.send({"n": n + 100}, group=f"other{n}")
    assert work(queue.url, "--until-empty").end()[0] == 0
    assert note.read_text().split() == ["0", "1", "2", "3", "4", "5"]
    assert len(platform.records(run_id(queue))) == 12


def test_after_a_failure_the_rest_of_a_fifo_group_goes_back(platform, make_queue, work):
    """The messages behind a poison one wait until it is in the dead-letter queue, then go on in order."""
    queue = make_queue(fifo=True, max_receives=3)
    note = platform.folder / "behind.txt"
    bad, *_ = queue.send(
        {"n": 0, "fail": "InputError", "note": str(note)},
        *({"n": n, "note": str(note)} for n in (1, 2, 3)),
        group="one",
    )
    code, _, said = work(queue.url, "--until-empty").end()
    assert code == 0, said
    assert note.read_text().split() == ["0", "1", "2", "3"]
    assert [message["MessageId"] for message in queue.dead()] == [bad]
    assert queue.count() == 0


def test_sigterm_lets_open_calls_end_and_gives_the_rest_back(platform, make_queue, work):
    """A drained worker exits with 0; what it had not begun is at once there for the next one."""
    queue = make_queue(visibility=600)
    gate = platform.folder / "drain"
    os.mkfifo(gate)
    held, *_ = queue.send({"n": 0, "gate": str(gate)})
    worker = work(queue.url, "--calls", "1", "--visibility", "600")
    with gate.open("w"):  # opens when the target has the message in work
        queue.send({"n": 1}, {"n": 2})
        worker.process.send_signal(signal.SIGTERM)
        assert any("draining" in line for line in iter(lambda: worker.said[-1] if worker.said else "", None))
    code, summary, said = worker.end()
    assert code == 0, said
    assert summary["deleted"] == 1 and held in platform.records(run_id(queue))
    assert work(queue.url, "--until-empty").end()[1]["deleted"] == 2


def test_two_workers_share_a_queue(platform, make_queue, work):
    """Every message is recorded once, whoever takes it."""
    queue = make_queue()
    queue.send_many([{"n": n} for n in range(200)])
    workers = [work(queue.url, "--until-empty", "--batch", "20") for _ in range(2)]
    summaries = [worker.end()[1] for worker in workers]
    assert sum(summary["deleted"] for summary in summaries) >= 200 and queue.count() == 0
    assert len(platform.records(run_id(queue))) == 200


def test_a_wrapper_that_records_nothing_is_refused(platform, make_queue, work):
    """A queue takes no answers, so a wrapper without a datastore would lose every result."""
    queue = make_queue()
    code, _, said = work(queue.url, "--wrapper", "nlp/Planned/1.0.0").end()
    assert code == 8 and "is not a wrapper" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--queue", "http://127.0.0.1:9/000000000000/none"], "127.0.0.1:9"),
        (["--queue", "orders"], "not the URL of a queue"),
    ],
)
def test_a_mistake_is_one_clear_message(platform, make_queue, work, words, says):
    """What can't be done is said in a line."""
    code, _, said = work(make_queue().url, *words).end()
    assert code in (2, 5) and says in said and "Traceback" not in said


def test_a_queue_without_a_dead_letter_queue_is_refused(platform, make_queue, work):
    """Poison would come back forever; the message says what to do."""
    queue = make_queue()
    code, _, said = work(queue.dead_url).end()
    assert code == 2 and "--failed delete" in said


def test_doctor_compares_a_live_queue_with_the_spec(platform, make_queue):
    """A queue that would lose messages for its consumer is a fault, and its dead-letter queue too."""
    queue = make_queue(max_receives=2, visibility=30)

    def doctor(*words: str, what: str = "queue") -> dict:
        done = subprocess.run(
            [sys.executable, "-m", "wrapgen", "doctor", "spec.yaml", "--queue", queue.url, *words, "--json"],
            cwd=platform.folder,
            env=platform.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        found = json.loads(done.stdout)
        return {
            each["message"].partition(": ")[2]: each for each in found["findings"] if each["what"] == what
        }

    found = doctor("--consumer", "lambda")
    assert any("messages are hidden for 30 s; lambda needs 2160" in message for message in found)
    assert any("dead after 2 deliveries; the attempts take 5" in message for message in found)
    assert list(doctor()) == ["a message is dead after 2 deliveries; the attempts take 5"]

    def keep(url: str, seconds: int) -> None:
        queue.client.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": str(seconds)})

    keep(queue.dead_url, 86_400)
    assert list(doctor(what="dead letters")) == [
        "it keeps messages for 86400 s, and the queue itself for 345600"
    ]
    keep(queue.dead_url, 345_600)
    assert list(doctor(what="dead letters")) == ["it keeps messages for 345600 s; the template has 1209600"]
    keep(queue.dead_url, 1_209_600)
    assert doctor_lines(doctor(what="dead letters")) == ["ok"]
    queue.client.delete_queue(QueueUrl=queue.dead_url)
    assert doctor_lines(doctor(what="dead letters")) == ["not checked"]


def doctor_lines(found: dict) -> list[str]:
    """How findings stand."""
    return [each["level"] for each in found.values()]
