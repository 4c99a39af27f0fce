"""Ray Data's `map_batches` with a hand-written call of the platform for each row."""

import os
import sys

import Algorithmia
import ray


def score(batch):
    """Adds the column."""
    algo = Algorithmia.client().algo("nlp/SentimentAnalysis/1.0.5")
    results = [algo.pipe({"document": text}).result[0] for text in batch["document"]]
    batch["sentiment"] = [result["sentiment"] for result in results]
    return batch


ray.init(include_dashboard=False, num_cpus=2 * os.cpu_count())
tweets = ray.data.read_json(sys.argv[1], lines=True)
tweets.repartition(16).map_batches(score, batch_size=None).write_json(sys.argv[2])
