"""What a generator takes and gives; nothing here talks to a model.

A prompt is chat messages, or a plain string for a base model (no template is put
around it). A completion that could not be had is data too: its `finish_reason` says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

from rulewright.languages import Language
from rulewright.prompts import Message, Style

Prompt = Sequence[Message] | str
Dtype = Literal["auto", "bfloat16", "float16", "float32"]
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Hosts that are this machine itself."""
GPU_ROWS: Final = 16
"""Sequences that a GPU generates at once, where nothing else is asked for."""
_CPU_ROWS: Final = 128
"""More are no faster on the processors that we know."""
_CPU_BYTES: Final = 1 << 30
"""Keys and values of a batch, at most."""

FinishReason = Literal["stop", "length", "content_filter", "prompt_too_long", "refused", "error"]
"""`stop`: ended by itself or at a stop string. `length`: cut at the token limit.
`prompt_too_long`: the model cannot take the prompt. `refused`: the server will not answer this
prompt. `error`: it could not be had in spite of retries, and is owed again."""


@dataclass(frozen=True)
class Sampling:
    """How to sample.

    Args:
        n: completions per prompt.
        temperature: 0 is greedy; then every one of `n` is the same.
        top_p: nucleus, in (0, 1].
        max_new_tokens: cut a completion there.
        seed: sample `i` of a prompt depends on the seed, the prompt and `i` only.
        stop: strings that end a completion; not part of its text.
    """

    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 512
    seed: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.n < 1 or self.max_new_tokens < 1:
            raise ValueError(f"n and max_new_tokens must be at least 1 (got {self.n}, {self.max_new_tokens})")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError(f"temperature >= 0 and 0 < top_p <= 1 (got {self.temperature}, {self.top_p})")


@dataclass(frozen=True)
class Completion:
    """One answer of a model.

    `text` has no stop string and no special tokens. `reasoning` is what a server
    returned apart from the text; a local checkpoint leaves thinking in the text.
    """

    text: str
    n_tokens: int
    finish_reason: FinishReason
    n_prompt_tokens: int = 0
    logprob: float | None = None
    """Sum over the tokens, under the model's own distribution (temperature 1)."""
    reasoning: str = ""
    error: str = ""
    """Why there is no answer, for `refused`, `prompt_too_long` and `error`; what came instead of a text."""
    seconds: float = 0.0
    """Wall time of the request or batch it came from; never part of a reward."""

    @property
    def answered(self) -> bool:
        return self.finish_reason not in ("prompt_too_long", "refused", "error")


def cpu_rows(bytes_each: float) -> int:
    """Sequences that our own loop on a CPU generates at once.

    Args:
        bytes_each: keys and values of one sequence, prompt and answer.
    """
    return max(1, min(_CPU_ROWS, int(_CPU_BYTES // bytes_each)))


class Generator(ABC):
    """Completions for prompts, from wherever."""

    name: str
    """The model, as the user named it."""
    style: Style
    """How prompts for this model are written (`rulewright.prompts`)."""

    @abstractmethod
    def stream(
        self, prompts: Sequence[Prompt], sampling: Sampling, languages: Sequence[Language] | None = None
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Yield `(index of the prompt, its n completions)` as they become ready, in any order.

        Args:
            prompts: what is asked.
            sampling: how.
            languages: of the action that each prompt asks for, where they ask for actions;
                needed where the generator holds answers to a grammar (`generator.constrain`).
        """

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, languages: Sequence[Language] | None = None
    ) -> list[list[Completion]]:
        """Give `n` completions for each prompt, in the order of the prompts."""
        answers: dict[int, list[Completion]] = dict(self.stream(prompts, sampling, languages))
        return [answers[i] for i in range(len(prompts))]

    def close(self) -> None:  # noqa: B027  (a hook: not every generator holds something)
        """Free the model or the connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
