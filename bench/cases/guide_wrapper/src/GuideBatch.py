"""The batch guide's batch wrapper: expects a list, calls the target for each."""

import Algorithmia
from Algorithmia import ADK

client = Algorithmia.client()
algo = client.algo("nlp/SentimentAnalysis/1.0.5")


def apply(input):
    """One result for each input."""
    results = []
    for single in input:
        results.append(algo.pipe(single).result)
    return results


algorithm = ADK(apply)
algorithm.init()
