"""Ray Serve: one text, or a list of them; one replica for each processor."""

import os
import sys

from ray import serve
from starlette.requests import Request
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


@serve.deployment(num_replicas=os.cpu_count(), max_ongoing_requests=100)
class Sentiment:
    """Holds the lexicon in each replica."""

    def __init__(self):
        self.analyzer = SentimentIntensityAnalyzer()

    async def __call__(self, request: Request):
        """Texts in, scores out."""
        return [
            {"document": text, "sentiment": self.analyzer.polarity_scores(text)["compound"]}
            for text in await request.json()
        ]


serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
serve.run(Sentiment.bind(), blocking=True)
