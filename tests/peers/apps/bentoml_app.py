"""BentoML: one text, or a list of them."""

import bentoml
from bentoml.exceptions import InvalidArgument, ServiceUnavailable
from scoring import Busy, Poison, score


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Sentiment:
    """The model as BentoML's documentation has it."""

    @bentoml.api
    def one(self, text: str) -> dict:
        """One text."""
        return answered(text)

    @bentoml.api
    def many(self, texts: list[str]) -> list[dict]:
        """A list."""
        return [answered(text) for text in texts]


def answered(text):
    """The model's answer, its errors as BentoML's."""
    try:
        return score(text)
    except Poison as error:
        raise InvalidArgument(str(error))
    except Busy as error:
        raise ServiceUnavailable(str(error))
