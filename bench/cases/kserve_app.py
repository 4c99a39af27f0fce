"""KServe's model server: texts in the v1 protocol, `{"instances": [...]}`; one worker for each processor."""

import os
import sys

from kserve import Model, ModelServer
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


class Sentiment(Model):
    """Holds the lexicon."""

    def __init__(self, name):
        """Reads the lexicon."""
        super().__init__(name)
        self.analyzer = SentimentIntensityAnalyzer()
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        """Scores the texts."""
        return {
            "predictions": [
                {"document": text, "sentiment": self.analyzer.polarity_scores(text)["compound"]}
                for text in payload["instances"]
            ]
        }


if __name__ == "__main__":
    server = ModelServer(
        http_port=int(sys.argv[1]), workers=os.cpu_count(), enable_grpc=False, enable_latency_logging=False
    )
    server.start([Sentiment("sentiment")])
