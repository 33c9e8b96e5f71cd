"""A unified diff and the file it was made from → the edit, both sides whole.

The file may be as it was before the change or as it is after it; which one is found by
trying. Nothing is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

from rulewright import difftext
from rulewright.difftext import lines, unix
from rulewright.errors import UsageError
from rulewright.languages import Language, language_of_path
from rulewright.replacing import read_text

MARKS: Final = re.compile(r"^(?:\x1b\[[0-9;]*m)*(?:@@ -\d|diff --git |Binary files |Only in )", re.MULTILINE)
"""What a diff has: changes of text, or of names, modes and bytes."""
_HUNK: Final = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_COLOR: Final = re.compile(r"\x1b\[[0-9;]*[mK]")
_COLORED: Final = re.compile(r"^\x1b\[[0-9;]*m(?:diff |@@ |--- )", re.MULTILINE)
_PREFIX: Final = re.compile(r"[a-z1-2]/")
"""What git puts before a name: `a/` and `b/`, and with `diff.mnemonicPrefix` i, w, c, o, 1 and 2."""
_ESCAPE: Final = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPED: Final = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
_NOWHERE: Final = "/dev/null"

Locate = Callable[[str], Path]
"""The file that a name of a diff means; a `UsageError` where there is none."""


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
    for a0, a1, b0, b1 in difftext.changed(lines(pre), lines(post)):
        start, end = (a0, a1) if old_side else (b0, b1)
        yield from range(start + 1, end + 1) if end > start else (start, start + 1)


class _Hunk(NamedTuple):
    """Lines that become others; where they stand in the old and the new text, from 0."""

    at_old: int
    at_new: int
    old: list[str]
    new: list[str]

    @property
    def back(self) -> _Hunk:
        """The change undone."""
        return _Hunk(self.at_new, self.at_old, self.new, self.old)


@dataclass
class _Patch:
    """What a diff says of one file: its names before and after, `/dev/null` where there is none."""

    old: str
    new: str
    hunks: list[_Hunk] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """What the file may be called, the likeliest first: with git's prefix or without it."""
        found: list[str] = []
        for name in (one for one in (self.new, self.old) if one != _NOWHERE):
            bare = name.partition("/")[2]
            whole = _PREFIX.match(name) is None or (self.old == self.new and name[:2] not in ("a/", "b/"))
            found += (name, bare) if whole else (bare, name)
        return [name for name in found if name]


def read(text: str, locate: Locate, name: str = "the diff") -> tuple[list[Change], list[str]]:
    """The changes of a diff, and the files of it that nothing can be learned from, with the reason.

    Args:
        text: a unified diff (`git diff`, `diff -u`), colored or with the line ends of another system.
        locate: finds the files that it names.
        name: of the diff, for messages.

    Raises:
        UsageError: it is no diff, or does not fit the files; an empty one is a change of nothing.
    """
    text = unix(text)
    if _COLORED.search(text):
        text = _COLOR.sub("", text)
    try:
        patches = _parse(text)
    except _NoDiffLine as error:
        raise UsageError(
            f"{name}:{error}: no line of a unified diff",
            "give the output of `git diff` as it is, without --word-diff and --color-words",
        ) from error
    if not patches and text.strip() and MARKS.search(text) is None:
        raise UsageError(f"{name}: no unified diff found", "give the output of `git diff` or `diff -u`")
    changes: list[Change] = []
    left: list[str] = []
    for patch in patches:
        if _NOWHERE in (patch.old, patch.new):
            left.append(f"{patch.names[0]}: {'a new file' if patch.old == _NOWHERE else 'a file that went'}")
            continue
        path = _located(patch, locate)
        if language_of_path(path) == "other":
            left.append(f"{path}: of no language that we know")
            continue
        try:
            content = unix(read_text(path))
        except UsageError as error:
            left.append(error.message)
        else:
            changes.append(_change(path, content, patch))
    return changes, left


def below(*roots: Path) -> Locate:
    """Look for files from these folders, one after another."""

    def locate(name: str) -> Path:
        for root in roots:
            if (root / name).is_file():
                return root / name
        raise UsageError(
            f"{roots[0] / name}: named in the diff, but there is no such file",
            "run it where the names in the diff begin",
        )

    return locate


def _located(patch: _Patch, locate: Locate) -> Path:
    failure: UsageError | None = None
    for name in patch.names:
        try:
            return locate(name)
        except UsageError as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _change(path: Path, content: str, patch: _Patch) -> Change:
    """The edit of one file: the side that the file is not, made from the side that it is."""
    done = _patched(content, [hunk.back for hunk in patch.hunks])
    owed = _patched(content, patch.hunks)
    if done is None and owed is None:
        raise UsageError(
            f"{path}: the diff fits neither before nor after the change",
            "make the diff again from the file as it is",
        )
    # Without context both may fit: a hunk that only inserts finds room anywhere.
    is_post = owed is None or (done is not None and done.fit >= owed.fit)
    if is_post:
        assert done is not None
        pre, post, starts = done.text, content, done.made
    else:
        assert owed is not None
        pre, post, starts = content, owed.text, owed.found
    # The lines (from 1) of the old text that stand in a hunk on both sides; hunks begin on lines from 0.
    seen: set[int] = set()
    for hunk, start in zip(patch.hunks, starts, strict=True):
        gone = {line for a0, a1, _, _ in difftext.changed(hunk.old, hunk.new) for line in range(a0, a1)}
        seen.update(start + line for line in range(1, len(hunk.old) + 1) if line - 1 not in gone)
    return Change(path, language_of_path(path), pre, post, frozenset(seen), content)


class _NoDiffLine(Exception):
    """A line within a hunk that begins with no mark; its number, from 1."""


def _parse(text: str) -> list[_Patch]:
    patches: list[_Patch] = []
    said = lines(text)
    i = 0
    while i < len(said):
        line = said[i]
        if line.startswith("+++ ") and i and said[i - 1].startswith("--- "):
            patches.append(_Patch(_name(said[i - 1]), _name(line)))
        found = _HUNK.match(line)
        if found and patches:
            i = _hunk(said, i + 1, found, patches[-1])
            continue
        i += 1
    return [patch for patch in patches if patch.hunks]


def _name(line: str) -> str:
    r"""The name on a line `--- a/name` or `+++ b/name`; git quotes one with unusual characters.

    >>> _name(r'+++ "b/uml\303\244ut.py"'), _name("--- a/x y.py\t2024-01-01")
    ('b/umläut.py', 'a/x y.py')
    """
    name = line[4:].split("\t")[0].strip()
    if not name.startswith('"'):
        return name

    def unescaped(found: re.Match[bytes]) -> bytes:
        what = found[1]
        return bytes([int(what, 8) & 0xFF]) if len(what) == 3 else _ESCAPED.get(what, what)

    return os.fsdecode(_ESCAPE.sub(unescaped, name[1:-1].encode("utf-8", "surrogateescape")))


def _hunk(said: list[str], i: int, found: re.Match[str], patch: _Patch) -> int:
    n_old, n_new = int(found[2] or 1), int(found[4] or 1)
    old: list[str] = []
    new: list[str] = []
    while i < len(said) and (len(old) < n_old or len(new) < n_new or said[i].startswith("\\")):
        mark, rest = said[i][:1], said[i][1:]
        if mark == "\\":
            for side in (
                (old, new) if said[i - 1][:1] == " " else (old,) if said[i - 1][:1] == "-" else (new,)
            ):
                side[-1] = side[-1].removesuffix("\n")
        elif mark not in (" ", "-", "+", "\n"):
            raise _NoDiffLine(i + 1)
        else:
            if mark in (" ", "-", "\n"):
                old.append(rest if mark != "\n" else "\n")
            if mark in (" ", "+", "\n"):
                new.append(rest if mark != "\n" else "\n")
        i += 1
    # A side without lines is given by the line before it.
    patch.hunks.append(_Hunk(int(found[1]) - bool(n_old), int(found[3]) - bool(n_new), old, new))
    return i


class _Patched(NamedTuple):
    text: str
    fit: tuple[int, int]
    """How well the hunks fit: lines off their places, less is more; lines that they found."""
    found: list[int]
    """Where each hunk's old lines stood, from 0."""
    made: list[int]
    """Where its new ones stand now."""


def _patched(content: str, hunks: list[_Hunk]) -> _Patched | None:
    """Replace each hunk's lines where they stand, nearest to where they should; `None` if they do not."""
    known = lines(content)
    done = off = 0
    out: list[str] = []
    found: list[int] = []
    made: list[int] = []
    for hunk in hunks:
        old = hunk.old
        places = [i for i in range(done, len(known) - len(old) + 1) if known[i : i + len(old)] == old]
        if not places:
            return None
        at = min(places, key=lambda i: abs(i - hunk.at_old))
        off += abs(at - hunk.at_old)
        out += known[done:at]
        found.append(at)
        made.append(len(out))
        out += hunk.new
        done = at + len(hunk.old)
    fit = -off, sum(len(hunk.old) for hunk in hunks)
    return _Patched("".join([*out, *known[done:]]), fit, found, made)
