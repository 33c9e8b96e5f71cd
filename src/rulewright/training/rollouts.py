"""Rollouts of the policy under training from a vLLM server (`rollouts: server`).

Before each batch whose weights are new, the adapter is written and loaded under a fresh name;
then all processes ask for their rollouts at once. The trainer computes the log-probabilities
itself: where they part from the server's, the server answers with something other than the
policy (an older adapter, another base, other sampling), and the run ends before it learns from
that; by what is left of the difference TRL weighs them. All processes decide alike.

What this cannot see: an adapter that is a few small steps old differs by less than rounding
does; the difference shows once it has grown (`max_gap_growth`).
"""

from __future__ import annotations

import math
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from accelerate.utils import broadcast_object_list, gather_object

from rulewright import console
from rulewright.digests import text_number
from rulewright.errors import ConfigError, RulewrightError
from rulewright.generation.base import Completion, FinishReason, Generator, Prompt, Sampling
from rulewright.generation.local import LocalGenerator
from rulewright.generation.vllm_server import AdapterLost, Draw, Rollout, ServerConfig, VllmServer
from rulewright.languages import Language

if TYPE_CHECKING:
    from rulewright.training.grpo import PolicyTrainer

FOLDER: Final = "rollouts"
"""In the run's folder: the adapters that the server was given, the newest two."""


class Gap(NamedTuple):
    """How far the server's log-probabilities are from the trainer's, over all processes."""

    mean: float
    """Of the absolute differences, in nats a token."""
    largest: float
    n_tokens: int


class ServedPolicy:
    """The current policy behind a server, for one training process.

    Args:
        config: of the server.
        folder: of the run; adapters are written below it.
        base: the model that is trained on, for messages.
    """

    def __init__(self, config: ServerConfig, folder: Path, base: str) -> None:
        self._config, self._folder, self._base = config, (folder / FOLDER).resolve(), base
        self.server = VllmServer(config)
        self._life = secrets.token_hex(3)
        """Part of every adapter's name: a server may still hold those of a run that was killed."""
        self._n_loads = 0
        self._name = ""
        self._step = -1
        self._n_batches = 0
        self._first: Gap | None = None

    def generate(
        self, trainer: PolicyTrainer, prompt_ids: list[list[int]]
    ) -> tuple[list[list[int]], list[list[float]]]:
        """Sample an answer to each prompt; give token ids and log-probabilities.

        Args:
            trainer: whose policy answers.
            prompt_ids: of this process; those of a group stand side by side.

        Raises:
            RulewrightError: the server is down, or refuses.
        """
        start = time.monotonic()
        self.publish(trainer)
        self._n_batches += 1
        groups = [(list(ids), len(list(same))) for ids, same in groupby(prompt_ids)]
        seeds = [
            _seed(trainer.args.seed, trainer.state.global_step, self._n_batches,
                  trainer.accelerator.process_index, i)
            for i in range(len(groups))
        ]  # fmt: skip
        draw = Draw(trainer.temperature, trainer.args.max_completion_length, tuple(trainer.eos_token_ids))
        rollouts = [r for group in self.complete(trainer, groups, draw, seeds) for r in group]
        n_tokens = sum(len(rollout.token_ids) for rollout in rollouts)
        metrics = trainer._metrics["train"]
        metrics["rollout/tokens_per_s"].append(n_tokens / max(1e-9, time.monotonic() - start))
        return [r.token_ids for r in rollouts], [r.logprobs for r in rollouts]

    def publish(self, trainer: PolicyTrainer) -> str:
        """Give the server the current adapter, if it has another; give its name there."""
        step = trainer.state.global_step
        if self._name and self._step == step:
            return self._name
        self._n_loads += 1
        name = f"rulewright-{self._life}-{self._n_loads}-step{step}"
        # The name is the main process's: the others drew another life.
        box = [name]
        broadcast_object_list(box)
        name = box[0]
        folder = self._folder / name
        write_adapter(trainer, folder)

        def load() -> None:
            if not trainer.accelerator.is_main_process:
                return
            self.server.load(name, folder)
            if self._name:
                self.server.unload(self._name)
            for old in self._folder.iterdir():
                if old.name not in (name, self._name):
                    shutil.rmtree(old, ignore_errors=True)

        self._together(trainer, load)
        self._name, self._step = name, step
        return name

    def complete(
        self,
        trainer: PolicyTrainer,
        groups: Sequence[tuple[list[int], int]],
        draw: Draw,
        seeds: Sequence[int],
    ) -> list[list[Rollout]]:
        """Ask, and once more after the server was started again and has forgotten the adapter."""
        lost: AdapterLost | None = None
        for _ in range(2):
            name = self.publish(trainer)
            found, lost = self._once(trainer, name, groups, draw, seeds)
            if lost is None:
                return found
            console.decided("adapter", "loaded again", lost.message)
            self._name = ""
        raise RulewrightError(
            f"{self.server.url}: lost the adapter twice at step {trainer.state.global_step}",
            "find out in its log why it restarts, then continue with --resume: the checkpoints are kept",
        )

    def _once(
        self, trainer: PolicyTrainer, name: str, groups: Sequence[tuple[list[int], int]], draw: Draw,
        seeds: Sequence[int],
    ) -> tuple[list[list[Rollout]], AdapterLost | None]:  # fmt: skip
        def ask() -> tuple[list[list[Rollout]], AdapterLost | None]:
            try:
                return self.server.complete(name, groups, draw, seeds), None
            except AdapterLost as error:
                return [], error

        found, lost = self._together(trainer, ask)
        everywhere: list[str] = gather_object([lost.message if lost else ""])
        message = next((m for m in everywhere if m), "")
        return found, AdapterLost(message) if message else None

    @staticmethod
    def _together(trainer: PolicyTrainer, work: Any) -> Any:
        """Do something in every process; what fails in one ends all, with its message."""
        found: Any = None
        failure: RulewrightError | None = None
        try:
            found = work()
        except RulewrightError as error:
            failure = error
        failures = gather_object([(failure.message, failure.hint) if failure else None])
        first = next((f for f in failures if f), None)
        if first is not None:
            raise failure or RulewrightError(*first)
        return found

    def judge(self, gap: Gap, step: int) -> None:
        """End the run where the server serves something other than the policy.

        Raises:
            RulewrightError: it does.
        """
        config = self._config
        self._first = self._first or gap
        first = self._first.mean
        grown = config.max_gap_growth and gap.mean > config.max_gap_growth * first + 0.02
        parted = config.max_logprob_gap and gap.mean > config.max_logprob_gap
        if not (grown or parted or math.isnan(gap.mean)):
            return
        measured = (
            f"step {step}: the log-probabilities of {self.server.url} part from the trainer's by "
            f"{gap.mean:.3f} nats a token (n {gap.n_tokens:,} tokens, largest {gap.largest:.2f})"
        )
        if self._first is gap:
            listed = ", ".join(f"{name} ({root})" for name, root in self.server.base_models().items())
            raise RulewrightError(
                f"{measured}; at most {config.max_logprob_gap} is allowed; the server has {listed}, "
                f"training uses {self._base}",
                "it serves another model or samples differently; start it with: rulewright serve "
                f"{self._base} --rollouts",
            )
        raise RulewrightError(
            f"{measured}; the gap was {first:.3f} at first: the server answers with an older adapter than "
            f"{self._name}",
            "nothing was learned from these answers; start the server again, then continue with --resume",
        )


class ServedGenerator(Generator):
    """The policy under training as a generator, answering through its server.

    Args:
        served: the policy's server.
        trainer: whose policy it is.
        local: the same policy here, which knows how prompts are written.
    """

    def __init__(self, served: ServedPolicy, trainer: PolicyTrainer, local: LocalGenerator) -> None:
        self._served, self._trainer, self._local = served, trainer, local
        self.name, self.style = local.name, local.style

    def stream(
        self, prompts: Sequence[Prompt], sampling: Sampling, languages: Sequence[Language] | None = None
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Yield each prompt's completions, once all are there."""
        trainer = self._trainer
        asked = [(self._local.encode(prompt), sampling.n) for prompt in prompts]
        draw = Draw(sampling.temperature, sampling.max_new_tokens, tuple(trainer.eos_token_ids))
        # By the prompt, not its place: processes share the prompts, and answer as one would.
        seeds = [_seed(sampling.seed, *ids) for ids, _ in asked]
        for i, rollouts in enumerate(self._served.complete(trainer, asked, draw, seeds)):
            yield i, [self._completion(rollout, len(asked[i][0])) for rollout in rollouts]

    def _completion(self, rollout: Rollout, n_prompt: int) -> Completion:
        ids = rollout.token_ids
        text = self._local.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        end: FinishReason = "stop" if rollout.finished else "length"
        return Completion(text, len(ids), end, n_prompt, logprob=round(sum(rollout.logprobs), 4))


def write_adapter(trainer: PolicyTrainer, folder: Path) -> None:
    """Write the trained adapter as PEFT does."""
    if trainer.accelerator.is_main_process:
        model = trainer.accelerator.unwrap_model(trainer.model_wrapped)
        model.save_pretrained(folder, selected_adapters=["default"], save_embedding_layers=False)
    trainer.accelerator.wait_for_everyone()


def check_served(arguments: Any, has_adapter: bool) -> None:
    """Refuse what rollouts from a server cannot do.

    Raises:
        ConfigError: all weights are trained, or answers are not drawn from the whole distribution.
    """
    problems = []
    if not has_adapter:
        problems.append("`rollouts: server` needs `lora`: the server is given adapters, not all weights")
    if arguments.use_vllm:
        problems.append("trainer.use_vllm is TRL's own way to vLLM: leave it out, or `rollouts: server`")
    token_weights = arguments.vllm_importance_sampling_mode.startswith("token_")
    if arguments.loss_type == "vespo" and not token_weights:
        problems.append(
            "trainer.loss_type: vespo weighs a server's tokens, not whole answers: "
            "trainer.vllm_importance_sampling_mode: token_truncate or token_mask"
        )
    whole_of = {"top_p": 1.0, "top_k": 0, "min_p": None, "repetition_penalty": 1.0, "generation_kwargs": None}
    for name, whole in whole_of.items():
        if (given := getattr(arguments, name)) != whole:
            problems.append(f"trainer.{name}: {given}: `rollouts: server` draws from the whole distribution")
    if problems:
        raise ConfigError("\n".join(problems), "change the configuration (nothing has run yet)")


def _seed(*parts: int) -> int:
    """31 bits that follow from some numbers."""
    return text_number(repr(parts)) >> 33
