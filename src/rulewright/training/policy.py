"""Training a policy on rewards: what `train srl` and `train grpo` share.

A run owns `OUT/run/` (configuration, metrics, checkpoints, dev rewards, and last
`result.json`) and puts the best checkpoint, a plain Hugging Face model, into `OUT/`.
Dev is evaluated greedily and sampled, seeded per row, before, during and after.

Nothing here imports torch before a run starts.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, TypeVar

import tyro
from pydantic import Field

from rulewright import console, jsonl, yaml12
from rulewright.config import CommandConfig, Options
from rulewright.errors import ConfigError, MissingDependency, RulewrightError, UsageError
from rulewright.generation.base import Sampling
from rulewright.generation.gguf import checkpoint
from rulewright.generation.open import require_checkpoint, resolve_thinking
from rulewright.generation.vllm_server import ServerConfig
from rulewright.runs import RunDir
from rulewright.srl.curves import plot
from rulewright.srl.sampling import SamplingConfig
from rulewright.srl.scoring import Scored, Scorer
from rulewright.training import checkpoints, environment, hub
from rulewright.training import launch as launcher
from rulewright.training import policy_card as card
from rulewright.training.config import Device, Dtype, LoraConfig, cannot_change_weights, placed
from rulewright.training.options import problems
from rulewright.training.origin import origin_of

if TYPE_CHECKING:
    from trl import GRPOConfig

    from rulewright.training.grpo import PolicyTrainer

Mode = Literal["greedy", "sampled"]
Keep = Literal["best", "last", "start"]
MODES: Final[tuple[Mode, ...]] = ("greedy", "sampled")

DEFAULTS: Final[dict[str, Any]] = {
    # Every trained weight takes part in every step; to look for others costs a walk over the graph.
    "ddp_find_unused_parameters": False,
    "ddp_timeout": environment.PATIENCE_S,
    # Rewards are on one scale already; dividing by a group's deviation blows small differences up.
    "scale_rewards": "none",
    "loss_type": "dapo",
    "beta": 0.0,
    # A cut answer counts with what it earns: rambling is pushed down. True: it leaves its group.
    "mask_truncated_completions": False,
    "num_generations": 8,
    "per_device_train_batch_size": 8,
    "max_completion_length": 512,
    "logging_steps": 1,
    "save_steps": 20,
    "save_total_limit": 2,
    "report_to": "none",
}
# The run decides these; a configuration that sets them is refused.
OURS: Final = dict.fromkeys(
    (
        "output_dir", "seed", "eval_strategy", "eval_steps", "do_eval", "save_strategy", "save_only_model",
        "load_best_model_at_end", "remove_unused_columns", "resume_from_checkpoint", "reward_weights",
        "multi_objective_aggregation", "chat_template_kwargs", "hub_token", "hub_strategy", "hub_always_push",
        "hub_revision",
    ),
    "is decided by the run: take it out",
)  # fmt: skip


class PolicyConfig(CommandConfig):
    """Fields of every policy training."""

    model: str = "models/sft_stage1_astgrep"
    """Checkpoint to start from: a folder, an adapter, a GGUF file or a hub name."""
    out: Path = Path("models/srl_stage2")
    """The best checkpoint goes here, the run's files into run/ below."""
    reports: Path = Path("reports/srl")
    """Metrics and curves, copied from the run."""
    thinking: bool | None = None
    """Switch a chat template's thinking on or off; unset: as noted in the checkpoint, else its default."""
    max_prompt_tokens: int = Field(default=4096, ge=1)
    """Tasks with a longer prompt are left out, and counted."""
    eval_rows: int = Field(default=128, ge=1)
    """Dev tasks that are evaluated, at most."""
    eval_samples: int = Field(default=1, ge=1)
    """Sampled answers per dev task, beside the greedy one."""
    eval_every_steps: int = Field(default=20, ge=1)
    """Optimizer steps between evaluations."""
    keep: Keep = "best"
    """Which step is published. best: the best one after the start, by dev reward, even if it is worse than
    the start; start: the start too may be the best; last: the last one."""
    workers: int = Field(default=2, ge=1)
    """Processes that execute the model's actions, per training process."""
    deadline_s: float = Field(default=5.0, gt=0)
    """Processor time after which an action counts as a timeout; waiting does not count."""
    generate_at_once: int = Field(default=0, ge=0)
    """Rollouts generated together by one process: fewer need less memory for keys and values; 0: all."""
    rollouts: Literal["transformers", "server"] = "transformers"
    """Where answers are sampled: here, by transformers, or by a vLLM server (`server:`; needs `lora`)."""
    server: tyro.conf.Fixed[tyro.conf.Suppress[ServerConfig]] = ServerConfig()
    """`rollouts: server`: base_url, concurrency, timeout_s, max_retries, max_logprob_gap, …"""
    lora: tyro.conf.Fixed[tyro.conf.Suppress[LoraConfig | None]] = None
    """Train adapters instead of all weights."""
    quantize: Literal["none", "nf4"] = "none"
    """`nf4`: 4-bit base weights (QLoRA; needs `lora` and bitsandbytes)."""
    dtype: Dtype = "auto"
    """Of the weights in memory; auto: float32 where all are trained, bfloat16 where they are frozen."""
    device: Device = "auto"
    """`cpu`: leave GPUs alone; `auto`: the first visible one, or one for each of `processes`."""
    processes: int = Field(default=1, ge=1)
    """Data-parallel processes on this machine; more, or DeepSpeed and FSDP: `accelerate launch`."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each process; small models are fastest with one."""
    seed: int = 0
    """Of shuffling, sampling and evaluation."""
    sampling: tyro.conf.Fixed[tyro.conf.Suppress[SamplingConfig]] = SamplingConfig()
    """Dynamic sampling: enabled, epsilon, criterion, max_rounds, max_flat_batches."""
    attention: str = "sdpa"
    """Of transformers: sdpa, eager, flash_attention_2, or a kernel of the hub."""
    trainer: Options = Field(default_factory=dict)
    """Fields of TRL's GRPOConfig."""
    resume: bool = False
    """Continue a run that was cut off."""
    overwrite: bool = False
    """Replace what an earlier run left in OUT."""
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Result as JSON on stdout."""

    @classmethod
    def mistakes(cls, values: Mapping[str, Any]) -> list[tuple[yaml12.Path, str]]:
        return placed(problems(values.get("trainer", {}), "GRPOConfig", OURS))

    def is_free(self, key: str) -> bool:
        return cannot_change_weights(key) or super().is_free(key)


P = TypeVar("P", bound=PolicyConfig)


class Tasks(NamedTuple):
    """What is trained and evaluated on."""

    train: Scorer
    dev: Scorer
    reward: str
    """Name of the reward, for logs."""
    rejected: Sequence[Mapping[str, Any]] = ()
    """Lines that cannot be used, with place and reason."""

    def set_aside(self, folder: Path) -> None:
        """Write what is not used beside the run, and say so."""
        path = folder / "rejected.jsonl"
        path.unlink(missing_ok=True)
        if self.rejected:
            jsonl.write(path, self.rejected)
            console.say(f"{len(self.rejected)} lines cannot be used; reasons in {path}")


def with_checkpoint(config: P) -> P:
    """The configuration with a checkpoint folder where a GGUF file was named."""
    environment.prepare(config.threads, config.model, config.device, config.processes)
    return config.model_copy(update={"model": checkpoint(config.model)})


def look(config: PolicyConfig, inputs: Sequence[Path]) -> RunDir:
    """The run's folder, where this run may take it; nothing is changed yet.

    Raises:
        UsageError: no such checkpoint, or the folder holds another run.
    """
    if config.quantize != "none" and config.lora is None:
        raise ConfigError("`quantize: nf4` trains adapters only: add a `lora` section", "nothing has run yet")
    require_checkpoint(config.model)
    return RunDir.look(config.out / "run", config, inputs)


def settled(command: list[str], config: PolicyConfig, inputs: Sequence[Path]) -> dict[str, Any] | None:
    """The result of a run that is finished, or that `processes` do; `None` where this one is to train.

    Raises:
        UsageError: as `look`; for `processes` also what would end each of them at its start.
    """
    if environment.is_launched():
        return None
    run = look(config, inputs)
    if run.done and not config.overwrite:
        return _confirmed(config, run)
    if config.processes == 1:
        return None
    _require_libraries(config)
    from rulewright.training.models import load_tokenizer
    from rulewright.training.policy_loop import trainer_arguments

    if not environment.visible_cards():  # there they would start CUDA here too, and keep its memory
        trainer_arguments(config, run)
    load_tokenizer(config.model, resolve_thinking(config.model, config.thinking))
    launcher.run(command, config, config.processes, config.threads, run.path, config.device)
    return run.result()


def _require_libraries(config: PolicyConfig) -> None:
    environment.prepare(
        config.threads, config.model, config.device, config.processes, hub="push_to_hub" in config.trainer
    )
    try:
        import torch  # noqa: F401
        import trl  # noqa: F401
    except ImportError as error:
        raise MissingDependency("trl with torch", "training", "train") from error
    environment.quiet()


def _confirmed(config: PolicyConfig, run: RunDir) -> dict[str, Any]:
    console.say(f"{config.out}: this very run is finished already")
    _push(config)
    return run.result()


def _claim(config: PolicyConfig, inputs: Sequence[Path]) -> RunDir:
    """Take the folder, for this run alone, now that everything is there to start."""
    path = config.out / "run"
    return RunDir.open(path, config, inputs, lambda: _clear(path))


def _clear(folder: Path) -> None:
    """Remove the training state of an earlier run; `look` has said that it may go."""
    for name in ("checkpoints", "best", "best.new"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "dev.jsonl").unlink(missing_ok=True)


def run_policy(config: PolicyConfig, tasks: Tasks, inputs: Sequence[Path] = ()) -> dict[str, Any]:
    """Train from `config.model` on the rewards of `tasks.train`; give the result.

    The folder is claimed when the trainer stands. In a run of several processes the first
    one decides, and only it has a result; the others give `{}`.

    Args:
        config: what is asked.
        tasks: to train and to evaluate on.
        inputs: files that must not have changed when the run is resumed.

    Raises:
        UsageError: too few tasks for one batch, a configuration that cannot work, or a folder
            that holds another run.
        RulewrightError: nothing could be learned from the start.
    """
    with checkpoints.writing(config.out):
        return _train(config, tasks, inputs)


def _train(config: PolicyConfig, tasks: Tasks, inputs: Sequence[Path]) -> dict[str, Any]:
    _require_libraries(config)
    import torch

    from rulewright.training import callbacks, preview
    from rulewright.training.policy_loop import Watch, open_trainer, save_best, trainer_arguments

    torch.set_num_threads(config.threads)
    started = time.monotonic()
    run = RunDir(config.out / "run")
    arguments = trainer_arguments(config, run)
    if environment.agree(lambda: look(config, inputs).done and not config.overwrite):
        environment.leave()
        return _confirmed(config, run) if environment.is_main() else {}
    trainer = open_trainer(config, tasks, arguments)
    run = environment.agree(lambda: _claim(config, inputs))
    checkpoint = checkpoints.agree_on_start(run.path / "checkpoints")
    if environment.is_main():
        tasks.set_aside(run.path)
        callbacks.keep_logs_in(trainer, run.path / "logs")
        if checkpoint is None:
            preview.show_tasks(tasks.train, trainer.train_dataset, trainer.processing_class)
    watch = Watch(
        trainer, tasks.dev, config, run, resumed_at=checkpoints.step_of(checkpoint) if checkpoint else 0
    )
    trainer.add_callback(watch)
    watch.evaluate(0)
    if checkpoint is not None:
        console.decided("start", checkpoint.name, "the newest whole checkpoint of this run")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    _require_signal(trainer, config)
    watch.evaluate(trainer.state.global_step)
    callbacks.close_logs(trainer)
    result: dict[str, Any] = {}
    if trainer.accelerator.is_main_process:
        save_best(run.path / "best", config)
        result = _result(config, tasks, trainer, watch, time.monotonic() - started)
        publish(run, config, curves=True)
        card.write(config, result, run.facts())
        run.finish(result)
        _push(config)
    trainer.accelerator.end_training()
    return result


def _push(config: PolicyConfig) -> None:
    """Send the finished model to the hub, where that is asked for."""
    _, target = hub.split(config.trainer, config.out)
    if target is not None:
        hub.push(config.out, target)


def check_trainer(arguments: GRPOConfig, n_train: int) -> None:
    """Refuse settings that would silently train on nothing, or resume somewhere else.

    Raises:
        ConfigError: with the numbers that do not fit and ones that do.
    """
    group = arguments.num_generations
    per_rank = arguments.per_device_train_batch_size * arguments.steps_per_generation
    if per_rank % group:
        steps = group // math.gcd(arguments.per_device_train_batch_size, group)
        raise ConfigError(
            f"trainer: per_device_train_batch_size × steps_per_generation = {per_rank} is not a multiple of "
            f"num_generations = {group}: a group would be cut across processes",
            f"make the product a multiple of {group}, e.g. gradient_accumulation_steps: {steps}",
        )
    window = arguments.steps_per_generation * arguments.num_iterations
    save_every = int(arguments.save_steps) * arguments.gradient_accumulation_steps
    if save_every % window:
        raise ConfigError(
            f"trainer: save_steps × gradient_accumulation_steps = {save_every} is not a multiple of "
            f"steps_per_generation × num_iterations = {window}: a run resumed inside a window would differ",
            f"save_steps: a multiple of {window // math.gcd(window, arguments.gradient_accumulation_steps)}",
        )
    if (arguments.save_total_limit or 2) < 2:
        raise ConfigError(
            "trainer: save_total_limit = 1 leaves no checkpoint if the run is killed while saving",
            "save_total_limit: 2 or more",
        )
    prompts = arguments.generation_batch_size // group
    if n_train < prompts:
        raise UsageError(
            f"{n_train} training tasks, but one batch takes {prompts} prompts: there would be no step at all",
            "more tasks, or smaller per_device_train_batch_size, steps_per_generation or number of processes",
        )


def ask(
    generator: Any, scorer: Scorer, rows: Sequence[int], mode: Mode, samples: int, max_new_tokens: int,
    temperature: float, seed: int,
) -> list[list[Scored]]:  # fmt: skip
    """Answer each task once (greedy) or `samples` times; the scores of each task's answers."""
    if not rows:  # more processes than tasks
        return []
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


def _require_signal(trainer: PolicyTrainer, config: PolicyConfig) -> None:
    """End with a clear message where not one group of answers ever differed in reward."""
    if trainer.n_updates:
        if trainer.flat_batches >= config.sampling.max_flat_batches:
            console.decided(
                "stopped", f"step {trainer.state.global_step}",
                f"{trainer.flat_batches} batches in a row without a group to learn from",
            )  # fmt: skip
        return
    rewards = [row["unfiltered/reward"] for row in trainer.state.log_history if "unfiltered/reward" in row]
    mean = sum(rewards) / len(rewards) if rewards else 0.0
    reason = (
        "the model already earns the full reward"
        if mean > 0.95
        else "the model writes hardly any valid action"
        if mean < 0
        else "its answers to one prompt are all worth the same"
    )
    raise RulewrightError(
        f"{config.model}: nothing to learn from: in {trainer.n_prompts} prompts no group of "
        f"{trainer.num_generations} answers differed in reward by more than {config.sampling.epsilon} "
        f"(mean reward {mean:.3f})",
        f"{reason}; train Stage 1 longer or shorter, raise trainer.temperature or trainer.num_generations",
    )


def _result(
    config: PolicyConfig, tasks: Tasks, trainer: PolicyTrainer, watch: Any, seconds: float
) -> dict[str, Any]:
    before, best = watch.history[0], watch.history[watch.best_step]
    last = watch.history[trainer.state.global_step]
    return {
        "reward": tasks.reward,
        "model": config.model,
        "origin": origin_of(config.model)._asdict(),
        "thinking": trainer.thinking,
        "n_train": len(tasks.train),
        "n_dev": watch.n_rows,
        "steps": trainer.state.global_step,
        "prompts": trainer.n_prompts,
        "best_step": watch.best_step,
        "selection": watch.selection(),
        "before": {mode: before[mode].to_dict() for mode in MODES},
        "after": {mode: best[mode].to_dict() for mode in MODES},
        "last": {mode: last[mode].to_dict() for mode in MODES},
        "gain": {mode: watch.gain(before[mode], best[mode]) for mode in MODES},
        "stopped_early": trainer.flat_batches >= config.sampling.max_flat_batches,
        "seconds": round(seconds, 1),
        "device": str(trainer.args.device.type),
        "peak_gpu_gib": watch.memory.peak_gib(),
    }


def tell(config: PolicyConfig, result: Mapping[str, Any]) -> None:
    """The result for whoever started the run; the processes of a launcher stay quiet."""
    if not result or environment.is_launched():
        return
    if config.json_output:
        console.emit_json(result)
        return
    console.say(show(result))
    console.say(
        f"model: {config.out}; step {result['best_step']} of {result['steps']}, {card.selected(result)}"
    )


def show(result: Mapping[str, Any]) -> str:
    """The result as a small table."""
    rows = []
    for mode in MODES:
        before, after, gain = result["before"][mode], result["after"][mode], result["gain"][mode]
        rows.append(
            [
                mode,
                f"{before['mean_reward']:.3f}",
                f"{after['mean_reward']:.3f}",
                f"{gain['difference']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]",
                f"{before['success_rate']:.3f}",
                f"{after['success_rate']:.3f}",
                after["n"],
            ]
        )
    return console.table(
        ["dev", "reward before", "after", "gain (95 %)", "success before", "after", "n"], rows
    )
