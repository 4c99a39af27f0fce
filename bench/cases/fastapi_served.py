"""What `wrapgen build --serve` writes, by hand with FastAPI: a token, threads, a bad text fails alone."""

import os
import secrets

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

app, analyzer, bearer = FastAPI(), SentimentIntensityAnalyzer(), HTTPBearer()
TOKEN = os.environ["WRAPPER_TOKEN"]


class Document(BaseModel):
    """What comes in."""

    document: str


def known(given: HTTPAuthorizationCredentials = Depends(bearer)):  # noqa: B008
    """Refuses who does not know the token."""
    if not secrets.compare_digest(given.credentials, TOKEN):
        raise HTTPException(401)


def score(each: Document):
    """What goes out."""
    return {"document": each.document, "sentiment": analyzer.polarity_scores(each.document)["compound"]}


@app.post("/one", dependencies=[Depends(known)])
def one(each: Document):
    """One text."""
    return score(each)


@app.post("/many", dependencies=[Depends(known)])
def many(each: list[Document]):
    """A list."""
    found = []
    for document in each:
        try:
            found.append(score(document))
        except Exception as error:  # noqa: PERF203
            found.append({"$error": {"type": type(error).__name__, "message": str(error)}})
    return found
