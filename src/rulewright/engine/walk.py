"""Which files rules are for: the walk of the pinned ast-grep itself, told file by file.

One walker for every command that looks at a person's files. What ast-grep passes over
(ignored, hidden, beyond the globs of a rule) is passed over; links are never followed to a
file; whatever else is left out is named with its reason. Nothing is written.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rulewright.actions.rule_file import Document
from rulewright.actions.rule_text import AST_GREP_NAMES
from rulewright.engine import cli
from rulewright.errors import RulewrightError, UsageError
from rulewright.languages import EXTENSIONS, Language, language_of_path

WALL_SECONDS: Final = 300
MAX_ENTRIES: Final = 100_000
"""Folder entries to look at when counting what was left out."""
ANY: Final[dict[str, Any]] = {"kind": "ERROR"}
"""A rule that compiles for every language: only the list of files is wanted."""

_REASONS: Final = {
    "invalidUtf8": "not UTF-8 text",
    "fileTooLarge": "too large for ast-grep",
    "ioError": "cannot be read",
}


@dataclass(frozen=True)
class Found:
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

    files: list[Found] = field(default_factory=list)
    named: list[tuple[Path, str]] = field(default_factory=list)
    """Files that cannot be taken, each with the reason."""
    ignored: int = 0
    """Files of the languages that an ignore file names."""
    hidden: int = 0
    """Files of the languages whose name, or folder, begins with a dot."""
    out_of_scope: int = 0
    """Files of the languages that are outside the `files` and `ignores` of every rule."""
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


def find(paths: Sequence[Path], documents: Sequence[Document], strict: bool = False) -> Walk:
    """Walk as `ast-grep scan` does with these rules, those with `severity: off` left out.

    Args:
        paths: files and folders, as a person names them.
        documents: rules that ast-grep accepts.
        strict: a file that is named is taken only if ast-grep takes it; else one of an
            unknown language is taken for that of the first rule, and C for C++ and back.

    Raises:
        UsageError: a path is not there, or no file of the rules' languages is named.
    """
    active = [number for number, one in enumerate(documents) if not one.off]
    for path in paths:
        if not path.exists():
            what = "a link to nowhere" if path.is_symlink() else "no such file or folder"
            raise UsageError(f"{path}: {what}", "check the path")
    if not active:
        return Walk()
    walk = Walk()
    listed = _listed(paths, documents, active, walk)
    if not strict:
        _take_named(paths, documents, active, listed)
    seen: set[Path] = set()
    for path, found in sorted(listed.items()):
        whole = path.parent.resolve() / path.name
        if whole in seen:
            continue
        seen.add(whole)
        if path.is_symlink():
            walk.named.append((path, "a link: nothing is written through one"))
        elif found.documents:
            walk.files.append(found)
        else:
            walk.out_of_scope += 1
    _check_languages(paths, documents, listed, walk)
    _count_unlisted(paths, documents, {*listed, *(path for path, _ in walk.named)}, walk)
    return walk


def _listed(
    paths: Sequence[Path], documents: Sequence[Document], active: Sequence[int], walk: Walk
) -> dict[Path, Found]:
    """Every file that ast-grep lists for any rule."""
    scoped = any(documents[number].scoped for number in active)
    languages = {documents[number].action.language for number in active}
    rounds = [[number] for number in active] if scoped else [list(active)]
    listed: dict[Path, Found] = {}
    told: dict[Path, str] = {}
    for numbers in rounds:
        try:
            seen = _scan(paths, {number: _rule(documents[number], number) for number in numbers})
            exact = True
        except (cli.Crash, cli.Slow):
            # The rule breaks ast-grep down: list the files, and let the engine say it file by file.
            seen = _scan(paths, {number: _rule(documents[number], number, ANY) for number in numbers})
            exact = False
        told.update(seen.skipped)
        for path, (language, applied) in seen.files.items():
            if language not in languages:
                continue
            mine = [n for n in numbers if applied and documents[n].action.language == language]
            old = listed.get(path, Found(path, language, (), False))
            may = old.may_match or (bool(mine) and (not exact or path in seen.matched))
            listed[path] = Found(path, language, (*old.documents, *mine), may)
    walk.named += [(path, _REASONS[why]) for path, why in sorted(told.items()) if why in _REASONS]
    return listed


def _rule(document: Document, number: int, instead: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A rule document for the walk: what is matched and where, without its fix and its name."""
    given = document.action.rules[0] if instead is None else {"rule": instead}
    made = {"id": f"walk-{number}", "language": document.action.language, **given}
    for key, globs in (("files", document.files), ("ignores", document.ignores)):
        if globs:
            made[key] = list(globs)
    return made


@dataclass
class _Seen:
    files: dict[Path, tuple[Language, bool]]
    """Language, and whether a rule is for the file."""
    skipped: dict[Path, str]
    matched: set[Path]


def _scan(paths: Sequence[Path], rules: Mapping[int, Mapping[str, Any]]) -> _Seen:
    """Run `ast-grep scan` where the person stands; read its list of files and of files that match."""
    texts = [json.dumps(rule, ensure_ascii=False) for rule in rules.values()]
    with tempfile.TemporaryDirectory(prefix="rulewright-") as name:
        rule_file, output, errors = (Path(name) / part for part in ("rules.yml", "out", "err"))
        rule_file.write_text("\n---\n".join(texts), encoding="utf-8")
        options = ["--inspect", "entity", "--files-with-matches", "--color", "never"]
        given = [str(path) if not str(path).startswith("-") else f"./{path}" for path in paths]
        argv = [cli.binary(), "scan", "--rule", str(rule_file), *options, *given]
        environment = {**cli.ENVIRONMENT, **{k: os.environ[k] for k in _OF_GIT if k in os.environ}}
        with output.open("wb") as out, errors.open("wb") as err:
            try:
                done = subprocess.run(
                    argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment,
                    check=False, timeout=WALL_SECONDS,
                )  # fmt: skip
            except subprocess.TimeoutExpired as error:
                raise cli.Slow(f"ast-grep took more than {WALL_SECONDS} s to walk") from error
        told = errors.read_bytes()
        _check(done.returncode, told)
        return _read(told, output.read_bytes())


# Where git's own list of ignored files may lie.
_OF_GIT: Final = ("HOME", "XDG_CONFIG_HOME")


def _check(code: int, told: bytes) -> None:
    if b"panicked at" in told or code < 0 or code == 101:
        raise cli.Crash("ast-grep panicked")
    if code not in (0, 1):
        lines = [line.strip(" ╰▻│├") for line in told.decode("utf-8", "replace").splitlines() if line.strip()]
        reasons = [line for line in lines if not line.startswith("sg: ")]
        raise RulewrightError(
            f"ast-grep cannot walk here: {reasons[-1] if reasons else f'exit {code}'}",
            "look at sgconfig.yml and the globs of the rule",
        )


def _read(told: bytes, matches: bytes) -> _Seen:
    seen = _Seen({}, {}, {Path(os.fsdecode(line)) for line in matches.splitlines() if line})
    mark = b"sg: entity|file|"
    for line in told.splitlines():
        if not line.startswith(mark):
            continue
        name, colon, what = line[len(mark) :].rpartition(b": ")
        if not colon:
            continue
        path = Path(os.fsdecode(name))
        facts = dict(part.partition("=")[::2] for part in what.decode("utf-8", "replace").split(","))
        if "skipped" in facts:
            seen.skipped[path] = facts["skipped"]
        elif language := AST_GREP_NAMES.get(facts.get("language", "").lower()):
            seen.files[path] = (language, facts.get("appliedRuleCount") != "0")
    return seen


_TWINS: Final = frozenset({"c", "cpp"})


def _take_named(
    paths: Sequence[Path], documents: Sequence[Document], active: Sequence[int], listed: dict[Path, Found]
) -> None:
    """Take files that a person named though ast-grep sees no language, or C for C++, in them."""
    languages = list(dict.fromkeys(documents[number].action.language for number in active))
    for path in paths:
        own = language_of_path(path)
        if path in listed or not path.is_file():
            continue
        if own == "other":
            chosen: Language | None = languages[0]
        else:
            chosen = next((one for one in languages if one == own or {one, own} == _TWINS), None)
        numbers = [n for n in active if documents[n].action.language == chosen and not documents[n].scoped]
        if chosen is not None and numbers and path.stat().st_size:
            listed[path] = Found(path, chosen, tuple(numbers))


def _check_languages(
    paths: Sequence[Path], documents: Sequence[Document], listed: Mapping[Path, Found], walk: Walk
) -> None:
    """Name files that are for no rule; refuse if nothing else was named."""
    languages = {one.action.language for one in documents}
    told = {path for path, _ in walk.named}
    others = [path for path in paths if path.is_file() and path not in listed and path not in told]
    for path in others:
        if path.stat().st_size and language_of_path(path) not in languages:
            walk.named.append((path, f"is {language_of_path(path)}, the rule is for {_names(languages)}"))
    if not walk.files and not walk.out_of_scope and others and all(path.is_file() for path in paths):
        said = [f"{path}: {why}" for path, why in walk.named if path in others]
        if said:
            raise UsageError("\n".join(said), "name files of the rule's language, or change its `language`")


def _names(languages: Iterable[str]) -> str:
    return " and ".join(sorted(languages))


def _count_unlisted(
    paths: Sequence[Path], documents: Sequence[Document], known: set[Path], walk: Walk
) -> None:
    """Count the files of the languages below the folders that ast-grep did not list."""
    languages = {one.action.language for one in documents if not one.off}
    suffixes = {suffix for suffix, language in EXTENSIONS.items() if language in languages}
    known = {Path(os.path.normpath(path)) for path in known}
    n = 0
    for folder in paths:
        if not folder.is_dir():
            continue
        for path, hidden in _below(folder, suffixes):
            n += 1
            if n > MAX_ENTRIES:
                walk.at_least = True
                return
            if path is None or Path(os.path.normpath(path)) in known:
                continue
            if path.is_symlink():
                walk.named.append((path, "a link: nothing is written through one"))
            elif hidden:
                walk.hidden += 1
            elif _size(path):
                walk.ignored += 1


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _below(folder: Path, suffixes: set[str]) -> Iterator[tuple[Path | None, bool]]:
    """Every entry below a folder (`None` for one that is no file of the languages); is it hidden?"""
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        inside = Path(base).relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        for name in sorted(files):
            mine = Path(name).suffix.lower() in suffixes
            yield (Path(base) / name if mine else None), hidden or name.startswith(".")
