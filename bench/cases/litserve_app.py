"""LitServe: one text, or a list of them; one worker for each processor."""

import os
import sys

import litserve
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


class Sentiment(litserve.LitAPI):
    """Holds the lexicon in each worker."""

    def setup(self, device):
        """Reads the lexicon."""
        self.analyzer = SentimentIntensityAnalyzer()

    def decode_request(self, request):
        """The texts."""
        return request["documents"]

    def predict(self, documents):
        """Scores them."""
        return [
            {"document": text, "sentiment": self.analyzer.polarity_scores(text)["compound"]}
            for text in documents
        ]

    def encode_response(self, output):
        """What goes out."""
        return {"scores": output}


if __name__ == "__main__":
    server = litserve.LitServer(Sentiment(), accelerator="cpu", workers_per_device=os.cpu_count())
    server.run(port=int(sys.argv[1]), host="127.0.0.1", log_level="warning", generate_client_file=False)
