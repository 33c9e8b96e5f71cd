"""Put a checkpoint behind an OpenAI-compatible endpoint.

Starts vLLM's server where vLLM is installed, else the server of transformers; this process
becomes the server, so that Ctrl-C and signals reach it. `--dry-run` shows the command.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal

import tyro
from pydantic import Field

from rulewright import console
from rulewright.config import CommandConfig
from rulewright.errors import UsageError

_TRANSFORMERS_NEEDS: Final = ("torch", "transformers", "uvicorn", "fastapi", "openai")


class Config(CommandConfig):
    """Which checkpoint, on which server, where it listens."""

    model: tyro.conf.Positional[str]
    """Checkpoint folder, GGUF file or hub name."""
    server: Literal["auto", "vllm", "transformers"] = "auto"
    """auto: vLLM where it is installed."""
    host: str = "127.0.0.1"
    """Address to listen on; others than this machine's are open to the network."""
    port: int = Field(default=8000, ge=1, le=65535)
    """Port to listen on."""
    name: str = ""
    """Name of the model at the endpoint (vLLM); empty: the folder's name."""
    max_length_tokens: int = Field(default=0, ge=0)
    """Longest prompt and answer together (vLLM); 0: as the checkpoint says."""
    gpus: int = Field(default=1, ge=1)
    """Tensor parallel GPUs (vLLM)."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Of the weights."""
    extra: Annotated[list[str], tyro.conf.arg(metavar="ARG...")] = Field(default_factory=list)
    """More arguments for the server, as they are: --extra=--enable-prefix-caching"""
    dry_run: bool = False
    """Print the command and stop."""


def run(config: Config) -> int:
    """Choose the server, say what it is, become it."""
    from rulewright.generation.gguf import checkpoint
    from rulewright.generation.open import checkpoint_note, require_checkpoint

    require_checkpoint(config.model)
    config = config.model_copy(update={"model": checkpoint(config.model)})
    server, reason = choose(config.server)
    command = command_line(config, server)
    if config.dry_run:
        console.emit(shlex.join(command))
        return 0
    console.decided("server", server, reason)
    style = checkpoint_note(config.model).get("prompt_style", "full")
    name = served_name(config, server)
    console.say(f"endpoint: http://{config.host}:{config.port}/v1, model {name}")
    if style != "full":
        console.say(f"its prompts are of the {style} style: clients need --set generator.style={style}")
    sys.stdout.flush()
    os.execv(command[0], command)


def choose(wanted: str) -> tuple[str, str]:
    """The server to use, and why.

    Raises:
        UsageError: none is installed, with the install lines.
    """
    if wanted in ("auto", "vllm") and find_spec("vllm") is not None:
        return "vllm", "installed" if wanted == "auto" else "as asked"
    if wanted == "vllm":
        raise UsageError("vLLM is not installed", "pip install 'rulewright[vllm]' (needs a GPU)")
    missing = [name for name in _TRANSFORMERS_NEEDS if find_spec(name) is None]
    if not missing:
        return "transformers", "vLLM is not installed" if wanted == "auto" else "as asked"
    raise UsageError(
        f"no server to run: vLLM is not installed, and transformers' server lacks {', '.join(missing)}",
        "pip install 'rulewright[vllm]' on a GPU machine, or pip install 'rulewright[train]' "
        "'transformers[serving]' openai",
    )


def served_name(config: Config, server: str) -> str:
    """What clients call the model."""
    if server == "transformers":
        return config.model
    return config.name or Path(config.model).name


def command_line(config: Config, server: str) -> list[str]:
    """The server's command, ready for exec."""
    if server == "vllm":
        command = [
            sys.executable,
            "-m",
            "vllm.entrypoints.openai.api_server",
            "--model",
            config.model,
            "--served-model-name",
            served_name(config, server),
            "--host",
            config.host,
            "--port",
            str(config.port),
            "--dtype",
            config.dtype,
            "--tensor-parallel-size",
            str(config.gpus),
        ]
        if config.max_length_tokens:
            command += ["--max-model-len", str(config.max_length_tokens)]
        return [*command, *config.extra]
    program = shutil.which("transformers", path=str(Path(sys.executable).parent)) or shutil.which(
        "transformers"
    )
    if program is None:
        raise UsageError("the `transformers` program is not on the path", "reinstall transformers")
    return [
        program,
        "serve",
        config.model,
        "--host",
        config.host,
        "--port",
        str(config.port),
        "--dtype",
        config.dtype,
        *config.extra,
    ]
