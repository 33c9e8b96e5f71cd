"""Read a unified diff: each changed file, whole, before and after.

The file on disk may be the old or the new version; which one it is is found by trying. Nothing is written.
"""

from __future__ import annotations

import codecs
import email
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from rulewright import difftext
from rulewright.difftext import lines, unix
from rulewright.errors import UsageError
from rulewright.languages import Language, language_of_path
from rulewright.mining.by_hand.parts import Part, parts_of
from rulewright.mining.text.tree import Tree
from rulewright.replacing import read_text

MARKS: Final = re.compile(r"^(?:\x1b\[[0-9;]*m)*(?:@@ -\d|diff --git |Binary files |Only in )", re.MULTILINE)
"""Lines by which a diff is recognized: changes of text, names, modes or bytes."""
_OTHER_FORMS: Final = (
    (re.compile(r"^(?:\x1b\[[0-9;]*m)*(?:diff --(?:cc|combined) |@@@+ -\d)", re.MULTILINE),
     "the diff of a merge with all its parents", "give the diff with one of them: `git diff HEAD^ HEAD`"),
    (re.compile(r"^\*\*\* .*\n--- .*\n\*{15}$", re.MULTILINE), "a context diff", "give that of `diff -u`"),
    (re.compile(r"\A(?:diff .*\n)?\d+(?:,\d+)?[acd]\d+(?:,\d+)?\n[<>] "),
     "a diff without the lines around", "give that of `diff -u`"),
)  # fmt: skip
"""Other forms of diffs: how to recognize them, their name, and what to give instead."""
SHOWN: Final = 3
"""Unchanged lines that a diff shows around a change."""
_HUNK: Final = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_COLOR: Final = re.compile(r"\x1b\[[0-9;]*[mK]")
_COLORED: Final = re.compile(r"^\x1b\[[0-9;]*m(?:diff |@@ |--- )", re.MULTILINE)
_PREFIX: Final = re.compile(r"[a-z1-2]/")
"""Git's prefix of a name: `a/` and `b/`, and with `diff.mnemonicPrefix` i, w, c, o, 1 and 2."""
_ESCAPE: Final = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPED: Final = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
_NOWHERE: Final = "/dev/null"
_KINDS: Final = (
    (
        re.compile(r"^(?:index \S+|(?:old|new|new file|deleted file) mode) 160000$", re.MULTILINE),
        "a submodule",
    ),
    (re.compile(r"^(?:index \S+|[a-z ]+ mode) 120000$", re.MULTILINE), "a link"),
    (re.compile(r"^(?:Binary files |GIT binary patch$)", re.MULTILINE), "not a text file"),
    (re.compile(r"^new file mode ", re.MULTILINE), "a new file"),
    (re.compile(r"^deleted file mode ", re.MULTILINE), "a file that went"),
    (re.compile(r"^rename to ", re.MULTILINE), "a new name"),
)
"""Git's header lines by which a file is recognized that is no code; the last four only without hunks."""
_ENCODED: Final = re.compile(r"^Content-Transfer-Encoding: *(?:quoted-printable|base64)\b", re.M | re.I)
_MAIL: Final = re.compile(r"^(?=From \S+ \w{3} \w{3} [ \d]\d )", re.MULTILINE)

Locate = Callable[[str], Path]
"""Finds the file that a diff names; raises `UsageError` if there is none."""


@dataclass(frozen=True)
class Change:
    """One changed file, whole, before and after."""

    path: Path
    language: Language
    pre: str
    post: str
    seen: frozenset[int] = frozenset()
    """Lines of `pre` (from 1) that the diff shows unchanged: the person has seen them."""
    now: str = ""
    """The file on disk: as before the change, as after it, or changed since."""

    @cached_property
    def changed(self) -> frozenset[int]:
        """The lines of `pre` (from 1) that the change touches; for an insertion, those beside it."""
        return frozenset(difftext.changed_lines(self.pre, self.post, old_side=True))

    @cached_property
    def tree(self) -> Tree:
        """The tree before the change."""
        return Tree(self.pre, self.language)

    @cached_property
    def tree_after(self) -> Tree:
        return Tree(self.post, self.language)

    @cached_property
    def parts(self) -> list[Part]:
        """The hunks; those that belong together are one."""
        return parts_of(self.pre, self.post, self.tree.root.sg)


class _Hunk(NamedTuple):
    """A hunk: old and new lines, and the line (from 0) where each side begins."""

    at_old: int
    at_new: int
    old: list[str]
    new: list[str]

    @property
    def back(self) -> _Hunk:
        """The hunk that undoes it."""
        return _Hunk(self.at_new, self.at_old, self.new, self.old)


@dataclass
class _Patch:
    """The part of a diff about one file: its old and new name (`/dev/null` if none) and hunks."""

    old: str
    new: str
    hunks: list[_Hunk] = field(default_factory=list)
    what: str = ""
    """What the file is if it is no code: a link, a submodule."""

    @property
    def names(self) -> list[str]:
        """Possible names of the file, the likeliest first: with and without git's prefix."""
        found: list[str] = []
        for name in (one for one in (self.new, self.old) if one != _NOWHERE):
            bare = name.partition("/")[2]
            whole = _PREFIX.match(name) is None or (self.old == self.new and name[:2] not in ("a/", "b/"))
            found += (name, bare) if whole else (bare, name)
        return [name for name in found if name]


def decoded(raw: bytes) -> str:
    """Decode a saved diff: UTF-8, UTF-16 from a Windows shell, or inside an encoded mail."""
    is_wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = raw.decode("utf-16" if is_wide else "utf-8-sig", "replace")
    if not _ENCODED.search(text):
        return text
    parts = (part for mail in _MAIL.split(text) for part in email.message_from_string(mail).walk())
    bodies = (part.get_payload(decode=True) for part in parts if part.get_content_maintype() == "text")
    return "\n".join(body.decode("utf-8", "replace") for body in bodies if isinstance(body, bytes))


def is_diff(text: str) -> bool:
    """Whether a text is a diff of any form."""
    return any(form.search(text) for form in (MARKS, *(form for form, _, _ in _OTHER_FORMS)))


def read(text: str, locate: Locate, name: str = "the diff") -> tuple[list[Change], list[str]]:
    """The changes of a diff, and its files that nothing can be learned from, each with the reason.

    Args:
        text: a unified diff (`git diff`, `diff -u`) or several in a row; may be colored, or have the line
            ends of another system.
        locate: finds the files that it names.
        name: name of the diff, for messages.

    Raises:
        UsageError: it is no diff, or fits none of the files. An empty diff has no changes.
    """
    text = unix(text)
    if _COLORED.search(text):
        text = _COLOR.sub("", text)
    if text[-1:] in ("", "\n"):
        return _read(text, locate, name)
    try:  # copied text often lacks its last line end
        return _read(text + "\n", locate, name)
    except UsageError:  # so does what Python's difflib writes of a file without one
        return _read(text, locate, name)


def _read(text: str, locate: Locate, name: str) -> tuple[list[Change], list[str]]:
    try:
        patches, left = _parse(text)
    except _NoDiffLine as error:
        raise UsageError(f"{name}:{error}", error.hint) from error
    if not patches and not left and text.strip():
        _refuse(text, name)
    changes: list[Change] = []
    refused: UsageError | None = None
    of_file: dict[Path, list[_Patch]] = {}
    for patch in patches:
        if patch.what or _NOWHERE in (patch.old, patch.new):
            what = patch.what or ("a new file" if patch.old == _NOWHERE else "a file that went")
            left.append(f"{patch.names[0]}: {what}")
            continue
        try:
            of_file.setdefault(_located(patch, locate), []).append(patch)
        except UsageError as error:
            refused = refused or error
            left.append(error.message)
    for path, mine in of_file.items():
        if language_of_path(path) == "other":
            left.append(f"{path}: of no language that we know")
            continue
        try:
            content = unix(read_text(path))
        except UsageError as error:
            left.append(error.message)
            continue
        try:
            changes.append(_change(path, content, mine))
        except UsageError as error:
            refused = refused or error
            left.append(error.message)
    if refused is not None and not changes:
        raise refused
    return changes, left


def _refuse(text: str, name: str) -> None:
    """Raise what is wrong with a text without any change of a file, unless it only changes names or modes."""
    for form, what, hint in _OTHER_FORMS:
        if form.search(text):
            raise UsageError(f"{name}: {what}", hint)
    if re.search(r"^@@ -\d", text, re.MULTILINE):
        raise UsageError(
            f"{name}: names no file", "put the lines `--- a/FILE` and `+++ b/FILE` before its `@@`"
        )
    if MARKS.search(text) is None:
        raise UsageError(f"{name}: no unified diff found", "give the output of `git diff` or `diff -u`")


def below(*roots: Path) -> Locate:
    """A `Locate` that looks below these folders, one after another."""

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
    """The file of a patch, by the first of its names that is found."""
    failure: UsageError | None = None
    for name in patch.names:
        try:
            return locate(name)
        except UsageError as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _change(path: Path, content: str, patches: Sequence[_Patch]) -> Change:
    """The change of one file, from the text on disk and its patches.

    Several patches are steps, the oldest first (`git format-patch`) or last (`git log -p`).
    """
    for steps in (patches, patches[::-1])[: len(patches)]:
        done = _with_steps(content, [[hunk.back for hunk in patch.hunks] for patch in reversed(steps)])
        owed = _with_steps(content, [patch.hunks for patch in steps])
        if done is None and owed is None:
            continue
        # Without context both may fit: a hunk that only inserts fits anywhere.
        is_post = owed is None or (done is not None and done.fit >= owed.fit)
        if is_post:
            assert done is not None
            pre, post, starts = done.text, content, done.made
        else:
            assert owed is not None
            pre, post, starts = content, owed.text, owed.found
        if len(patches) > 1:
            return Change(path, language_of_path(path), pre, post, shown_unchanged(pre, post), content)
        # The unchanged lines of the hunks, from 1; hunks count lines from 0.
        seen: set[int] = set()
        for hunk, start in zip(steps[0].hunks, starts, strict=True):
            gone = {line for a0, a1, _, _ in difftext.changed(hunk.old, hunk.new) for line in range(a0, a1)}
            seen.update(start + line for line in range(1, len(hunk.old) + 1) if line - 1 not in gone)
        return Change(path, language_of_path(path), pre, post, frozenset(seen), content)
    raise UsageError(
        f"{path}: the diff fits neither before nor after the change",
        "make the diff again from the file as it is",
    )


def shown_unchanged(pre: str, post: str) -> frozenset[int]:
    """The lines of the old text (from 1) that a diff with the usual context shows unchanged."""
    old = lines(pre)
    changed: set[int] = set()
    shown: set[int] = set()
    for a0, a1, _, _ in difftext.changed(old, lines(post)):
        changed.update(range(a0 + 1, a1 + 1))
        shown.update(range(max(0, a0 - SHOWN) + 1, min(len(old), a1 + SHOWN) + 1))
    return frozenset(shown - changed)


class _NoDiffLine(Exception):
    """A line that a diff cannot have: its number (from 1), what is wrong, and what to do."""

    def __init__(self, line: int, what: str, hint: str) -> None:
        super().__init__(f"{line}: {what}")
        self.hint = hint


def _parse(text: str) -> tuple[list[_Patch], list[str]]:
    """The patches of a diff, and what git says of files without hunks."""
    patches: list[_Patch] = []
    left: list[str] = []
    diff_lines = lines(text)
    heads = [i for i, line in enumerate(diff_lines) if line.startswith("diff --git ")]
    for begin, end in pairwise([0, *heads, len(diff_lines)]):
        found = _patches(diff_lines, begin, end)
        patches += found
        if begin not in heads:
            continue
        head = "".join(_head(diff_lines[begin:end]))
        what = next((kind for form, kind in _KINDS if form.search(head)), "")
        if not found and what:
            left.append(f"{_named(head)}: {what}")
        for patch in found[:1]:
            patch.what = what if what in ("a submodule", "a link") else ""
    return patches, left


def _head(section: Sequence[str]) -> Iterator[str]:
    """The header lines of a file, before its hunks."""
    for line in section:
        if line.startswith(("--- ", "@@ ")):
            return
        yield line


def _named(head: str) -> str:
    r"""The name of a file without hunks, from its header.

    >>> _named("diff --git a/x y.png b/x y.png\n"), _named("diff --git a/x b/y\nrename to y\n")
    ('x y.png', 'y')
    """
    renamed = re.search(r"^rename to (.*)$", head, re.MULTILINE)
    if renamed is not None:
        return _unquoted(renamed[1])
    both = head.split("\n")[0].removeprefix("diff --git ")
    name = _unquoted(both[: len(both) // 2])
    return _PREFIX.sub("", name, count=1)


def _patches(diff_lines: Sequence[str], i: int, end: int) -> list[_Patch]:
    """The patches in a section of a diff: those with hunks."""
    patches: list[_Patch] = []
    while i < end:
        line = diff_lines[i]
        if line.startswith("+++ ") and i and diff_lines[i - 1].startswith("--- "):
            patches.append(_Patch(_name(diff_lines[i - 1]), _name(line)))
        found = _HUNK.match(line)
        if found and patches:
            i = _hunk(diff_lines, i + 1, found, patches[-1])
            continue
        i += 1
    return [patch for patch in patches if patch.hunks]


def _name(line: str) -> str:
    r"""The name on a line `--- a/name` or `+++ b/name`; git quotes one with unusual characters.

    >>> _name(r'+++ "b/uml\303\244ut.py"'), _name("--- a/x y.py\t2024-01-01")
    ('b/umläut.py', 'a/x y.py')
    """
    return _unquoted(line[4:].split("\t")[0].strip())


def _unquoted(name: str) -> str:
    """A name without git's quotes and escapes."""
    if not name.startswith('"'):
        return name

    def unescaped(found: re.Match[bytes]) -> bytes:
        what = found[1]
        return bytes([int(what, 8) & 0xFF]) if len(what) == 3 else _ESCAPED.get(what, what)

    return os.fsdecode(_ESCAPE.sub(unescaped, name[1:-1].encode("utf-8", "surrogateescape")))


def _hunk(diff_lines: Sequence[str], i: int, found: re.Match[str], patch: _Patch) -> int:
    """Read the hunk whose first line is `i`, add it to a patch, and give the line after it."""
    n_old, n_new = int(found[2] or 1), int(found[4] or 1)
    old: list[str] = []
    new: list[str] = []
    while i < len(diff_lines) and (len(old) < n_old or len(new) < n_new or diff_lines[i].startswith("\\")):
        mark, rest = diff_lines[i][:1], diff_lines[i][1:]
        if mark == "\\" and (old or new):
            sides = {"-": (old,), "+": (new,)}.get(diff_lines[i - 1][:1], (old, new))
            for side in filter(None, sides):
                side[-1] = side[-1].removesuffix("\n")
        elif mark not in (" ", "-", "+", "\n"):
            raise _NoDiffLine(i + 1, "no line of a unified diff", _AS_IT_IS)
        else:
            if mark in (" ", "-", "\n"):
                old.append(rest if mark != "\n" else "\n")
            if mark in (" ", "+", "\n"):
                new.append(rest if mark != "\n" else "\n")
        i += 1
    # Unchanged lines at the end may be cut off, but no line of the change itself.
    if n_old - len(old) != n_new - len(new):
        raise _NoDiffLine(i, "the diff ends within a change", "give all of it, to its last line")
    # The position of a side without lines is that of the line before it.
    patch.hunks.append(_Hunk(int(found[1]) - bool(n_old), int(found[3]) - bool(n_new), old, new))
    return i


_AS_IT_IS: Final = "give the output of `git diff` as it is, without --word-diff and --color-words"


class _Patched(NamedTuple):
    """A text after hunks were applied."""

    text: str
    fit: tuple[int, int]
    """How well the hunks fit: minus the lines that they are off, and their number of old lines."""
    found: list[int]
    """The first line of each hunk before, from 0."""
    made: list[int]
    """The first line of each hunk after, from 0."""


def _with_steps(content: str, steps: Sequence[Sequence[_Hunk]]) -> _Patched | None:
    """Apply the hunks of several steps, one after another; `None` if one does not fit."""
    made = [_Patched(content, (0, 0), [], [])]
    for hunks in steps:
        next_one = _with_hunks(made[-1].text, hunks)
        if next_one is None:
            return None
        made.append(next_one)
    off, n_found = (sum(one.fit[side] for one in made) for side in (0, 1))
    return made[-1]._replace(fit=(off, n_found))


def _with_hunks(content: str, hunks: Sequence[_Hunk]) -> _Patched | None:
    """Apply each hunk at the fitting place nearest to its line number; `None` if there is none."""
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
