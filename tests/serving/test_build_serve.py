"""`wrapgen build --serve` adds files to a wrapper's own folder, and later builds keep them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from served_wrapper import ECHO, SPEC

from wrapgen.build import generate
from wrapgen.cli.main import cli
from wrapgen.spec import load


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a spec, which is the current one."""
    (tmp_path / "echo").mkdir()
    (tmp_path / "echo" / "__init__.py").write_text(ECHO)
    (tmp_path / "spec.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _build(*arguments):
    done = CliRunner().invoke(cli, ["build", *arguments, "--json"], standalone_mode=False)
    return json.loads(done.stdout) if done.stdout else done.exception


@pytest.mark.parametrize("arguments", [["--serve", "spec.yaml"], ["spec.yaml", "--serve"], ["--serve"]])
def test_serving_is_added_wherever_the_option_stands(folder, arguments):
    """Without a kind the option takes nothing that follows it."""
    built = _build(*arguments)
    assert built["changes"]["serve.py"] == "added" and (folder / "generated/Echo/Dockerfile").is_file()


def test_later_builds_keep_what_serves(folder):
    """A build without the option changes nothing, and a plain wrapper gets none of it."""
    assert "serve.py" not in _build("spec.yaml", "--output", "plain")["changes"]
    _build("--serve")
    assert _build("spec.yaml")["changes"] == {} and _build("spec.yaml", "--check")["state"] == "up to date"


def test_other_commands_that_compare_a_folder_know_what_serves_it(folder):
    """`upgrade` and `diff` find nothing to change after `build --serve`, and neither takes a file away."""
    _build("--serve")
    done = CliRunner().invoke(cli, ["upgrade", "generated/Echo", "--json"], standalone_mode=False)
    assert json.loads(done.stdout)["wrappers"][0]["changes"] == {}
    done = CliRunner().invoke(cli, ["diff", "--json"], standalone_mode=False)
    assert json.loads(done.stdout)["levels"][0]["level"] == "ok"
    assert (folder / "generated/Echo/serve.py").is_file()


def test_a_job_of_an_engine_is_not_served(folder):
    """Two things at once are refused, and so is an unknown kind that can't be a spec's name."""
    assert "builds something else" in str(_build("--serve", "--spark"))
    assert "'docker'" in str(_build("--serve=docker"))


def test_the_same_spec_gives_the_same_bytes(folder):
    """What serves is as pure a function of the spec as the wrapper."""
    spec = load(folder / "spec.yaml")
    kinds = frozenset({"container"})
    assert generate(spec, None, kinds) == generate(spec, None, kinds)
