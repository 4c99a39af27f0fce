"""Ray Data: `map_batches` over a class, one actor for each processor."""

import os
import sys

import ray
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


class Score:
    """Holds the lexicon; adds the column."""

    def __init__(self):
        self.analyzer = SentimentIntensityAnalyzer()

    def __call__(self, batch):
        """A batch of columns in, one more out."""
        batch["sentiment"] = [self.analyzer.polarity_scores(text)["compound"] for text in batch["document"]]
        return batch


ray.init(include_dashboard=False, num_cpus=2 * os.cpu_count())  # slots: reading wants some beside the actors
tweets = ray.data.read_json(sys.argv[1], lines=True)
tweets.repartition(16).map_batches(Score, concurrency=os.cpu_count()).write_json(sys.argv[2])
