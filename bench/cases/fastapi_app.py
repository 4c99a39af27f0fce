"""Bare FastAPI: one text, or a list of them."""

from fastapi import FastAPI
from pydantic import BaseModel
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

app, analyzer = FastAPI(), SentimentIntensityAnalyzer()


class Document(BaseModel):
    """What comes in."""

    document: str


def score(each: Document):
    """What goes out."""
    return {"document": each.document, "sentiment": analyzer.polarity_scores(each.document)["compound"]}


@app.post("/score")
async def one(each: Document):
    """One text."""
    return score(each)


@app.post("/scores")
async def many(each: list[Document]):
    """A list."""
    return [score(document) for document in each]
