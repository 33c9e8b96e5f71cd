"""Small programs that run in another interpreter: standard library only, started by path or by text."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from rulewright.errors import UsageError
from rulewright.sandbox.programs import interpreter


def path_of(name: str) -> Path:
    """Where a program lies."""
    return Path(__file__).with_name(f"{name}.py")


def text_of(name: str) -> str:
    """A program's text, for an interpreter that cannot see this machine's files."""
    return path_of(name).read_text(encoding="utf-8")


class Interpreter(NamedTuple):
    """What an interpreter says of itself."""

    executable: str
    """Its own path, however it was named."""
    folders: list[str]
    """What it needs to start and to import its packages."""
    installed: dict[str, bool]
    """Whether it has each of the modules that were asked for."""


def ask_interpreter(python: str, modules: Iterable[str] = ()) -> Interpreter:
    """Ask an interpreter, given by its path or name, where it lies and which of some modules it has.

    Raises:
        UsageError: it cannot be started.
    """
    found: dict[str, Any]
    if python == sys.executable:
        found = interpreter.facts(modules)
    else:
        command = [python, "-I", str(path_of("interpreter")), *modules]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise UsageError(
                f"{python}: cannot be started as a Python interpreter", "name a working python3"
            ) from error
        found = json.loads(done.stdout)
    return Interpreter(**found)
