"""Spark's `mapInPandas`, the function inline."""

import sys

from pyspark.sql import SparkSession
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


def score(frames):
    """Adds the column; the lexicon is read once a task."""
    analyzer = SentimentIntensityAnalyzer()
    for frame in frames:
        frame["sentiment"] = [analyzer.polarity_scores(text)["compound"] for text in frame["document"]]
        yield frame


spark = SparkSession.builder.master("local[*]").getOrCreate()
tweets = spark.read.schema("document string").json(sys.argv[1])
tweets.mapInPandas(score, "document string, sentiment double").write.json(sys.argv[2])
