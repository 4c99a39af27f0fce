"""aiohttp, 64 connections, one text a call, to the target on the platform."""

import asyncio
import json
import os
import sys
from pathlib import Path

import aiohttp

url = os.environ["ALGORITHMIA_API"] + "/v1/algo/nlp/SentimentAnalysis/1.0.5"
headers = {"Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"]}


async def score(session, document):
    """What is answered to one call."""
    async with session.post(url, json=document) as answer:
        answer.raise_for_status()
        return (await answer.json())["result"][0]


async def main():
    """All calls at once, as many under way as there are connections."""
    documents = [json.loads(line) for line in Path(sys.argv[1]).open()]
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(), headers=headers
    ) as session:
        results = await asyncio.gather(*(score(session, document) for document in documents))
    Path(sys.argv[2]).write_text("".join(json.dumps(result) + "\n" for result in results))


asyncio.run(main())
