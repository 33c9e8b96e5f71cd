"""A person asked about places and files, and told what was left out or failed. For several commands."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from rulewright import console, difftext
from rulewright.codemod.work import JudgedFile
from rulewright.engine.walk import Walk
from rulewright.errors import RulewrightError, UsageError, few, why
from rulewright.replacing import read_text
from rulewright.verdict import Place

NAMED_AT_MOST: Final = 10
SHOWN_FILES: Final = 3


def pick(question: str, letters: str) -> str:
    """One of the letters; the last one at the end of the input."""
    while True:
        line = console.ask(question)
        if line is None:
            return letters[-1]
        if line and line[0].lower() in letters:
            return line[0].lower()


class PlaceByPlace:
    """Asks at each place whether to change it, until the user chooses all or none of the rest."""

    def __init__(self) -> None:
        self._rest: bool | None = None

    def __call__(self, path: Path, place: Place) -> str | None:
        """The new text of a place; `None` to leave it."""
        if self._rest is not None:
            return place.new if self._rest else None
        lines = [f"{path}:{place.line}"]
        lines += [f"- {console.clean(line)}" for line in difftext.rows(place.old) or [""]]
        lines += [f"+ {console.clean(line)}" for line in difftext.rows(place.new) or [""]]
        console.say("\n".join(lines))
        answer = pick("change it? [y]es, [n]o, [e]dit, [a]ll the rest, [q]uit: ", "yneaq")
        if answer in "aq":
            self._rest = answer == "a"
        if answer == "e":
            try:
                return edited(place.new, path.suffix)
            except RulewrightError as error:
                console.say(f"{error.message}; this place is not changed")
                return None
        return place.new if answer in "ya" else None


def edited(text: str, suffix: str) -> str:
    """The text after the user edited it ($VISUAL, $EDITOR, vi)."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="rulewright-") as folder:
        file = Path(folder) / f"place{suffix}"
        file.write_text(text, encoding="utf-8", newline="")
        try:
            done = subprocess.run([*shlex.split(editor), str(file)], check=False)
        except OSError as error:
            raise UsageError(f"{editor}: cannot be started ({why(error)})", "set EDITOR") from error
        if done.returncode:
            raise RulewrightError(f"{editor} ended with {done.returncode}", "nothing was written")
        new = read_text(file)
    # Editors end a file with a newline that the code does not have.
    return new[:-1] if new.endswith("\n") and not text.endswith("\n") else new


def say_left_out(walk: Walk) -> None:
    """What was left out, and why; a few names of many."""
    for line in console.few_lines(walk.left_out(), NAMED_AT_MOST):
        console.say(f"left out: {line}")


def say_failed(failed: Sequence[JudgedFile], why: Callable[[JudgedFile], str]) -> None:
    """Print the files that failed, one line for each kind of failure."""
    alike: dict[tuple[str, str], list[Path]] = {}
    for one in failed:
        alike.setdefault((str(one.outcome.verdict), console.clean(why(one))), []).append(one.path)
    for (verdict, reason), paths in alike.items():
        console.say(f"{few([*map(str, paths)], SHOWN_FILES)}: {verdict}: {reason}")
