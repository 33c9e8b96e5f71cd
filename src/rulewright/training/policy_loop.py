"""The parts of a policy run that need torch: model, trainer, evaluation, best checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig

from rulewright import console, jsonl
from rulewright.errors import ConfigError, UsageError
from rulewright.generation import chat
from rulewright.generation.cpu import multiplies_bf16
from rulewright.generation.local import LocalGenerator
from rulewright.generation.open import (
    NOTE_FILE,
    GeneratorConfig,
    adapter_base,
    resolve_style,
    resolve_thinking,
)
from rulewright.runs import RunDir
from rulewright.srl.scoring import Evaluation, Scored, Scorer, summarize
from rulewright.stats import paired
from rulewright.training import callbacks, checkpoints, environment, hub, models
from rulewright.training.config import SftConfig, trainer_options
from rulewright.training.grpo import PolicyTrainer
from rulewright.training.policy import (
    DEFAULTS,
    MODES,
    OURS,
    Mode,
    PolicyConfig,
    Tasks,
    ask,
    check_trainer,
    publish,
)  # fmt: skip
from rulewright.training.rollouts import ServedGenerator, ServedPolicy, check_served


def open_trainer(config: PolicyConfig, tasks: Tasks, arguments: GRPOConfig) -> PolicyTrainer:
    """Load the checkpoint and put the trainer together.

    Raises:
        UsageError: the checkpoint or the tasks cannot be trained with.
        ConfigError: settings that would train on nothing, or weights that are sharded.
    """
    _refuse_shards(arguments)
    thinking = resolve_thinking(config.model, config.thinking)
    tokenizer = models.load_tokenizer(config.model, thinking)
    style = resolve_style(GeneratorConfig(model=config.model))
    console.decided("prompt style", style, "as noted in the checkpoint")
    dataset = _dataset(tasks.train, tokenizer, style, config.max_prompt_tokens)
    check_trainer(arguments, len(dataset))
    served = _served(config, arguments)
    base = SftConfig(
        model=config.model, lora=config.lora, quantize=config.quantize, attention=config.attention,
        dtype=config.dtype, trainer={"model_init_kwargs": config.trainer.get("model_init_kwargs") or {}},
    )  # fmt: skip
    model = models.load_model(base)
    models.set_attention(model, config.attention)
    adapter = models.trained_weights(model)
    fresh = config.lora is not None and not hasattr(model, "peft_config")
    trainer = PolicyTrainer(
        model=model,
        args=arguments,
        train_dataset=dataset,
        processing_class=tokenizer,
        scorer=tasks.train,
        sampling=config.sampling,
        reward_name=tasks.reward,
        prompt_style=style,
        generate_at_once=config.generate_at_once,
        served=served,
        peft_config=models.peft_config(config.lora) if fresh and config.lora else None,
        callbacks=[callbacks.MarkComplete()],
    )
    trainer.thinking = thinking
    callbacks.remove_printers(trainer)
    models.hold_in_float32(trainer, adapter)
    return trainer


def _served(config: PolicyConfig, arguments: GRPOConfig) -> ServedPolicy | None:
    """The server for rollouts, checked before the weights are loaded; `None` where none is asked for."""
    if config.rollouts != "server":
        return None
    check_served(arguments, config.lora is not None)
    served = ServedPolicy(config.server, config.out / "run", adapter_base(config.model) or config.model)
    console.decided("rollouts", served.server.url, f"it serves {', '.join(served.server.base_models())}")
    return served


def trainer_arguments(config: PolicyConfig, run: RunDir) -> GRPOConfig:
    """TRL's configuration from ours; on a machine without a GPU, one that works there."""
    options, _ = hub.split(trainer_options(config.trainer, "GRPOConfig", OURS), config.out)
    # The model is loaded by us, by the same fields as for SFT.
    options.pop("model_init_kwargs", None)
    values = {**DEFAULTS, **options}
    launched = environment.launched_in_bf16(options)
    if not torch.cuda.is_available():
        for key, value in {
            "use_cpu": True,
            "bf16": multiplies_bf16(),
            "gradient_checkpointing": False,
        }.items():
            if key not in options:
                values[key] = value
    if launched is not None:
        values["bf16"] = launched
    try:
        arguments = GRPOConfig(
            output_dir=str(run.path / "checkpoints"),
            seed=config.seed,
            eval_strategy="no",
            save_strategy="steps",
            remove_unused_columns=False,
            disable_tqdm=True,
            **values,
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"trainer: {str(error).splitlines()[0]}", "fix the `trainer:` options") from error
    environment.one_card(arguments)
    return arguments


def _refuse_shards(arguments: GRPOConfig) -> None:
    """Refuse what can be trained but not generated from.

    `generate` of a model with adapters goes past the hooks that gather sharded weights, and
    the answers before the first step are asked for before anything is sharded at all.

    Raises:
        ConfigError: FSDP or ZeRO-3, with the ways out.
    """
    sharded = environment.shards(arguments)
    if sharded:
        raise ConfigError(
            f"{sharded} shards the weights, and a policy cannot generate its own rollouts from shards",
            "hold a whole model on each device: configs/accelerate/ddp.yaml with `lora` and `quantize: nf4`",
        )


def _dataset(scorer: Scorer, tokenizer: Any, style: Any, max_prompt_tokens: int) -> Dataset:
    rows: list[dict[str, Any]] = []
    for row in range(len(scorer)):
        prompt = scorer.prompt(row, style)
        ids = tokenizer(chat.ask(tokenizer, prompt), add_special_tokens=False)["input_ids"]
        if len(ids) <= max_prompt_tokens:
            rows.append({"prompt": prompt, "row": row})
    if len(rows) < len(scorer):
        console.decided(
            "left out", f"{len(scorer) - len(rows)} of {len(scorer)} tasks",
            f"their prompts are longer than {max_prompt_tokens} tokens",
        )  # fmt: skip
    if not rows:
        raise UsageError(
            f"all {len(scorer)} training tasks have prompts longer than {max_prompt_tokens} tokens",
            "raise --max-prompt-tokens",
        )
    return Dataset.from_list(rows)


class Watch(TrainerCallback):
    """Logs metrics, evaluates dev at intervals, keeps the best checkpoint.

    Args:
        trainer: whose model is watched.
        dev: evaluation tasks.
        config: intervals, numbers and seeds.
        run: where metrics and dev rewards are written.
        resumed_at: the step the run continues from; later lines of an earlier life are dropped.
    """

    def __init__(
        self, trainer: PolicyTrainer, dev: Scorer, config: PolicyConfig, run: RunDir, resumed_at: int
    ) -> None:
        self._trainer, self._dev, self._config, self._run = trainer, dev, config, run
        self.n_rows = min(len(dev), config.eval_rows)
        self.history: dict[int, dict[Mode, Evaluation]] = {}
        self.best_step = 0
        self._rewards = run.path / "dev.jsonl"
        self.memory = callbacks.Memory()
        trainer.add_callback(self.memory)
        self._main = trainer.accelerator.is_main_process
        if self._main:
            checkpoints.forget_after(run, resumed_at)
            _forget_rewards(self._rewards, resumed_at)
        self.history = environment.agree(self._restored)
        for step in sorted(self.history):
            self._consider(step)

    def _restored(self) -> dict[int, dict[Mode, Evaluation]]:
        history: dict[int, dict[Mode, Evaluation]] = {}
        if self._rewards.exists():
            for row in jsonl.read(self._rewards):
                history.setdefault(row["step"], {})[row["mode"]] = Evaluation(**row["evaluation"])
        return history

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        if self._main and logs and "unfiltered/infra_rate" in logs:
            values = {k: round(v, 6) if isinstance(v, float) else v for k, v in logs.items()}
            self._run.log(kind="train", step=state.global_step, **values)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self._config.eval_every_steps == 0:
            self.evaluate(state.global_step)

    def evaluate(self, step: int) -> None:
        """Evaluate dev at a step, once; save the model if it is to be published.

        Each process answers its part of the tasks; what all of them found decides in all.
        """
        if step in self.history:
            published = step == self.best_step and (step > 0 or self._config.keep == "start")
            if published and environment.agree(lambda: self._saved_step() != step):
                self._save_best(step)  # the run was killed before it was saved
            return
        trainer = self._trainer
        model = trainer.accelerator.unwrap_model(trainer.model_wrapped)
        local = LocalGenerator(
            model, trainer.processing_class, trainer.prompt_style, batch_size=self._batch_size()
        )
        generator = ServedGenerator(trainer.served, trainer, local) if trainer.served else local
        accelerator = trainer.accelerator
        mine = range(accelerator.process_index, self.n_rows, accelerator.num_processes)
        found: dict[Mode, Evaluation] = {}
        for mode in MODES:
            answers = ask(
                generator, self._dev, mine, mode, self._config.eval_samples,
                trainer.args.max_completion_length, trainer.args.temperature, self._config.seed,
            )  # fmt: skip
            found[mode] = summarize(_in_order(gather_object([answers])))
        self.history[step] = found
        if self._main:
            self._note(step, found)
        if self._consider(step):
            self._save_best(step)

    def _batch_size(self) -> int:
        on_cpu = self._trainer.args.device.type == "cpu"
        return 0 if on_cpu else max(16, self._trainer.args.per_device_train_batch_size)

    def _note(self, step: int, found: dict[Mode, Evaluation]) -> None:
        with jsonl.Appender(self._rewards) as rewards:
            for mode, evaluation in found.items():
                self._run.log(kind="dev", step=step, mode=mode, **evaluation.to_dict())
                kept = {**evaluation.__dict__}
                rewards.append({"step": step, "mode": mode, "evaluation": kept})
        greedy, sampled = found["greedy"], found["sampled"]
        callbacks.tell(
            self._trainer,
            {f"{mode}_reward": value.mean_reward for mode, value in found.items()}
            | {f"{mode}_success": value.success_rate for mode, value in found.items()},
        )
        console.say(
            f"step {step}: dev reward {greedy.mean_reward:.3f} greedy, {sampled.mean_reward:.3f} sampled; "
            f"success {greedy.success_rate:.3f}, {sampled.success_rate:.3f} (n {greedy.n}, {sampled.n})"
        )
        if step:
            publish(self._run, self._config, curves=False)

    def _consider(self, step: int) -> bool:
        """Whether this step is the one to publish so far."""
        match self._config.keep:
            case "last":
                better = step > 0
            case "best":
                better = step > 0 and (not self.best_step or self._beats(step, self.best_step))
            case "start":
                better = step == 0 or self._beats(step, self.best_step)
        if better:
            self.best_step = step
        return better

    def _beats(self, step: int, other: int) -> bool:
        """By the sum of both dev rewards."""
        return self._value(step) > self._value(other)

    def selection(self) -> dict[str, Any]:
        """How the published step was chosen: always on the dev tasks that "after" is measured on."""
        keep = self._config.keep
        n_after = len(self.history) - 1
        return {
            "keep": keep,
            "n_candidates": {"last": 1, "best": n_after, "start": n_after + 1}[keep],
            "beats_start": self._beats(self.best_step, 0),
        }

    def _value(self, step: int) -> float:
        return sum(self.history[step][mode].mean_reward for mode in MODES)

    def _saved_step(self) -> int | None:
        path = self._run.path / "best" / "step.json"
        return int(json.loads(path.read_text(encoding="utf-8"))["step"]) if path.exists() else None

    def _save_best(self, step: int) -> None:
        """Write the model beside the last best one, then swap."""
        folder = self._run.path / "best"
        fresh = self._run.path / "best.new"
        self._trainer.save_model(str(fresh))
        if self._main:
            note = {
                "prompt_style": self._trainer.prompt_style,
                "thinking": self._trainer.thinking,
                "task": "action",
                "base": self._config.model,
            }
            jsonl.write_json(fresh / NOTE_FILE, note)
            jsonl.write_json(fresh / "step.json", {"step": step})
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)
        self._trainer.accelerator.wait_for_everyone()

    def gain(self, before: Evaluation, after: Evaluation) -> dict[str, Any]:
        """Mean difference of dev rewards, paired by row, with its 95 % interval over groups."""
        samples = max(1, len(before.rewards) // self.n_rows)
        groups = [self._dev.group(row) for row in range(self.n_rows) for _ in range(samples)]
        pairs = [
            (x, y, group)
            for x, y, group in zip(before.rewards, after.rewards, groups, strict=True)
            if x is not None and y is not None
        ]
        if not pairs:
            raise UsageError("no dev answer could be scored", "see the verdicts in metrics.jsonl")
        a, b, kept = zip(*pairs, strict=True)
        return paired(a, b, kept, self._config.seed).to_dict()


def _in_order(parts: Sequence[Sequence[Sequence[Scored]]]) -> list[Scored]:
    """The answers of all processes, task after task; task `i` was asked by process `i % n`."""
    n_rows = sum(map(len, parts))
    rows = (parts[row % len(parts)][row // len(parts)] for row in range(n_rows))
    return [answer for answers in rows for answer in answers]


def _forget_rewards(path: Path, step: int) -> None:
    """Drop dev rewards of steps that will be taken again."""
    if path.exists():
        jsonl.cut_torn_line(path)
        jsonl.write(path, [row for row in jsonl.read(path) if row["step"] <= step])


def save_best(best: Path, config: PolicyConfig) -> None:
    """Put the best checkpoint into the model folder: as it is, or an adapter merged into its base."""
    config.out.mkdir(parents=True, exist_ok=True)
    if config.lora is not None and config.lora.merge:
        from peft import AutoPeftModelForCausalLM

        dtype = "auto" if config.dtype == "auto" else getattr(torch, config.dtype)
        merged = AutoPeftModelForCausalLM.from_pretrained(best, dtype=dtype)
        merged.merge_and_unload().save_pretrained(config.out)
    for path in sorted(best.iterdir()):
        weights = path.name.startswith("adapter_") and config.lora is not None and config.lora.merge
        if path.name not in ("step.json", "training_args.bin", "README.md") and not weights:
            shutil.copy(path, config.out / path.name)
