"""The configuration of a training run; a stage is one YAML file of these fields.

Nothing here imports torch: `plan` and `--help` read it too. The names and types in
`trainer:` are TRL's; they are checked as the configuration is read (`options`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from rulewright import yaml12
from rulewright.config import AsJson, CommandConfig, FileOnly, Options, Section
from rulewright.data.mix import MixEntry, Policy
from rulewright.errors import ConfigError
from rulewright.prompts import Style
from rulewright.training.options import TrlClass, problems

Task = Literal["edit", "action"]
Dtype = Literal["auto", "float32", "bfloat16"]
Device = Literal["auto", "cpu"]
Keep = Literal["last", "best_loss", "best_success"]
CURVE_SHARE: Final = 4
"""A curve during training asks one in so many of the questions that are asked at the end."""


class TinyConfig(Section):
    """A Qwen3 made from nothing, and its byte-level BPE tokenizer, made from the training data."""

    vocab_size: int = Field(default=384, ge=280)
    """Tokens, special ones included. Small on purpose: every token must be seen often to be copied."""
    n_texts: int = Field(default=4000, ge=1)
    """Records that the tokenizer is made from."""
    answers: list[MixEntry] = Field(default_factory=list)
    """Records with actions whose answers the tokenizer sees too, for the stage to come."""
    hidden_size: int = Field(default=64, ge=8)
    n_layers: int = Field(default=3, ge=1)
    n_heads: int = Field(default=4, ge=1)
    mlp_size: int = Field(default=192, ge=8)
    max_positions: int = Field(default=512, ge=32)
    """Longest prompt and answer together, in tokens."""


class LoraConfig(Section):
    """Low-rank adapters (PEFT)."""

    r: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: str | list[str] = "all-linear"
    """`all-linear` (every linear layer but the head), or names of modules."""


# Options of TRL that a field stands for, or that no run leaves open; each trainer has more of its own.
OWNED: Final = {
    "output_dir": "out",
    "seed": "seed",
    "use_cpu": "device",
    "resume_from_checkpoint": "resume",
    "save_only_model": "nothing: a run that was killed goes on from its optimizer's state too",
    "dataloader_num_workers": "nothing: what is trained on lies ready",
    "dataloader_persistent_workers": "nothing: what is trained on lies ready",
    "dataloader_prefetch_factor": "nothing: what is trained on lies ready",
    "fp16_full_eval": "nothing: evaluations are computed as training is",
    "bf16_full_eval": "nothing: evaluations are computed as training is",
    "dataloader_multiprocessing_context": "nothing: what is trained on lies ready",
    "parallelism_config": "the file of accelerate launch",
    "local_rank": "nothing: the launcher numbers the processes",
    "do_train": "`rulewright train`",
    "do_eval": "eval_every_steps",
    "do_predict": "`rulewright eval`",
    "disable_tqdm": "nothing: progress is shown by rulewright itself",
    "trust_remote_code": "nothing: code that comes with a model is not run",
    "label_names": "nothing: rows have their labels in `labels`",
    "length_column_name": "nothing: rows are as long as their tokens",
    "prediction_loss_only": "nothing: evaluations give losses, and answers that are executed",
    "batch_eval_metrics": "nothing: evaluations give losses, and answers that are executed",
    "include_for_metrics": "nothing: evaluations give losses, and answers that are executed",
    "eval_do_concat_batches": "nothing: evaluations give losses, and answers that are executed",
    "eval_accumulation_steps": "nothing: evaluations give losses, and answers that are executed",
    "ignore_data_skip": "nothing: a run that was killed goes on to the weights that it would have had",
    "restore_callback_states_from_checkpoint": "nothing: a run that was killed goes on with its patience",
    "eval_strategy": "eval_every_steps",
    "eval_steps": "eval_every_steps",
    "load_best_model_at_end": "keep",
    "metric_for_best_model": "keep",
    "greater_is_better": "keep",
    "hub_token": "nothing, it is a secret: log in by `hf auth login`, or set HF_TOKEN",
    "hub_strategy": "nothing: what is finished is pushed, once",
    "hub_always_push": "nothing: what is finished is pushed, once",
    "hub_revision": "nothing: what is finished is pushed to main",
}
SFT_OWNED: Final = OWNED | {
    "data_seed": "seed",
    "max_length": "max_length_tokens",
    "dataset_kwargs": "nothing: records are tokenized here",
    "completion_only_loss": "nothing: the loss is always on the answer only",
    "assistant_only_loss": "nothing: the loss is always on the answer only",
    "chat_template_path": "nothing: change chat_template.jinja in the model's folder",
    "eos_token": "nothing: rows end with the tokenizer's own",
    "dataset_text_field": "nothing: records are tokenized here",
    "truncation_mode": "nothing: longer records are dropped and counted",
}
# What the fields of a configuration decide about loading; the rest of `model_init_kwargs` goes through.
_OWNED_BY_LOADING: Final = frozenset(
    {"dtype", "torch_dtype", "quantization_config", "device_map", "attn_implementation"}
)


# What is logged, saved and evaluated, and how often, cannot change the weights.
_FREE_PREFIXES: Final = ("eval_", "log_", "logging_", "save_", "hub_", "push_to_hub", "trackio_")
_FREE: Final = frozenset(
    {
        "per_device_eval_batch_size",
        "report_to",
        "run_name",
        "project",
    }
)


class TrainConfig(CommandConfig):
    """What all trainings share."""

    trl_class: ClassVar[TrlClass]
    owned: ClassVar[Mapping[str, str]]
    """Options of TRL that the run decides, and what to use instead of setting them."""

    model: str = ""
    out: Path = Path("models")
    trainer: Options = Field(default_factory=dict)
    """Options of trl.SFTConfig (`train sft`) or trl.GRPOConfig: learning_rate, max_steps,
    per_device_train_batch_size, …"""
    lora: FileOnly[LoraConfig | None] = None
    """Train adapters instead of all weights."""
    thinking: bool | None = None
    """Switch a chat template's thinking on or off (Qwen3: `enable_thinking`), in training and in every
    later use of the model; unset: as saved with the checkpoint, otherwise the template's default."""
    quantize: Literal["none", "nf4"] = "none"
    """`nf4`: 4-bit base weights (QLoRA; needs `lora` and bitsandbytes)."""
    dtype: Dtype = "auto"
    """Type of the weights in memory; auto: float32 if all weights are trained, bfloat16 if they are
    frozen."""
    device: Device = "auto"
    """`cpu`: use no GPU; `auto`: the first visible GPU, or one for each of `processes`."""
    attention: str = "sdpa"
    """Attention of transformers: sdpa, eager, flex_attention, flash_attention_2 (a package; faster on
    packed rows), or a kernel of the hub such as kernels-community/flash-attn2."""
    processes: int = Field(default=1, ge=1)
    """Data-parallel processes on this machine (gloo on a CPU, NCCL on GPUs); more: `accelerate launch`."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each process; small models are fastest with one."""
    seed: int = 0
    """Random seed of weights, data, sampling and evaluation."""
    resume: bool = False
    """Show a finished run instead of refusing it. An interrupted run continues without this option."""
    overwrite: bool = False
    """Replace the contents of `out`."""
    json_output: AsJson = False
    """Print the result as JSON on stdout."""

    @classmethod
    def mistakes(cls, values: Mapping[str, Any]) -> list[tuple[yaml12.Path, str]]:
        options = values.get("trainer", {})
        decided = {name: f"is set elsewhere: use {instead}" for name, instead in cls.owned.items()}
        found: list[tuple[yaml12.Path, str]] = [
            (("trainer", key), f"trainer.{key}: {what}")
            for key, what in problems(options, cls.trl_class, decided)
        ]
        loading = options.get("model_init_kwargs")
        return found + [
            (
                ("trainer", "model_init_kwargs", key),
                f"trainer.model_init_kwargs.{key} is set elsewhere: use dtype, quantize, device or attention",
            )
            for key in sorted(_OWNED_BY_LOADING & set(loading if isinstance(loading, dict) else ()))
        ]

    def is_free(self, key: str) -> bool:
        """A value that is only about what is logged, saved or evaluated cannot change the weights."""
        section, _, name = key.rpartition(".")
        if section == "trainer":
            return name in _FREE or name.startswith(_FREE_PREFIXES)
        return key == "reports" or super().is_free(key)

    def trl_options(self) -> dict[str, Any]:
        """The options for TRL's own configuration; those of the hub and of loading are not.

        Raises:
            ConfigError: one line a mistake (`mistakes`).
        """
        found = [text for _, text in self.mistakes({"trainer": self.trainer})]
        if found:
            raise ConfigError(
                "\n".join(found), f"see trl.{self.trl_class} and transformers.TrainingArguments"
            )
        return {key: value for key, value in self.trainer.items() if key not in NOT_THE_TRAINERS}


class OnRecords(CommandConfig):
    """Which records are trained and evaluated on."""

    mix: FileOnly[list[MixEntry]] = Field(default_factory=list)
    """Training records: path, weight, filters, for each part."""
    mix_policy: Policy = "undersample"
    """How weights become counts: `undersample`, `repeat` or `all`."""
    dev: FileOnly[list[MixEntry]] = Field(default_factory=list)
    """Held-out records, for the loss and for answers that are really executed; SFT does without."""
    limit: int = Field(default=0, ge=0)
    """Maximum number of training records; 0: all."""


class SftConfig(TrainConfig, OnRecords):
    """Supervised fine-tuning: Stage 0 (`task: edit`) and Stage 1 (`task: action`)."""

    task: Task = "edit"
    """`edit`: answer with the edited code. `action`: answer with ast-grep rules."""
    model: str = ""
    """Checkpoint or adapter folder, GGUF file or hub name to start from; empty: a new model (`tiny:`)."""
    tiny: FileOnly[TinyConfig | None] = None
    """Make a new tiny model and tokenizer (instead of `model`)."""
    prompt_style: Literal["auto", "full", "brief", "compact"] = "auto"
    """`full` asks for thought, action and state update, `brief` for the action alone, `compact` does not
    describe the format. `auto`: as saved with the checkpoint; `compact` for a new tiny model, otherwise
    `brief`."""
    think: bool | None = None
    """`action`: start the answer with a description of its rules, as `<think>…</think>`; unset: as the
    prompt asks."""
    max_length_tokens: int = Field(default=2048, ge=16)
    """Maximum length of prompt and answer together; longer records are dropped and counted."""
    bucket: bool = False
    """Make batches of similar length, in an order fixed by the seed (without packing)."""
    eval_limit: int = Field(default=64, ge=0)
    """Held-out records to answer at the end; 0: none."""
    eval_every_steps: int = Field(default=0, ge=0)
    """Also compute dev loss, and answer a quarter of these records, every N steps; 0: only at the end."""
    eval_max_new_tokens: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Maximum answer in these evaluations, in tokens; auto: 10 % more than the longest right answer."""
    keep: Keep = "last"
    """Which step is saved as the result: the last, or the evaluated step with the lowest dev loss or the
    most right answers."""
    patience: int = Field(default=0, ge=0)
    """Stop after N evaluations without improvement (by `keep`); 0: train to the end."""
    out: Path = Path("models/sft")
    """Output folder of the checkpoint; the run's files are in run/ below."""

    trl_class = "SFTConfig"
    owned = SFT_OWNED

    def is_free(self, key: str) -> bool:
        if key == "dev" or key.rpartition(".")[2].startswith(("eval_", "per_device_eval_")):
            return self.keep == "last"  # where evaluations choose the step, they decide the weights
        return super().is_free(key)

    def answer_tokens(self, longest: int) -> int:
        """How many tokens an answer may have: as configured, or the longest right one and 10 % more.

        >>> SftConfig().answer_tokens(100), SftConfig(eval_max_new_tokens=64).answer_tokens(100)
        (110, 64)
        """
        if self.eval_max_new_tokens != "auto":
            return self.eval_max_new_tokens
        # Nothing could be measured: none of the records has an answer that can be written.
        return -(-longest * 11 // 10) if longest else 512


# Options under `trainer:` that TRL is not given.
NOT_THE_TRAINERS: Final = frozenset({"push_to_hub", "hub_model_id", "hub_private_repo", "model_init_kwargs"})


def check(config: SftConfig) -> None:
    """Refuse what cannot be meant, all mistakes at once.

    Raises:
        ConfigError: with one line a mistake.
    """
    found = []
    if bool(config.model) == (config.tiny is not None):
        found.append("give either `model` (a checkpoint) or `tiny` (a new model), not both or neither")
    if not config.mix:
        found.append("`mix` is empty: no training records are named")
    if config.quantize != "none" and config.lora is None:
        found.append("`quantize: nf4` trains adapters only: add a `lora` section")
    if config.quantize != "none" and config.tiny is not None:
        found.append("`quantize` needs a checkpoint, not a new tiny model")
    if config.tiny is not None and config.tiny.hidden_size % config.tiny.n_heads:
        found.append(
            f"tiny.hidden_size ({config.tiny.hidden_size}) must be a multiple of "
            f"tiny.n_heads ({config.tiny.n_heads})"
        )
    if config.tiny is not None and config.max_length_tokens > config.tiny.max_positions:
        found.append(
            f"max_length_tokens ({config.max_length_tokens}) exceeds "
            f"tiny.max_positions ({config.tiny.max_positions})"
        )
    if config.task == "action" and (config.prompt_style, config.think) in (("full", False), ("brief", True)):
        found.append(
            f"`prompt_style: {config.prompt_style}` and `think: {str(config.think).lower()}` contradict each "
            "other: `full` asks for a thought, `brief` for none"
        )
    if (config.keep != "last" or config.patience) and not (
        config.dev and config.eval_limit and config.eval_every_steps
    ):
        found.append("`keep` and `patience` need evaluations: `dev`, `eval_limit` and `eval_every_steps`")
    if config.patience and config.keep == "last":
        found.append("`patience` needs `keep: best_loss` or `best_success`: better by what?")
    save_steps = config.trainer.get("save_steps", config.eval_every_steps)
    if config.keep != "last" and save_steps != config.eval_every_steps:
        found.append(
            f"trainer.save_steps ({save_steps}) must be `eval_every_steps` ({config.eval_every_steps}) with "
            f"`keep: {config.keep}`: the best step must have been saved"
        )
    found += [
        f"`bucket` and `trainer.{name}` exclude each other"
        for name in ("packing", "train_sampling_strategy")
        if config.bucket and config.trainer.get(name)
    ]
    found += [text for _, text in config.mistakes({"trainer": config.trainer})]
    if found:
        raise ConfigError(
            "\n".join(found),
            "give or fix the configuration (--config smollm2/stage0; `rulewright configs` lists others); "
            "nothing has run yet",
        )


def weights_dtype(
    wanted: Dtype, *, adapters: bool, quantized: bool, masters: bool, fast: bool
) -> tuple[Literal["float32", "bfloat16"], str]:
    """The type that loaded weights have in memory, and why.

    A bfloat16 number has 8 bits: a step smaller than 1/256 of it or so is rounded away, and
    usual rates are smaller than that. So what is trained is held in float32.

    Args:
        wanted: as configured.
        adapters: whether only adapters are trained.
        quantized: whether the layers are in 4 bits.
        masters: whether the optimizer updates float32 copies of its own (ZeRO, FSDP with mixed precision).
        fast: whether the device multiplies well in bfloat16.
    """
    if wanted != "auto":
        return wanted, "as configured"
    if quantized:
        return "bfloat16", "what is not in 4 bits is frozen"
    if adapters and fast:
        return "bfloat16", "frozen; the adapters are held in float32"
    if adapters:
        return "float32", "this device multiplies no faster in bfloat16"
    if masters:
        return "bfloat16", "the optimizer updates float32 copies"
    return "float32", "all are trained, and steps this small are lost in bfloat16"


def style_of(config: SftConfig, noted: str | None) -> Style:
    """The prompt style, from the configuration, the checkpoint's note, or the default."""
    if config.prompt_style != "auto":
        return config.prompt_style
    if config.tiny is not None or noted == "compact":
        return "compact"
    if config.think is not None:
        return "full" if config.think else "brief"
    return "full" if noted == "full" else "brief"
