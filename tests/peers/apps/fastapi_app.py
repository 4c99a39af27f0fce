"""FastAPI: one text, a list with columns and errors in the answer, keys that are honoured, a token."""

import json
import os
import sqlite3
from pathlib import Path

from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from scoring import Busy, Poison, score

app = FastAPI(version="2.1.0")


class One(BaseModel):
    """A text."""

    text: str


class Texts(BaseModel):
    """Several."""

    texts: list[str]
    lang: str = "en"


def allowed(authorization):
    """Refuses what does not bear the token that the file of TOKEN_FILE holds now."""
    path = os.environ.get("TOKEN_FILE")
    if path and authorization != "Bearer " + Path(path).read_text().strip():
        raise HTTPException(401, "the token has expired")


@app.post("/one")
def one(each: One, authorization: str | None = Header(None)):
    """One text; 422 for one that is refused."""
    allowed(authorization)
    try:
        return score(each.text)
    except Poison as error:
        raise HTTPException(422, str(error))
    except Busy as error:
        raise HTTPException(503, str(error), {"Retry-After": "0"})


@app.post("/predict")
def predict(each: Texts, version: int = 1, authorization: str | None = Header(None)):
    """Columns: labels, scores and errors, null where there is none."""
    allowed(authorization)
    labels, scores, errors = [], [], []
    for text in each.texts:
        try:
            found, error = score(text), None
        except Poison as reason:
            found, error = {"label": None, "score": None}, {"type": "InputError", "message": str(reason)}
        except Busy as error:
            raise HTTPException(503, str(error), {"Retry-After": "0"})
        labels.append(found["label"])
        scores.append(found["score"])
        errors.append(error)
    return {"labels": labels, "scores": scores, "errors": errors, "version": version}


@app.post("/once")
def once(each: One, idempotency_key: str = Header()):
    """One text; a key that was seen before gets the answer that it got then, whatever became of it."""
    with sqlite3.connect(os.environ["KEYS"], timeout=30, isolation_level="IMMEDIATE") as keys:
        keys.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT)")
        keys.execute("BEGIN IMMEDIATE")
        known = keys.execute("SELECT answer FROM answers WHERE key = ?", (idempotency_key,)).fetchone()
        if known is None:
            known = (json.dumps(score(each.text)),)
            keys.execute("INSERT INTO answers VALUES (?, ?)", (idempotency_key, known[0]))
    return JSONResponse(json.loads(known[0]))
