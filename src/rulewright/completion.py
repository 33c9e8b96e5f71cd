"""Shell completion: the table of commands and their flags as tyro's completion script.

`rulewright --print-completion bash` prints it. Completes commands, flags and choices, not the
values of paths. Imports every command, so only this needs a second.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Union

import tyro
from pydantic import BaseModel, Field, create_model

from rulewright import helptext
from rulewright.errors import UsageError

SHELLS: Final = ("bash", "zsh", "fish")


def script(shell: str, commands: Mapping[str, str]) -> str:
    """The completion script of a shell.

    Args:
        shell: one of `SHELLS`.
        commands: a command's words → its module in `rulewright.commands`.

    Raises:
        UsageError: another shell.
    """
    if shell not in SHELLS:
        raise UsageError(
            f"--print-completion {shell or '?'}: no such shell",
            f"one of {', '.join(SHELLS)}, e.g. rulewright --print-completion bash",
        )
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        tyro.cli(
            _tree(commands),
            prog="rulewright",
            args=["--tyro-print-completion", shell],
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
        )
    return said.getvalue()


def _tree(commands: Mapping[str, str]) -> Any:
    """All commands as one type that tyro reads: a union, whose families are unions again."""
    heads: dict[str, dict[str, Any]] = {}
    for name, module in commands.items():
        head, _, rest = name.partition(" ")
        heads.setdefault(head, {})[rest] = _options(module)
    members = []
    for head, inner in heads.items():
        if "" in inner:
            alone = inner.pop("")
            members.append(Annotated[alone, tyro.conf.subcommand(head)])
        else:
            parts = [Annotated[model, tyro.conf.subcommand(name)] for name, model in inner.items()]
            one_of: Any = Union[tuple(parts)]  # noqa: UP007
            family = create_model(head, command=(one_of, ...))
            members.append(Annotated[family, tyro.conf.subcommand(head)])
    return Union[tuple(members)]  # noqa: UP007 (the members are known only now)


def _options(module: str) -> type[BaseModel]:
    """A command's configuration with the flags that every command has."""
    model: type[BaseModel] = importlib.import_module(f"rulewright.commands.{module}").Config
    fields = model.model_fields.items()
    three: dict[str, Any] = {
        name: (bool, False)  # unset is no word to complete
        for name, field in fields
        if helptext.has_unset(field)
    }
    return create_model(
        model.__name__,
        __base__=model,
        **three,
        config=(Path | None, Field(default=None, description="YAML file of defaults")),
        set=(tuple[str, ...], Field(default=(), description="KEY.PATH=VALUE")),
    )
