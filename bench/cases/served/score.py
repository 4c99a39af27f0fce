"""The model of the other programs, as a folder that a wrapper holds."""

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


def load():
    """Reads the lexicon once."""
    return SentimentIntensityAnalyzer()


def apply(item, analyzer):
    """One text."""
    compound = analyzer.polarity_scores(item["document"])["compound"]
    return {"document": item["document"], "sentiment": compound}
