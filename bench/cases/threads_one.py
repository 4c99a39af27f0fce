"""A thread pool of 16 over the vendor's client, one text a call."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import Algorithmia

client = Algorithmia.client()
algo = client.algo("nlp/SentimentAnalysis/1.0.5")


def score(line):
    """One line in, one line out."""
    return json.dumps(algo.pipe(json.loads(line)).result[0]) + "\n"


with (
    ThreadPoolExecutor(16) as pool,
    Path(sys.argv[1]).open() as tweets,
    Path(sys.argv[2]).open("w") as scores,
):
    scores.writelines(pool.map(score, tweets))
