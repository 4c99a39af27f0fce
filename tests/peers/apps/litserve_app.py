"""LitServe with its embeddings of OpenAI's protocol: a text becomes its score and its length."""

import sys

import litserve
from fastapi import HTTPException
from scoring import Busy, Poison, score


class Embeddings(litserve.LitAPI):
    """The model: two numbers for each text."""

    def setup(self, device):
        """Needs nothing."""

    def predict(self, inputs):
        """A list for each text; 400 for one that is refused, 503 while it is busy."""
        texts = inputs if isinstance(inputs, list) else [inputs]
        try:
            return [[score(text)["score"], float(len(text))] for text in texts]
        except Poison as error:
            raise HTTPException(400, str(error)) from error
        except Busy as error:
            raise HTTPException(503, str(error)) from error

    def encode_response(self, output, context_kwargs=None):
        """The embeddings, and what they cost."""
        return {"embeddings": output, "prompt_tokens": 3 * len(output), "total_tokens": 3 * len(output)}


if __name__ == "__main__":
    api = Embeddings(spec=litserve.OpenAIEmbeddingSpec())
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False
    )
