"""Completions from a checkpoint or an endpoint, one interface; importing it needs no torch."""

from rulewright.generation.base import Completion, FinishReason, Generator, Prompt, Sampling
from rulewright.generation.open import GeneratorConfig, checkpoint_facts, require_model

__all__ = [
    "Completion",
    "FinishReason",
    "Generator",
    "GeneratorConfig",
    "Prompt",
    "Sampling",
    "checkpoint_facts",
    "open_generator",
    "require_model",
]


def open_generator(spec: GeneratorConfig) -> Generator:
    """Load the checkpoint, or connect to the endpoint.

    Raises:
        UsageError: no model is named, no such folder, or no checkpoint in it.
        MissingDependency: a local checkpoint needs torch and transformers.
    """
    if spec.is_endpoint:
        from rulewright.generation.endpoint import EndpointGenerator

        return EndpointGenerator(spec)
    require_model(spec)
    from rulewright.generation.local import LocalGenerator

    return LocalGenerator.load(spec)
