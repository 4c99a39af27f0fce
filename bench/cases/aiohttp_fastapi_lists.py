"""aiohttp, 64 connections, lists of 100, to FastAPI."""

import asyncio
import json
import os
import sys
from pathlib import Path

import aiohttp

url = os.environ["FASTAPI"] + "/scores"


async def score(session, documents):
    """What is answered to one call."""
    async with session.post(url, json=documents) as answer:
        answer.raise_for_status()
        return await answer.json()


async def main():
    """All calls at once, as many under way as there are connections."""
    documents = [json.loads(line) for line in Path(sys.argv[1]).open()]
    lists = [documents[start : start + 100] for start in range(0, len(documents), 100)]
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout()) as session:
        answers = await asyncio.gather(*(score(session, each) for each in lists))
    Path(sys.argv[2]).write_text(
        "".join(json.dumps(result) + "\n" for answer in answers for result in answer)
    )


asyncio.run(main())
