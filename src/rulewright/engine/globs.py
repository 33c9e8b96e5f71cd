"""Select files by the `files` and `ignores` of a rule, exactly as ast-grep reads these globs.

It reads them from the folder of the rule file for what lies in it, and as the paths are walked for the rest.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rulewright import grammars
from rulewright.actions.rule_file import Document
from rulewright.engine.listing import NO_WALK, scan
from rulewright.errors import RulewrightError


def within(paths: Sequence[Path], document: Document, base: Path | None) -> Callable[[Path], bool]:
    """Find the files below some paths that match the globs of a rule, whose file may be in `base`.

    Raises:
        RulewrightError: ast-grep refuses the globs.
        RuleFailed: ast-grep breaks down, or does not end.
    """
    if not document.scoped:
        return lambda path: True
    names = _names(paths, document, base)
    return lambda path: _whole(path) in names


def refused(document: Document) -> str:
    """Why ast-grep refuses the `files` and `ignores` of a rule; empty if it accepts them."""
    try:
        with tempfile.TemporaryDirectory(prefix="rulewright-") as folder:
            within([Path(folder)], document, None)
    except RulewrightError as error:
        return error.message.removeprefix(f"{NO_WALK}: ")
    return ""


def _names(paths: Sequence[Path], document: Document, base: Path | None) -> set[str]:
    """The whole names of the files: ast-grep tells them by a rule that matches the root of every file."""
    language = document.action.language
    globs = {"ignores": list(document.ignores)}
    if document.files is not None:
        globs["files"] = list(document.files)
    rules = [(language, {"rule": {"kind": grammars.ROOT[language]}, **globs})]
    found = {_whole(path) for path in scan(paths, rules).matched}
    if base is None:
        return found
    home = _whole(base)
    outside = {path for path in found if not _is_below(path, home)}
    # What to walk from that folder for the part of each path that lies in it.
    below: dict[Path, None] = {}
    for whole in map(_whole, paths):
        if _is_below(whole, home):
            below[Path(os.path.relpath(whole, home))] = None
        elif _is_below(home, whole):
            below[Path()] = None
    inside = scan(list(below), rules, base).matched if below else set()
    return outside | {_whole(Path(home) / path) for path in inside}


def _whole(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100  (links stay what they are)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
