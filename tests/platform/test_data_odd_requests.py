"""Odd requests of the data API, and what exactly they are told."""

from __future__ import annotations

from typing import Any

import pytest

PLACES = ("data/local", "connector/data/local", "connector/s3/bucket", "data/s3:%2F%2Fbucket")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize(("sent", "named"), [("%0A", "U+000A"), ("%00", "U+0000"), ("%1F", "U+001F")])
def test_a_control_character_in_a_path_is_refused(server: Any, method: str, sent: str, named: str) -> None:
    """Each method says which one it was, under every spelling of a data path, whatever else there is."""
    places = [f"/v1/{place}/{name}" for place in PLACES for name in (f"a{sent}b", f"c/a{sent}", f"{sent}/f")]
    for place in (*places, f"/v1/connector/s3{sent}/bucket/f"):
        answer = server.request(method, place, json={"name": "x", "acl": {"read": []}})
        assert answer.status_code == 400, (place, answer.text)
        assert f"control character {named}" in answer.headers["X-Error-Message"], place
        assert method == "HEAD" or answer.json()["error"]["code"] == 2015
