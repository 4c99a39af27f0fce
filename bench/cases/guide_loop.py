"""The batch guide's serial loop on one's own server: one call of the target after another."""

import json
import sys
from pathlib import Path

import Algorithmia

client = Algorithmia.client()
algo = client.algo("nlp/SentimentAnalysis/1.0.5")
batch = [json.loads(line) for line in Path(sys.argv[1]).open()]
results = []

for single in batch:
    results.append(algo.pipe(single).result[0])

Path(sys.argv[2]).write_text("".join(json.dumps(result) + "\n" for result in results))
