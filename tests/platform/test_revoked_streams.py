"""A key that is revoked while much goes in or out on its behalf: that ends at once, not at its own end."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import urllib3

MIB = 1 << 20


def revoke(server: Any, user: str, key: str) -> None:
    """Revokes a user's keys."""
    for each in server.request("GET", f"/v1/users/{user}/keys", key).json():
        server.admin("DELETE", f"/v1/users/{user}/keys/{each['id']}")


def test_an_upload_without_end_ends_with_its_key(server: Any) -> None:
    """Whoever sends a file for ever is told as soon as the key is no good, and nothing more is kept."""
    user, key = server.user()
    assert server.request("POST", f"/v1/data/{user}", key, json={"name": "slow"}).ok
    host, port = server.address.removeprefix("http://").split(":")
    head = f"PUT /v1/data/{user}/slow/f HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n"
    head += "Transfer-Encoding: chunked\r\n\r\n"
    part = b"100000\r\n" + bytes(MIB) + b"\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode() + part)
        revoke(server, user, key)
        connection.sendall(part * 3)
        assert connection.recv(1000).startswith(b"HTTP/1.1 401")  # though the body goes on


def test_a_clone_ends_with_its_key(server: Any, tmp_path: Path) -> None:
    """Of a large repository a revoked key gets no more than what was on its way."""
    user, key = server.user()
    assert server.request("POST", f"/v1/algorithms/{user}", key, json={"name": "Large"}).status_code == 201
    remote = server.address.replace("//", f"//{user}:{key}@") + f"/git/{user}/Large.git"
    work = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-C", str(tmp_path)]
    subprocess.run([*work, "clone", "-q", remote, "."], check=True)
    (tmp_path / "noise").write_bytes(os.urandom(30 * MIB))
    subprocess.run([*work, "add", "noise"], check=True)
    subprocess.run([*work, "commit", "-qm", "Grow"], check=True)
    subprocess.run([*work, "push", "-q", "origin", "HEAD:master"], check=True)
    head = subprocess.run([*work, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    place = remote.partition("@")[2]
    asked = urllib3.PoolManager().request(
        "POST",
        f"http://{place}/git-upload-pack",
        headers={
            "Content-Type": "application/x-git-upload-pack-request",
            **urllib3.make_headers(basic_auth=f"{user}:{key}"),
        },
        body=f"0032want {head.strip()}\n00000009done\n",
        preload_content=False,
    )
    assert asked.status == 200
    got = len(asked.read(1000))
    revoke(server, user, key)
    with pytest.raises(urllib3.exceptions.HTTPError):
        while part := asked.read(MIB):
            got += len(part)
    assert got < 30 * MIB
