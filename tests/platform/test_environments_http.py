"""Environments and their templates over HTTP."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

EDGE = "/v1/algorithm-environments/edge"


def test_languages_are_a_bare_array(server: Any) -> None:
    """Each with its name and a configuration that is itself JSON text."""
    (language,) = server.request("GET", f"{EDGE}/languages").json()
    assert language["name"] == "python3"
    json.loads(language["configuration"])


def test_environments_are_wrapped(server: Any) -> None:
    """Those of the ready line, each with two ids; an unknown language is an error that names the known."""
    found = server.request("GET", f"{EDGE}/languages/python3/environments").json()["environments"]
    assert [each["name"] for each in found] == server.facts["environments"]
    assert all(each["machine_type"] == "CPU" and each["language"]["name"] == "python3" for each in found)
    missing = server.request("GET", f"{EDGE}/languages/rust/environments")
    assert (missing.status_code, "python3" in missing.json()["error"]["message"]) == (404, True)


def test_a_template_needs_no_key(server: Any) -> None:
    """A gzip-compressed tar with placeholders; the same bytes each time."""
    found = server.request("GET", f"{EDGE}/languages/python3/environments").json()["environments"]
    path = f"{EDGE}/environment-specifications/{found[0]['environment_specification_id']}/template"
    first, second = server.request("GET", path, ""), server.request("GET", path, "")
    assert first.status_code == 200
    assert first.content == second.content
    with tarfile.open(fileobj=io.BytesIO(first.content), mode="r:gz") as tar:
        assert "src/__ALGO__.py" in tar.getnames()
    assert server.request("GET", path.replace(path.split("/")[5], "none"), "").status_code == 404


def test_an_algorithm_is_built_with_the_environment_it_names(server: Any) -> None:
    """The last environment offered is the one that the build's log tells of."""
    found = server.request("GET", f"{EDGE}/languages/python3/environments").json()["environments"][-1]
    body = {"name": "Chosen", "settings": {"algorithm_environment": found["id"]}}
    assert server.request("POST", "/v1/algorithms/local", json=body).status_code == 201
    compiled = server.request("POST", "/v1/algorithms/local/Chosen/compile").json()
    version = found["description"].split()[1]
    assert f"with Python {version}" in compiled["compilation"]["output"]
