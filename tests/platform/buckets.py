"""An S3-speaking server, and a bucket on it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """The address of an S3-speaking server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def bucket(storage: str) -> str:
    """A bucket, made from outside."""
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    client = boto3.client(
        "s3", endpoint_url=storage, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    client.create_bucket(Bucket=name)
    return name
