"""Read a change made by hand from a diff, a revision, the index or two files.

The result is the same for each: whole files before and after, the lines that a diff of them shows
unchanged, and the changed files that nothing can be learned from. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final

from rulewright import jsonl
from rulewright.data.drafts import Drop
from rulewright.data.sources import git
from rulewright.difftext import unix
from rulewright.errors import UsageError
from rulewright.languages import Language, language_of_path
from rulewright.mining.by_hand import diffs
from rulewright.mining.by_hand.diffs import Change
from rulewright.replacing import read_text


@dataclass(frozen=True)
class ChangeSet:
    """A change, and where to look for more places like it.

    Args:
        changes: by file, in languages that rules can be learned for; empty if nothing is changed.
        skipped: changed files that nothing can be learned from, each with the reason.
        paths: the files and folders to look at.
        description: the change in a few words.
        unread: those of `skipped` that are no UTF-8 text, or not available.
    """

    changes: tuple[Change, ...]
    skipped: tuple[str, ...]
    paths: tuple[Path, ...]
    description: str
    unread: tuple[str, ...] = ()


def read(like: str, paths: Sequence[Path], staged: bool = False, diff: str = "") -> ChangeSet:
    """Read the change that the user names.

    Args:
        like: a file with a diff, `-` for `diff`, a revision (`HEAD`: what is not committed
            yet, or else that commit), a range `A..B`, or a source file: then the first of `paths` is the
            same file after the change.
        paths: where to look; empty: the repository, or the current folder.
        staged: read the change in the index instead.
        diff: the text of standard input, for `-`.

    Raises:
        UsageError: it is none of these, or one of two files is no UTF-8 text.
    """
    if staged:
        return _of_git([], paths, "what is staged", staged=True)
    if like == "-":
        return _of_diff(diff, "standard input", paths)
    file = Path(like)
    # A bare repository has a file of that name.
    if not file.is_file() or (like == "HEAD" and git.is_bare(Path())):
        return _of_revision(like, paths)
    text = diffs.decoded(jsonl.require_file(file).read_bytes())
    # Source code, as of a test, may contain a diff.
    is_diff = language_of_path(file) == "other" and (file.suffix in _DIFFS or diffs.is_diff(text))
    if text.strip() and not is_diff and _language_of(file, *paths[:1]) != "other":
        return _of_pair(file, paths)
    return _of_diff(text, like, paths)


def _of_diff(text: str, name: str, paths: Sequence[Path]) -> ChangeSet:
    # The names in a diff of git are relative to the top of the repository.
    changes, left = diffs.read(text, diffs.below(Path(), *_here()), name)
    return ChangeSet(tuple(changes), tuple(left), tuple(paths) or _here(), f"the diff {name}")


_DIFFS: Final = (".diff", ".patch")
_PAIR: Final = "--like BEFORE AFTER PATH…, or --like FILE.diff PATH…"


def _of_pair(before: Path, paths: Sequence[Path]) -> ChangeSet:
    """The change from one file to another; the second file is not changed again."""
    language = _language_of(before, *paths[:1])
    if not paths or not paths[0].is_file():
        raise UsageError(f"{before}: no diff, and no file after the change is named", _PAIR)
    if language_of_path(paths[0]) not in (language, "other"):
        raise UsageError(
            f"{paths[0]}: after the change of {before}, a file of {language} was expected", _PAIR
        )
    pre, post = (unix(read_text(path)) for path in (before, paths[0]))
    if pre == post:
        return ChangeSet((), (), tuple(paths[1:]) or _here(), f"{before} and {paths[0]}")
    change = Change(paths[0], language, pre, post, diffs.shown_unchanged(pre, post), post)
    return ChangeSet((change,), (), tuple(paths[1:]) or _here(), f"{before} and {paths[0]}")


def _language_of(before: Path, *after: Path) -> Language:
    """The language of two versions of a file: `pick.py.orig` and `pick.py` are Python."""
    both = [language_of_path(path) for path in (before, *(path for path in after if path.is_file()))]
    return next((one for one in both if one != "other"), "other")


def _of_revision(like: str, paths: Sequence[Path]) -> ChangeSet:
    try:
        top = git.top_of(Path())
    except UsageError:
        if git.is_bare(Path()):
            raise
        raise UsageError(f"{like}: no such file, and no git repository here", "name a diff, or `-`") from None
    if Path(like).suffix in _DIFFS and not git.is_revision(top, like):
        raise UsageError(f"{like}: no such file", "check the path")
    if ".." in like:
        return _of_git([like], paths, like)
    if not git.is_revision(top, "HEAD"):
        raise UsageError(f"{like}: there is no commit here yet, so nothing tells what was before", _NO_COMMIT)
    if not git.is_revision(top, like):
        ways = git.DEEPEN if git.is_shallow(top) else "name a diff, `-`, HEAD or A..B"
        raise UsageError(f"{like}: no such file, and no such revision", ways)
    now = _of_git(["HEAD"], paths, "what is not committed yet") if like == "HEAD" else None
    if now is not None and now.changes:
        return now
    if git.is_cut_off(top, like):
        raise UsageError(f"the commit {like}: what was before it is not in this clone", git.DEEPEN)
    found = _of_git([git.parent_of(top, like), like], paths, f"the commit {like}")
    return replace(found, skipped=_once(now.unread, found.skipped)) if now is not None else found


def _of_git(revisions: Sequence[str], paths: Sequence[Path], what: str, staged: bool = False) -> ChangeSet:
    """The change that `git diff` with these revisions shows."""
    top = git.top_of(Path())
    changes: list[Change] = []
    left: list[str] = []
    unread: list[str] = []
    for name, status, pre, post in git.changed(top, revisions, staged):
        path = _shown(top / name)
        language = language_of_path(path)
        if status == "S":
            unread.append(f"{path}: a submodule: learn from its own changes there, `cd {path}`")
        elif status not in ("M", "R"):
            left.append(f"{path}: {_STATUS.get(status, 'not a text file')}")
        elif language == "other":
            left.append(f"{path}: of no language that we know")
        elif isinstance(pre, str) and isinstance(post, str):
            if (old := unix(pre)) != (new := unix(post)):
                now = unix(path.read_bytes().decode("utf-8", "replace")) if path.is_file() else ""
                changes.append(Change(path, language, old, new, diffs.shown_unchanged(old, new), now))
            elif status == "R":
                left.append(f"{path}: a new name")
        else:
            unread += [f"{path}: {side.detail}" for side in (pre, post) if isinstance(side, Drop)][:1]
    where = tuple(paths) or (_shown(top),)
    return ChangeSet(tuple(changes), _once(left, unread), where, what, tuple(unread))


def _once(*lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain(*lines)))


_STATUS: Final = {"A": "a new file", "D": "a file that went", "T": "a link"}
_NO_COMMIT: Final = "commit what was before the change, or name the old file before the new one"


def _shown(path: Path) -> Path:
    """A path relative to the current folder, if it is below that."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def _here() -> tuple[Path, ...]:
    try:
        return (_shown(git.top_of(Path())),)
    except UsageError:
        return (Path(),)
