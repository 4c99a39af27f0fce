"""An algorithm that does nothing: what is left is what hosting and running cost."""

from Algorithmia import ADK


def apply(input):
    """The input."""
    return input


algorithm = ADK(apply)
algorithm.init()
