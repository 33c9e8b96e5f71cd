"""Dev answers before, during and after a policy run: their rewards, and the step to publish."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object
from transformers import TrainerCallback

from rulewright import console, jsonl
from rulewright.errors import UsageError
from rulewright.generation.base import GPU_ROWS, Sampling
from rulewright.generation.local import LocalGenerator
from rulewright.runs import RunDir
from rulewright.srl.curves import plot
from rulewright.srl.scoring import Evaluation, Scored, Scorer, summarize
from rulewright.stats import paired
from rulewright.training import callbacks, checkpoints, environment
from rulewright.training.grpo import PolicyTrainer
from rulewright.training.policy_config import MODES, Mode, PolicyConfig
from rulewright.training.rollouts import ServedGenerator


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
            for path in (run.path / "metrics.jsonl", self._rewards):
                checkpoints.forget_after(path, resumed_at)
            for folder in run.path.glob("best-*"):
                if checkpoints.step_of(folder) > resumed_at:
                    shutil.rmtree(folder)
            self._forget_half()
        self.history = environment.agree(self._restored)
        for step in sorted(self.history):
            self._consider(step)

    def _forget_half(self) -> None:
        """Drop an evaluation that the run was killed in the middle of writing; it is done again."""
        written: Counter[int] = Counter()
        if self._rewards.exists():
            written.update(row["step"] for row in jsonl.read(self._rewards))
        for path in (self._run.path / "metrics.jsonl", self._rewards):
            rows = list(jsonl.read(path)) if path.exists() else []
            kept = [row for row in rows if "mode" not in row or written[row["step"]] == len(MODES)]
            if kept != rows:
                jsonl.write(path, kept)

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
            if step == self.best_step and (step > 0 or self._config.keep == "start"):
                self.save_best()  # the run may have been killed before it was saved
            return
        trainer = self._trainer
        model = trainer.accelerator.unwrap_model(trainer.model_wrapped)
        on_cpu = trainer.args.device.type == "cpu"
        rows = 0 if on_cpu else max(GPU_ROWS, trainer.args.per_device_train_batch_size)
        local = LocalGenerator(model, trainer.processing_class, trainer.prompt_style, batch_size=rows)
        generator = ServedGenerator(trainer.served, trainer, local) if trainer.served else local
        accelerator = trainer.accelerator
        mine = range(accelerator.process_index, self.n_rows, accelerator.num_processes)
        found: dict[Mode, Evaluation] = {}
        for mode in MODES:
            answers = ask(
                generator, self._dev, mine, mode, self._config.eval_samples,
                trainer.args.max_completion_length, trainer.args.temperature, self._config.seed,
            )  # fmt: skip
            found[mode] = summarize(in_order(gather_object([answers])))
        self.history[step] = found
        if self._main:
            self._note(step, found)
        if self._consider(step):
            self.save_best()

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
            + (
                f"; also right on other code {greedy.general_rate:.3f}"
                if greedy.general_rate is not None
                else ""
            )
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

    @property
    def best(self) -> Path:
        """The folder of the best step so far, complete where it exists."""
        return self._run.path / f"best-{self.best_step}"

    def save_best(self) -> None:
        """Have the model of the best step; an earlier one's stays until a checkpoint remembers this one."""
        if environment.agree(self.best.exists):
            return
        fresh = self._run.path / "best.new"
        self._trainer.save_model(str(fresh))
        if self._main:
            style, thinking = self._trainer.prompt_style, self._trainer.thinking
            checkpoints.write_note(fresh, style, thinking, "action", self._config.model)
            fresh.rename(self.best)
        self._trainer.accelerator.wait_for_everyone()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._main:
            for folder in self._run.path.glob("best-*"):
                if folder != self.best:
                    shutil.rmtree(folder)

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


def in_order(parts: Sequence[Sequence[Sequence[Scored]]]) -> list[Scored]:
    """The answers of all processes, task after task; task `i` was asked by process `i % n`."""
    n_rows = sum(map(len, parts))
    rows = (parts[row % len(parts)][row // len(parts)] for row in range(n_rows))
    return [answer for answers in rows for answer in answers]


def ask(
    generator: Any, scorer: Scorer, rows: Sequence[int], mode: Mode, samples: int, max_new_tokens: int,
    temperature: float, seed: int,
) -> list[list[Scored]]:  # fmt: skip
    """Answer each task once (greedy) or `samples` times; the scores of each task's answers.

    A process without tasks (there are more processes than tasks) asks too: behind a server all of
    them load the adapter and look at the answers together, and would wait for it.
    """
    greedy = mode == "greedy"
    n = 1 if greedy else samples
    sampling = Sampling(n, 0.0 if greedy else temperature, 1.0, max_new_tokens, seed)
    answers = generator.generate([scorer.prompt(row, generator.style) for row in rows], sampling)
    flat = [(row, answer) for row, several in zip(rows, answers, strict=True) for answer in several]
    scored = scorer.score(
        [row for row, _ in flat], [answer.text for _, answer in flat], [answer.n_tokens for _, answer in flat]
    )
    return [scored[i : i + n] for i in range(0, len(scored), n)]


def publish(run: RunDir, config: PolicyConfig, curves: bool) -> None:
    """Copy the metrics into the reports folder, and draw the curves there."""
    target = config.reports / "metrics.jsonl"
    jsonl.write_text(target, (run.path / "metrics.jsonl").read_text(encoding="utf-8"))
    if curves:
        plot(target, config.reports / "curves.png", f"{config.out.name}: {config.model} → {config.out}")
