"""The options under `trainer:`, checked by name and type against TRL's own source.

The dataclasses are read as text (`ast`), never imported: TRL imports torch, which takes
seconds, and `plan` needs neither. Invariant: what passes here TRL's constructor takes by
name and type; what values mean together TRL still decides itself.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from rulewright.errors import did_you_mean

TrlClass = Literal["SFTConfig", "GRPOConfig"]

_BASES: Final = (
    ("transformers", "training_args.py", "TrainingArguments"),
    ("trl", "trainer/base_config.py", "_BaseConfig"),
)
# The derived class last: it may change what it inherits.
_SOURCES: Final[dict[TrlClass, tuple[tuple[str, str, str], ...]]] = {
    "SFTConfig": (*_BASES, ("trl", "trainer/sft_config.py", "SFTConfig")),
    "GRPOConfig": (*_BASES, ("trl", "trainer/grpo_config.py", "GRPOConfig")),
}
_ENUMS: Final = (("transformers", "training_args.py"), ("transformers", "trainer_utils.py"))
# Words that TRL takes as any text, and looks at in the first step.
_CHOICES: Final[dict[TrlClass, dict[str, tuple[str, ...]]]] = {
    "SFTConfig": {},
    "GRPOConfig": {
        "loss_type": ("grpo", "bnpo", "dr_grpo", "dapo", "luspo", "cispo", "sapo", "vespo"),
        "importance_sampling_level": ("token", "sequence"),
        "vllm_importance_sampling_mode": (
            "token_truncate", "token_mask", "sequence_truncate", "sequence_mask",
        ),
    },
}  # fmt: skip
_Given = Mapping[str, Any]
_OnlyWith = tuple[tuple[str, Callable[[_Given], Any], str], ...]
# What some options work with only: without it TRL takes them all the same, and does nothing.
_WITH_ANY_TRAINER: Final[_OnlyWith] = (
    ("push_to_hub: true", lambda o: o.get("push_to_hub"), "hub_model_id hub_private_repo"),
    ("use_liger_kernel: true", lambda o: o.get("use_liger_kernel"), "liger_kernel_config"),
)
ONLY_WITH: Final[dict[TrlClass, _OnlyWith]] = {
    "SFTConfig": (
        *_WITH_ANY_TRAINER,
        ("packing: true", lambda o: o.get("packing"),
         "packing_strategy eval_packing dataset_num_proc shuffle_dataset"),
        ("loss_type: nll", lambda o: o.get("loss_type", "nll") == "nll", "label_smoothing_factor"),
    ),
    "GRPOConfig": (
        *_WITH_ANY_TRAINER,
        ("use_vllm: true", lambda o: o.get("use_vllm"), "vllm_mode vllm_structured_outputs_regex"),
        ("use_vllm: true and vllm_mode: server",
         lambda o: o.get("use_vllm") and o.get("vllm_mode") == "server",
         "vllm_server_base_url vllm_server_host vllm_server_port vllm_group_port vllm_server_timeout"),
        ("use_vllm: true and vllm_mode: colocate",
         lambda o: o.get("use_vllm") and o.get("vllm_mode", "colocate") == "colocate",
         "vllm_tensor_parallel_size vllm_gpu_memory_utilization vllm_max_model_length vllm_enable_sleep_mode "
         "vllm_model_impl"),
        ("use_transformers_continuous_batching: true",
         lambda o: o.get("use_transformers_continuous_batching") or o.get("use_transformers_paged"),
         "transformers_continuous_batching_config"),
        ("use_adaptive_entropy: true", lambda o: o.get("use_adaptive_entropy"),
         "entropy_coef_delta entropy_coef_max entropy_coef_min entropy_target"),
        ("sync_ref_model: true", lambda o: o.get("sync_ref_model"),
         "ref_model_mixup_alpha ref_model_sync_steps"),
        ("beta: a number above 0", lambda o: o.get("beta"), "use_bias_correction_kl"),
        ("log_completions: true", lambda o: o.get("log_completions"),
         "num_completions_to_print log_unique_prompts"),
        ("loss_type: sapo", lambda o: o.get("loss_type") == "sapo",
         "sapo_temperature_pos sapo_temperature_neg"),
        ("loss_type: vespo", lambda o: o.get("loss_type") == "vespo",
         "vespo_k_pos vespo_k_neg vespo_lambda_pos vespo_lambda_neg"),
        ("loss_type: one that clips ratios", lambda o: o.get("loss_type") not in ("sapo", "vespo"),
         "epsilon epsilon_high"),
        ("loss_type: one that clips on both sides",
         lambda o: o.get("loss_type") not in ("cispo", "sapo", "vespo"), "delta"),
    ),
}  # fmt: skip
# What `plan` computes with: checked by type also where TRL is not installed.
_WITHOUT_TRL: Final = {
    "max_steps": "int", "num_train_epochs": "float", "per_device_train_batch_size": "int",
    "per_device_eval_batch_size": "int", "gradient_accumulation_steps": "int", "packing": "bool",
    "eval_packing": "bool | None", "activation_checkpointing": "bool | None",
    "gradient_checkpointing": "bool | None", "num_generations": "int | None",
    "max_completion_length": "int | None", "steps_per_generation": "int | None",
    "generation_batch_size": "int | None", "num_iterations": "int", "beta": "float", "optim": "str",
}  # fmt: skip
# Less than this means nothing, and some of it is divided by; a single checkpoint would be gone where a run
# is killed while it saves the next.
_AT_LEAST: Final = {
    "per_device_train_batch_size": 1, "per_device_eval_batch_size": 1, "gradient_accumulation_steps": 1,
    "num_generations": 2, "max_completion_length": 1, "steps_per_generation": 1, "generation_batch_size": 1,
    "num_iterations": 1, "num_train_epochs": 0, "learning_rate": 0, "warmup_steps": 0, "beta": 0,
    "temperature": 0.01, "max_grad_norm": 0, "weight_decay": 0, "save_total_limit": 2,
}  # fmt: skip
_WORDS: Final = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "dict": "a mapping",
    "list": "a list", "None": "null",
}  # fmt: skip


class WrongOption(NamedTuple):
    """One mistake: the option's name and what is wrong with it."""

    key: str
    what: str


class _Known(NamedTuple):
    """The options of a class, by name, and the words of its enumerations."""

    options: dict[str, ast.expr]
    enums: dict[str, tuple[str, ...]]
    complete: bool
    """Whether names that are not in `options` are wrong."""


def problems(
    options: Mapping[str, Any], trl_class: TrlClass, decided: Mapping[str, str] | None = None
) -> list[WrongOption]:
    """What TRL would refuse or ignore, and what the run decides itself; in the order of the names.

    Args:
        options: the `trainer:` mapping.
        trl_class: the dataclass that will take them.
        decided: options that may not be set here, with the reason.
    """
    known = known_options(trl_class)
    found = []
    for key in sorted(options):
        if decided and key in decided:
            found.append(WrongOption(key, decided[key]))
        elif key in known.options:
            found += [WrongOption(key, what) for what in _wrong(key, options[key], known)]
            found += [WrongOption(key, what) for what in _idle(key, options, trl_class)]
        elif known.complete:
            found.append(WrongOption(key, f"trl has no such option{did_you_mean(key, known.options)}"))
    return found


def names(trl_class: TrlClass) -> frozenset[str]:
    """Every option that the class takes; fewer where TRL is not installed."""
    return frozenset(known_options(trl_class).options)


@cache
def known_options(trl_class: TrlClass) -> _Known:
    options: dict[str, ast.expr] = {}
    for package, file, name in _SOURCES[trl_class]:
        tree = source_tree(package, file)
        if tree is None:
            simple = {key: ast.parse(text, mode="eval").body for key, text in _WITHOUT_TRL.items()}
            return _Known(simple, {}, complete=False)
        [cls] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
        # The fields that its constructor takes, with their annotations.
        options |= {
            item.target.id: item.annotation
            for item in cls.body
            if isinstance(item, ast.AnnAssign)
            and isinstance(item.target, ast.Name)
            and "init=False" not in ast.unparse(item.value or item.target)
        }
    trees = [source_tree(package, file) for package, file in _ENUMS]
    enums = {key: words for tree in trees if tree for key, words in _enums(tree)}
    options |= {key: ast.Name(f"{trl_class}.{key}") for key in _CHOICES[trl_class]}
    enums |= {f"{trl_class}.{key}": words for key, words in _CHOICES[trl_class].items()}
    return _Known(options, enums, True)


@cache
def source_tree(package: str, file: str) -> ast.Module | None:
    """A source file of an installed package, parsed; `None` where there is none."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    places = spec.submodule_search_locations if spec else None
    path = Path(next(iter(places), "")) / file if places else None
    return ast.parse(path.read_text(encoding="utf-8")) if path and path.is_file() else None


def _enums(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in tree.body:
        bases = {base.id for base in getattr(node, "bases", []) if isinstance(base, ast.Name)}
        if isinstance(node, ast.ClassDef) and bases & {"ExplicitEnum", "StrEnum", "Enum"}:
            yield (
                node.name,
                tuple(
                    item.value.value
                    for item in node.body
                    if isinstance(item, ast.Assign)
                    and isinstance(item.value, ast.Constant)
                    and isinstance(item.value.value, str)
                ),
            )


def _wrong(key: str, value: Any, known: _Known) -> Iterator[str]:
    members = list(_members(known.options[key]))
    enums = [known.enums[m.id] for m in members if isinstance(m, ast.Name) and m.id in known.enums]
    if enums and isinstance(value, str):
        words = enums[0]
        if value not in words:
            near = did_you_mean(value, words)
            listing = f"; one of {', '.join(words)}" if not near and len(words) <= 12 else ""
            yield f"no such choice {value!r}{near}{listing}"
        return
    if not any(_takes(member, value) for member in members):
        wanted = " or ".join(dict.fromkeys(_word(member) for member in members))
        yield f"expected {wanted}, got {value!r}"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"expected a finite number, got {value!r}"
    elif key in _AT_LEAST and isinstance(value, int | float) and value < _AT_LEAST[key]:
        yield f"expected at least {_AT_LEAST[key]}, got {value!r}"
    elif key == "max_steps" and value == 0:
        yield "0 steps would be one: give at least 1, or -1 for as many as num_train_epochs takes"


def _idle(key: str, options: _Given, trl_class: TrlClass) -> Iterator[str]:
    """What an option lacks to have an effect."""
    for needed, holds, keys in ONLY_WITH[trl_class]:
        if key in keys.split() and not holds(options):
            yield f"has no effect without {needed}: leave it out, or set that too"


def _members(annotation: ast.expr) -> Iterator[ast.expr]:
    """The parts of a union, in order."""
    if isinstance(annotation, ast.BinOp):
        yield from _members(annotation.left)
        yield from _members(annotation.right)
    else:
        yield annotation


def _takes(kind: ast.expr, value: Any) -> bool:
    """Whether a value is of a kind; a kind that is not plain is left to TRL."""
    match kind:
        case ast.Constant(value=None):
            return value is None
        case ast.Name(id="bool"):
            return isinstance(value, bool)
        case ast.Name(id="int"):
            return isinstance(value, int) and not isinstance(value, bool)
        case ast.Name(id="float"):
            return isinstance(value, int | float) and not isinstance(value, bool)
        case ast.Name(id="str"):
            return isinstance(value, str)
        case ast.Name(id="dict") | ast.Subscript(value=ast.Name(id="dict")):
            return isinstance(value, dict)
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return isinstance(value, list) and all(_takes(inner, item) for item in value)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Constant(value=only)):
            return bool(value == only)
        case _:
            return True


def _word(kind: ast.expr) -> str:
    match kind:
        case ast.Constant(value=None):
            return "null"
        case ast.Name(id=name) if name in _WORDS:
            return _WORDS[name]
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return f"a list of {_word(inner)}"
        case ast.Subscript(value=ast.Name(id=name)) if name in _WORDS:
            return _WORDS[name]
        case _:
            return ast.unparse(kind)
