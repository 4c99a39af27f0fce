"""The model as MLServer hosts it."""

from typing import List

import numpy as np
from mlserver import MLModel
from mlserver.codecs import decode_args
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


class Sentiment(MLModel):
    """Texts in, compounds out."""

    async def load(self) -> bool:
        """Reads the lexicon."""
        self.analyzer = SentimentIntensityAnalyzer()
        return True

    @decode_args
    async def predict(self, document: List[str]) -> np.ndarray:  # noqa: UP006 - as its documentation has it
        """One number for each text."""
        return np.array([[self.analyzer.polarity_scores(text)["compound"]] for text in document])
