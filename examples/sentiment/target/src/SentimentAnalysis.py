"""Sentiment of English text, by VADER: -1 is the most negative, 1 the most positive.

``{"document": text}`` gives ``[{"document": text, "sentiment": compound}]``; a list of such objects gives a
list of that length, in that order.
"""

from Algorithmia import ADK
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


class InputError(Exception):
    """The input is not of the documented shape; ``error_type`` is what the platform reports."""

    error_type = "InputError"


def load():
    """Read the lexicon once for all calls of this process."""
    return {"analyzer": SentimentIntensityAnalyzer()}


def apply(input, state):
    """Score one document or a list of documents."""
    documents = input if isinstance(input, list) else [input]
    return [score(document, state["analyzer"]) for document in documents]


def score(document, analyzer):
    """One ``{"document": text}`` with its ``sentiment`` added."""
    if not isinstance(document, dict) or not isinstance(document.get("document"), str):
        raise InputError('expected {"document": "some text"} or a list of such objects')
    compound = analyzer.polarity_scores(document["document"])["compound"]
    return {"document": document["document"], "sentiment": compound}


algorithm = ADK(apply, load)
algorithm.init()
