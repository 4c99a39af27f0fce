"""Spark's `mapInPandas` with a hand-written call of the platform for each hundred rows."""

import sys

import Algorithmia
from pyspark.sql import SparkSession


def score(frames):
    """Adds the column."""
    algo = Algorithmia.client().algo("nlp/SentimentAnalysis/1.0.5")
    for frame in frames:
        documents = [{"document": text} for text in frame["document"]]
        lists = [documents[start : start + 100] for start in range(0, len(documents), 100)]
        results = [result for each in lists for result in algo.pipe(each).result]
        frame["sentiment"] = [result["sentiment"] for result in results]
        yield frame


spark = SparkSession.builder.master("local[*]").getOrCreate()
tweets = spark.read.schema("document string").json(sys.argv[1])
tweets.mapInPandas(score, "document string, sentiment double").write.json(sys.argv[2])
