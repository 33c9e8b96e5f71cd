"""The command that puts a checkpoint or an adapter behind an OpenAI-compatible endpoint; starts nothing."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import tyro
from pydantic import Field

from rulewright.config import CommandConfig
from rulewright.errors import UsageError
from rulewright.generation.adapters import Adapter
from rulewright.generation.base import Dtype
from rulewright.generation.notes import checkpoint_note, has_tokenizer

_TRANSFORMERS_NEEDS: Final = ("torch", "transformers", "uvicorn", "fastapi", "openai")
# What `--max-lora-rank` of vLLM takes (0.32).
_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)


class ServeConfig(CommandConfig):
    """Which checkpoint, on which server, where it listens."""

    model: tyro.conf.Positional[str]
    """Checkpoint folder, LoRA adapter folder, GGUF file, or hub name."""
    server: Literal["auto", "vllm", "transformers"] = "auto"
    """auto: vLLM if it is available."""
    vllm: str = ""
    """The `vllm` program, its environment, or the Python that has it; empty: this Python, then the path."""
    base: str = ""
    """Base model of the adapter, if it has moved."""
    host: str = "127.0.0.1"
    """Address to listen on; any but a local one is reachable from the network."""
    port: int = Field(default=8000, ge=1, le=65535)
    """Port to listen on."""
    name: str = ""
    """Name of the model at the endpoint (vLLM); empty: the folder's name."""
    max_length_tokens: int = Field(default=0, ge=0)
    """Maximum length of prompt and answer together (vLLM); 0: the checkpoint's."""
    gpus: int = Field(default=1, ge=1)
    """Tensor parallel GPUs (vLLM)."""
    dtype: Dtype = "auto"
    """Type of the weights."""
    rollouts: bool = False
    """Accept new adapters while running, and return the log-probabilities that training checks (vLLM)."""
    lora_rank: int = Field(default=0, ge=0)
    """Largest adapter rank that the server accepts (vLLM); 0: the adapter's rank."""
    extra: Annotated[list[str], tyro.conf.arg(metavar="ARG...")] = Field(default_factory=list)
    """More arguments for the server, passed unchanged: --extra=--enable-prefix-caching"""
    dry_run: bool = False
    """Print the command and stop."""


class Server(NamedTuple):
    """A server to run and how it is started."""

    kind: Literal["vllm", "transformers"]
    start: list[str]
    """The beginning of the command, up to the model."""
    reason: str


def choose(config: ServeConfig) -> Server:
    """The server to use, how it is started, and why it.

    Raises:
        UsageError: none is installed, with the install lines.
    """
    asked = config.server == "vllm" or bool(config.vllm)
    if config.server in ("auto", "vllm") and (found := find_vllm(config.vllm)) is not None:
        start, where = found
        return Server("vllm", start, f"as asked: {where}" if asked else where)
    if asked and config.server != "transformers":
        raise UsageError(
            "vLLM is not installed in this Python, and no `vllm` program is on the path",
            "pip install 'rulewright[vllm]' (GPU), or say where it is: --vllm FOLDER_OF_ITS_ENVIRONMENT",
        )
    if config.rollouts:
        raise UsageError("--rollouts needs vLLM: transformers' server loads no adapters while it runs",
                         "say where vLLM is: --vllm FOLDER_OF_ITS_ENVIRONMENT")  # fmt: skip
    missing = [name for name in _TRANSFORMERS_NEEDS if find_spec(name) is None]
    if not missing:
        reason = "as asked" if config.server == "transformers" else "there is no vLLM"
        return Server("transformers", [transformers_program(), "serve"], reason)
    raise UsageError(
        f"no server to run: vLLM is not installed, and transformers' server lacks {', '.join(missing)}",
        "pip install 'rulewright[vllm]' on a GPU machine, or pip install 'rulewright[train]' "
        "'transformers[serving]' openai",
    )


def find_vllm(wanted: str) -> tuple[list[str], str] | None:
    """The beginning of vLLM's command, and where it was found.

    Args:
        wanted: a `vllm` program, the folder of its environment, or a Python; empty: look for it.

    Raises:
        UsageError: there is none at `wanted`.
    """
    if not wanted:
        if find_spec("vllm") is not None:
            return _as_module(sys.executable), "installed in this Python"
        program = shutil.which("vllm")
        return None if program is None else ([program, "serve"], f"on the path: {program}")
    path = Path(wanted).expanduser()
    if path.is_dir():
        path = next((p for p in (path / "bin" / "vllm", path / "vllm") if p.is_file()), path)
    program = shutil.which(str(path)) if path.is_file() or os.sep not in wanted else None
    if program is None:
        raise UsageError(
            f"--vllm {wanted}: no program there",
            "name the `vllm` program, the folder of its virtual environment, or the Python that has it",
        )
    if not Path(program).name.startswith("python"):
        return [program, "serve"], program
    look = "import sys; from importlib.util import find_spec; sys.exit(find_spec('vllm') is None)"
    if subprocess.run([program, "-c", look], check=False, timeout=60).returncode:
        raise UsageError(f"--vllm {wanted}: this Python has no vLLM", f"{program} -m pip install vllm")
    return _as_module(program), program


def _as_module(python: str) -> list[str]:
    return [python, "-m", "vllm.entrypoints.cli.main", "serve"]


def transformers_program() -> str:
    beside = shutil.which("transformers", path=str(Path(sys.executable).parent))
    if (program := beside or shutil.which("transformers")) is None:
        raise UsageError("the `transformers` program is not on the path", "reinstall transformers")
    return program


def served_name(config: ServeConfig, kind: str) -> str:
    """What clients call the model."""
    if kind == "transformers":
        return config.model
    return config.name or Path(config.model).resolve().name


def command_line(config: ServeConfig, server: Server, adapter: Adapter | None) -> list[str]:
    """The server's command, ready for exec.

    Raises:
        UsageError: the adapter's base does not exist, or the server cannot serve such an adapter.
    """
    listen = ["--host", config.host, "--port", str(config.port), "--dtype", config.dtype]
    if server.kind == "transformers":
        if adapter is not None:
            raise UsageError(
                f"{config.model}: is a LoRA adapter, which transformers' server cannot serve",
                f"merge it: rulewright merge {shlex.quote(config.model)} OUT, then serve OUT; or use --vllm",
            )
        return [*server.start, config.model, *listen, *config.extra]
    command = [*server.start, adapter.require_base(config.base) if adapter else config.model]
    name = served_name(config, "vllm")
    if adapter is not None:  # what is loaded first is its base, under a name of its own
        base = Path(config.base or adapter.base).name
        name = f"{base}-base" if base == name else base
    command += ["--served-model-name", name, *listen]
    command += ["--tensor-parallel-size", str(config.gpus)]
    # What a checkpoint says of top-k and penalties is left out, as in local generation:
    # an answer follows from what the request says.
    command += ["--generation-config", "vllm"]
    if config.max_length_tokens:
        command += ["--max-model-len", str(config.max_length_tokens)]
    thinking = checkpoint_note(config.model).get("thinking")
    if thinking is not None:
        command += ["--default-chat-template-kwargs", json.dumps({"enable_thinking": bool(thinking)})]
    command += _lora(config, adapter)
    if config.rollouts:
        command += ["--logprobs-mode", "processed_logprobs"]
    return [*command, *config.extra]


def _lora(config: ServeConfig, adapter: Adapter | None) -> list[str]:
    if adapter is None:
        if not config.rollouts:
            return []
        if not config.lora_rank:
            raise UsageError(
                f"{config.model}: is a full checkpoint, so the rank of future adapters must be given",
                "add --lora-rank with `lora.r` of the training configuration",
            )
        return ["--enable-lora", "--max-lora-rank", str(_allowed_rank(config.lora_rank, config.model))]
    _require_servable(adapter)
    rank = _allowed_rank(max(config.lora_rank, adapter.rank), config.model)
    if config.lora_rank and config.lora_rank < adapter.rank:
        raise UsageError(
            f"{config.model}: rank {adapter.rank}, but --lora-rank allows {config.lora_rank}",
            f"leave --lora-rank out, or give {adapter.rank}",
        )
    flags = ["--enable-lora", "--max-lora-rank", str(rank)]
    if has_tokenizer(adapter.path):
        flags += ["--tokenizer", str(adapter.path)]
    return [*flags, "--lora-modules", f"{served_name(config, 'vllm')}={adapter.path.resolve()}"]


def _allowed_rank(rank: int, model: str) -> int:
    """The least rank of those that vLLM takes that holds this one."""
    for allowed in _RANKS:
        if rank <= allowed:
            return allowed
    raise UsageError(
        f"{model}: rank {rank}, but vLLM serves adapters up to rank {_RANKS[-1]}",
        f"merge it: rulewright merge {shlex.quote(model)} OUT, then serve OUT",
    )


def _require_servable(adapter: Adapter) -> None:
    """Refuse adapters that vLLM would refuse after minutes of loading."""
    settings: dict[str, Any] = adapter.settings
    what = [
        said
        for said, there in (
            ("trains whole modules (modules_to_save)", settings.get("modules_to_save")),
            ("uses DoRA", settings.get("use_dora")),
            ("trains biases", settings.get("bias", "none") not in ("none", None)),
            (f"is of type {settings.get('peft_type')}", settings.get("peft_type", "LORA") != "LORA"),
        )
        if there
    ]
    if what:
        raise UsageError(
            f"{adapter.path}: {' and '.join(what)}, which vLLM does not serve as an adapter",
            f"merge it: rulewright merge {shlex.quote(str(adapter.path))} OUT, then serve OUT",
        )
