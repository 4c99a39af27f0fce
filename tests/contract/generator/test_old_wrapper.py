"""A wrapper that 0.1.0 made, on today's platform: driven by today's runner, listed, upgraded, published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from shouting import User, publish

OLD = Path(__file__).resolve().parents[2] / "golden" / "old" / "0.1.0"
TARGET = "def apply(input):\n    return [input['text'].upper()]\n"


def test_a_wrapper_of_0_1_0_serves_until_it_is_upgraded(user: User, tmp_path: Path) -> None:
    """Its run has the same output before and after `upgrade`; `outdated --platform` names it only before."""
    own = User(tmp_path, user.home)
    publish(own, "SentimentAnalysis", TARGET, {"text": "a"}, "1.0.5")
    shutil.copytree(OLD, tmp_path / "old")
    items = [{"text": "a"}, {"no": "text"}, *({"text": f"t{number}"} for number in range(40))]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    outputs = []
    for number, outdated in enumerate([True, False]):
        own.wrapgen("publish", "old", "--home", own.home)
        told = json.loads(
            own.wrapgen("outdated", "--platform", "--home", own.home, "--json", code=4 if outdated else 0)
        )
        named = {each["where"]: each["runtime"] for each in told["wrappers"]}
        assert (named[f"acme/SentimentBatch/0.{number + 1}.0"] == "0.1.0") is outdated
        assert named["acme/ShoutBatch/0.1.0"] == told["newest"]
        words = ["acme/SentimentBatch", "in.jsonl", "-o", f"out{number}.jsonl", "--home", own.home]
        own.wrapgen("run", *words, "--run", f"r{number}", code=10)
        own.wrapgen("verify", f"out{number}.jsonl", "--home", own.home)
        outputs.append((tmp_path / f"out{number}.jsonl").read_text())
        own.wrapgen("upgrade", "old")
    assert outputs[0] == outputs[1] and len(outputs[0].splitlines()) == len(items)
