"""S3 and everything that speaks its protocol, by boto3."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wrapgen.errors import BadRequest, Conflict, NotAuthorized, NotFound, PlatformError, ServerFault
from wrapgen.platform.storage.objects import PAGE, PART, ObjectPage, Parts, StoredObject

SPOOL = 4 * 1024 * 1024
"""Bytes of an upload that are kept in memory; what is larger goes to disk."""


class S3Write:
    """A file on its way to S3, which waits on disk; see `ObjectWrite`."""

    def __init__(self, client: Any, path: str, url: str) -> None:
        self._client = client
        self._path = path
        self._url = url
        self._spool = tempfile.SpooledTemporaryFile(SPOOL)  # noqa: SIM115 - abandon closes it

    def append(self, chunk: bytes) -> None:
        """Adds bytes."""
        self._spool.write(chunk)

    def commit(self) -> str:
        """Uploads the file; a large one goes up in parts and appears when the last is there."""
        self._spool.seek(0)
        bucket, key = _split(self._path)
        with _translated(self._path):
            self._client.upload_fileobj(self._spool, bucket, key)
        return self._url

    def abandon(self) -> None:
        """Throws away what was written; boto3 may have closed it already."""
        self._spool.close()


class S3Store:
    """One account's access to S3.

    Args:
        settings: `endpoint_url`, `region`, `access_key_id`, `secret_access_key`; those that are missing are
            looked for where boto3 looks.

    Raises:
        ServerFault: boto3 is not installed (status 501).
        BadRequest: boto3 can't use the settings.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ModuleNotFoundError as error:
            raise ServerFault(
                "s3:// needs the optional part [s3], which this platform was installed without",
                hint="pip install 'wrapgen[s3]'",
                reason="not-implemented",
            ) from error
        try:
            self._client = boto3.session.Session().client(
                "s3",
                endpoint_url=settings.get("endpoint_url"),
                region_name=settings.get("region") or "us-east-1",
                aws_access_key_id=settings.get("access_key_id"),
                aws_secret_access_key=settings.get("secret_access_key"),
                config=Config(connect_timeout=10, read_timeout=60, retries={"max_attempts": 3}),
            )
        except ValueError as error:
            raise BadRequest(
                f"this connector can't be used: {error}",
                hint="an administrator fixes it with `wrapgen platform connectors add`",
            ) from error

    def find(self, path: str) -> StoredObject | None:
        """See `ObjectStore.find`."""
        bucket, key = _split(path)
        if key:
            try:
                with _translated(path):
                    head = self._client.head_object(Bucket=bucket, Key=key)
            except NotFound:
                pass
            else:
                return StoredObject(
                    key.rpartition("/")[2], head["ContentLength"], head["LastModified"].timestamp()
                )
        page = self.page(path, None)
        if key and not page.files and not page.folders:
            raise NotFound(f"s3://{path} not found")
        return None

    def read(self, path: str) -> tuple[Parts, int]:
        """See `ObjectStore.read`."""
        bucket, key = _split(path)
        with _translated(path):
            found = self._client.get_object(Bucket=bucket, Key=key)
        return _parts(found["Body"]), found["ContentLength"]

    def write(self, path: str, url: str = "") -> S3Write:
        """See `ObjectStore.write`."""
        if not _split(path)[1]:
            raise BadRequest(f"s3://{path} names no file")
        return S3Write(self._client, path, url or f"s3://{path}")

    def page(self, path: str, marker: str | None) -> ObjectPage:
        """See `ObjectStore.page`."""
        bucket, key = _split(path)
        prefix = f"{key}/" if key else ""
        more = {"ContinuationToken": marker} if marker else {}
        with _translated(path):
            found = self._client.list_objects_v2(
                Bucket=bucket, Prefix=prefix, Delimiter="/", MaxKeys=PAGE, **more
            )
        folders = (each["Prefix"][len(prefix) :].rstrip("/") for each in found.get("CommonPrefixes", ()))
        files = (
            StoredObject(each["Key"][len(prefix) :], each["Size"], each["LastModified"].timestamp())
            for each in found.get("Contents", ())
            if each["Key"] != prefix  # consoles make an empty object for a folder
        )
        return ObjectPage(tuple(folders), tuple(files), found.get("NextContinuationToken"))

    def delete_file(self, path: str) -> None:
        """See `ObjectStore.delete_file`."""
        bucket, key = _split(path)
        with _translated(path):
            self._client.delete_object(Bucket=bucket, Key=key)

    def delete_directory(self, path: str, *, force: bool) -> int:
        """See `ObjectStore.delete_directory`; the bucket itself always stays."""
        bucket, key = _split(path)
        prefix, deleted = (f"{key}/" if key else ""), 0
        with _translated(path):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                keys = [{"Key": each["Key"]} for each in page.get("Contents", ())]
                if keys and not force:
                    raise Conflict(f"s3://{path} is not empty", hint="delete it with force=true")
                if keys:
                    self._client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
                deleted += len(keys)
        return deleted


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path.partition("/")
    return bucket, key


def _parts(body: Any) -> Parts:
    with _translated("the file"):
        try:
            while part := body.read(PART):
                yield part
        finally:
            body.close()


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """Turns what boto3 raises into errors of ours."""
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    try:
        yield
    except PlatformError:
        raise
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        said = error.response.get("Error", {}).get("Message") or str(error)
        if status == 404:
            raise NotFound(f"s3://{path} not found") from error
        if status in (401, 403):
            raise NotAuthorized(f"S3 refuses access to s3://{path}: {said}") from error
        raise ServerFault(f"S3 failed for s3://{path}: {said}", reason="storage-failed") from error
    except ParamValidationError as error:  # nothing was sent: no bucket can have that name, say
        raise BadRequest(f"s3://{path} can't be: {error}") from error
    except BotoCoreError as error:
        raise ServerFault(
            f"S3 could not be reached for s3://{path}: {error}", reason="storage-failed"
        ) from error
