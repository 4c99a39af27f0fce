"""BentoML: one text, or a list of them; one worker for each processor."""

import bentoml
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


@bentoml.service(workers="cpu_count")
class Sentiment:
    """Holds the lexicon in each worker."""

    def __init__(self) -> None:
        self.analyzer = SentimentIntensityAnalyzer()

    @bentoml.api
    def score(self, document: str) -> dict:
        """One text."""
        return {"document": document, "sentiment": self.analyzer.polarity_scores(document)["compound"]}

    @bentoml.api
    def scores(self, documents: list[str]) -> list[dict]:
        """A list."""
        return [self.score(document) for document in documents]
