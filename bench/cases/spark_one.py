"""Spark's `mapInPandas` with a hand-written call of the platform for each row."""

import sys

import Algorithmia
from pyspark.sql import SparkSession


def score(frames):
    """Adds the column."""
    algo = Algorithmia.client().algo("nlp/SentimentAnalysis/1.0.5")
    for frame in frames:
        results = [algo.pipe({"document": text}).result[0] for text in frame["document"]]
        frame["sentiment"] = [result["sentiment"] for result in results]
        yield frame


spark = SparkSession.builder.master("local[*]").getOrCreate()
tweets = spark.read.schema("document string").json(sys.argv[1])
tweets.mapInPandas(score, "document string, sentiment double").write.json(sys.argv[2])
