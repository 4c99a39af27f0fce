"""A thread pool of 16 that posts lists of 100 to FastAPI."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

url = os.environ["FASTAPI"] + "/scores"
session = requests.Session()
session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=16))


def score(documents):
    """A hundred documents in, a hundred lines out."""
    answer = session.post(url, json=documents, timeout=60)
    answer.raise_for_status()
    return "".join(json.dumps(each) + "\n" for each in answer.json())


documents = [json.loads(line) for line in Path(sys.argv[1]).open()]
lists = [documents[start : start + 100] for start in range(0, len(documents), 100)]
with ThreadPoolExecutor(16) as pool, Path(sys.argv[2]).open("w") as scores:
    scores.writelines(pool.map(score, lists))
