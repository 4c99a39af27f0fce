from Algorithmia import ADK


def apply(input):
    return input.upper()


algorithm = ADK(apply)
algorithm.init("hello")
