"""Write what rules made of files; the only module here that changes the user's files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rulewright.codemod.work import JudgedFile, Work
from rulewright.replacing import Replacement, clear, replace_all, why_not_writable


def drop_unwritable(work: Work) -> list[tuple[Path, str]]:
    """Leave out files that would change but are not writable; returns them with the reasons."""
    refused = {one.path: why for one in work.good if one.changes and (why := why_not_writable(one.path))}
    work.judged = [one for one in work.judged if one.path not in refused]
    work.walk.named += refused.items()
    return list(refused.items())


def write(work: Work, files: Sequence[JudgedFile], whole: bool = False) -> list[tuple[Path, str]]:
    """Write the new texts of files; also remove temporary files that a killed run left there.

    Returns the files that could not be replaced, with the reasons; they are added to what the walk left out.
    With `whole`, no file is changed if one cannot be (`replacing.replace_all`).
    """
    clear(work.walk.left_behind)
    made = ((one.path, *one.texts()) for one in files)
    changes = (Replacement(path, old, new) for path, old, new in made if new is not None and new != old)
    refused = replace_all(changes, whole)
    names = {path for path, _ in refused}
    work.judged = [one for one in work.judged if one.path not in names]
    work.walk.named += refused
    return refused
