"""Problem 78 imports vLLM for two names only; a stand-in makes it run where vLLM is absent."""


class SamplingParams:
    """Keeps what it is given."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.__dict__.update(kwargs)


class LLM(SamplingParams):
    """Keeps what it is given, too."""
