"""KServe's model server, v1 protocol; its port is the argument."""

import sys

from fastapi import HTTPException
from kserve import Model, ModelServer
from kserve.errors import InvalidInput
from scoring import Busy, Poison, score


class Sentiment(Model):
    """The model."""

    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        """Instances in, predictions out."""
        try:
            return {"predictions": [score(each) for each in payload["instances"]]}
        except Poison as error:
            raise InvalidInput(str(error))
        except Busy as error:
            raise HTTPException(503, str(error))


if __name__ == "__main__":
    server = ModelServer(
        http_port=int(sys.argv[1]), workers=1, enable_grpc=False, enable_latency_logging=False
    )
    server.start([Sentiment("sentiment")])
