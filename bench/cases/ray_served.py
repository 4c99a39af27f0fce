"""A hand-written deployment of Ray Serve: a thread, and a list in which a bad text fails alone."""

import asyncio
import sys

from ray import serve
from starlette.requests import Request
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


@serve.deployment(num_replicas=1, max_ongoing_requests=20, max_queued_requests=64)
class Sentiment:
    """Holds the lexicon."""

    def __init__(self):
        self.analyzer = SentimentIntensityAnalyzer()

    def one(self, item):
        """The score of one document, or why there is none."""
        try:
            score = self.analyzer.polarity_scores(item["document"])["compound"]
            return {"document": item["document"], "sentiment": score}
        except Exception as error:
            return {"error": str(error)}

    async def __call__(self, request: Request):
        """A document, or a list of them."""
        body = await request.json()
        items = body if isinstance(body, list) else [body]
        results = await asyncio.to_thread(lambda: [self.one(item) for item in items])
        return results if isinstance(body, list) else results[0]


serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
serve.run(Sentiment.bind(), blocking=True)
