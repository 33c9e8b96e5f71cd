"""Serve a checkpoint or a LoRA adapter on an OpenAI-compatible endpoint.

Starts vLLM if it is available (in this Python, on the path, or where --vllm says), otherwise the server
of transformers. This process becomes the server, so Ctrl-C and signals reach it. vLLM serves an adapter
on its base, under its own name. With --rollouts the server accepts new adapters while it runs, for
`rollouts: server` of `train srl` and `train grpo`. `--dry-run` prints the command.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import Final

from rulewright import console
from rulewright.generation import serving
from rulewright.generation.adapters import Adapter, is_adapter
from rulewright.generation.base import LOOPBACK
from rulewright.generation.gguf import checkpoint
from rulewright.generation.notes import checkpoint_note
from rulewright.generation.open import require_checkpoint
from rulewright.generation.serving import ServeConfig as Config

_ROLLOUTS_ENVIRONMENT: Final = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}


def run(config: Config) -> int:
    """Choose the server, say what it is, become it."""
    require_checkpoint(config.model)
    config = config.model_copy(update={"model": checkpoint(config.model)})
    adapter = Adapter.read(config.model) if is_adapter(config.model) else None
    server = serving.choose(config)
    command = serving.command_line(config, server, adapter)
    environment = _ROLLOUTS_ENVIRONMENT if config.rollouts else {}
    if config.dry_run:
        assigned = [f"{name}={value}" for name, value in environment.items()]
        console.emit(" ".join([*assigned, shlex.join(command)]))
        return 0
    console.decided("server", server.kind, server.reason)
    console.say(
        f"endpoint: http://{config.host}:{config.port}/v1, model {serving.served_name(config, server.kind)}"
    )
    # What clients need to know of the model, and of an open door.
    note = checkpoint_note(config.model)
    style = note.get("prompt_style", "full")
    if style != "full":
        console.say(
            f"the model was trained with the {style} prompt style: clients need --set generator.style={style}"
        )
    thinking = note.get("thinking")
    if thinking is not None and server.kind == "transformers":
        console.say(f"the model was trained with thinking {'on' if thinking else 'off'}: clients need "
                    f"--set generator.thinking={str(thinking).lower()}")  # fmt: skip
    if config.rollouts and config.host not in LOOPBACK:
        console.say(
            f"anyone who can reach {config.host}:{config.port} can make the server load "
            "adapters from its disk"
        )
    sys.stdout.flush()
    os.execvpe(command[0], command, {**os.environ, **environment})
