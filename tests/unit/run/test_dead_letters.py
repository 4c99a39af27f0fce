"""What a dead-letter queue says of itself."""

import json

import pytest

stub = pytest.importorskip("botocore.stub")

from wrapgen.doctor.queue import dead_letter_differences  # noqa: E402
from wrapgen.run.integrations.sqs_queue import DeadLetterFacts, QueueFacts, SqsQueue  # noqa: E402
from wrapgen.spec.queue import QueueNumbers  # noqa: E402

ARN = "arn:aws:sqs:eu-west-1:123456789012:tweets"
DEAD = "https://sqs.eu-west-1.amazonaws.com/123456789012/tweets-dead"


@pytest.mark.parametrize(
    ("policy", "takes"),
    [
        (None, True),
        ({"redrivePermission": "allowAll"}, True),
        ({"redrivePermission": "denyAll"}, False),
        ({"redrivePermission": "byQueue", "sourceQueueArns": [ARN]}, True),
        ({"redrivePermission": "byQueue", "sourceQueueArns": [f"{ARN}-other"]}, False),
    ],
)
def test_a_redrive_allow_policy_says_whose_letters_it_takes(monkeypatch, policy, takes) -> None:
    """None at all takes everybody's, and a list of queues has to name this one."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    queue = SqsQueue("https://sqs.eu-west-1.amazonaws.com/123456789012/tweets")
    allowed = {} if policy is None else {"RedriveAllowPolicy": json.dumps(policy)}
    with stub.Stubber(queue._client) as client:
        asked = {"QueueName": "tweets-dead", "QueueOwnerAWSAccountId": "123456789012"}
        client.add_response("get_queue_url", {"QueueUrl": DEAD}, asked)
        answer = {"Attributes": {"MessageRetentionPeriod": "1209600", **allowed}}
        client.add_response("get_queue_attributes", answer, {"QueueUrl": DEAD, "AttributeNames": ["All"]})
        dead = queue.dead_letters(QueueFacts(ARN, 60, 5, f"{ARN}-dead", 345_600))
    assert (dead.retention, dead.takes) == (1_209_600, takes)


def test_a_queue_that_may_not_send_its_dead_letters_is_a_fault() -> None:
    """They would come back until they expire."""
    wanted, days = QueueNumbers(60, 5), 86_400
    (found,) = dead_letter_differences(wanted, 4 * days, DeadLetterFacts(14 * days, takes=False))
    assert "does not let the queue send" in found
    assert not dead_letter_differences(wanted, 4 * days, DeadLetterFacts(14 * days, takes=True))
