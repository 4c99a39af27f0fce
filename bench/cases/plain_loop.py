"""A plain loop in one process."""

import json
import sys
from pathlib import Path

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

analyzer = SentimentIntensityAnalyzer()
with Path(sys.argv[1]).open() as tweets, Path(sys.argv[2]).open("w") as scores:
    for line in tweets:
        text = json.loads(line)["document"]
        score = analyzer.polarity_scores(text)["compound"]
        scores.write(json.dumps({"document": text, "sentiment": score}) + "\n")
