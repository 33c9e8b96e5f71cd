"""The plan of `train srl` and `train grpo`: rollouts, their memory and time, and what to change.

A step generates rollouts (in one round, or several where dynamic sampling refills), scores them and
trains on them; dev is answered before, between and after. The number of rounds is unknown in advance:
from one to `max_rounds`, with half of the groups replaced each time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple, Self

from rulewright.actions import Rejection, describe_action, render_response
from rulewright.data.schemas import NormalizedRecord
from rulewright.environment import prompt_of, task_of
from rulewright.errors import UsageError
from rulewright.prompts import Style, action_prompt
from rulewright.srl.scoring import TeacherStep
from rulewright.srl.train_srl import SrlConfig, read_steps
from rulewright.state.state import StateUpdate
from rulewright.training import lengths, memory
from rulewright.training.config import LoraConfig
from rulewright.training.data import action_answer
from rulewright.training.duration import Range
from rulewright.training.lengths import Length, Meter
from rulewright.training.memory import Answers, Setup
from rulewright.training.plan_parts import Data, Forecast, Phases, PlannedRun
from rulewright.training.policy_config import DEFAULTS, WORTH_JOINING, rollouts_at_once
from rulewright.training.train_grpo import GrpoConfig, records_of

# A reward without tests takes the engine milliseconds; tests run in the sandbox, twice: seconds, assumed.
_SCORED_S: Final = (0.005, 0.05)
_TESTED_S: Final = (0.2, 4.0)
# Groups of a round that the next one replaces: at most, assumed.
_REPLACED: Final = 0.5
# An answer's usual length, beside the right one: a model thinks, and rambles.
_USUAL: Final = 1.5


class _Batch(NamedTuple):
    """What TRL makes of the `trainer:` options."""

    rows: int
    """Of a micro-batch on one device."""
    accumulated: int
    """Micro-batches of an optimizer step."""
    rollouts: int
    """Of a generation batch on one device."""
    reused: float
    """Optimizer steps that a generation batch serves."""
    group: int
    completion: int
    forwards: int
    """Forward passes over the rollouts beside the one that is trained on."""


def data(config: SrlConfig | GrpoConfig, style: Style | None) -> Data:
    """Lengths of all tasks: prompts, and the answers that the data hold."""
    meter = Meter(config.model, None)
    written: Style = style or "full"
    if isinstance(config, SrlConfig):
        steps, held_out = read_steps(config.train, []), read_steps(config.dev, [])
        steps = steps[: config.limit or None]
        train, n_dev, tested = (_step_row(step, written, meter) for step in steps), len(held_out), 0
        dev = (_step_row(step, written, meter) for step in held_out)
    else:
        records, others = records_of(config)
        train, n_dev = (_record_row(record, written, meter) for record in records), len(others)
        dev = (_record_row(record, written, meter) for record in others)
        tested = sum(bool(record.metadata.tests) for record in records) if config.tests == "auto" else 0
    fits = (row if row.prompt <= config.max_prompt_tokens else None for row in train)
    kept = lengths.of(fits, meter)
    if not kept.n:
        raise UsageError(
            f"all {kept.n_records} training tasks have prompts longer than {config.max_prompt_tokens} tokens",
            "raise max_prompt_tokens",
        )
    held = lengths.of(dev, meter)
    return Data(kept, held, min(n_dev, config.eval_rows), tested / kept.n_records)


def _step_row(step: TeacherStep, style: Style, meter: Meter) -> Length:
    prompt = action_prompt(step.instruction, step.pre, step.language, step.state, style=style)
    action, full = step.references[0], style == "full"
    thought, update = (describe_action(action), StateUpdate()) if full else ("", None)
    return meter.row(prompt, render_response(action, thought, update))


def _record_row(record: NormalizedRecord, style: Style, meter: Meter) -> Length:
    answer = action_answer(record, think=style == "full", update=style == "full")
    prompt = prompt_of(task_of(record), style)
    return meter.row(prompt, "" if isinstance(answer, Rejection) else answer)


class PolicyRun(PlannedRun):
    """A run of `train srl` or `train grpo`."""

    config: SrlConfig | GrpoConfig

    @property
    def _batch(self) -> _Batch:
        options, devices = {**DEFAULTS, **self.config.trainer}, self.machine.devices
        rows, accumulated = self.batches()
        whole = options.get("generation_batch_size")
        windows = whole // (rows * devices) if whole else options.get("steps_per_generation") or accumulated
        micro_steps = max(1, windows) * int(options.get("num_iterations", 1))
        anew = self._served or accumulated % micro_steps != 0
        forwards = int(anew) + int(float(options["beta"]) > 0)
        return _Batch(
            rows, accumulated, rows * max(1, windows), micro_steps / accumulated,
            int(options["num_generations"]), int(options["max_completion_length"]), forwards,
        )  # fmt: skip

    @property
    def _served(self) -> bool:
        """Whether a server generates, for training and evaluation."""
        return self.config.rollouts == "server"

    @property
    def _longest_prompt(self) -> int:
        """That can occur: of all rows where they were counted, else what is allowed."""
        train = self.data.train
        return train.longest_prompt if train.exact else self.config.max_prompt_tokens

    @property
    def longest(self) -> int:
        return self.data.train.longest_prompt + self._batch.completion

    def setup(self) -> Setup:
        """A micro-batch of the longest rollouts, padded, or joined where they share a prompt."""
        longest, batch = self._longest_prompt, self._batch
        # The micro-batch of most tokens: of the longest prompts, or of those just not worth joining.
        left = (1 - WORTH_JOINING) * batch.rows - math.ceil(batch.rows / batch.group)
        most = int(WORTH_JOINING * batch.rows * batch.completion / left) if left > 0 else longest
        tokens, rows = max(self._joined(p, batch.completion) for p in (longest, min(longest, most)))
        return self.micro_batch(tokens, rows, masked=True)

    @property
    def _at_once(self) -> int:
        """Rollouts that are generated together."""
        n = rollouts_at_once(self.config.generate_at_once, self._batch.rollouts)
        return min(n, self.own_rows(self._longest_prompt + self._batch.completion) or n)

    @property
    def _ask_at_once(self) -> int:
        """Held-out answers that are generated together."""
        return self.answers_at_once(self._longest_prompt + self._batch.completion, self._batch.rows)

    def phases(self) -> Phases:
        step, prompt, dev = self.setup(), self._longest_prompt, self.data.dev
        if self._served:
            return {"training": memory.training(step)}
        rollouts = Answers(self._at_once, prompt, self._batch.completion)
        asked = rollouts._replace(
            rows=self._ask_at_once,
            prompt=dev.longest_prompt if dev.exact else max(prompt, dev.longest_prompt),
        )
        return {
            "training": memory.training(step),
            "rollouts": memory.generation(step, rollouts) | self.copied(step),
            "answers": memory.generation(step, asked) | self.copied(step),
        }

    def forecast(self) -> Forecast:
        config, train, batch = self.config, self.data.train, self._batch
        rows_per_step = batch.rows * batch.accumulated * self.machine.devices
        steps = int(self.option("max_steps", -1))
        if steps <= 0:
            steps = max(1, math.ceil(train.n * batch.group / rows_per_step * self.epochs()))
        answer = max(1, min(batch.completion, round(_USUAL * train.mean_answer)))
        usual = Answers(self._at_once, round(train.mean_prompt), answer)
        most = Answers(self._at_once, train.prompt_at(0.9), batch.completion)
        evaluations = 1 + steps // config.eval_every_steps + bool(steps % config.eval_every_steps)
        seconds = {
            "rollouts": self._generating(usual, most).times(steps / batch.reused),
            "rewards": self._scoring().times(steps / batch.reused),
            "training": self._training(usual, most).times(steps),
            "answers": self._answering(usual, most).times(evaluations),
        }
        n_tokens = round(steps * rows_per_step * (train.mean_prompt + usual.completion))
        return Forecast(steps, rows_per_step, n_tokens, seconds, self._notes(usual))

    def _rounds(self) -> list[float]:
        """Rollouts of each round, at most."""
        sampling = self.config.sampling
        rounds = sampling.max_rounds if sampling.enabled else 1
        return [self._batch.rollouts * _REPLACED**k for k in range(rounds)]

    def _generating(self, usual: Answers, most: Answers) -> Range:
        """Seconds of one generation batch: one round of usual answers, to all rounds of the longest."""
        step, machine = self.setup(), self.machine
        if self._served:
            wanted = [n * machine.devices for n in self._rounds()]
            low = self._serving(step, usual, wanted[0]).low
            return Range(low, sum(self._serving(step, most, n).high for n in wanted))
        parts = [math.ceil(n / usual.rows) for n in self._rounds()]
        low, high = machine.generation_s(step, usual).low, machine.generation_s(step, most).high
        return Range(low * parts[0], high * sum(parts))

    def _serving(self, step: Setup, answers: Answers, n: float) -> Range:
        """Seconds of the server for so many answers, as many at once as all processes ask."""
        asked = self.config.server.concurrency * self._batch.group * self.machine.devices
        at_once = min(math.ceil(n), asked)
        batch = self.machine.served_s(step, answers._replace(rows=at_once))
        return batch.times(math.ceil(n / at_once))

    def _scoring(self) -> Range:
        """Seconds to score one generation batch."""
        rate = self.data.tested_rate
        low, high = (each + rate * tested for each, tested in zip(_SCORED_S, _TESTED_S, strict=True))
        each = self._batch.rollouts / self.config.workers
        return Range(low * each, high * each * sum(self._rounds()) / self._batch.rollouts)

    def _training(self, usual: Answers, most: Answers) -> Range:
        """Seconds of one optimizer step."""
        batch, worst = self._batch, self.setup()
        ends = []
        for answers in (usual, most):
            tokens, rows = self._joined(answers.prompt, answers.completion)
            step = replace(worst, tokens=tokens, rows=rows)
            all_tokens = batch.accumulated * tokens
            ends.append(self.machine.training_s(step, all_tokens, tokens / rows, batch.forwards))
        return Range(ends[0].low, ends[1].high)

    def _answering(self, usual: Answers, most: Answers) -> Range:
        """Seconds of one evaluation: greedy answers and sampled ones, each device its share of the rows."""
        step, at_once = self.setup(), self._ask_at_once
        if self._served:
            n = self.data.n_dev * (1 + self.config.eval_samples)
            return Range(self._serving(step, usual, n).low, self._serving(step, most, n).high)
        n = math.ceil(self.data.n_dev / self.machine.devices) * (1 + self.config.eval_samples)
        return self.asking(step, usual._replace(rows=at_once), most._replace(rows=at_once), n)

    def _notes(self, usual: Answers) -> list[str]:
        sampling, train = self.config.sampling, self.data.train
        refills = f", to {sampling.max_rounds} that replace half of the groups each"
        served = ["the server: one more card of this kind, weights in bf16 or 8 bits (assumed)"]
        return [
            *(served if self._served else []),
            f"rounds of generation: 1{refills if sampling.enabled and sampling.max_rounds > 1 else ''}",
            f"prompts: {train.mean_prompt:,.0f} tokens, nine in ten up to {train.prompt_at(0.9):,}; "
            f"memory counts {self._longest_prompt:,}",
            f"answers: {usual.completion:,} tokens (1.5 × those in the data), to {self._batch.completion:,}",
        ]

    def refused(self) -> str:
        if not self.sharded:
            return ""
        return (
            "train refuses sharded weights here: rollouts cannot be generated from shards. "
            "Change: --sharding none, with `lora` and `quantize: nf4`"
        )

    def halved(self, phase: str) -> tuple[Self, int] | None:
        n = (self._ask_at_once if phase == "answers" else self._at_once) // 2
        if not n:
            return None
        if phase == "answers":
            return replace(self, ask_at_once=n), n
        return self.changed(generate_at_once=n), n

    def knobs(self, phase: str) -> Iterator[tuple[str, Self]]:
        config = self.config
        if phase == "training":
            yield from self.smaller_batches()
            if not self.recomputes():
                yield self.with_options({"gradient_checkpointing": True})
        for tokens in (2048, 1024, 512):
            if tokens < config.max_prompt_tokens:
                yield f"max_prompt_tokens: {tokens}", self.changed(max_prompt_tokens=tokens)
        for tokens in (512, 256):
            if tokens < self._batch.completion:
                yield self.with_options({"max_completion_length": tokens})
        if config.quantize == "none":
            four_bits = self.changed(quantize="nf4", lora=config.lora or LoraConfig())
            yield "train adapters on 4-bit weights (`lora`, `quantize: nf4`)", four_bits

    def _joined(self, prompt: int, completion: int) -> tuple[int, int]:
        """Tokens of a micro-batch, and the rows that they lie in."""
        batch = self._batch
        plain = batch.rows * (prompt + completion)
        groups = math.ceil(batch.rows / batch.group)
        joined = groups * prompt + batch.rows * completion
        # A window of its own on what a layer sees, or a state, leaves no room for the mask that joins rows,
        # and only `sdpa` takes it (`shared_prefix.can_share`).
        arch = self.architecture
        takes_mask = arch.attends_plainly and self.config.attention == "sdpa" and not arch.is_eager
        if not takes_mask or joined > (1 - WORTH_JOINING) * plain:
            return plain, batch.rows
        return joined, groups
