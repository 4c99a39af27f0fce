"""What one processor can do: scores one text again and again, and prints how many a second."""

import sys
import time

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

score, text, seconds = SentimentIntensityAnalyzer().polarity_scores, sys.argv[1], float(sys.argv[2])
began, count = time.perf_counter(), 0
while time.perf_counter() - began < seconds:
    score(text)
    count += 1
print(count / (time.perf_counter() - began))
