"""Supervised fine-tuning on TRL: one trainer, whatever the stage.

Invariant: `run/result.json` is written last; a run that was killed continues from its
newest whole checkpoint to the same weights. Not here: how records become prompts
(`data`), how models are loaded (`models`), what is measured (`probe`).
"""

from __future__ import annotations

import dataclasses
import resource
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from rulewright import console, jsonl
from rulewright.data.mix import Mix, mix
from rulewright.data.schemas import NormalizedRecord
from rulewright.evaluation.tables import cell
from rulewright.errors import ConfigError, MissingDependency, RulewrightError
from rulewright.generation.open import NOTE_FILE, checkpoint_note
from rulewright.prompts import Style
from rulewright.runs import RunDir
from rulewright.training import card, environment, launch
from rulewright.training.config import SftConfig, TinyConfig, check, style_of, trainer_options
from rulewright.training.data import Counts, Encoder, Form, action_answer, bucketed, tokenise

# A mid-training curve needs fewer answers than the final measurement.
_CURVE_SHARE: Final = 4


class Prepared(NamedTuple):
    """What the main process decides before training, for all processes."""

    style: Style
    train: Mix
    dev: list[NormalizedRecord]


def train(config: SftConfig) -> dict[str, Any]:
    """Train, or continue, or confirm; give the content of `result.json`.

    Raises:
        ConfigError: the configuration cannot be what was meant.
        UsageError: data or checkpoint are not there, or `out` holds another run.
        RulewrightError: nothing to train on, or a process failed.
    """
    check(config)
    environment.prepare(config.threads, config.model)
    prepared = prepare(config)
    if not environment.is_main():
        _train(config, prepared, RunDir(config.out / "run"))
        return {}
    run = _claim(config, prepared.train)
    if run.done:
        console.say(f"{config.out}: this very run is finished already")
        return run.result()
    if config.processes > 1 and not environment.is_launched():
        again = config.model_copy(update={"resume": True, "overwrite": False})
        launch.run(["train", "sft"], again, config.processes, config.threads, run.path)
        return run.result()
    return _train(config, prepared, run)


def describe(result: dict[str, Any]) -> str:
    """The result for a person, a few lines."""
    lines = [
        f"{result['out']}: {result['steps']:,} steps, training loss {result['train_loss']}, "
        f"dev loss {result['dev_loss']}, {result['seconds']:.0f} s"
    ]
    found = result["evaluation"]
    if found is not None:
        first = {row["step"]: row for row in result["curve"]}.get(0)
        name = "exact" if result["task"] == "edit" else "success"
        value = found["metrics"][name]
        line = f"{name}: {cell(value)} % of {value['n']} held-out records"
        lines.append(line + (f", before training {100 * first[f'dev_{name}']:.1f} %" if first else ""))
    return "\n".join(lines)


def prepare(config: SftConfig) -> Prepared:
    """Find the records and the prompt style; no torch needed."""
    style = style_of(config, checkpoint_note(config.model).get("prompt_style") if config.model else None)
    train_mix = mix(config.mix, config.seed, config.limit or None, config.mix_policy)
    dev: list[NormalizedRecord] = []
    if config.dev:
        held_out = mix(config.dev, config.seed, None, "undersample", training=False)
        dev = list(islice(held_out, config.eval_limit)) if config.eval_limit else []
    return Prepared(style, train_mix, dev)


def _claim(config: SftConfig, records: Mix) -> RunDir:
    """Open `out/run`; with `overwrite`, remove what an earlier run left in `out`."""
    inputs = [Path(name) for part in records.contributions for name in part.files]
    if config.overwrite:
        _clear(config.out)
    run = RunDir.open(
        config.out / "run", config, resume=config.resume, overwrite=config.overwrite,
        seed=config.seed, inputs=inputs,
    )  # fmt: skip
    return run


def _clear(out: Path) -> None:
    """Remove a former checkpoint and its training state; foreign files stay."""
    import shutil

    for name in ("checkpoints", "tokens", "tokenizer"):
        shutil.rmtree(out / "run" / name, ignore_errors=True)
    if (out / NOTE_FILE).exists():
        for pattern in ("*.safetensors", "*.json", "README.md", "chat_template.jinja"):
            for path in out.glob(pattern):
                path.unlink()


def _train(config: SftConfig, prepared: Prepared, run: RunDir) -> dict[str, Any]:
    try:
        import torch
        from transformers.utils import logging as transformers_logging
        from transformers.trainer_callback import PrinterCallback, ProgressCallback
        from trl import SFTConfig, SFTTrainer
    except ImportError as error:
        raise MissingDependency("trl with torch", "training", "train") from error
    from rulewright.training import callbacks

    torch.set_num_threads(config.threads)
    transformers_logging.disable_progress_bar()
    args = _arguments(config, run, SFTConfig)
    with args.main_process_first(desc="data"):
        tokenizer = _tokenizer(config, prepared, run)
        counts = _tokenise(config, prepared, tokenizer, run)
    if not counts.n_rows:
        raise RulewrightError(
            f"no record is left to train on ({counts.dropped})",
            "raise max_length_tokens, or name other records",
        )
    data, args = _ordered(config, run, args)
    model, peft = _model(config, tokenizer)
    metrics = callbacks.Metrics(run)
    trainer = SFTTrainer(
        model=model,
        args=args,
        train_dataset=data,
        eval_dataset=_dataset(run, "dev") if prepared.dev else None,
        processing_class=tokenizer,
        peft_config=peft,
        callbacks=[metrics, callbacks.MarkComplete()],
    )
    for unwanted in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(unwanted)
    probe = _Prober(config, prepared, run, trainer, tokenizer)
    if config.eval_every_steps:
        trainer.add_callback(callbacks.Probe(config.eval_every_steps, probe.curve))
    start = callbacks.last_checkpoint(Path(args.output_dir)) if environment.is_main() else None
    start = _same_everywhere(start)
    began = time.monotonic()
    steps = _steps(args, len(data))
    if environment.is_main():
        _announce(config, counts, steps, args, model, start)
        _forget(callbacks, run, start)
        if start is None:
            probe.curve(0)
    per_step = counts.n_tokens / counts.n_rows * _batch(args)
    with console.progress("train", steps) if environment.is_main() else _silence() as bar:
        if bar is not None:
            trainer.add_callback(callbacks.Progress(bar, metrics, per_step))
        outcome = trainer.train(resume_from_checkpoint=str(start) if start else None)
    seconds = time.monotonic() - began
    evaluation = trainer.evaluate() if prepared.dev else {}
    _save(config, prepared.style, trainer, tokenizer)
    if not environment.is_main():
        trainer.accelerator.end_training()
        return {}
    result = {
        "task": config.task,
        "out": str(config.out),
        "base": config.model or "tiny (new)",
        "prompt_style": prepared.style,
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "n_trainable": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "steps": trainer.state.global_step,
        "resumed_from_step": int(start.name.rpartition("-")[2]) if start else 0,
        "batch_size": _batch(args),
        "processes": args.world_size,
        "data": dataclasses.asdict(counts),
        "sources": prepared.train.manifest(),
        "train_loss": round(outcome.training_loss, 5),
        "dev_loss": round(evaluation["eval_loss"], 5) if evaluation else None,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(_cpu_seconds(), 1),
        "evaluation": probe.final(),
        "curve": _curve(run),
    }
    card.write(config, result, run)
    run.finish(result)
    trainer.accelerator.end_training()
    return result


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _arguments(config: SftConfig, run: RunDir, cls: Any) -> Any:
    """TRL's configuration: ours, then the `trainer:` mapping."""
    import torch

    known = {field.name for field in dataclasses.fields(cls) if field.init}
    options = trainer_options(config.trainer, known)
    cuda = torch.cuda.is_available()
    ours: dict[str, Any] = {
        "output_dir": str(run.path / "checkpoints"),
        "seed": config.seed,
        "data_seed": config.seed,
        "max_length": config.max_length_tokens,
        "use_cpu": not cuda,
        "bf16": cuda and config.dtype == "bfloat16",
        "activation_checkpointing": cuda,
        "report_to": "none",
        "disable_tqdm": True,
        "save_total_limit": 2,
        "remove_unused_columns": True,
        "dataloader_pin_memory": cuda,
    }
    if not options.get("packing"):
        # Rows are complete as they are: TRL's passes over the data would change nothing.
        ours["dataset_kwargs"] = {"skip_prepare_dataset": True}
    if config.bucket:
        ours["train_sampling_strategy"] = "sequential"
    try:
        return cls(**{**ours, **options})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"trainer: {str(error).splitlines()[0]}", "mend the `trainer:` options") from error


def _tokenizer(config: SftConfig, prepared: Prepared, run: RunDir) -> Any:
    from rulewright.training import models, tiny

    if config.tiny is None:
        return models.load_tokenizer(config.model)
    from transformers import AutoTokenizer

    # Made once: a resumed run, and every process, reads the same file.
    folder = run.path / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        made = tiny.make_tokenizer(*_texts(config, config.tiny, prepared), config.tiny)
        made.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def _texts(config: SftConfig, tiny: TinyConfig, prepared: Prepared) -> tuple[list[str], list[str]]:
    """What a new tokenizer is made from: contents of prompts and answers, and answers in wire form."""
    form = Form(config.task, prepared.style, config.think)
    texts: list[str] = []
    answers: list[str] = []
    for record in islice(prepared.train, tiny.n_texts):
        texts += [message["content"] for message in form.prompt(record)]
        answer = form.answer(record)
        if isinstance(answer, str):
            (texts if config.task == "edit" else answers).append(answer)
    if tiny.answers:
        later = mix(tiny.answers, config.seed, tiny.n_texts, "undersample")
        answers += [text for text in map(action_answer, later) if isinstance(text, str)]
    return texts, answers


def _tokenise(config: SftConfig, prepared: Prepared, tokenizer: Any, run: RunDir) -> Counts:
    form = Form(config.task, prepared.style, config.think)
    folder = run.path / "tokens"

    def one(records: Any, name: str) -> Counts:
        encoder = Encoder(tokenizer, form, config.max_length_tokens, config.drop_long)
        return tokenise(records, encoder, folder / f"{name}.arrow", f"{name} data")

    if prepared.dev:
        one(prepared.dev, "dev")
    return one(prepared.train, "train")


def _dataset(run: RunDir, name: str) -> Any:
    from datasets import Dataset

    return Dataset.from_file(str(run.path / "tokens" / f"{name}.arrow"))


def _ordered(config: SftConfig, run: RunDir, args: Any) -> tuple[Any, Any]:
    """The training rows, in buckets of similar length where that is wanted."""
    data = _dataset(run, "train")
    if not config.bucket:
        return data.remove_columns("length"), args
    n_batches = _steps(args, len(data))
    order = bucketed(data["length"][:], _batch(args), n_batches, config.seed)
    args.num_train_epochs, args.max_steps = 1, n_batches
    return data.remove_columns("length").select(order), args


def _batch(args: Any) -> int:
    """Rows of one optimiser step, all processes together."""
    return int(args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size)


def _steps(args: Any, n_rows: int) -> int:
    if args.max_steps > 0:
        return int(args.max_steps)
    per_epoch = -(-n_rows // _batch(args))
    return max(1, round(per_epoch * args.num_train_epochs))


def _model(config: SftConfig, tokenizer: Any) -> tuple[Any, Any]:
    from rulewright.training import models, tiny

    if config.tiny is not None:
        model = tiny.make_model(tokenizer, config.tiny, config.seed)
        return model, models.peft_config(config.lora) if config.lora else None
    model = models.load_model(config)
    continued = hasattr(model, "peft_config")
    return model, models.peft_config(config.lora) if config.lora and not continued else None


def _same_everywhere(value: Path | None) -> Path | None:
    """The main process's value, in every process."""
    from accelerate.utils import broadcast_object_list

    box = [value]
    broadcast_object_list(box)
    return box[0]


def _forget(callbacks: Any, run: RunDir, start: Path | None) -> None:
    step = int(start.name.rpartition("-")[2]) if start else -1
    callbacks.forget_after(run, step)


def _announce(
    config: SftConfig, counts: Counts, steps: int, args: Any, model: Any, start: Path | None
) -> None:
    n = sum(p.numel() for p in model.parameters())
    console.say(
        f"{config.out}: {n / 1e6:,.2f} M parameters, {steps:,} steps of {_batch(args)} rows "
        f"({steps * _batch(args) / counts.n_rows:.1f} passes over {counts.n_rows:,} rows), "
        f"{args.world_size} process(es) on {args.device.type}"
    )
    if start is not None:
        console.decided("start", start.name, "the newest whole checkpoint of this run")


class _Prober:
    """Asks held-out questions during and after training, in the main process."""

    def __init__(
        self, config: SftConfig, prepared: Prepared, run: RunDir, trainer: Any, tokenizer: Any
    ) -> None:
        self._config, self._prepared, self._run = config, prepared, run
        self._trainer, self._tokenizer = trainer, tokenizer
        sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        if sharded and prepared.dev and environment.is_main():
            console.decided(
                "answers during training", "none", "the weights are sharded; use `rulewright eval`"
            )
        self._off = sharded or not prepared.dev

    def curve(self, step: int) -> None:
        """A point of the learning curve, into `metrics.jsonl`."""
        if self._off:
            return
        from rulewright.training import probe

        share = self._prepared.dev[: max(1, len(self._prepared.dev) // _CURVE_SHARE)]
        values = probe.headline(self._ask(share), self._config.task)
        self._run.log(step=step, n_asked=len(share), **{f"dev_{key}": value for key, value in values.items()})

    def final(self) -> dict[str, Any] | None:
        """All held-out answers, scored; the rows go to `rows.jsonl`."""
        if self._off:
            return None
        from rulewright.evaluation import actions, edits

        records, task, seed = self._prepared.dev, self._config.task, self._config.seed
        rows = self._ask(records)
        jsonl.write(self._run.path / "rows.jsonl", rows)
        if task == "edit":
            return edits.summarize(rows, records, seed)
        return actions.summarize(rows, seed)

    def _ask(self, records: Sequence[NormalizedRecord]) -> list[dict[str, Any]]:
        from rulewright.training import probe

        model = self._trainer.accelerator.unwrap_model(self._trainer.model)
        return probe.ask(
            model, self._tokenizer, records, self._config.task, self._prepared.style,
            self._config.eval_max_new_tokens,
        )  # fmt: skip


def _curve(run: RunDir) -> list[dict[str, Any]]:
    path = run.path / "metrics.jsonl"
    return [row for row in jsonl.read(path) if "n_asked" in row] if path.exists() else []


def _save(config: SftConfig, style: Style, trainer: Any, tokenizer: Any) -> None:
    """Write the checkpoint: weights, tokenizer, and how to ask it."""
    if config.lora is not None and config.lora.merge:
        merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
        if environment.is_main():
            merged.save_pretrained(config.out)
    else:
        trainer.save_model(str(config.out))
    if environment.is_main():
        tokenizer.save_pretrained(config.out)
        for name in ("training_args.bin",):
            (config.out / name).unlink(missing_ok=True)
        note = {"prompt_style": style, "task": config.task, "base": config.model or None}
        jsonl.write_json(config.out / NOTE_FILE, note)


class _silence:  # noqa: N801  (used like a function)
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None
