"""The vendor's Python client, unmodified: every call of its management and data side."""

from __future__ import annotations

import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
from Algorithmia.acl import AclType, ReadAcl
from Algorithmia.errors import AlgorithmException, DataApiError


def test_its_way_to_the_account_name(platform: Any) -> None:
    """`username()` takes the first folder of the root."""
    assert platform.client().username() == "local"


def test_an_algorithm_from_creation_to_call(platform: Any, tmp_path: Path) -> None:
    """Create, clone, change, push, wait for the build, publish, list, call."""
    name = f"Path{uuid.uuid4().hex[:6]}"
    algorithm = platform.client().algo(f"local/{name}")
    assert algorithm.exists() is False
    settings = {
        "source_visibility": "closed",
        "license": "apl",
        "network_access": "full",
        "pipeline_enabled": True,
    }
    made = algorithm.create({"label": name}, settings, version_info={"sample_input": '"Jane"'})
    assert made["name"] == name
    assert algorithm.exists() is True
    assert algorithm.get_builds()["results"] == []
    assert algorithm.get_scm_status() == {"scm_connection_status": "active"}

    remote = platform.address.replace("//", f"//local:{platform.key}@") + f"/git/local/{name}.git"
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "clone", "-q", remote, str(tmp_path / "clone")], check=True)
    main = tmp_path / "clone" / "src" / f"{name}.py"
    main.write_text(main.read_text().replace('"hello "', '"good day "'))
    subprocess.run([*git, "commit", "-qam", "Greet politely"], cwd=tmp_path / "clone", check=True)
    subprocess.run([*git, "push", "-q"], cwd=tmp_path / "clone", check=True)

    compiled = algorithm.compile()
    assert compiled["compilation"]["successful"] is True
    build = algorithm.get_builds(limit=1)["results"][0]
    assert algorithm.get_build(build["build_id"])["status"] == "succeeded"
    assert "build succeeded" in algorithm.get_build_logs(build["build_id"])["logs"]

    info = {"version_type": "minor", "release_notes": "polite", "sample_input": '"Jane"'}
    published = algorithm.publish(details={"label": name}, settings={}, version_info=info)
    assert published["version_info"]["semantic_version"] == "0.1.0"
    with pytest.raises(Exception, match="409"):
        algorithm.publish()

    assert len(algorithm.versions()["results"]) == len(algorithm.get_builds()["results"]) == 2
    (shown,) = algorithm.versions(limit=10, published=True)["results"]
    assert shown["version_info"]["release_notes"] == "polite"
    assert algorithm.versions(callable=True)["results"] == []
    assert algorithm.info()["results"][0]["name"] == name
    git_hash = published["version_info"]["git_hash"]
    assert algorithm.info(git_hash)["version_info"]["git_hash"] == git_hash
    for version in ("0.1.0", "latestPrivate", git_hash):
        assert platform.client().algo(f"local/{name}/{version}").pipe("Jane").result == "good day Jane"


def test_update_sends_nothing_and_changes_nothing(platform: Any, hello: str) -> None:
    """The client's `update` loses its values on the way; the object comes back as it was."""
    algorithm = platform.client().algo(hello)
    before = platform.client().algo("local/Hello").info()["results"][0]["details"]
    assert algorithm.update(details={"label": "x"}, settings={"license": "mit"})["details"] == before


def test_secrets(platform: Any, hello: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`set_secret` finds the provider and the id by itself; `get_secrets` never shows the value."""
    algorithm = platform.client().algo("local/Hello")
    made = algorithm.set_secret("short", "A_TOKEN", "hunter2")
    assert made["secret_key"] == "A_TOKEN"
    listed = algorithm.get_secrets()
    assert [each["secret_key"] for each in listed["results"]] == ["A_TOKEN"]
    assert "hunter2" not in str(listed)


def test_environments_and_templates(platform: Any, tmp_path: Path) -> None:
    """Languages, environments and the template, unpacked by the client."""
    client = platform.client()
    (language,) = client.get_supported_languages()
    environments = client.get_environment(language["name"])["environments"]
    response = client.get_template(environments[0]["environment_specification_id"], str(tmp_path / "t"))
    assert response.status_code == 200
    assert (tmp_path / "t" / "src" / "__ALGO__.py").is_file()
    assert client.scms()["results"][0]["id"] == "internal"


def test_organizations(platform: Any) -> None:
    """The client replaces the type's name by its id, creates, reads, edits and invites."""
    admin, name = platform.admin(), f"org{uuid.uuid4().hex[:8]}"
    body = {
        "org_name": name,
        "org_label": "Label",
        "org_contact_name": "C",
        "org_email": "o@example.org",
        "org_url": "https://example.org",
        "type_id": "basic",
        "resource_type": "organization",
    }
    made = admin.create_org(dict(body))
    assert made["org_name"] == name
    edited = admin.edit_org(name, {**body, "org_label": "Other", "id": "foreign"})
    assert edited.status_code == 204
    assert admin.get_org(name)["org_label"] == "Other"
    user = f"user{uuid.uuid4().hex[:8]}"
    assert (
        admin.create_user({"username": user, "email": f"{user}@example.org", "fullname": "U"})["username"]
        == user
    )
    assert admin.invite_to_org(name, user).status_code == 201
    assert admin.invite_to_org(name, user).status_code == 200
    assert admin.get_organization_errors(name) == []
    assert admin.get_user_errors(user) == []


def test_a_files_life(platform: Any, tmp_path: Path) -> None:
    """Every way in which the client writes and reads a file."""
    client = platform.client()
    directory = client.dir(f"data://.my/c{uuid.uuid4().hex[:8]}")
    assert directory.exists() is False
    directory.create()
    assert directory.exists() is True
    file = directory.file("a b.txt")
    assert file.exists() is False
    with pytest.raises(DataApiError, match="unable to get file"):
        file.getBytes()
    file.put("text")
    assert (file.getString(), file.getBytes()) == ("text", b"text")
    file.put(b"\x00\xff" * 1000)
    assert file.getBytes() == b"\x00\xff" * 1000
    file.putJson({"a": [1, "é"]})
    assert file.getJson() == {"a": [1, "é"]}
    local = tmp_path / "local.bin"
    local.write_bytes(os.urandom(3_000_000))
    file.putFile(str(local))
    assert Path(file.getFile(as_path=True)).read_bytes() == local.read_bytes()
    (listed,) = directory.files()
    assert (listed.getName(), listed.size) == ("a b.txt", 3_000_000)
    assert listed.last_modified.year >= 2024
    assert file.delete() is True
    assert file.exists() is False


def test_directories(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listings through several pages, permissions, deletion with and without force."""
    client, name = platform.client(), f"d{uuid.uuid4().hex[:8]}"
    directory = client.dir(f"data://local/{name}")
    directory.create(ReadAcl.private)
    assert directory.get_permissions().read_acl is AclType.private
    directory.update_permissions(ReadAcl.public)
    assert directory.get_permissions().read_acl is AclType.public
    assert f"local/{name}" in [each.path for each in client.dir("data://local").dirs()]
    folder = max((platform.home / "data" / "collections").iterdir(), key=lambda each: each.stat().st_mtime_ns)
    for number in range(1200):
        (folder / f"_{number:04}").write_bytes(b"x")
    assert [each.getName() for each in directory.files()] == [f"{number:04}" for number in range(1200)]
    assert len(list(directory.list())) == 1200
    with pytest.raises(DataApiError, match="not empty"):
        directory.delete()
    assert directory.delete(force=True) is True
    assert directory.exists() is False


def test_what_is_missing_is_said_in_words(platform: Any) -> None:
    """The client's own exceptions carry the platform's message."""
    with pytest.raises(AlgorithmException, match="No such algorithm"):
        platform.client().algo("local/None").get_secrets()
    with pytest.raises(DataApiError, match="not found"):
        platform.client().file("data://local/none/file").getString()
    with pytest.raises(AlgorithmException, match="invalid API key"):
        type(platform.client())("sim" + "x" * 25, platform.address).algo("local/None").exists()


def test_insights(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client posts them without credentials to ALGORITHMIA_API."""
    monkeypatch.setenv("ALGORITHMIA_API", platform.address)
    platform.client().report_insights({"score": 1})


def test_errors_of_an_algorithm_are_listed(platform: Any, hello: str) -> None:
    """What a call fails with is found by the owner afterwards, by the vendor's own method."""
    client = platform.client()
    with pytest.raises(AlgorithmException):
        client.algo(hello).pipe({"not": "text"})
    made = client.getJsonHelper("/v1/algorithms/local/Hello")
    found = client.get_algorithm_errors(made["id"])
    assert found, "no entry for the failed call"
    assert {found[0]["username"], found[0]["billable_to"]} == {"local"}
    assert (found[0]["algoname"], found[0]["algoversion"]) == ("Hello", "0.1.0")
    assert isinstance(found[0]["created_at"], int)


def test_what_does_not_load_is_not_released(platform: Any, tmp_path: Path) -> None:
    """A release waits until a worker has loaded the build: one that can not be is refused, and no version."""
    name = f"Load{uuid.uuid4().hex[:8]}"
    algorithm = platform.client().algo(f"local/{name}")
    made = algorithm.create({"label": name}, {})
    newest = environments(platform)[-1]["display_name"]
    named = {each["id"]: each["display_name"] for each in environments(platform)}
    assert named[made["settings"]["algorithm_environment"]] == newest  # nobody named one
    remote = platform.address.replace("//", f"//local:{platform.key}@") + f"/git/local/{name}.git"
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "clone", "-q", remote, str(tmp_path / "clone")], check=True)
    main = tmp_path / "clone" / "src" / f"{name}.py"
    working = main.read_text()
    for source, commit in (("raise RuntimeError('no model here')\n" + working, "Break"), (working, "Repair")):
        main.write_text(source)
        subprocess.run([*git, "commit", "-qam", commit], cwd=tmp_path / "clone", check=True)
        subprocess.run([*git, "push", "-q"], cwd=tmp_path / "clone", check=True)
        assert algorithm.compile()["compilation"]["successful"] is True
        if commit == "Break":
            with pytest.raises(Exception, match="400"):
                algorithm.publish(version_info={"version_type": "minor"})
            assert algorithm.versions(published=True)["results"] == []
    published = algorithm.publish(version_info={"version_type": "minor"})
    assert published["version_info"]["semantic_version"] == "0.1.0"
    assert platform.client().algo(f"local/{name}/0.1.0").pipe("you").result == "hello you"


def environments(platform: Any) -> list[dict[str, Any]]:
    """What the platform offers, as the vendor's client lists it."""
    found = platform.client().get_environment("python3")["environments"]
    return sorted(found, key=lambda each: [int(part) for part in each["display_name"].split()[1].split(".")])
