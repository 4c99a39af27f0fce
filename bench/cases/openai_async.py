"""The `openai` client, 64 requests at once."""

import asyncio
import json
import os
import sys
from pathlib import Path

from openai import AsyncOpenAI


async def main():
    """All requests, as many under way as the semaphore lets."""
    documents = [json.loads(line)["document"] for line in Path(sys.argv[1]).open()]
    client, places = AsyncOpenAI(base_url=os.environ["CHAT"] + "/v1", api_key="none"), asyncio.Semaphore(64)

    async def score(document):
        async with places:
            message = {"role": "user", "content": document}
            answer = await client.chat.completions.create(
                model="sentiment", messages=[message], max_tokens=50
            )
            return answer.choices[0].message.content

    scores = await asyncio.gather(*map(score, documents))
    Path(sys.argv[2]).write_text("".join(score + "\n" for score in scores))


asyncio.run(main())
