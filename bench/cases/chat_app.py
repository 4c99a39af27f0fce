"""FastAPI that answers as an OpenAI-compatible server does: the score of the last message, as JSON."""

import json

from fastapi import FastAPI
from pydantic import BaseModel
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

app, analyzer = FastAPI(), SentimentIntensityAnalyzer()


class Request(BaseModel):
    """What comes in."""

    model: str
    messages: list[dict]


@app.post("/v1/chat/completions")
async def complete(request: Request):
    """One completion."""
    text = request.messages[-1]["content"]
    content = json.dumps({"sentiment": analyzer.polarity_scores(text)["compound"]})
    message = {"role": "assistant", "content": content}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": request.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20},
    }
