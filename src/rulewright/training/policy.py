"""Training a policy on rewards: what `train srl` and `train grpo` share.

A run owns `OUT/run/` (configuration, metrics, checkpoints, dev rewards, and last
`result.json`) and puts the best checkpoint, a plain Hugging Face model, into `OUT/`.
Dev is evaluated greedily and sampled, seeded per row, before, during and after (`watch`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import GRPOConfig

from rulewright import console
from rulewright.errors import ConfigError, RulewrightError, UsageError
from rulewright.generation import chat, weights
from rulewright.generation.notes import adapter_base
from rulewright.generation.open import GeneratorConfig, resolve_style, resolve_thinking
from rulewright.runs import RunDir
from rulewright.srl.scoring import Scorer
from rulewright.training import callbacks, checkpoints, environment, head, job, models, preview
from rulewright.training.assemble import say_beyond, trl_arguments
from rulewright.training.grpo import PolicyTrainer
from rulewright.training.origin import origin_of
from rulewright.training.policy_config import DEFAULTS, MODES, PolicyConfig, Tasks
from rulewright.training.rollouts import ServedPolicy, check_served
from rulewright.training.watch import Watch, publish


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
        result = _train(config, tasks, inputs)
    environment.leave()
    return result


def _train(config: PolicyConfig, tasks: Tasks, inputs: Sequence[Path]) -> dict[str, Any]:
    config = job.prepare(config)
    environment.quiet()
    torch.set_num_threads(config.threads)
    started = time.monotonic()
    run = RunDir(config.out / "run")
    arguments = trainer_arguments(config, run)
    if job.is_done(config, inputs):
        return job.confirmed(config)
    trainer = open_trainer(config, tasks, arguments)
    run = environment.agree(lambda: job.claim(config, inputs))
    start = checkpoints.agree_on_start(run.path / "checkpoints")
    if environment.is_main():
        tasks.set_aside(run.path)
        callbacks.keep_logs_in(trainer, run.path / "logs")
        if start is None:
            preview.show_tasks(tasks.train, trainer.train_dataset, trainer.processing_class)
    watch = Watch(trainer, tasks.dev, config, run, resumed_at=checkpoints.step_of(start) if start else 0)
    trainer.add_callback(watch)
    watch.evaluate(0)
    if start is not None:
        console.decided("start", start.name, "the newest whole checkpoint of this run")
        trainer.restore(start)
    stopped = trainer.flat_batches >= config.sampling.max_flat_batches
    if start is not None and environment.agree(lambda: stopped or checkpoints.is_over(start)):
        checkpoints.load_finished(trainer, start)
    else:
        callbacks.train(trainer, start)
    environment.agree(lambda: _require_signal(trainer, config))
    watch.evaluate(trainer.state.global_step)
    callbacks.close_logs(trainer)
    result: dict[str, Any] = {}
    if trainer.accelerator.is_main_process:
        checkpoints.publish(watch.best, config.out)
        result = _result(config, tasks, trainer, watch, time.monotonic() - started)
        publish(run, config, curves=True)
        job.finish(config, run, result)
    return result


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
            f"num_generations = {group}: a group would be divided between processes",
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
    prompts = arguments.generation_batch_size // group
    if n_train < prompts:
        raise UsageError(
            f"{n_train} training tasks, but one batch takes {prompts} prompts: not even one step is possible",
            "more tasks, or smaller per_device_train_batch_size, steps_per_generation or number of processes",
        )


def _require_signal(trainer: PolicyTrainer, config: PolicyConfig) -> None:
    """End with a clear message where not one group of answers ever differed in reward."""
    if trainer.n_updates:
        if trainer.flat_batches >= config.sampling.max_flat_batches:
            console.decided(
                "stopped", f"step {trainer.state.global_step}",
                f"{trainer.flat_batches} batches in a row without a group to learn from",
            )  # fmt: skip
        return
    rows = [row for row in trainer.state.log_history if "unfiltered/reward" in row]

    def mean_of(name: str) -> float:
        return sum(row[name] for row in rows) / max(1, len(rows))

    mean, cut = mean_of("unfiltered/reward"), mean_of("unfiltered/clipped_ratio")
    reason = (
        "the model already earns the full reward"
        if mean > 0.95
        else "the model writes hardly any valid action"
        if mean < 0
        else "its answers to one prompt are all worth the same"
    )
    if cut > 0.5:  # a model that thinks, or has not learned to end
        reason += (
            f"; {100 * cut:.0f} % of its answers were cut at {trainer.max_completion_length} tokens "
            "(`thinking: false`, or a larger trainer.max_completion_length)"
        )
    raise RulewrightError(
        f"{config.model}: nothing to learn: in {trainer.n_prompts} prompts no group of "
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
        "processes": trainer.accelerator.num_processes,
        "device": str(trainer.args.device.type),
        "peak_gpu_gib": watch.memory.peak_gib(),
    }


def open_trainer(config: PolicyConfig, tasks: Tasks, arguments: GRPOConfig) -> PolicyTrainer:
    """Load the checkpoint and put the trainer together.

    Raises:
        UsageError: the checkpoint or the tasks cannot be trained with.
        ConfigError: settings that would train on nothing, or weights that are sharded.
    """
    if sharded := environment.shards(arguments):
        # `generate` of a model with adapters goes past the hooks that gather sharded weights, and
        # the answers before the first step are asked for before anything is sharded at all.
        raise ConfigError(
            f"{sharded} shards the weights, and a policy cannot generate its own rollouts from shards",
            "put the whole model on each device: configs/accelerate/ddp.yaml with `lora` and `quantize: nf4`",
        )
    thinking = resolve_thinking(config.model, config.thinking)
    tokenizer = models.load_tokenizer(config.model, thinking)
    style = resolve_style(GeneratorConfig(model=config.model))
    console.decided("prompt style", style, "as noted in the checkpoint")
    dataset, longest = _dataset(tasks.train, tokenizer, style, config.max_prompt_tokens)
    check_trainer(arguments, len(dataset))
    served = None
    if config.rollouts == "server":
        check_served(arguments, config.lora is not None)
        served = ServedPolicy(config.server, config.out / "run", adapter_base(config.model) or config.model)
        listed = ", ".join(served.server.base_models())
        console.decided("rollouts", served.server.url, f"it serves {listed}")
    model = models.ready_model(config, tokenizer, arguments)
    completion, n_words = int(arguments.max_completion_length), model.get_input_embeddings().num_embeddings
    room = _room_for_prompts(config, completion, weights.fixed_positions(model))
    if room < config.max_prompt_tokens or len(tokenizer) > n_words:
        dataset, longest = _dataset(tasks.train, tokenizer, style, room, n_words)
        check_trainer(arguments, len(dataset))
    say_beyond(model, longest + completion, config.model)

    def make(peft: Any) -> PolicyTrainer:
        return PolicyTrainer(
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
            peft_config=peft,
            callbacks=[callbacks.TellUnreached(), callbacks.MarkComplete()],
        )

    trainer: PolicyTrainer = models.put_together(make, config, model)
    trainer.thinking = thinking
    if trainer.ref_model is not None:
        # TRL loads the reference from where the configuration says; of a merged adapter that is its base.
        reference = trainer.accelerator.unwrap_model(trainer.ref_model)
        reference.load_state_dict(trainer.model.state_dict())
        head.correct(reference, trainer.temperature)
    return trainer


def _room_for_prompts(config: PolicyConfig, completion: int, positions: int | None) -> int:
    """The most tokens of a prompt: as configured, or what a model with fixed positions leaves.

    Raises:
        ConfigError: it leaves none.
    """
    if positions is None or positions >= config.max_prompt_tokens + completion:
        return config.max_prompt_tokens
    if positions <= completion:
        raise ConfigError(
            f"trainer.max_completion_length: {completion}, but {config.model} has {positions} positions for "
            "prompt and answer",
            "shorter answers, or a model that computes its positions (Qwen, Llama, Gemma, …)",
        )
    room = positions - completion
    console.decided("max_prompt_tokens", room, f"{config.model} has {positions} positions")
    return room


def trainer_arguments(config: PolicyConfig, run: RunDir) -> GRPOConfig:
    """TRL's configuration from ours."""
    ours = {"eval_strategy": "no", "save_strategy": "steps", "remove_unused_columns": False}
    return trl_arguments(GRPOConfig, config, run, {**DEFAULTS, **ours})


def _dataset(
    scorer: Scorer, tokenizer: Any, style: Any, max_prompt_tokens: int, n_words: int | None = None
) -> tuple[Dataset, int]:
    """The tasks whose prompts fit and hold embedded tokens only, and the tokens of their longest prompt."""
    rows: list[dict[str, Any]] = []
    longest = 0
    for row in range(len(scorer)):
        prompt = scorer.prompt(row, style)
        ids = tokenizer(chat.ask(tokenizer, prompt), add_special_tokens=False)["input_ids"]
        if len(ids) <= max_prompt_tokens and (n_words is None or max(ids) < n_words):
            rows.append({"prompt": prompt, "row": row})
            longest = max(longest, len(ids))
    if len(rows) < len(scorer):
        why = f"their prompts are longer than {max_prompt_tokens} tokens"
        if n_words is not None and len(tokenizer) > n_words:
            why += " or hold one that is not embedded"
        console.decided("left out", f"{len(scorer) - len(rows)} of {len(scorer)} tasks", why)
    if not rows:
        raise UsageError(
            f"all {len(scorer)} training tasks have prompts longer than {max_prompt_tokens} tokens",
            "raise --max-prompt-tokens, or lower trainer.max_completion_length where that leaves no room",
        )
    return Dataset.from_list(rows), longest
