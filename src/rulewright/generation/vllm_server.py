"""A vLLM server as a source of rollouts: adapters in, token ids and log-probabilities out.

Invariant: what `complete` gives was sampled under the very adapter that it names, as far as
the server can say: names are fresh for every load, the answer repeats the name, and the prompt
comes back token for token. Whether the weights are the right ones, only the log-probabilities
show (`training.rollouts` compares them).

Written for vLLM (0.22 and later), started by `rulewright serve --rollouts`; the servers of
others give no token ids. No torch here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from rulewright.config import Section
from rulewright.errors import RulewrightError
from rulewright.generation.transport import Failure, Transport

_TOO_LONG: Final = re.compile(r"context|max_model_len|max_tokens|too long", re.I)
START: Final = "rulewright serve BASE_OR_ADAPTER --rollouts"


class ServerConfig(Section):
    """The server that rollouts come from, and how far it may part from the trainer."""

    base_url: str = "http://127.0.0.1:8000/v1"
    """Of the server that `rulewright serve BASE --rollouts` started; it must see the run's folder."""
    concurrency: int = Field(default=32, ge=1)
    """Prompts under way at once, for each training process."""
    timeout_s: float = Field(default=600.0, gt=0)
    """For one prompt's rollouts."""
    max_retries: int = Field(default=6, ge=0)
    """After broken connections, timeouts and 5xx; then the run ends, and continues with --resume."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the server's key; may be unset."""
    max_logprob_gap: float = Field(default=0.1, ge=0)
    """Mean difference of a batch to the trainer's log-probabilities, in nats a token, from which the run
    ends; 0: never."""
    max_gap_growth: float = Field(default=4.0, ge=0)
    """The run also ends when the difference is so many times that of the run's first batch; 0: never."""


class AdapterLost(RulewrightError):
    """The server no longer knows an adapter that it was given: it was started again."""


@dataclass(frozen=True)
class Rollout:
    """One sampled answer."""

    token_ids: list[int]
    """With the end token, where the answer ended by itself."""
    logprobs: list[float]
    """Of each token, under the distribution that it was drawn from."""
    finished: bool
    """Ended by itself rather than at the limit."""


@dataclass(frozen=True)
class Draw:
    """How rollouts are drawn: from the whole distribution, at one temperature."""

    temperature: float
    max_tokens: int
    stop_token_ids: tuple[int, ...]


class VllmServer:
    """A client of one vLLM server, for one training process."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        key = os.environ.get(config.api_key_env, "") if config.api_key_env else ""
        self._transport = Transport(
            config.base_url, key, config.timeout_s, config.max_retries, connections=config.concurrency
        )
        self.url = self._transport.base_url

    def close(self) -> None:
        self._transport.close()

    def base_models(self) -> dict[str, str]:
        """Names of the full models that it serves, and what each was loaded from.

        Raises:
            UsageError: it cannot be reached.
        """
        listed = self._transport.model_cards()
        return {str(card["id"]): str(card.get("root") or "") for card in listed if not card.get("parent")}

    def load(self, name: str, folder: Path) -> None:
        """Make the server load an adapter under a name that it has not had.

        Raises:
            RulewrightError: it cannot be reached, cannot read the folder, or takes no adapters.
        """
        body = {"lora_name": name, "lora_path": str(folder)}
        answer = self._transport.post("/load_lora_adapter", body, plain=True)
        # After a timeout the first attempt may have come through; the name is ours alone.
        if not isinstance(answer, Failure) or "already been loaded" in answer.detail:
            return
        self._stop_if_silent(answer)
        raise RulewrightError(
            f"{self.url}: cannot load the adapter {folder} ({answer.detail})", _load_hint(answer)
        )

    def unload(self, name: str) -> None:
        """Let the server forget an adapter; one that it does not have is forgotten already."""
        self._transport.post("/unload_lora_adapter", {"lora_name": name}, plain=True)

    def complete(
        self, name: str, prompts: Sequence[tuple[list[int], int]], draw: Draw, seeds: Sequence[int]
    ) -> list[list[Rollout]]:
        """Sample answers to prompts, concurrently.

        Args:
            name: of the adapter.
            prompts: token ids, and how many answers to them.
            draw: how they are drawn.
            seeds: one a prompt; its answers follow from it.

        Raises:
            AdapterLost: the server does not know the adapter.
            RulewrightError: the server does not answer, or answers with something else.
        """
        with ThreadPoolExecutor(self.config.concurrency, "rollouts") as pool:
            futures = [
                pool.submit(self._ask, name, ids, n, draw, seed)
                for (ids, n), seed in zip(prompts, seeds, strict=True)
            ]
            try:
                return [future.result() for future in futures]
            finally:  # after a failure none is begun any more
                pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, name: str, ids: list[int], n: int, draw: Draw, seed: int) -> list[Rollout]:
        body = {
            "model": name,
            "prompt": ids,
            "n": n,
            "max_tokens": draw.max_tokens,
            "temperature": draw.temperature,
            # Whatever a checkpoint prefers: rollouts are drawn from the whole distribution.
            "top_p": 1.0,
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop_token_ids": list(draw.stop_token_ids),
            "seed": seed,
            "logprobs": 0,
            "return_token_ids": True,
        }
        answer = self._transport.post("/completions", body)
        if isinstance(answer, Failure):
            self._stop_if_silent(answer)
            if answer.status == 404:
                raise AdapterLost(f"{self.url}: no longer has the adapter {name} ({answer.detail})")
            raise RulewrightError(
                f"{self.url}: refuses a prompt of {len(ids)} tokens with answers of {draw.max_tokens} "
                f"({answer.detail})",
                "start it with a larger --max-length-tokens, or lower trainer.max_completion_length"
                if _TOO_LONG.search(answer.detail)
                else f"does it serve the model that you train? {START}",
            )
        if answer.get("model") != name:
            raise RulewrightError(
                f"{self.url}: answers as {answer.get('model')!r}, asked was {name!r}",
                f"a proxy may change requests; start the server with: {START}",
            )
        choices = answer.get("choices")
        if not isinstance(choices, list) or len(choices) != n:
            given = len(choices) if isinstance(choices, list) else 0
            raise RulewrightError(
                f"{self.url}: gives {given} answers instead of {n}", f"start it by: {START}"
            )
        ordered = sorted(choices, key=lambda choice: int(choice.get("index", 0)))
        return [_rollout(choice, ids, self.url) for choice in ordered]

    def _stop_if_silent(self, failure: Failure) -> None:
        if not failure.permanent:
            raise RulewrightError(
                f"{self.url}: the server for rollouts does not answer ({failure.detail})",
                f"start it again ({START}), then continue with --resume: the checkpoints are kept",
            )


def _load_hint(failure: Failure) -> str:
    if "No adapter found" in failure.detail:
        return "the server must see the run's folder: run it on this machine, or put `out` on a shared disk"
    if failure.status == 404:
        return f"it takes no adapters while it runs; start it by: {START}"
    if "max_lora_rank" in failure.detail:
        return "start the server with --lora-rank of at least `lora.r`"
    return "is its base the model that is trained? (rulewright serve MODEL --rollouts)"


def _rollout(choice: dict[str, Any], prompt: list[int], url: str) -> Rollout:
    """One choice, checked: tokens, their log-probabilities, and the prompt as it was read."""
    ids, table = choice.get("token_ids"), choice.get("logprobs")
    logprobs = table.get("token_logprobs") if isinstance(table, dict) else None
    if not ids or not isinstance(logprobs, list) or len(logprobs) != len(ids):
        raise RulewrightError(
            f"{url}: gives no token ids with their log-probabilities",
            f"rollouts need vLLM 0.22 or later: {START}",
        )
    read = choice.get("prompt_token_ids")
    if read is not None and read != prompt:
        raise RulewrightError(
            f"{url}: read a different prompt than the one sent ({len(read)} tokens, not {len(prompt)})",
            "it uses a different tokenizer: start it with the model that you train",
        )
    # What could not be scored counts as missing, never as certain.
    values = [float("nan") if value is None else float(value) for value in logprobs]
    return Rollout([int(token) for token in ids], values, choice.get("finish_reason") == "stop")
