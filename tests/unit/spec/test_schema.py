"""`wrapgen schema`: an independent validator agrees with ours on every spec of the project."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from wrapgen.cli.main import main
from wrapgen.errors import SpecError
from wrapgen.spec import parse
from wrapgen.spec.schema import schema

ROOT = Path(__file__).resolve().parents[3]
GOOD = sorted([*(ROOT / "examples").glob("*/spec.yaml"), *(ROOT / "tests" / "golden").glob("*/spec.yaml")])
BAD = sorted((ROOT / "tests" / "golden" / "bad").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator():
    """The published schema in a validator that knows nothing of wrapgen."""
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


@pytest.mark.parametrize("path", GOOD, ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_every_example_is_valid_for_others(validator, path):
    """What wrapgen takes, the schema takes."""
    assert [error.message for error in validator.iter_errors(yaml.safe_load(path.read_bytes()))] == []


def test_an_editor_shows_most_mistakes(validator):
    """The schema refuses most bad specs that are YAML at all; the rest is what no schema can say."""
    refused = [path.stem for path in BAD if _is_refused(validator, path)]
    assert len(refused) >= 45, refused


def _is_refused(validator, path):
    if path.stem.startswith(("bomb", "alias")):
        return False  # no other reader of YAML should be given this
    try:
        return not validator.is_valid(yaml.safe_load(path.read_bytes()))
    except (yaml.YAMLError, ValueError):
        return False


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_the_schema_refuses_is_refused(validator, data):
    """Any change of a good spec that an editor marks is a problem for wrapgen too."""
    document = yaml.safe_load(data.draw(st.sampled_from(GOOD)).read_bytes())
    section = data.draw(st.sampled_from(sorted(document)))
    value = data.draw(
        st.none() | st.booleans() | st.integers(-5, 20_000_000) | st.text(max_size=20) | st.just([])
    )
    if isinstance(document[section], dict) and document[section]:
        document[section][data.draw(st.sampled_from([*document[section], "surprise"]))] = value
    else:
        document[section] = value
    text = json.dumps(document).encode()
    if not validator.is_valid(document):
        with pytest.raises(SpecError):
            parse(text)


def test_the_schema_is_printed(capsys):
    """The command prints the schema as JSON, with every key explained."""
    assert main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == schema()
    for section in printed["$defs"].values():
        assert all("description" in facts for facts in section["properties"].values())
