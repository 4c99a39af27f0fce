"""The emitted CloudFormation templates: clean for AWS's own linter, and really created by a server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

KEYS = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}

SPEC = """\
version: 1
target:
  algorithm: nlp/Planned/1.0.0
wrapper:
  name: acme/Recorded
  mode: both
datastore:
  url: data://acme/recorded
dispatch:
  attempts: 4
limits:
  timeout: 100
"""


@pytest.fixture(scope="module")
def emitted(tmp_path_factory) -> Path:
    """A folder with what `wrapgen build` emits for the two engines that have templates."""
    folder = tmp_path_factory.mktemp("emitted")
    (folder / "spec.yaml").write_text(SPEC)
    for engine in ("--sqs", "--lambda"):
        command = [sys.executable, "-m", "wrapgen", "build", "spec.yaml", engine]
        built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
    return folder / "generated"


class Stack:
    """A stack that a server made from the emitted template of the queue."""

    def __init__(self, address: str, template: str, **parameters: str) -> None:
        import boto3

        self._boto3, self._address = boto3, address
        self.name = f"s{uuid4().hex[:12]}"
        cloud = self.client("cloudformation")
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        cloud.create_stack(
            StackName=self.name, TemplateBody=template, Parameters=given, Capabilities=["CAPABILITY_IAM"]
        )
        (found,) = cloud.describe_stacks(StackName=self.name)["Stacks"]
        assert found["StackStatus"] == "CREATE_COMPLETE", found
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}

    def client(self, service: str) -> Any:
        """A client of the server."""
        return self._boto3.client(service, endpoint_url=self._address, **KEYS)

    def url(self, output: str) -> str:
        """A queue's address at this server: the template's output names Amazon's."""
        return self._address + urlsplit(self.outputs[output]).path

    def attributes(self, output: str) -> dict[str, str]:
        """All attributes of a queue."""
        found = self.client("sqs").get_queue_attributes(QueueUrl=self.url(output), AttributeNames=["All"])
        return dict(found["Attributes"])


def queue(emitted: Path, engine: str) -> str:
    """The template of the queue."""
    return (emitted / f"Recorded-{engine}" / "queue.yaml").read_text()


def test_the_templates_are_clean(emitted):
    """Nothing to say for cfn-lint, but that the function's code is a folder, which `package` replaces."""
    files = [str(path) for path in sorted(emitted.glob("*/*.yaml")) if path.name != "spec.yaml"]
    assert len(files) == 3
    command = [sys.executable, "-c", "import sys; from cfnlint.runner import main; sys.exit(main())"]
    linted = subprocess.run(
        [*command, "--ignore-checks", "W3002", "--", *files], capture_output=True, text=True, check=False
    )
    assert (linted.returncode, linted.stdout) == (0, ""), linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("consumer", "visibility"), [("worker", 60), ("lambda", 6 * 160), ("event-flows", 6 * 100)]
)
def test_a_queue_is_made_for_its_consumer(emitted, sqs_address, consumer, visibility):
    """Visibility and deliveries are those computed from the spec; the dead-letter queue is its own."""
    stack = Stack(sqs_address, queue(emitted, "sqs"), Consumer=consumer)
    found, dead = stack.attributes("QueueUrl"), stack.attributes("DeadLetterQueueUrl")
    assert int(found["VisibilityTimeout"]) == visibility
    redrive = json.loads(found["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == dead["QueueArn"] and int(redrive["maxReceiveCount"]) == 4 + 2
    assert int(dead["MessageRetentionPeriod"]) > int(found["MessageRetentionPeriod"]) > visibility * 6
    assert found["SqsManagedSseEnabled"] == dead["SqsManagedSseEnabled"] == "true"


def test_a_fifo_queue_has_a_fifo_dead_letter_queue(emitted, sqs_address):
    """Both keep an order, and take equal bodies sent twice as one message."""
    stack = Stack(sqs_address, queue(emitted, "lambda"), Fifo="true")
    found, dead = stack.attributes("QueueUrl"), stack.attributes("DeadLetterQueueUrl")
    assert found["FifoQueue"] == dead["FifoQueue"] == found["ContentBasedDeduplication"] == "true"
    assert found["VisibilityTimeout"] == "960"  # the consumer of that folder is Lambda


def test_the_role_may_take_messages_of_its_queue_and_no_more(emitted, sqs_address):
    """Four actions on one queue; who may take the role are AWS's own services."""
    stack = Stack(sqs_address, queue(emitted, "sqs"))
    iam = stack.client("iam")
    role = iam.get_role(RoleName=stack.outputs["RoleArn"].rpartition("/")[2])["Role"]
    trusted = role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
    assert "lambda.amazonaws.com" in trusted
    policies = iam.list_policies(Scope="Local")["Policies"]
    (own,) = [policy for policy in policies if policy["PolicyName"].startswith(stack.name)]
    version = iam.get_policy_version(PolicyArn=own["Arn"], VersionId=own["DefaultVersionId"])
    (allowed,) = version["PolicyVersion"]["Document"]["Statement"]
    assert allowed["Resource"] == stack.outputs["QueueArn"]
    assert sorted(action.partition(":")[2] for action in allowed["Action"]) == [
        "ChangeMessageVisibility",
        "DeleteMessage",
        "GetQueueAttributes",
        "ReceiveMessage",
    ]


def test_doctor_has_no_objection_to_the_queue(emitted, platform, sqs_address):
    """What the template makes for a consumer is what `wrapgen doctor` wants of it."""
    stack = Stack(sqs_address, queue(emitted, "lambda"))
    words = ["doctor", "spec.yaml", "--queue", stack.url("QueueUrl"), "--consumer", "lambda", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "wrapgen", *words],
        cwd=emitted / "Recorded-lambda",
        env=platform.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    (found,) = [one for one in json.loads(done.stdout)["findings"] if one["what"] == "queue"]
    assert found["level"] == "ok" and "is set up for lambda" in found["message"], found
