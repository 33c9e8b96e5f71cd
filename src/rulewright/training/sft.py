"""Supervised fine-tuning on TRL: one trainer, whatever the stage.

Invariant: `run/result.json` is written last; a run that was killed continues from its
newest whole checkpoint to the same weights. Not here: how records become prompts and
tokens (`data`, `assemble`), how models are loaded (`models`), what is measured (`probe`).
"""

from __future__ import annotations

import dataclasses
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rulewright import console, jsonl
from rulewright.errors import ConfigError, RulewrightError, first_line
from rulewright.runs import RunDir
from rulewright.training import checkpoints, environment, job, models
from rulewright.training.assemble import PreparedData, prepare
from rulewright.training.config import SftConfig, check
from rulewright.training.data import Counts
from rulewright.training.origin import origin_of
from rulewright.training.probe import Prober


def train(config: SftConfig) -> dict[str, Any]:
    """Train, or continue, or confirm; give the content of `result.json`.

    Only the main process of a distributed run gets it; the others get an empty mapping.

    Raises:
        ConfigError: the configuration cannot be what was meant.
        UsageError: data or checkpoint are not there, or `out` holds another run.
        RulewrightError: nothing to train on, or a process failed.
    """
    check(config)
    config = job.prepare(config)
    prepared = prepare(config)
    # Held-out records are part of what a run is where they choose the step that is kept.
    chosen_by = prepared.dev_files if config.keep != "last" else []
    inputs = [Path(name) for name in (*prepared.train.files(), *chosen_by)]

    def arguments(run: RunDir) -> object:
        from rulewright.training import assemble

        return assemble.arguments(config, run, bool(prepared.dev))

    result = job.settled("sft", config, inputs, arguments)
    if result is not None:
        return result
    with checkpoints.writing(config.out):
        result = _train(config, prepared, inputs)
    environment.leave()
    return result


def _train(config: SftConfig, prepared: PreparedData, inputs: Sequence[Path]) -> dict[str, Any]:
    """Load, claim the folder, train, save, evaluate."""
    job.require_libraries()
    import torch

    from rulewright.training import assemble, callbacks

    torch.set_num_threads(config.threads)
    run = RunDir(config.out / "run")
    args = assemble.arguments(config, run, bool(prepared.dev))
    if job.is_done(config, inputs):
        return job.confirmed(config)
    loaded = assemble.loaded(config, prepared, args)
    run = environment.agree(lambda: job.claim(config, inputs))
    config = assemble.fitted(config, loaded, args)
    made = _assemble(config, prepared, run, args, loaded)
    start = checkpoints.agree_on_start(Path(args.output_dir))
    done = _fit(config, made, run, start)
    checkpoints.save(config, prepared.style, prepared.thinking, made.trainer, made.tokenizer)
    result = _result(config, prepared, made, start, done)
    result |= _evaluate(config, made, args)
    callbacks.close_logs(made.trainer)
    if environment.is_main():
        path = run.path / "metrics.jsonl"
        result["curve"] = [row for row in jsonl.read(path) if "n_asked" in row] if path.exists() else []
        job.finish(config, run, result)
    return result if environment.is_main() else {}


class Assembled(NamedTuple):
    """A run that is ready to start."""

    trainer: Any
    tokenizer: Any
    counts: Counts
    prober: Prober
    memory: Any
    """The callback that notes the most GPU memory."""
    n_rows: int
    """Rows as they are trained, packed ones counted as one."""
    steps: int


def _assemble(config: SftConfig, prepared: PreparedData, run: RunDir, args: Any, loaded: Any) -> Assembled:
    """Tokenize, and put the trainer together.

    Raises:
        RulewrightError: nothing is left to train on.
    """
    from transformers import EarlyStoppingCallback
    from trl import SFTTrainer

    from rulewright.training import assemble, callbacks, fast, preview

    with args.main_process_first(desc="data"):
        tokenizer = assemble.tokenizer(config, prepared, run)
        counts, dev_counts = assemble.tokens(config, prepared, tokenizer, run, loaded)
    if not counts.n_rows:
        _free(config, run)
        raise RulewrightError(
            f"{config.out}: all training records were dropped ({counts.dropped})",
            "raise max_length_tokens if the model has the positions, or name other records in `mix`",
        )
    dev = assemble.rows(run, assemble.dev_name(prepared)) if prepared.dev else None
    if dev is None and args.eval_strategy != "no":
        from transformers.trainer_utils import IntervalStrategy

        if config.keep != "last":
            raise RulewrightError(
                f"`keep: {config.keep}`: no held-out record fits into {config.max_length_tokens} tokens",
                "raise max_length_tokens, or name other records in `dev`",
            )
        console.decided("dev loss", "none", "no held-out record fits into max_length_tokens")
        args.eval_strategy = IntervalStrategy.NO
    data = assemble.ordered(config, run, args)
    model = assemble.model(config, tokenizer, loaded)
    assemble.say_beyond(model, counts.longest, config.model)
    memory = callbacks.Memory()

    def make(peft: Any) -> SFTTrainer:
        return SFTTrainer(
            model=model,
            args=args,
            train_dataset=data,
            eval_dataset=dev,
            processing_class=tokenizer,
            peft_config=peft,
            callbacks=[callbacks.Metrics(run), memory, callbacks.TellUnreached(), callbacks.MarkComplete()],
        )

    try:
        trainer = models.put_together(make, config, model)
    except ConfigError:
        _free(config, run)
        raise
    fast.speed_up(trainer)
    if environment.shards(args) and not environment.is_sharded(trainer):
        console.decided("shards", "none, whole copies", "accelerate shards on accelerators only")
    callbacks.keep_logs_in(trainer, run.path / "logs")
    preview.require_labels(trainer.train_dataset)
    prober = _prober(config, prepared, run, trainer, tokenizer, dev_counts)
    trainer.add_callback(callbacks.AskHeldOut(prober.curve, last_too=config.keep == "best_success"))
    if config.patience:
        trainer.add_callback(EarlyStoppingCallback(config.patience))
    # TRL has packed the rows by now, where that is asked for.
    n_rows = len(trainer.train_dataset) if args.packing else counts.n_rows
    return Assembled(trainer, tokenizer, counts, prober, memory, n_rows, assemble.steps(args, n_rows))


def _free(config: SftConfig, run: RunDir) -> None:
    """Give the folder back: nothing was trained."""
    if environment.is_main():
        run.clear()
        checkpoints.clear(config.out)


def _fit(config: SftConfig, made: Assembled, run: RunDir, start: Path | None) -> dict[str, Any]:
    """Train from a checkpoint or the beginning; where all is done already, load what came of it."""
    from rulewright.training import assemble, callbacks, preview

    trainer, args = made.trainer, made.trainer.args
    if environment.is_main():
        _announce(config, made, start)
        checkpoints.forget_after(run.path / "metrics.jsonl", checkpoints.step_of(start) if start else -1)
        if start is None:
            rows = assemble.rows(run, "train")
            preview.show_rows(rows, made.counts, made.tokenizer)
            made.prober.before()
    began = time.monotonic()
    loss = None
    if start is not None and environment.agree(lambda: checkpoints.is_over(start, config.patience)):
        checkpoints.load_finished(trainer, start)
    else:
        tokens_per_step = made.counts.n_tokens / made.n_rows * assemble.batch_size(args)
        loss = callbacks.train(trainer, start, tokens_per_step).training_loss
    logged = checkpoints.mean_loss(trainer.state.log_history)
    loss = loss if logged is None else logged
    return {
        "train_loss": None if loss is None else round(loss, 5),
        "seconds": round(time.monotonic() - began, 1),
    }


def _evaluate(config: SftConfig, made: Assembled, args: Any) -> dict[str, Any]:
    """Dev loss and held-out answers of what was saved.

    Raises:
        RulewrightError: no memory for it; the model is saved, and the run can be resumed.
    """
    import torch

    trainer = made.trainer
    try:
        dev_loss = trainer.evaluate()["eval_loss"] if trainer.eval_dataset is not None else None
        found = made.prober.final(trainer.state.global_step) if environment.is_main() else {}
    except torch.OutOfMemoryError as error:
        raise RulewrightError(
            f"{config.out}: trained and saved, but memory ran out in the evaluation ({first_line(error)})",
            "continue with --resume: only the evaluation is done again; with --eval-limit 0 it is left out, "
            "`rulewright eval` measures the model too",
        ) from error
    return {"dev_loss": None if dev_loss is None else round(dev_loss, 5), **found}


def _result(
    config: SftConfig, prepared: PreparedData, made: Assembled, start: Path | None, done: dict[str, Any]
) -> dict[str, Any]:
    """What is known of a run before it is evaluated."""
    from rulewright.training import assemble

    trainer = made.trainer
    args, state = trainer.args, trainer.state
    used = resource.getrusage(resource.RUSAGE_SELF)
    n, n_trained = models.count(trainer.model)
    best = state.best_model_checkpoint if args.load_best_model_at_end else None
    return {
        "task": config.task,
        "out": str(config.out),
        "base": config.model or "a new tiny model",
        "origin": origin_of(config.model)._asdict() if config.model else {"name": "", "license": ""},
        "prompt_style": prepared.style,
        "thinking": prepared.thinking,
        "n_parameters": n,
        "n_trained": n_trained,
        "steps": state.global_step,
        "kept_step": checkpoints.step_of(Path(best)) if best else state.global_step,
        "resumed_from_step": checkpoints.step_of(start) if start else 0,
        "batch_size": assemble.batch_size(args),
        "processes": args.world_size,
        "data": dataclasses.asdict(made.counts),
        "sources": prepared.train.manifest(),
        **done,
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "device": str(args.device.type),
        "attention": trainer.model.config._attn_implementation,
        "peak_gpu_gib": made.memory.peak_gib(),
    }


def _prober(
    config: SftConfig, prepared: PreparedData, run: RunDir, trainer: Any, tokenizer: Any, dev: Counts
) -> Prober:
    from rulewright.training import callbacks

    sharded = environment.is_sharded(trainer)
    if sharded and config.keep == "best_success":
        raise ConfigError(
            "`keep: best_success`: with sharded weights no held-out questions are answered", "keep: best_loss"
        )
    if sharded and prepared.dev and environment.is_main():
        console.decided(
            "answers to held-out questions", "none", "the weights are sharded; use `rulewright eval`"
        )
    limit = config.answer_tokens(dev.longest_answer)
    if config.eval_max_new_tokens == "auto" and prepared.dev and not sharded and environment.is_main():
        console.decided(
            "longest answer", f"{limit} tokens", f"the longest right one has {dev.longest_answer}"
        )
    return Prober(
        config, prepared.style, [] if sharded else prepared.dev, run,
        lambda: trainer.accelerator.unwrap_model(trainer.model), tokenizer, limit,
        lambda values: callbacks.tell(trainer, values),
    )  # fmt: skip


def _announce(config: SftConfig, made: Assembled, start: Path | None) -> None:
    from rulewright.training import assemble

    args, model = made.trainer.args, made.trainer.model
    n, n_trained = models.count(model)
    rows = assemble.batch_size(args)
    console.say(
        f"{config.out}: {n / 1e6:,.2f} M parameters ({n_trained / 1e6:,.2f} M trained), "
        f"{made.steps:,} steps of {rows} rows ({made.steps * rows / made.n_rows:.1f} passes over "
        f"{made.n_rows:,} {'packed ' * args.packing}rows), {args.world_size} process(es) on "
        f"{args.device.type}, attention {model.config._attn_implementation}"
    )
    if start is not None:
        console.decided("start", start.name, "the newest whole checkpoint of this run")
