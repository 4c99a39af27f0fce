"""`multiprocessing.Pool`: one process for each processor, lines in pieces of 100."""

import json
import multiprocessing
import sys
from pathlib import Path

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer


def load():
    """Reads the lexicon once a process."""
    global analyzer
    analyzer = SentimentIntensityAnalyzer()


def score(line):
    """One line in, one line out."""
    text = json.loads(line)["document"]
    return json.dumps({"document": text, "sentiment": analyzer.polarity_scores(text)["compound"]}) + "\n"


if __name__ == "__main__":
    with multiprocessing.Pool(initializer=load) as pool:
        with Path(sys.argv[1]).open() as tweets, Path(sys.argv[2]).open("w") as scores:
            scores.writelines(pool.imap(score, tweets, chunksize=100))
