"""aiohttp, 64 connections, lists of 100, to the target on the platform."""

import asyncio
import json
import os
import sys
from pathlib import Path

import aiohttp

url = os.environ["ALGORITHMIA_API"] + "/v1/algo/nlp/SentimentAnalysis/1.0.5"
headers = {"Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"]}


async def score(session, documents):
    """What is answered to one call."""
    async with session.post(url, json=documents) as answer:
        answer.raise_for_status()
        return (await answer.json())["result"]


async def main():
    """All calls at once, as many under way as there are connections."""
    documents = [json.loads(line) for line in Path(sys.argv[1]).open()]
    lists = [documents[start : start + 100] for start in range(0, len(documents), 100)]
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(), headers=headers
    ) as session:
        answers = await asyncio.gather(*(score(session, each) for each in lists))
    Path(sys.argv[2]).write_text(
        "".join(json.dumps(result) + "\n" for answer in answers for result in answer)
    )


asyncio.run(main())
