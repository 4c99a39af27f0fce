"""MLServer: texts in a tensor of BYTES; two outputs, one of them JSON inside BYTES."""

import json

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.errors import MLServerError
from mlserver.types import InferenceResponse
from scoring import Busy, Poison, score


class Sentiment(MLModel):
    """The model."""

    async def load(self):
        """Nothing to load."""
        return True

    async def predict(self, payload):
        """One result for each text."""
        texts = StringCodec.decode_input(payload.inputs[0])
        try:
            found = [score(text) for text in texts]
        except Poison as error:
            raise MLServerError(str(error), 400)
        except Busy as error:
            raise MLServerError(str(error), 503)
        outputs = [
            StringCodec.encode_output("labels", [each["label"] for each in found]),
            StringCodec.encode_output("scores", [json.dumps(each) for each in found]),
        ]
        return InferenceResponse(
            model_name=self.name, model_version=self.version, id=payload.id, outputs=outputs
        )
