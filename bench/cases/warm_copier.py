"""Copies a template again and again in one process."""

import json
import shutil
import sys
import time

from copier import run_copy

source, output, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
taken = []
for _ in range(times):
    shutil.rmtree(output, ignore_errors=True)
    began = time.perf_counter()
    run_copy(source, output, data={"name": "SentimentLists"}, defaults=True, quiet=True)
    taken.append(1000 * (time.perf_counter() - began))
print(json.dumps(taken))
