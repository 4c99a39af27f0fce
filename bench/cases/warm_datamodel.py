"""Generates models from a schema again and again in one process."""

import json
import sys
import time
from pathlib import Path

from datamodel_code_generator import InputFileType, generate

source, output, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
taken = []
for _ in range(times):
    began = time.perf_counter()
    generate(source.read_text(), input_file_type=InputFileType.JsonSchema, output=output / "model.py")
    taken.append(1000 * (time.perf_counter() - began))
print(json.dumps(taken))
