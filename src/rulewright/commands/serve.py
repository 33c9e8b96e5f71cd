"""Put a checkpoint or a LoRA adapter behind an OpenAI-compatible endpoint.

Starts vLLM's server where there is one (in this Python, on the path, or where --vllm says),
else the server of transformers; this process becomes the server, so that Ctrl-C and signals
reach it. An adapter is served on its base by vLLM, under its own name. With --rollouts the
server takes new adapters while it runs, for `rollouts: server` of `train srl` and
`train grpo`. `--dry-run` shows the command.
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
from rulewright.generation.serving import ServeConfig

_ROLLOUTS_ENVIRONMENT: Final = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}

Config = ServeConfig


def run(config: ServeConfig) -> int:
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
        console.say(f"its prompts are of the {style} style: clients need --set generator.style={style}")
    thinking = note.get("thinking")
    if thinking is not None and server.kind == "transformers":
        console.say(f"it was trained with thinking {'on' if thinking else 'off'}: clients need "
                    f"--set generator.thinking={str(thinking).lower()}")  # fmt: skip
    if config.rollouts and config.host not in LOOPBACK:
        console.say(f"whoever reaches {config.host}:{config.port} can make it load adapters from its disk")
    sys.stdout.flush()
    os.execvpe(command[0], command, {**os.environ, **environment})
