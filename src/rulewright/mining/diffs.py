"""A unified diff and the file it was made from → the edit, both sides whole.

The file may be as it was before the change or as it is after it; which one is found by
trying. Nothing is written.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

from rulewright import difftext
from rulewright.errors import UsageError
from rulewright.languages import Language, language_of_path

_HEADER: Final = re.compile(r"^(?:diff --git |Binary files |Only in )", re.MULTILINE)
"""What a diff has where no text changes: names, modes, bytes."""
_HUNK: Final = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True)
class Change:
    """One file of a diff, whole before and after."""

    path: Path
    language: Language
    pre: str
    post: str
    seen: frozenset[int] = frozenset()
    """Lines of `pre` (from 1) that the diff shows unchanged: whoever made it looked at them."""
    now: str = ""
    """The file as it is: as before the change, as after it, or changed since."""

    @cached_property
    def changed(self) -> frozenset[int]:
        """The lines of `pre` (from 1) that the change touches; for an insertion those beside it."""
        return frozenset(lines_of(self.pre, self.post, old_side=True))


def lines_of(pre: str, post: str, old_side: bool) -> Iterator[int]:
    """The lines (from 1) of one side that two texts differ in; where there are none, those beside it."""
    for a0, a1, b0, b1 in difftext.changed(pre.splitlines(), post.splitlines()):
        start, end = (a0, a1) if old_side else (b0, b1)
        yield from range(start + 1, end + 1) if end > start else (start, start + 1)


class _Hunk(NamedTuple):
    """Lines with their line ends, and where they begin on each side (from 1)."""

    start: int
    old: list[str]
    new: list[str]
    start_new: int

    @property
    def backward(self) -> _Hunk:
        return _Hunk(self.start_new, self.new, self.old, self.start)


@dataclass
class _Patch:
    path: str
    hunks: list[_Hunk]
    is_new: bool


def read(text: str, root: Path, name: str = "the diff") -> tuple[list[Change], list[str]]:
    """The changes of a diff, and the files of it that nothing can be learned from, with the reason.

    Args:
        text: a unified diff (`git diff`, `diff -u`).
        root: the folder that its paths are relative to.
        name: of the diff, for messages.

    Raises:
        UsageError: it is no diff, or does not fit the files; an empty one is a change of nothing.
    """
    patches = _parse(text)
    if not patches and text.strip() and _HEADER.search(text) is None:
        raise UsageError(f"{name}: no unified diff found", "give the output of `git diff` or `diff -u`")
    changes: list[Change] = []
    left: list[str] = []
    for patch in patches:
        path = root / patch.path
        if patch.is_new:
            left.append(f"{path}: a new file")
            continue
        if not path.is_file():
            raise UsageError(
                f"{path}: named in the diff, but there is no such file", "run in the diff's own folder"
            )
        content = path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
        if language_of_path(path) == "other":
            left.append(f"{path}: of no language that we know")
        else:
            changes.append(_change(path, content, patch))
    return changes, left


def named(text: str) -> list[str]:
    """The files that `read` would look at, as a diff names them."""
    return [patch.path for patch in _parse(text)]


def _change(path: Path, content: str, patch: _Patch) -> Change:
    language = language_of_path(path)
    ways = [([hunk.backward for hunk in patch.hunks], True), (patch.hunks, False)]
    # A side without any line fits everywhere, and so tells nothing.
    for hunks, is_post in sorted(ways, key=lambda way: not any(hunk.old for hunk in way[0])):
        other = _patched(content, hunks)
        if other is not None:
            pre, post = (other, content) if is_post else (content, other)
            return Change(path, language, pre, post, _seen(pre, patch.hunks), content)
    raise UsageError(
        f"{path}: the diff fits neither before nor after the change",
        "make the diff again from the file as it is",
    )


def _seen(pre: str, hunks: Sequence[_Hunk]) -> frozenset[int]:
    """The lines of the old text that stand in a hunk on both sides."""
    lines = pre.splitlines(keepends=True)
    seen: set[int] = set()
    done = 0
    for start, old, new, _ in hunks:
        at = _place(lines, old, start, done)
        if at is None:
            continue
        for block in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
            seen.update(range(at + block.a + 1, at + block.a + block.size + 1))
        done = at + len(old)
    return frozenset(seen)


def _parse(text: str) -> list[_Patch]:
    patches: list[_Patch] = []
    lines = text.splitlines(keepends=True)
    i = 0
    while i < len(lines):
        line = lines[i]
        if line.startswith("+++ "):
            name = line[4:].split("\t")[0].strip()
            is_new = i > 0 and lines[i - 1].startswith("--- /dev/null")
            patches.append(_Patch(re.sub(r"^[ab]/", "", name), [], is_new))
        found = _HUNK.match(line)
        if found and patches:
            i = _hunk(lines, i + 1, found, patches[-1])
            continue
        i += 1
    return [patch for patch in patches if patch.hunks and patch.path != "/dev/null"]


def _hunk(lines: list[str], i: int, found: re.Match[str], patch: _Patch) -> int:
    n_old, n_new = int(found[2] or 1), int(found[4] or 1)
    old: list[str] = []
    new: list[str] = []
    while i < len(lines) and (len(old) < n_old or len(new) < n_new or lines[i].startswith("\\")):
        mark, rest = lines[i][:1], lines[i][1:]
        if mark == "\\":
            for side in (
                (old, new) if lines[i - 1][:1] == " " else (old,) if lines[i - 1][:1] == "-" else (new,)
            ):
                side[-1] = side[-1].removesuffix("\n")
        else:
            if mark in (" ", "-", "\n"):
                old.append(rest if mark != "\n" else "\n")
            if mark in (" ", "+", "\n"):
                new.append(rest if mark != "\n" else "\n")
        i += 1
    # Of a side without lines a diff names the line before.
    patch.hunks.append(_Hunk(int(found[1]) + (not old), old, new, int(found[3]) + (not new)))
    return i


def _patched(content: str, hunks: Sequence[_Hunk]) -> str | None:
    """Replace each hunk's lines where they stand, nearest to where they should; `None` if they do not."""
    lines = content.splitlines(keepends=True)
    done = 0
    out: list[str] = []
    for start, old, new, _ in hunks:
        at = _place(lines, old, start, done)
        if at is None:
            return None
        out += [*lines[done:at], *new]
        done = at + len(old)
    return "".join([*out, *lines[done:]])


def _place(lines: list[str], old: list[str], start: int, done: int) -> int | None:
    """Where a hunk's lines stand (from 0), nearest to where they should; `None` if they do not."""
    places = [i for i in range(done, len(lines) - len(old) + 1) if lines[i : i + len(old)] == old]
    return min(places, key=lambda i: abs(i - (start - 1))) if places else None
