"""SageMaker's protocol against a server that computes each signature again with botocore."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from model import wrapper_of
from scoring import Busy, Poison, score
from stand_in_servers import Answer, Asked, stand_in

TARGET = """
endpoint: sagemaker://eu-west-1/fraud-prod
protocol: json
headers: {X-Amzn-SageMaker-Inference-Component: fraud-v3}
request: {instances: $items}
result: $.predictions[*]
batch_size: 3
"""


class SageMaker:
    """A runtime endpoint that knows the secrets of access keys, and refuses what they did not sign.

    Attributes:
        secrets: by access key; one that is missing has expired.
        components: the inference component of every request that was accepted.
    """

    def __init__(self) -> None:
        self.secrets = {"AKIDONE": "secret-one"}
        self.components: list[str] = []

    def __call__(self, asked: Asked) -> Answer:
        refused = self._refused(asked)
        if refused:
            return Answer(403, {"message": refused}, (("x-amzn-ErrorType", "InvalidSignatureException"),))
        if asked.path != "/endpoints/fraud-prod/invocations":
            return Answer(400, {"message": "Endpoint not found.", "ErrorCode": "ValidationError"})
        self.components.append(asked.headers["X-Amzn-SageMaker-Inference-Component"])
        try:
            return Answer(200, {"predictions": [score(text) for text in asked.value["instances"]]})
        except Poison as error:
            return model_error(400, str(error))
        except Busy as error:
            return model_error(503, str(error))
        except ZeroDivisionError as error:
            return model_error(500, str(error))

    def _refused(self, asked: Asked) -> str:
        """Why the signature is none, by botocore's own computation; empty for one that is."""
        scheme, _, rest = asked.headers.get("Authorization", "").partition(" ")
        if scheme != "AWS4-HMAC-SHA256":
            return "Missing Authentication Token"
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        access, _, region, service, _ = parts["Credential"].split("/")
        secret = self.secrets.get(access)
        if secret is None:
            return "The security token included in the request is expired"
        names = parts["SignedHeaders"].split(";")
        headers = {name: asked.headers[name] for name in names}
        url = f"http://{asked.headers['Host']}{asked.path}"
        request = AWSRequest(asked.method, url, data=asked.body, headers=headers)
        request.context["timestamp"] = asked.headers["X-Amz-Date"]
        auth = SigV4Auth(Credentials(access, secret), service, region)
        signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        if (region, service) != ("eu-west-1", "sagemaker") or "host" not in names:
            return "Credential should be scoped to a valid region"
        if not hmac.compare_digest(signature, parts["Signature"]):
            return "The request signature we calculated does not match the signature you provided."
        return ""


def model_error(status: int, message: str) -> Answer:
    """What SageMaker answers when the container failed: the real status is inside."""
    facts = {"ErrorCode": "", "LogStreamArn": "arn", "Message": f"Received client error ({status})"}
    return Answer(424, {**facts, "OriginalMessage": message, "OriginalStatusCode": status})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SageMaker]:
    """The endpoint, and an environment in which botocore finds it and the first credentials."""
    endpoint = SageMaker()
    with stand_in(endpoint) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        become(monkeypatch, "AKIDONE", "secret-one")
        yield endpoint


def become(monkeypatch: pytest.MonkeyPatch, access: str, secret: str) -> None:
    """Has the environment hold these credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)


def test_requests_are_signed_as_botocores_own_client_signs_them(server, tmp_path):
    """The server, which accepts the vendor's client, accepts the wrapper's lists, whatever is in them."""
    client = boto3.client("sagemaker-runtime", region_name="eu-west-1")
    answered = client.invoke_endpoint(
        EndpointName="fraud-prod", Body=b'{"instances": ["a"]}', InferenceComponentName="fraud-v3"
    )
    assert json.loads(answered["Body"].read())["predictions"] == [score("a")]
    wrapper = wrapper_of(tmp_path, TARGET, {}, {})
    texts = ["a", "é ü\n\t", "𝄞" * 5, "x" * 5000, " spaces  within ", "=&?/+%"]
    assert wrapper.batch(texts)["$results"] == [score(text) for text in texts]
    assert set(server.components) == {"fraud-v3"}


def test_what_the_container_answered_decides(server, tmp_path):
    """The status inside a 424: a busy container is asked again, a refused or crashing text fails alone."""
    wrapper = wrapper_of(tmp_path, TARGET, {}, {})
    poison, busy, fine = wrapper.batch(["poison", "busy 1 sagemaker", "fine"])["$results"]
    assert poison["$error"]["retryable"] is False
    assert (busy, fine) == (score("busy 1 sagemaker"), score("fine"))
    crash, *others = wrapper.batch(["crash", "a", "b"])["$results"]
    assert crash["$error"]["retryable"] is True and others == [score("a"), score("b")]


def test_credentials_are_found_anew_once_and_wrong_ones_stop_the_call(server, tmp_path, monkeypatch):
    """Expired credentials are looked up again; refused ones stop the call and are in no answer."""
    wrapper = wrapper_of(tmp_path, TARGET, {}, {})
    assert wrapper.batch(["a"])["$results"] == [score("a")]
    server.secrets = {"AKIDTWO": "secret-two"}
    become(monkeypatch, "AKIDTWO", "secret-two")
    assert wrapper.batch(["a", "b"])["$results"] == [score("a"), score("b")]
    become(monkeypatch, "AKIDTWO", "wrong-secret")
    refused = wrapper_of(tmp_path, TARGET, {}, {}).batch(["a", "b", "c", "d", "e"])
    assert refused["$summary"]["stopped"]
    assert all(one["$error"]["retryable"] for one in refused["$results"])
    assert "wrong-secret" not in json.dumps(refused)
