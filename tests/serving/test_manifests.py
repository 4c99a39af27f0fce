"""The manifests of `build --serve kserve`: valid by the published schemas, safe by default, of one piece."""

from __future__ import annotations

import copy
import re

import pytest
import yaml
from manifests import documents, faults
from served_wrapper import built

from wrapgen.build import generate
from wrapgen.errors import UsageError
from wrapgen.spec import parse

ENDPOINT = """\
version: 1
target:
  endpoint: https://llm.acme.internal/v1/score
  protocol: json
  auth: {bearer_env: LLM_KEY}
  tls: {ca: /etc/own/ca.pem}
wrapper: {name: acme/TextScore, mode: both}
datastore: {url_env: DATABASE_URL}
"""
ALGORITHM = """\
version: 1
target: {algorithm: nlp/Sentiment/1.0.0}
wrapper: {name: acme/%s, mode: both}
datastore: {url: data://acme/records, key_env: WRITER_KEY}
limits: {timeout: 600}
serve: {min_replicas: 0, max_replicas: 7, cpus: 0.5, gpus: 2, memory_mib: 2048, calls: 3, image: "r/x:1"}
"""


def _files(text: str) -> dict[str, list]:
    found = generate(parse(text.encode()), None, frozenset({"kserve"}))
    return {path: documents(found[path].decode()) for path in found if path.startswith("kubernetes/")}


def _all(text: str) -> dict[str, dict]:
    return {one["kind"]: one for many in _files(text).values() for one in many}


@pytest.mark.parametrize(
    "text", [ENDPOINT, ALGORITHM % "Sentiment", ALGORITHM % "On", ALGORITHM % ("A" * 150)]
)
def test_every_object_is_valid(text):
    """No object has a key or a value that is not known there, and all of them have one name."""
    found = _all(text)
    assert [fault for one in found.values() for fault in faults(one)] == []
    (name,) = {one["metadata"]["name"] for one in found.values()}
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,43}[a-z0-9])?", name)


def test_the_schemas_notice_what_is_wrong():
    """A misspelled key and a value of another type are found, in the pod as in what is KServe's own."""
    service = _all(ENDPOINT)["InferenceService"]
    for where, key, value in (("predictor", "minReplica", 1), ("predictor", "timeout", "long")):
        wrong = copy.deepcopy(service)
        wrong["spec"][where][key] = value
        assert len(faults(wrong)) == 1
    wrong = copy.deepcopy(service)
    wrong["spec"]["predictor"]["containers"][0]["readinesProbe"] = {}
    assert len(faults(wrong)) == 1


def test_the_numbers_are_those_of_the_spec():
    """Replicas, processors, memory, GPUs, calls and times."""
    found = _all(ALGORITHM % "Sentiment")
    predictor = found["InferenceService"]["spec"]["predictor"]
    scaler, pod = found["HorizontalPodAutoscaler"]["spec"], found["Deployment"]["spec"]["template"]["spec"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (0, 7)
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (1, 7)
    assert predictor["containerConcurrency"] == 3 and predictor["timeout"] == 630
    assert pod["terminationGracePeriodSeconds"] == predictor["terminationGracePeriodSeconds"] > 630
    for container in (*predictor["containers"], *pod["containers"]):
        assert container["image"] == "r/x:1"
        assert container["resources"] == {
            "requests": {"cpu": "500m", "memory": "2048Mi"},
            "limits": {"memory": "2048Mi", "nvidia.com/gpu": 2},
        }


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (ENDPOINT, ["WRAPPER_TOKEN", "DATABASE_URL", "LLM_KEY"]),
        (ALGORITHM % "S", ["WRAPPER_TOKEN", "ALGORITHMIA_API", "ALGORITHMIA_API_KEY", "WRITER_KEY"]),
    ],
)
def test_secrets_are_named_and_not_told(text, names):
    """Each variable that the wrapper reads is a reference to the secret; nothing else comes from anywhere."""
    found = _all(text)
    pods = found["InferenceService"]["spec"]["predictor"], found["Deployment"]["spec"]["template"]["spec"]
    for pod in pods:
        variables = {one["name"]: one for one in pod["containers"][0]["env"]}
        assert variables.pop("WRAPPER_STOP_DELAY")["value"] == "10"
        assert int(variables.pop("WRAPPER_REPLICAS")["value"]) in (4, 7)
        assert list(variables) == names
        for name, one in variables.items():
            assert one["valueFrom"]["secretKeyRef"]["key"] == name and "value" not in one


def test_pods_have_no_rights():
    """Another user than root, nothing of the file system writable but /tmp, no token of the cluster."""
    found = _all(ENDPOINT)
    for pod in (
        found["InferenceService"]["spec"]["predictor"],
        found["Deployment"]["spec"]["template"]["spec"],
    ):
        (container,) = pod["containers"]
        context = {**pod.get("securityContext", {}), **container["securityContext"]}
        assert context["runAsNonRoot"] is True and context["runAsUser"] == 65532
        assert context["readOnlyRootFilesystem"] is True and context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]} and pod["automountServiceAccountToken"] is False
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_what_only_an_operator_can_give_is_said(tmp_path):
    """Files that the spec names, and a folder of records, are in the comments."""
    text = generate(parse(ENDPOINT.encode()), None, frozenset({"kserve"}))[
        "kubernetes/deployment.yaml"
    ].decode()
    assert "mount /etc/own/ca.pem there" in text
    kept = "version: 1\ntarget: {source: ./echo}\nwrapper: {name: acme/K, mode: both}\n"
    folder = built(tmp_path, kept + "datastore: {url: 'file:///records'}\n", kinds=frozenset({"kserve"}))
    assert "mount a volume there" in (folder / "kubernetes" / "inferenceservice.yaml").read_text()


def test_parts_of_a_gpu_are_refused():
    """Kubernetes gives whole ones: the error says so, and what can do it."""
    with pytest.raises(UsageError, match="whole GPUs only"):
        _files(ENDPOINT + "serve: {gpus: 0.5}\n")


def test_the_service_listens_where_the_container_does():
    """Selectors, labels and ports of the objects fit each other, and the image's port."""
    found = _all(ENDPOINT)
    pod = found["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    for kind in ("Service", "PodDisruptionBudget", "Deployment"):
        selector = found[kind]["spec"]["selector"]
        assert selector.get("matchLabels", selector) == labels
    (port,) = pod["spec"]["containers"][0]["ports"]
    assert found["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    dockerfile = generate(parse(ENDPOINT.encode()), None, frozenset({"kserve"}))["Dockerfile"].decode()
    assert f"EXPOSE {port['containerPort']}\n" in dockerfile
    assert yaml.safe_dump(found["Deployment"]).count("WRAPPER_TOKEN") == 2
