"""Supervised fine-tuning on TRL: one trainer, whatever the stage.

Invariant: `run/result.json` is written last; a run that was killed continues from its
newest whole checkpoint to the same weights. Not here: how records become prompts and
tokens (`data`, `assemble`), how models are loaded (`models`), what is measured (`probe`).
"""

from __future__ import annotations

import dataclasses
import resource
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rulewright import console, jsonl
from rulewright.errors import MissingDependency, RulewrightError
from rulewright.evaluation.tables import cell
from rulewright.generation.gguf import checkpoint
from rulewright.generation.open import require_checkpoint
from rulewright.runs import RunDir
from rulewright.training import card, checkpoints, environment, launch, models
from rulewright.training.assemble import Prepared, prepare
from rulewright.training.config import SftConfig, check, is_free


def train(config: SftConfig) -> dict[str, Any]:
    """Train, or continue, or confirm; give the content of `result.json`.

    Only the main process of a distributed run gets it; the others get an empty mapping.

    Raises:
        ConfigError: the configuration cannot be what was meant.
        UsageError: data or checkpoint are not there, or `out` holds another run.
        RulewrightError: nothing to train on, or a process failed.
    """
    check(config)
    environment.prepare(config.threads, config.model, config.device, config.processes)
    config = config.model_copy(update={"model": checkpoint(config.model)})
    prepared = prepare(config)
    if not environment.is_launched():
        run = _look(config, prepared)
        if run.done and not config.overwrite:
            return _confirmed(config, run)
        if config.processes > 1:
            _preflight(config, run)
            command = ["train", "sft"]
            launch.run(command, config, config.processes, config.threads, run.path, config.device)
            return run.result()
    with checkpoints.writing(config.out):
        return _train(config, prepared)


def describe(result: dict[str, Any]) -> str:
    """The result for a person, a few lines."""
    lines = [
        f"{result['out']}: {result['steps']:,} steps, training loss {result['train_loss']}, "
        f"dev loss {result['dev_loss']}, {result['seconds']:.0f} s" + _memory(result.get("peak_gpu_gib"))
    ]
    found = result["evaluation"]
    if found is not None:
        first = {row["step"]: row for row in result["curve"]}.get(0)
        name = "exact" if result["task"] == "edit" else "success"
        value = found["metrics"][name]
        line = f"{name}: {cell(value)} % of {value['n']} held-out records"
        lines.append(line + (f"; before training {100 * first[f'dev_{name}']:.1f} %" if first else ""))
    return "\n".join(lines)


def _memory(peak_gib: dict[str, float] | None) -> str:
    if peak_gib is None:
        return ""
    return f", at most {peak_gib['allocated']:.1f} GiB of GPU memory ({peak_gib['reserved']:.1f} reserved)"


def _look(config: SftConfig, prepared: Prepared) -> RunDir:
    """The run's folder, where this run may take it; nothing is changed yet."""
    if config.model:
        require_checkpoint(config.model)
    return RunDir.look(
        config.out / "run", config, resume=config.resume, overwrite=config.overwrite,
        inputs=_inputs(prepared), free=is_free,
    )  # fmt: skip


def _confirmed(config: SftConfig, run: RunDir) -> dict[str, Any]:
    console.say(f"{config.out}: this very run is finished already")
    return run.result()


def _preflight(config: SftConfig, run: RunDir) -> None:
    """Find the person's mistakes before other processes meet them."""
    try:
        from rulewright.training import assemble
    except ImportError as error:
        raise MissingDependency("trl with torch", "training", "train") from error
    if not environment.visible_cards():  # there they would start CUDA here too, and keep its memory
        assemble.arguments(config, run)
    if config.model:
        models.load_tokenizer(config.model)


def _claim(config: SftConfig, prepared: Prepared) -> RunDir:
    """Open `out/run`; with `overwrite`, remove what an earlier run left in `out`."""
    if config.overwrite:
        checkpoints.clear(config.out)
    return RunDir.open(
        config.out / "run", config, resume=config.resume, overwrite=config.overwrite,
        seed=config.seed, inputs=_inputs(prepared), free=is_free,
    )  # fmt: skip


def _inputs(prepared: Prepared) -> list[Path]:
    return [Path(name) for part in prepared.train.contributions for name in part.files]


def _train(config: SftConfig, prepared: Prepared) -> dict[str, Any]:
    """Load, claim the folder, train; in a run of several processes the first one decides."""
    try:
        import torch
        from trl import SFTTrainer
    except ImportError as error:
        raise MissingDependency("trl with torch", "training", "train") from error
    from rulewright.training import assemble, callbacks, fast

    torch.set_num_threads(config.threads)
    environment.quiet()
    run = RunDir(config.out / "run")
    args = assemble.arguments(config, run)
    if environment.agree(lambda: _look(config, prepared).done and not config.overwrite):
        environment.leave()
        return _confirmed(config, run) if environment.is_main() else {}
    loaded = assemble.loaded(config)
    run = environment.agree(lambda: _claim(config, prepared))
    with args.main_process_first(desc="data"):
        tokenizer = assemble.tokenizer(config, prepared, run)
        counts = assemble.tokens(config, prepared, tokenizer, run)
    if not counts.n_rows:
        if environment.is_main():
            run.clear()  # nothing was trained: the folder is free
            checkpoints.clear(config.out)
        raise RulewrightError(
            f"{config.out}: no record is left to train on ({counts.dropped})",
            "raise max_length_tokens, or name other records in `mix`",
        )
    data = assemble.ordered(config, run, args)
    model, peft = assemble.model(config, tokenizer, loaded)
    adapter = models.trained_weights(model)
    metrics, memory = callbacks.Metrics(run), callbacks.Memory()
    dev = assemble.rows(run, "dev") if prepared.dev else None
    trainer = SFTTrainer(
        model=model,
        args=args,
        train_dataset=data,
        eval_dataset=dev,
        processing_class=tokenizer,
        peft_config=peft,
        callbacks=[metrics, memory, callbacks.MarkComplete()],
    )
    callbacks.remove_printers(trainer)
    models.hold_in_float32(trainer, adapter)
    fast.speed_up(trainer)
    if environment.shards(args) and not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        console.decided("shards", "none, whole copies", "accelerate shards on accelerators only")
    start = checkpoints.agree_on_start(Path(args.output_dir))
    prober = _prober(config, prepared, run, trainer, tokenizer, start)
    # TRL has packed the rows by now, where that is asked for.
    n_rows = len(trainer.train_dataset) if args.packing else counts.n_rows
    steps = assemble.steps(args, n_rows)
    if environment.is_main():
        _announce(config, n_rows, steps, args, model, start)
        checkpoints.forget_after(run, checkpoints.step_of(start) if start else -1)
        if start is None:
            prober.curve(0)
    began = time.monotonic()
    with console.progress("train", steps) if environment.is_main() else nullcontext() as bar:
        if bar is not None:
            per_step = counts.n_tokens / n_rows * assemble.batch_size(args)
            trainer.add_callback(callbacks.Progress(bar, metrics, per_step))
        outcome = trainer.train(resume_from_checkpoint=str(start) if start else None)
    seconds = time.monotonic() - began
    dev_loss = round(trainer.evaluate()["eval_loss"], 5) if dev is not None else None
    checkpoints.save(config, prepared.style, trainer, tokenizer)
    result = {
        "task": config.task,
        "out": str(config.out),
        "base": config.model or "a new tiny model",
        "prompt_style": prepared.style,
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "n_trained": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "steps": trainer.state.global_step,
        "resumed_from_step": checkpoints.step_of(start) if start else 0,
        "batch_size": assemble.batch_size(args),
        "processes": args.world_size,
        "data": dataclasses.asdict(counts),
        "sources": prepared.train.manifest(),
        "train_loss": round(outcome.training_loss, 5),
        "dev_loss": dev_loss,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(_cpu_seconds(), 1),
        "device": str(args.device.type),
        "attention": model.config._attn_implementation,
        "peak_gpu_gib": memory.peak_gib(),
    }
    if environment.is_main():
        result |= {"evaluation": prober.final(), "curve": _curve(run)}
        card.write(config, result, run)
        run.finish(result)
    trainer.accelerator.end_training()
    return result if environment.is_main() else {}


def _prober(
    config: SftConfig, prepared: Prepared, run: RunDir, trainer: Any, tokenizer: Any, start: Path | None
) -> Any:
    from rulewright.training import callbacks
    from rulewright.training.probe import Prober

    sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
    if sharded and prepared.dev and environment.is_main():
        console.decided(
            "answers to held-out questions", "none", "the weights are sharded; use `rulewright eval`"
        )
    prober = Prober(
        config, prepared.style, [] if sharded else prepared.dev, run,
        lambda: trainer.accelerator.unwrap_model(trainer.model), tokenizer,
    )  # fmt: skip
    if config.eval_every_steps:
        trainer.add_callback(callbacks.Probe(config.eval_every_steps, prober.curve))
    return prober


def _announce(config: SftConfig, n_rows: int, steps: int, args: Any, model: Any, start: Path | None) -> None:
    n = sum(p.numel() for p in model.parameters())
    rows = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    console.say(
        f"{config.out}: {n / 1e6:,.2f} M parameters, {steps:,} steps of {rows} rows "
        f"({steps * rows / n_rows:.1f} passes over {n_rows:,} {'packed ' * args.packing}rows), "
        f"{args.world_size} process(es) on {args.device.type}, attention {model.config._attn_implementation}"
    )
    if start is not None:
        console.decided("start", start.name, "the newest whole checkpoint of this run")


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _curve(run: RunDir) -> list[dict[str, Any]]:
    path = run.path / "metrics.jsonl"
    return [row for row in jsonl.read(path) if "n_asked" in row] if path.exists() else []
