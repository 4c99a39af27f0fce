"""BentoML: one text, or a list of them; one worker for each processor."""

import bentoml
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


@bentoml.service(workers="cpu_count", logging={"access": {"enabled": False}})
class Sentiment:
    """Holds the lexicon in each worker."""

    def __init__(self) -> None:
        self.analyzer = SentimentIntensityAnalyzer()

    @bentoml.api
    def score(self, document: str) -> dict:
        """One text."""
        return self._scored(document)

    @bentoml.api
    def scores(self, documents: list[str]) -> list[dict]:
        """A list."""
        return [self._scored(document) for document in documents]

    def _scored(self, document: str) -> dict:
        return {"document": document, "sentiment": self.analyzer.polarity_scores(document)["compound"]}
