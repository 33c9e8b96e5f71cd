"""Completions from a checkpoint or an endpoint, one interface; importing it needs no torch."""

from rulewright.generation.base import Completion, FinishReason, Generator, Prompt, Sampling
from rulewright.generation.open import GeneratorConfig, checkpoint_facts, open_generator, require_model

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
