"""Numbers on the command line: what none is, is said of the option, before anything is opened."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from wrapgen import Options
from wrapgen.cli.main import cli
from wrapgen.errors import UsageError


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "0", "1e400", "much"])
def test_an_amount_of_money_is_a_number_above_0(value, tmp_path):
    """Anything else is refused, and the message names the option."""
    given = ["run", "acme/Any", "none.csv", "-o", str(tmp_path / "out.jsonl"), "--max-cost", value]
    done = CliRunner().invoke(cli, given)
    assert done.exit_code == 2
    assert "Invalid value for '--max-cost'" in done.output


@pytest.mark.parametrize("name", ["--budget", "--patience", "--max-cost"])
def test_nan_is_no_number(name, tmp_path):
    """Each option that takes a fraction says so."""
    given = ["run", "acme/Any", "none.csv", "-o", str(tmp_path / "out.jsonl"), name, "nan"]
    done = CliRunner().invoke(cli, given)
    assert done.exit_code == 2 and f"Invalid value for '{name}': nan is not a number" in done.output


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_an_amount_of_money_in_a_program(value):
    """The library refuses the same."""
    with pytest.raises(UsageError, match="max_cost must be"):
        Options(max_cost=value)
