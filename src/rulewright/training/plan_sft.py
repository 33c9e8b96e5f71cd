"""The plan of `train sft`: its data, its phases, its time, and what to change where it does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Self

from rulewright.actions import Rejection
from rulewright.data.mix import Mix, mix
from rulewright.data.schemas import NormalizedRecord
from rulewright.errors import UsageError
from rulewright.prompts import Style
from rulewright.training import lengths, memory
from rulewright.training.config import CURVE_SHARE, LoraConfig, SftConfig, style_of
from rulewright.training.data import Form
from rulewright.training.lengths import Length, Lengths, Meter
from rulewright.training.memory import Answers, Setup
from rulewright.training.plan_parts import Data, Forecast, Phases, PlannedRun

_SHORTEST: Final = 512


def data(config: SftConfig, style: Style | None) -> Data:
    """Lengths of all records, as the run will take them."""
    meter = Meter(config.model, config.tiny)
    form = Form(config.task, style_of(config, style), config.think)
    records = mix(config.mix, config.seed, config.limit or None, config.mix_policy)
    train = _lengths(records, form, meter, config)
    if not train.n:
        raise UsageError(
            f"none of {train.n_records} records fits into {config.max_length_tokens} tokens",
            "raise max_length_tokens, or name other records",
        )
    if not (config.dev and config.eval_limit):
        return Data(train, lengths.of((), meter), 0)
    held_out = mix(config.dev, config.seed, None, "undersample", training=False)
    dev = _lengths(held_out, form, meter, config)
    return Data(train, dev, min(len(held_out), config.eval_limit))


def _lengths(records: Mix, form: Form, meter: Meter, config: SftConfig) -> Lengths:
    def row(record: NormalizedRecord) -> Length | None:
        answer = form.answer(record)
        return None if isinstance(answer, Rejection) else meter.row(form.prompt(record), answer)

    return lengths.of(map(row, records), meter, config.max_length_tokens)


class SftRun(PlannedRun):
    """A run of `train sft`."""

    config: SftConfig

    @property
    def _packed(self) -> bool:
        return bool(self.option("packing", False))

    @property
    def longest(self) -> int:
        return self.data.train.longest

    def setup(self) -> Setup:
        """A micro-batch in training: packed to the full length, or the longest rows that can meet."""
        config, train = self.config, self.data.train
        rows, _ = self.batches()
        length = config.max_length_tokens
        if train.exact and not self._packed:
            length = min(train.longest, length)
        masked = self._packed and config.attention in ("sdpa", "eager")
        step = self.micro_batch(rows * length, 1 if self._packed else rows, masked)
        return replace(step, weight_bytes=4) if config.tiny else step

    def phases(self) -> Phases:
        step = self.setup()
        added = {"training": memory.training(step)}
        if self.data.n_dev:
            trained, _ = self.batches()
            rows = int(self.option("per_device_eval_batch_size", trained))
            added["dev loss"] = memory.evaluation(replace(step, tokens=step.tokens * rows // trained))
            if not self.sharded:
                added["answers"] = memory.generation(step, self._answers()) | self.copied(step)
        return added

    def _answers(self) -> Answers:
        dev = self.data.dev if self.data.dev.n else self.data.train
        completion = self.config.answer_tokens(dev.longest_answer)
        prompt = min(dev.longest_prompt, self.config.max_length_tokens)
        return Answers(self.answers_at_once(prompt + completion), prompt, completion)

    def forecast(self) -> Forecast:
        config, machine, train = self.config, self.machine, self.data.train
        step = self.setup()
        rows, accumulated = self.batches()
        per_row = config.max_length_tokens / max(1.0, train.mean) if self._packed else 1.0
        rows_per_step = max(1, round(rows * accumulated * machine.devices * per_row))
        steps = int(self.option("max_steps", -1))
        if steps <= 0:
            steps = max(1, round(train.n / rows_per_step * self.epochs()))
        n_tokens = round(steps * rows_per_step * train.mean)
        seconds = {"training": machine.training_s(step, n_tokens / machine.devices, train.mean)}
        notes = []
        n_dev = self.data.n_dev
        if n_dev:
            # All are asked before and after; between, a quarter of them, and the loss of all.
            between = steps // config.eval_every_steps if config.eval_every_steps else 0
            n_asked = 2 * n_dev + between * max(1, n_dev // CURVE_SHARE)
            seconds["dev loss"] = machine.forward_s(step, (1 + between) * n_dev * self.data.dev.mean)
            if self.sharded:
                notes.append(
                    "no held-out answers: the weights are sharded; `rulewright eval` asks afterwards"
                )
            else:
                # From the right answers' usual length to the longest that is allowed.
                most, dev = self._answers(), self.data.dev
                usual_answer = min(most.completion, round(1.5 * dev.mean_answer))
                usual = most._replace(prompt=round(dev.mean_prompt), completion=usual_answer)
                seconds["answers"] = self.asking(step, usual, most, n_asked)
        return Forecast(steps, rows_per_step, n_tokens, seconds, notes)

    def halved(self, phase: str) -> tuple[Self, int] | None:
        n = self._answers().rows // 2
        return (replace(self, ask_at_once=n), n) if n else None

    def knobs(self, phase: str) -> Iterator[tuple[str, Self]]:
        config = self.config
        if phase == "answers" and config.eval_limit:
            without = replace(self, data=self.data._replace(n_dev=0))
            yield "eval_limit: 0 (ask afterwards: `rulewright eval`)", without
        if phase == "dev loss" and int(self.option("per_device_eval_batch_size", 1)) > 1:
            yield self.with_options({"per_device_eval_batch_size": 1})
        yield from self.smaller_batches()
        if not self.recomputes():
            yield self.with_options({"activation_checkpointing": True})
        if config.tiny is None and config.quantize == "none":
            if config.lora is None:
                yield "train adapters (`lora: {r: 16}`)", self.changed(lora=LoraConfig())
            change = (
                "quantize: nf4"
                if config.lora
                else "train adapters on 4-bit weights (`lora`, `quantize: nf4`)"
            )
            yield change, self.changed(lora=config.lora or LoraConfig(), quantize="nf4")
            if self.sharding == "none" and self.machine.devices > 1:
                sharded = replace(self, sharding="fsdp")
                yield "shard the weights (--sharding fsdp, configs/accelerate/fsdp2.yaml)", sharded
        length = config.max_length_tokens
        while length // 2 >= _SHORTEST:
            length //= 2
            yield f"max_length_tokens: {length}", self.changed(max_length_tokens=length)
