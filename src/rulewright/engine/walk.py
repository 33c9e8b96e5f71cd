"""Find the files that rules apply to, as the pinned ast-grep does.

One walker for every command that reads the user's files. Files that ast-grep skips (ignored, hidden,
outside the globs of a rule) are skipped. Symbolic links to files are never followed. Every other skipped
file is named with its reason. Nothing is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rulewright import grammars
from rulewright.actions.rule_file import Document
from rulewright.engine import by_words, cli, globs
from rulewright.engine.listing import Listing, garbled, scan
from rulewright.errors import RulewrightError, UsageError, why
from rulewright.languages import EXTENSIONS, Language, language_of_path
from rulewright.replacing import PREFIX
from rulewright.verdict import RuleFailed

MAX_ENTRIES: Final = 100_000
"""Folder entries to look at when counting what was left out."""
NO_NAME: Final = "a name that is not UTF-8 text"
_REASONS: Final = {
    "invalidUtf8": "not UTF-8 text",
    "fileTooLarge": "too large for ast-grep",
    "ioError": "cannot be read",
}


_Rules = Mapping[int, Document]
"""Rules by their number."""


@dataclass(frozen=True)
class WalkedFile:
    """A file to look at.

    Args:
        path: as ast-grep names it: relative to where the command runs, where possible.
        language: by its name.
        documents: indices of the rules that are for it, in order.
        may_match: `False` where ast-grep says that none of them matches in it.
    """

    path: Path
    language: Language
    documents: tuple[int, ...]
    may_match: bool = True


@dataclass
class Walk:
    """Files in order of their names, and what was left out."""

    files: list[WalkedFile] = field(default_factory=list)
    named: list[tuple[Path, str]] = field(default_factory=list)
    """Files that cannot be taken, each with the reason."""
    ignored: int = 0
    """Files of the languages that an ignore file names."""
    hidden: int = 0
    """Files of the languages whose name, or folder, begins with a dot."""
    out_of_scope: int = 0
    """Files of the languages that are outside the `files` and `ignores` of every rule."""
    left_behind: list[Path] = field(default_factory=list)
    """Files that look like those that a killed run of ours leaves; they are no code, and never taken."""
    at_least: bool = False
    """Whether the counts stopped at `MAX_ENTRIES`."""

    def left_out(self) -> list[str]:
        """What was left out and why, one line a reason."""
        more = "at least " if self.at_least else ""
        lines = [
            f"{more}{count} {'file' if count == 1 else 'files'} {why}"
            for count, why in (
                (self.ignored, "that an ignore file names (.gitignore, .ignore)"),
                (self.hidden, "hidden"),
                (self.out_of_scope, "outside the `files` and `ignores` of the rules"),
            )
            if count
        ]
        return lines + [f"{path}: {why}" for path, why in self.named]


def find(
    paths: Sequence[Path],
    documents: Sequence[Document],
    strict: bool = False,
    base: Path | None = None,
    judged: bool = False,
) -> Walk:
    """Walk as `ast-grep scan` does with these rules, those with `severity: off` left out.

    Args:
        paths: files and folders, as the user names them.
        documents: rules that ast-grep accepts.
        strict: a file that is named is taken only if ast-grep takes it; else a script is taken by its
            first line or, named alone, for the first rule's language, and C for C++ and back.
        base: the folder of the rule file, from which its globs are read; `None`: it has none.
        judged: whatever may match is judged anyway, so that it need not be parsed to tell whether it does.

    Raises:
        UsageError: a path is not there, or no file of the rules' languages is named.
        RulewrightError: ast-grep cannot be started, or cannot walk here.
    """
    _check_paths(paths)
    active = {number: one for number, one in enumerate(documents) if not one.off}
    if not active:
        return Walk()
    walk = Walk()
    try:
        listed = _listed(paths, active, walk, base, judged)
    except RuleFailed as error:
        raise RulewrightError(f"{error}, and whatever the rule", cli.REINSTALL) from error
    if not strict:
        refused = {path for path, _ in walk.named}
        _take_named([path for path in paths if path not in refused], active, listed)
    _put_once(listed, walk)
    _check_languages(paths, documents, listed, walk)
    _count_unlisted(paths, active, {*listed, *(path for path, _ in walk.named)}, walk)
    return walk


def _check_paths(paths: Sequence[Path]) -> None:
    for path in paths:
        if not str(path).isprintable() and "\ufffd" in shown(str(path)):
            raise UsageError(
                f"{shown(str(path))}: {NO_NAME}, which ast-grep cannot take", "rename it, or name its folder"
            )
        if not path.exists():
            what = "a link to nowhere" if path.is_symlink() else "no such file or folder"
            raise UsageError(f"{path}: {what}", "check the path")


def _put_once(listed: Mapping[Path, WalkedFile], walk: Walk) -> None:
    """Put what ast-grep listed into the walk: a file once, by whatever paths it was reached."""
    seen: set[tuple[Path, str]] = set()
    folders: dict[Path, Path] = {}
    for path, found in sorted(listed.items(), key=lambda one: one[0].parts):
        folder = path.parent
        if folder not in folders:
            folders[folder] = folder.resolve()
        whole = folders[folder], path.name
        if whole in seen:
            continue
        seen.add(whole)
        if path.is_symlink():
            walk.named.append((path, "a link: nothing is written through one"))
        elif found.documents:
            walk.files.append(found)
        else:
            walk.out_of_scope += 1


def _listed(
    paths: Sequence[Path], active: _Rules, walk: Walk, base: Path | None, judged: bool
) -> dict[Path, WalkedFile]:
    """Every file of the rules' languages that ast-grep lists, with the rules that are for it."""
    seen, exact = _seen(paths, active, judged)
    within = {number: globs.within(paths, one, base) for number, one in active.items()}
    listed: dict[Path, WalkedFile] = {}
    for path, language in seen.files.items():
        own = [number for number, one in active.items() if one.action.language == language]
        # ast-grep tells a name that is not UTF-8 with other characters: `_count_unlisted` names it.
        if own and not garbled(path):
            mine = tuple(number for number in own if within[number](path))
            listed[path] = WalkedFile(path, language, mine, not exact or path in seen.matched)
    walk.named += [(path, _REASONS[why]) for path, why in sorted(seen.skipped.items()) if why in _REASONS]
    walk.named += [(path, "code within another language") for path in sorted(seen.hosts & seen.matched)]
    return listed


def _seen(paths: Sequence[Path], active: _Rules, judged: bool) -> tuple[Listing, bool]:
    """The walk with the rules themselves, without their globs; and whether its matches can be relied on."""
    rules = [(one.action.language, one.action.rules[0]) for one in active.values()]
    try:
        return (judged and by_words.listing(paths, rules)) or scan(paths, rules), True
    except RuleFailed:
        # A rule breaks ast-grep down: list the files by one that compiles for every language, and let
        # the engine say it file by file.
        return scan(paths, [(language, {"rule": {"kind": grammars.ERROR}}) for language, _ in rules]), False


_TWINS: Final = frozenset({"c", "cpp"})


def _take_named(paths: Sequence[Path], active: _Rules, listed: dict[Path, WalkedFile]) -> None:
    """Take files that the user named though ast-grep does not: scripts by their first line, C for C++.

    A file without a suffix is taken for the first rule's language where nothing else is named; any other
    of an unknown language is not: in a list of changed files are texts and style sheets, too.
    """
    languages = list(dict.fromkeys(one.action.language for one in active.values()))
    for path in paths:
        own = language_of_path(path)
        if path in listed or not path.is_file():
            continue
        chosen: Language | None
        if own == "other":
            chosen = _interpreted(path, languages)
            if chosen is None and not path.suffix and len(paths) == 1:
                chosen = languages[0]
        else:
            chosen = next((one for one in languages if one == own or {one, own} == _TWINS), None)
        numbers = [n for n, one in active.items() if one.action.language == chosen and not one.scoped]
        if chosen is not None and numbers and path.stat().st_size:
            listed[path] = WalkedFile(path, chosen, tuple(numbers))


_INTERPRETERS: Final[dict[str, tuple[Language, ...]]] = {
    "python": ("python",), "ruby": ("ruby",), "php": ("php",), "kotlin": ("kotlin",),
    "node": ("javascript",), "deno": ("typescript", "javascript"), "bun": ("typescript", "javascript"),
}  # fmt: skip


def _interpreted(path: Path, languages: Sequence[Language]) -> Language | None:
    """The language among these whose interpreter the first line of a script names."""
    try:
        with path.open("rb") as stream:
            first = stream.readline(200).decode("utf-8", "replace")
    except OSError:
        return None
    words = re.split(r"[\s/]+", first.removeprefix("#!")) if first.startswith("#!") else []
    known = [one for word in words for one in _INTERPRETERS.get(word.rstrip("0123456789."), ())]
    return next((one for one in known if one in languages), None)


def _check_languages(
    paths: Sequence[Path], documents: Sequence[Document], listed: Mapping[Path, WalkedFile], walk: Walk
) -> None:
    """Name files that are for no rule; refuse if nothing else was named."""
    languages = {one.action.language for one in documents}
    told = {path for path, _ in walk.named}
    others = [path for path in paths if path.is_file() and path not in listed and path not in told]
    for path in others:
        if not path.stat().st_size:
            continue
        own = language_of_path(path)
        if own not in languages:
            what = own if own != "other" else "of no language that we know"
            walk.named.append((path, f"is {what}, the rule is for {' and '.join(sorted(languages))}"))
        elif path.suffix not in EXTENSIONS:
            walk.named.append((path, f"ast-grep takes no `{path.suffix}` for {own}"))
    if not walk.files and not walk.out_of_scope and others and all(path.is_file() for path in paths):
        said = [f"{path}: {why}" for path, why in walk.named if path in others]
        if said:
            raise UsageError("\n".join(said), "name files of the rule's language, or change its `language`")


def _count_unlisted(paths: Sequence[Path], active: _Rules, known: set[Path], walk: Walk) -> None:
    """Count the files of the languages below the folders that ast-grep did not list."""
    languages = {one.action.language for one in active.values()}
    suffixes = {suffix for suffix, language in EXTENSIONS.items() if language in languages}
    names = {os.path.normpath(path) for path in known}
    n = 0
    for folder in paths:
        if not folder.is_dir():
            continue
        for name, hidden in _below(folder, suffixes, walk):
            n += 1
            if n > MAX_ENTRIES:
                walk.at_least = True
                return
            if not name or os.path.normpath(name) in names:
                continue
            names.add(os.path.normpath(name))  # one that is named may lie in another
            path = Path(name)
            if path.is_symlink():
                walk.named.append((Path(shown(name)), "a link: nothing is written through one"))
            elif hidden:
                walk.hidden += 1
            elif "\n" in name:
                walk.named.append((Path(shown(name)), "a line break in its name"))
            elif shown(name) != name:
                walk.named.append((Path(shown(name)), NO_NAME))
            elif not os.access(path, os.R_OK):
                walk.named.append((path, "cannot be read (Permission denied)"))
            else:
                with suppress(OSError):
                    walk.ignored += path.stat().st_size > 0


def shown(name: str) -> str:
    r"""A file's name as it can be printed on one line; the same where nothing bars that.

    >>> shown("a\nb.py"), shown("a.py")
    ('a\\nb.py', 'a.py')
    """
    return os.fsencode(name).decode("utf-8", "replace").replace("\n", "\\n")


def _below(folder: Path, suffixes: set[str], walk: Walk) -> Iterator[tuple[str, bool]]:
    """Every entry below a folder (empty for one that is no file of the languages); is it hidden?"""
    top = str(folder)

    def closed(error: OSError) -> None:
        walk.named.append((Path(shown(str(error.filename))), f"cannot be read ({why(error)})"))

    for base, folders, files in os.walk(top, onerror=closed):
        folders[:] = sorted(name for name in folders if name != ".git")
        hidden = "/." in "/" + base[len(top) :].replace(os.sep, "/")
        for name in sorted(files):
            if name.startswith(PREFIX):
                walk.left_behind.append(Path(base, name))
            mine = os.path.splitext(name)[1] in suffixes  # noqa: PTH122  (once for every file)
            yield (os.path.join(base, name) if mine else ""), hidden or name.startswith(".")  # noqa: PTH118
