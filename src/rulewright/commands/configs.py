"""List the configurations that come with rulewright, print one, or print a JSON Schema.

`--config NAME` accepts such a name if no file has that path. `rulewright init` copies all of them. For
--schema, NAME can also be a command such as `train sft`.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Annotated, Any

import tyro

from rulewright import config as loader
from rulewright import console, shipped
from rulewright.config import AsJson, CommandConfig
from rulewright.errors import UsageError, did_you_mean


class Config(CommandConfig):
    """What to show."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")] = ""
    """Print this configuration, e.g. tiny/stage1; without NAME, list all."""
    path: bool = False
    """Print the path of the file instead, e.g. for `accelerate launch --config_file`."""
    schema_of: Annotated[str, tyro.conf.arg(name="schema", metavar="NAME")] = ""
    """Print the JSON Schema of this configuration or command, for editors."""
    json_output: AsJson = False
    """Print the list with one JSON object per line."""


def run(config: Config) -> int:
    """List, or print one."""
    if config.schema_of:
        console.emit(json.dumps(schema(_command_of(config.schema_of)), indent=2, ensure_ascii=False))
    elif config.name:
        one = shipped.find(config.name)
        if one is None:
            near = did_you_mean(config.name, [one.name for one in shipped.everything()])
            raise UsageError(
                f"no configuration '{config.name}' comes with rulewright{near}", "see `rulewright configs`"
            )
        console.emit(str(one.path) if config.path else one.path.read_text(encoding="utf-8").rstrip("\n"))
    elif config.path:
        console.emit(str(shipped.ROOT))
    elif config.json_output:
        for one in shipped.everything():
            console.emit_json({**one._asdict(), "path": str(one.path)})
    else:
        everything = shipped.everything()
        for folder in dict.fromkeys(Path(one.name).parent for one in everything):
            console.emit(f"{folder}/")
            for one in (one for one in everything if Path(one.name).parent == folder):
                reader = one.command or "accelerate launch"
                console.emit(f"  {one.name}  ({reader})")
                console.emit(console.wrap(one.about, "      "))
        console.say(
            "\nrulewright COMMAND --config NAME uses one; `rulewright configs NAME` prints one; "
            "`rulewright init DIR` copies all, so that you can edit them"
        )
    return 0


def schema(command: str) -> dict[str, Any]:
    """The JSON Schema of a command's configuration files."""
    from rulewright.cli import COMMANDS

    module = importlib.import_module(f"rulewright.commands.{COMMANDS[command].module}")
    return loader.json_schema(module.Config, f"rulewright {command}")


def _command_of(name: str) -> str:
    """The command whose configuration is meant: by its own name, or by that of a file."""
    from rulewright.cli import COMMANDS

    words = name.replace("-", " ")
    if words in COMMANDS:
        return words
    found = shipped.find(name)
    if found is not None and found.command:
        return found.command
    if found is not None:
        raise UsageError(
            f"{name}: is a file of `accelerate launch`, which publishes no schema",
            f"rulewright configs {found.name} shows it",
        )
    near = did_you_mean(name, [*COMMANDS, *(one.name for one in shipped.everything())])
    raise UsageError(
        f"--schema {name}: neither a command nor a configuration{near}",
        "a command (`train sft`) or a name of `rulewright configs`",
    )
