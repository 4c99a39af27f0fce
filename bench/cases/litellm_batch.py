"""LiteLLM's `batch_completion`, 64 threads."""

import json
import os
import sys
from pathlib import Path

import litellm

documents = [json.loads(line)["document"] for line in Path(sys.argv[1]).open()]
answers = litellm.batch_completion(
    model="openai/sentiment",
    messages=[[{"role": "user", "content": document}] for document in documents],
    api_base=os.environ["CHAT"] + "/v1",
    api_key="none",
    max_tokens=50,
    max_workers=64,
)
with Path(sys.argv[2]).open("w") as scores:
    scores.writelines(answer.choices[0].message.content + "\n" for answer in answers)
