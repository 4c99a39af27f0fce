"""Turns the tweets into requests as `mlserver infer` reads them, and its answers into scores."""

import json
import sys
from pathlib import Path


def requests():
    """One request a line."""
    with Path(sys.argv[2]).open() as tweets, Path(sys.argv[3]).open("w") as out:
        for line in tweets:
            text = json.loads(line)["document"]
            column = {"name": "document", "shape": [1], "datatype": "BYTES", "data": [text]}
            out.write(json.dumps({"inputs": [{**column, "parameters": {"content_type": "str"}}]}) + "\n")


def scores():
    """One score a line, in the order of the input."""
    answers = [json.loads(line) for line in Path(sys.argv[2]).open()]
    answers.sort(key=lambda answer: answer["parameters"]["batch_index"])
    with Path(sys.argv[3]).open("w") as out:
        for answer in answers:
            out.write(json.dumps({"sentiment": answer["outputs"][0]["data"][0]}) + "\n")


requests() if sys.argv[1] == "requests" else scores()
