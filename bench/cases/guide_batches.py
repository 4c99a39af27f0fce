"""The batch guide's batch wrapper, called from one's own server: its chunks one after another."""

import json
import sys
from pathlib import Path

import Algorithmia

client = Algorithmia.client()
algo = client.algo("acme/GuideBatch/1.0.0").set_options(timeout=3000)
batch = [json.loads(line) for line in Path(sys.argv[1]).open()]
with Path(sys.argv[2]).open("w") as scores:
    for start in range(0, len(batch), 1000):
        results = algo.pipe(batch[start : start + 1000]).result
        scores.writelines(json.dumps(result[0]) + "\n" for result in results)
