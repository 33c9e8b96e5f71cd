"""Build the inputs of TRL's trainer from a configuration and records: arguments, tokenizer, rows, model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from rulewright import console, folders
from rulewright.data.mix import Mix, mix
from rulewright.data.schemas import NormalizedRecord
from rulewright.digests import text_sha256
from rulewright.engine import check_version
from rulewright.errors import ConfigError, first_line
from rulewright.evaluation.measures import OF_TASK
from rulewright.generation import weights
from rulewright.generation.notes import checkpoint_note
from rulewright.generation.open import resolve_thinking
from rulewright.prompts import Style
from rulewright.runs import RunDir
from rulewright.training import environment, models, tiny
from rulewright.training.config import SftConfig, TrainConfig, style_of
from rulewright.training.data import Counts, Encoder, Form, action_answer, bucketed, tokenize
from rulewright.training.lengths import beyond_positions

if TYPE_CHECKING:
    from trl import SFTConfig


Arguments = TypeVar("Arguments")
COMMON: Final = {
    # Every trained weight takes part in every step; to look for others costs a walk over the graph.
    "ddp_find_unused_parameters": False,
    "ddp_timeout": environment.PATIENCE_S,
    # `callbacks.MarkComplete` ends a run whose loss is no number; transformers would log another one.
    "logging_nan_inf_filter": False,
    "report_to": "none",
    "disable_tqdm": True,
    "save_total_limit": 2,
}
"""Options of every training, where a configuration does not say otherwise."""
# Names that TRL's options had before transformers 5; the new ones hold where both are given.
RENAMED: Final = {
    "gradient_checkpointing": "activation_checkpointing",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs",
}


class PreparedData(NamedTuple):
    """What is known before torch is loaded."""

    style: Style
    thinking: bool | None
    train: Mix
    dev: list[NormalizedRecord]
    """The held-out records that will be answered."""
    dev_files: list[str]
    """Where they are from."""

    def form(self, config: SftConfig) -> Form:
        return Form(config.task, self.style, config.think)


def prepare(config: SftConfig) -> PreparedData:
    """Find the records and the prompt style; no torch needed."""
    noted = checkpoint_note(config.model).get("prompt_style") if config.model else None
    train = mix(config.mix, config.seed, config.limit or None, config.mix_policy)
    dev: list[NormalizedRecord] = []
    dev_files: list[str] = []
    if config.dev and config.eval_limit:
        if config.task == "action":
            check_version()  # held-out answers are judged by it
        held_out = mix(config.dev, config.seed, None, "undersample", training=False)
        dev_files = held_out.files()
        # The same records for every seed of the run: seeds are to be comparable.
        dev = sorted(held_out, key=lambda record: record.metadata.id)[: config.eval_limit]
    thinking = resolve_thinking(config.model, config.thinking) if config.model else config.thinking
    return PreparedData(style_of(config, noted), thinking, train, dev, dev_files)


def arguments(config: SftConfig, run: RunDir, has_dev: bool) -> SFTConfig:
    """TRL's configuration: ours, then the `trainer:` mapping.

    Args:
        config: of the run.
        run: its folder.
        has_dev: whether held-out records were found.

    Raises:
        ConfigError: an option that TRL does not have, or a value that it refuses.
    """
    from trl import SFTConfig

    ours: dict[str, Any] = {"data_seed": config.seed, "max_length": config.max_length_tokens}
    if has_dev and config.eval_every_steps:
        ours |= {"eval_strategy": "steps", "eval_steps": config.eval_every_steps}
    if config.keep != "last":
        decides = OF_TASK[config.task].decides.name
        ours |= {
            "load_best_model_at_end": True,
            "metric_for_best_model": "loss" if config.keep == "best_loss" else decides,
            "greater_is_better": config.keep == "best_success",
            "save_steps": config.eval_every_steps,
            # Or patience would begin anew with the process.
            "restore_callback_states_from_checkpoint": True,
        }
    if not config.trainer.get("packing"):
        # Rows are complete as they are: TRL's passes over the data would change nothing.
        ours["dataset_kwargs"] = {"skip_prepare_dataset": True}
    if config.bucket:
        ours["train_sampling_strategy"] = "sequential"
    made = trl_arguments(SFTConfig, config, run, ours)
    if "per_device_eval_batch_size" not in config.trainer:
        # An evaluation packs rows and joins a batch into one as training does: it must not be larger.
        made.per_device_eval_batch_size = made.per_device_train_batch_size
    return made


def trl_arguments(
    cls: Callable[..., Arguments], config: TrainConfig, run: RunDir, ours: Mapping[str, Any]
) -> Arguments:
    """TRL's configuration, for one card where one process trains: what all runs share, ours, the user's.

    Raises:
        ConfigError: an option that TRL does not have, or a value that it refuses.
    """
    options = config.trl_options()
    for old, new in RENAMED.items():
        if old in options:
            options.setdefault(new, options.pop(old))
    values = {"output_dir": str(run.path / "checkpoints"), "seed": config.seed, **COMMON}
    values |= {**_of_the_machine(config, options), **ours, **options}
    try:
        made = cls(**values)
        environment.one_card(made)
        _require_startable(made)
    except (TypeError, ValueError, ImportError, RuntimeError, OSError) as error:
        raise ConfigError(f"trainer: {first_line(error)}", "fix the `trainer:` options") from error
    return made


def _of_the_machine(config: TrainConfig, options: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from the device and from how the run was launched."""
    import torch

    cuda = torch.cuda.is_available()
    launched = environment.launched_in_bf16(options)
    tiny = isinstance(config, SftConfig) and config.tiny is not None and not cuda  # it gains nothing
    bf16 = weights.multiplies_bf16() and not tiny and not options.get("fp16")
    return {
        "use_cpu": not cuda,
        # Autocast: weights in float32 too are multiplied in bfloat16, and updated in float32.
        "bf16": bf16 if launched is None else launched,
        "activation_checkpointing": cuda,
        "dataloader_pin_memory": cuda,
    }


def _require_startable(args: Any) -> None:
    """Make once what transformers makes of the options only when training begins, and a folder is claimed.

    Raises:
        ValueError, TypeError, ImportError, RuntimeError: as the libraries do.
    """
    import torch
    from transformers import Trainer, get_scheduler
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks

    for name in ("activation_offloading", "use_liger_kernel", "use_transformers_continuous_batching"):
        if getattr(args, name, False) and args.device.type == "cpu":
            raise ValueError(f"{name} is for GPUs, and this run has none")
    if args.use_liger_kernel and not find_spec("liger_kernel"):
        raise ImportError("use_liger_kernel needs liger-kernel: pip install liger-kernel")
    for tracker in get_reporting_integration_callbacks(args.report_to):
        tracker()
    if args.optim_target_modules:
        return  # an optimizer of layers that only the model has
    kind, options = Trainer.get_optimizer_cls_and_kwargs(args, torch.nn.Linear(1, 1))
    optimizer = kind([torch.nn.Parameter(torch.zeros(1))], **options)
    n_steps = max(1, args.max_steps)
    get_scheduler(
        args.lr_scheduler_type, optimizer, args.get_warmup_steps(n_steps), n_steps,
        scheduler_specific_kwargs=args.lr_scheduler_kwargs,
    )  # fmt: skip


def tokenizer(config: SftConfig, prepared: PreparedData, run: RunDir) -> Any:
    """The checkpoint's tokenizer; for a new tiny model one is made, once a run."""
    if config.tiny is None:
        return models.load_tokenizer(config.model, prepared.thinking)
    from transformers import AutoTokenizer

    wanted, folder = config.tiny, run.path / "tokenizer"

    def make(part: Path) -> None:
        # What a new tokenizer is made from: contents of prompts and answers, and answers in wire form.
        form = prepared.form(config)
        texts: list[str] = []
        answers: list[str] = []
        for record in islice(prepared.train, wanted.n_texts):
            texts += [message["content"] for message in form.prompt(record)]
            answer = form.answer(record)
            if isinstance(answer, str):
                (texts if config.task == "edit" else answers).append(answer)
        if wanted.answers:
            later = mix(wanted.answers, config.seed, wanted.n_texts, "undersample")
            answers += [text for text in map(action_answer, later) if isinstance(text, str)]
        tiny.make_tokenizer(texts, answers, wanted).save_pretrained(part)

    folders.make_whole(folder, make, folder.exists)
    return AutoTokenizer.from_pretrained(folder)


def tokens(
    config: SftConfig, prepared: PreparedData, made: Any, run: RunDir, loaded: Any
) -> tuple[Counts, Counts]:
    """Tokenize training and held-out records into the run's folder, once; what became of each."""
    n_words = loaded.get_input_embeddings().num_embeddings if loaded is not None else None

    def one(records: Iterable[NormalizedRecord], name: str, what: str) -> Counts:
        encoder = Encoder(made, prepared.form(config), config.max_length_tokens, n_words)
        return tokenize(records, encoder, run.path / "tokens" / f"{name}.arrow", what)

    dev = one(prepared.dev, dev_name(prepared), "held-out data") if prepared.dev else Counts()
    return one(prepared.train, "train", "training data"), dev


def dev_name(prepared: PreparedData) -> str:
    """The file of the held-out rows: another start may ask for others."""
    return "dev-" + text_sha256("\n".join(record.to_json() for record in prepared.dev))[:12]


def rows(run: RunDir, name: str) -> Any:
    """Tokenized rows as a data set; `None` where there are none."""
    from datasets import Dataset

    data = Dataset.from_file(str(run.path / "tokens" / f"{name}.arrow"))
    return data if len(data) else None


def ordered(config: SftConfig, run: RunDir, args: SFTConfig) -> Any:
    """The training rows; in buckets of similar length, and `args` set accordingly, where wanted."""
    data = rows(run, "train")
    if not config.bucket:
        return data.remove_columns("length")
    n_batches = steps(args, len(data))
    # The figures in the docs were measured with this draw.
    order = bucketed(data["length"][:], batch_size(args), n_batches, config.seed + 1)
    args.num_train_epochs, args.max_steps = 1, n_batches
    return data.remove_columns("length").select(order)


def batch_size(args: SFTConfig) -> int:
    """Rows of one optimizer step, all processes together."""
    return int(args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size)


def steps(args: SFTConfig, n_rows: int) -> int:
    """Optimizer steps of the run, as transformers counts them.

    Args:
        args: TRL's configuration.
        n_rows: as they are trained, packed ones counted as one.
    """
    if args.max_steps > 0:
        return int(args.max_steps)
    at_once = args.per_device_train_batch_size * args.world_size
    batches = n_rows // at_once if args.dataloader_drop_last else -(-n_rows // at_once)
    in_a_pass = max(1, -(-batches // args.gradient_accumulation_steps))
    return math.ceil(args.num_train_epochs * in_a_pass)


def loaded(config: SftConfig, prepared: PreparedData, args: SFTConfig) -> Any:
    """The model of a checkpoint, before the run's folder is claimed; `None` where a tiny one is made."""
    if config.tiny is not None:
        return None
    made = models.load_tokenizer(config.model, prepared.thinking)
    found = models.ready_model(config, made, args)
    # The strategy `wrapped` joins documents on purpose.
    if args.packing and args.packing_strategy != "wrapped" and not environment.shards(args):
        models.require_apart(found, config.attention)
    return found


def fitted(config: SftConfig, loaded: Any, args: SFTConfig) -> SftConfig:
    """The configuration with rows no longer than a model takes, and `args` set accordingly."""
    limit = weights.fixed_positions(loaded) if loaded is not None else None
    if limit is None or limit >= config.max_length_tokens:
        return config
    console.decided("max_length_tokens", limit, f"{config.model} has no more positions")
    args.max_length = limit
    return config.model_copy(update={"max_length_tokens": limit})


def say_beyond(model: Any, longest: int, name: str) -> None:
    """Say where texts are longer than those that a model was made for: what it computes there is no error."""
    if found := beyond_positions(longest, weights.declared_positions(model)):
        console.say(f"{name}: {found}")


def model(config: SftConfig, made: Any, loaded: Any) -> Any:
    """The model that was loaded, or a new tiny one."""
    if config.tiny is None:
        return loaded
    found = tiny.make_model(made, config.tiny, config.seed)
    models.set_attention(found, config.attention)
    return found
