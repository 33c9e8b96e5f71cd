"""Small programs that run in another interpreter: standard library only, started by path or by text."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rulewright.errors import UsageError
from rulewright.sandbox.programs import interpreter


def path_of(name: str) -> Path:
    """Where a program lies."""
    return Path(__file__).with_name(f"{name}.py")


def text_of(name: str) -> str:
    """A program's text, for an interpreter that cannot see this machine's files."""
    return path_of(name).read_text(encoding="utf-8")


def ask_interpreter(python: str, modules: Iterable[str] = ()) -> tuple[list[str], dict[str, bool]]:
    """The folders that an interpreter needs, and which of some modules it has.

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
    return found["folders"], found["installed"]
