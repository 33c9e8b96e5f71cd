"""Which files rules are for: the walk of the pinned ast-grep itself, told file by file.

One walker for every command that looks at a person's files. What ast-grep passes over
(ignored, hidden, beyond the globs of a rule) is passed over; links are never followed to a
file; whatever else is left out is named with its reason. Nothing is written.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rulewright import yaml12
from rulewright.actions.rule_file import Document
from rulewright.actions.rule_text import AST_GREP_NAMES
from rulewright.engine import cli, literals
from rulewright.errors import RulewrightError, UsageError, why
from rulewright.languages import EXTENSIONS, Language, language_of_path

WALL_SECONDS: Final = 300
MAX_ENTRIES: Final = 100_000
"""Folder entries to look at when counting what was left out."""
ANY: Final[dict[str, Any]] = {"kind": "ERROR"}
"""A rule that compiles for every language: only the list of files is wanted."""
ROOTS: Final[dict[Language, str]] = {
    "python": "module", "javascript": "program", "typescript": "program", "tsx": "program",
    "java": "program", "go": "source_file", "c": "translation_unit", "cpp": "translation_unit",
    "rust": "source_file", "ruby": "program", "php": "program", "csharp": "compilation_unit",
    "kotlin": "source_file",
}  # fmt: skip
"""The node that every file has: a rule for it matches wherever a rule with these globs can."""

NO_WALK: Final = "ast-grep cannot walk here"
NO_NAME: Final = "a name that is not UTF-8 text"

HOSTS: Final = frozenset({".html", ".htm", ".xhtml"})
"""Files that may hold code of the languages `EMBEDDED`."""
EMBEDDED: Final[frozenset[Language]] = frozenset({"javascript", "typescript", "tsx"})
MAX_BYTES: Final = 3_000_000
MAX_LINES: Final = 200_000
"""ast-grep passes over files of more bytes and of more lines."""
SAMPLE: Final = 32
"""Files by which it is told how many of those that hold a rule's words match."""
COMMON: Final = 0.25
"""Share of files from which words, or matches, are common."""

_REASONS: Final = {
    "invalidUtf8": "not UTF-8 text",
    "fileTooLarge": "too large for ast-grep",
    "ioError": "cannot be read",
}


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
        paths: files and folders, as a person names them.
        documents: rules that ast-grep accepts.
        strict: a file that is named is taken only if ast-grep takes it; else a script is taken by its
            first line or, named alone, for the first rule's language, and C for C++ and back.
        base: the folder of the rule file, from which its globs are read; `None`: it has none.
        judged: whatever may match is judged anyway, so that it need not be parsed to tell whether it does.

    Raises:
        UsageError: a path is not there, or no file of the rules' languages is named.
        RulewrightError: ast-grep cannot be started, or cannot walk here.
    """
    active = [number for number, one in enumerate(documents) if not one.off]
    for path in paths:
        if not str(path).isprintable() and "\ufffd" in shown(str(path)):
            raise UsageError(
                f"{shown(str(path))}: {NO_NAME}, which ast-grep cannot take", "rename it, or name its folder"
            )
        if not path.exists():
            what = "a link to nowhere" if path.is_symlink() else "no such file or folder"
            raise UsageError(f"{path}: {what}", "check the path")
    if not active:
        return Walk()
    walk = Walk()
    try:
        listed = _listed(paths, documents, active, walk, base, judged)
    except (cli.Crash, cli.Slow) as error:
        raise RulewrightError(f"{error}, and whatever the rule", cli.REINSTALL) from error
    if not strict:
        refused = {path for path, _ in walk.named}
        _take_named([path for path in paths if path not in refused], documents, active, listed)
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
    _check_languages(paths, documents, listed, walk)
    _count_unlisted(paths, documents, {*listed, *(path for path, _ in walk.named)}, walk)
    return walk


def _listed(
    paths: Sequence[Path],
    documents: Sequence[Document],
    active: Sequence[int],
    walk: Walk,
    base: Path | None,
    judged: bool,
) -> dict[Path, WalkedFile]:
    """Every file of the rules' languages that ast-grep lists, with the rules that are for it."""
    languages = {documents[number].action.language for number in active}
    seen, exact = _seen(paths, documents, active, judged)
    within = {number: _within(paths, documents[number], base) for number in active}
    listed: dict[Path, WalkedFile] = {}
    for path, language in seen.files.items():
        # ast-grep tells a name that is not UTF-8 with other characters: `_count_unlisted` names it.
        if language in languages and not _garbled(path):
            mine = tuple(
                number
                for number in active
                if documents[number].action.language == language and _holds(within[number], path)
            )
            listed[path] = WalkedFile(path, language, mine, not exact or path in seen.matched)
    walk.named += [(path, _REASONS[why]) for path, why in sorted(seen.skipped.items()) if why in _REASONS]
    walk.named += [(path, "code within another language") for path in sorted(seen.hosts & seen.matched)]
    return listed


def _seen(
    paths: Sequence[Path], documents: Sequence[Document], active: Sequence[int], judged: bool
) -> tuple[_Seen, bool]:
    """The walk with the rules themselves, without their globs; and whether its matches can be relied on."""
    rules = [(documents[number].action.language, documents[number].action.rules[0]) for number in active]
    try:
        return (judged and _by_words(paths, rules)) or _scan(paths, rules), True
    except (cli.Crash, cli.Slow):
        # A rule breaks ast-grep down: list the files, and let the engine say it file by file.
        return _scan(paths, [(language, {"rule": ANY}) for language, _ in rules]), False


def _by_words(paths: Sequence[Path], rules: Sequence[tuple[Language, Mapping[str, Any]]]) -> _Seen | None:
    """The walk, and the files that hold what a rule needs; `None` where only a scan can tell.

    To parse a file costs a hundred times what it costs to look for some words in it, and a file that is
    judged is parsed anyway. Where a rule matches in few of the files that hold its words, a scan costs less.
    """
    wanted: dict[Language, list[literals.Needs]] = {}
    for language, rule in rules:
        wanted.setdefault(language, []).append(literals.needs(rule["rule"], language))
    seen = _unread(paths, wanted.keys())
    if seen is None:
        return None
    for path in sorted([*seen.files, *seen.hosts]):
        data, why = _content(path)
        if path in seen.hosts:
            needed = [one for language in EMBEDDED & wanted.keys() for one in wanted[language]]
            if any(literals.may_match(data, one) for one in needed):
                return None
        elif why:
            seen.skipped[path] = why
            del seen.files[path]
        elif any(literals.may_match(data, one) for one in wanted[seen.files[path]]):
            seen.matched.add(path)
    seen.hosts.clear()
    if len(seen.matched) > max(SAMPLE, COMMON * len(seen.files)):
        some = sorted(seen.matched)[:: len(seen.matched) // SAMPLE]
        if len(_scan(some, rules).matched) < COMMON * len(some):
            return None
    return seen


def _content(path: Path) -> tuple[bytes, str]:
    """What a file holds, and why ast-grep passes over it, in its words; empty where it does not."""
    try:
        data = path.read_bytes()
        data.decode("utf-8")
    except OSError:
        return b"", "ioError"
    except UnicodeDecodeError:
        return b"", "invalidUtf8"
    too_large = len(data) > MAX_BYTES and data.count(b"\n") > MAX_LINES
    return data, "fileTooLarge" if too_large else "" if data else "emptyFile"


def _unread(paths: Sequence[Path], languages: Collection[Language]) -> _Seen | None:
    """The files of some languages that a scan would read, none of them read; `None`: that cannot be told.

    `run` names every file before it finds that no language has such a kind, and goes on to the next.
    """
    words = ["run", "--kind", "no_such_kind", "--inspect", "entity", "--color", "never"]
    told, _ = _run(words, paths)
    if _has_own_languages(told):
        return None
    shown = dict(_entities(told))
    if any(facts.get("skipped") != "error" for facts in shown.values()):
        return None
    listed = {path for path in shown if EXTENSIONS.get(path.suffix) in languages}
    # A hidden file in a folder that is walked: `scan` takes it by its suffix, `run` does not.
    every = {path for path, _ in _entities(_run([*words, "--no-ignore", "hidden"], paths)[0])}
    for path in every - listed:
        if not path.name.startswith(".") or EXTENSIONS.get(path.suffix) not in languages:
            continue
        above = _hidden_above(path, paths)
        if above is not None:
            if any(above in one.parents for one in listed) or not any(
                above in one.parents and _hidden_above(one, [above]) is None for one in every - {path}
            ):
                return None
            continue
        listed.add(path)
    hosts = {path for path in shown if path.suffix in HOSTS} if EMBEDDED & set(languages) else set()
    named = sorted(path for path in listed if not _garbled(path))
    return _Seen({path: EXTENSIONS[path.suffix] for path in named}, {}, set(), hosts)


def _garbled(path: Path) -> bool:
    """Whether a name that ast-grep told is not the file's: that one is no UTF-8."""
    return "\ufffd" in str(path) and not path.exists()


def _hidden_above(path: Path, roots: Iterable[Path]) -> Path | None:
    """The first hidden folder between a path that is walked and a file below it."""
    for root in roots:
        if root in path.parents:
            for number, part in enumerate(path.relative_to(root).parts[:-1], 1):
                if part.startswith("."):
                    return Path(root, *path.relative_to(root).parts[:number])
    return None


def _has_own_languages(told: bytes) -> bool:
    """Whether the project here may give files another language than their suffix does."""
    found = _PROJECT.search(told)
    if found is None:
        return False
    try:
        text = Path(os.fsdecode(found[1]), "sgconfig.yml").read_text(encoding="utf-8")
        config = yaml12.load(text)
    except (OSError, UnicodeDecodeError, yaml12.YamlError):
        return True
    return not isinstance(config, dict) or not _OF_LANGUAGES.isdisjoint(config)


_PROJECT: Final = re.compile(rb"^sg: summary\|project: isProject=true,projectDir=(.*)$", re.M)
_OF_LANGUAGES: Final = frozenset({"customLanguages", "languageGlobs", "languageInjections"})


def refused_globs(document: Document) -> str:
    """Why ast-grep refuses the `files` and `ignores` of a rule; empty where it takes them."""
    try:
        with tempfile.TemporaryDirectory(prefix="rulewright-") as folder:
            _within([Path(folder)], document, None)
    except RulewrightError as error:
        return error.message.removeprefix(f"{NO_WALK}: ")
    return ""


def _holds(within: set[str] | None, path: Path) -> bool:
    return within is None or _whole(path) in within


def _whole(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100  (links stay what they are)


def _within(paths: Sequence[Path], document: Document, base: Path | None) -> set[str] | None:
    """The files within the globs of a rule, whole names; `None` for a rule without globs.

    ast-grep reads globs from the folder of the rule file for what lies in it, and as the paths are
    walked for the rest. It tells by a rule that matches the root of every file.
    """
    if not document.scoped:
        return None
    language = document.action.language
    globs = {"files": list(document.files), "ignores": list(document.ignores)}
    globs = {key: value for key, value in globs.items() if value}
    rules = [(language, {"rule": {"kind": ROOTS[language]}, **globs})]
    found = {_whole(path) for path in _scan(paths, rules).matched}
    if base is None:
        return found
    home = _whole(base)
    outside = {path for path in found if not _is_below(path, home)}
    below = [Path(name) for name in dict.fromkeys(_from(home, _whole(path)) for path in paths) if name]
    inside = _scan(below, rules, base).matched if below else set()
    return outside | {_whole(Path(home) / path) for path in inside}


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _from(folder: str, path: str) -> str:
    """What to walk from a folder for the part of a path that lies in it; empty where none does."""
    if _is_below(path, folder):
        return os.path.relpath(path, folder)
    return "." if _is_below(folder, path) else ""


@dataclass
class _Seen:
    files: dict[Path, Language]
    skipped: dict[Path, str]
    matched: set[Path]
    hosts: set[Path]
    """Files of another language that hold code of ours (JavaScript in HTML)."""


def _scan(
    paths: Sequence[Path], rules: Sequence[tuple[Language, Mapping[str, Any]]], folder: Path | None = None
) -> _Seen:
    """Run `ast-grep scan` where the person stands; read its list of files and of files that match."""
    texts = [
        json.dumps({"id": f"walk-{number}", "language": language, **rule}, ensure_ascii=False)
        for number, (language, rule) in enumerate(rules)
    ]
    options = ["--inspect", "entity", "--files-with-matches", "--color", "never"]
    # In a folder of its own: globs are read from there for what lies in it.
    with tempfile.TemporaryDirectory(prefix="rulewright-") as name:
        rule_file = Path(name, "rules.yml")
        rule_file.write_text("\n---\n".join(texts), encoding="utf-8")
        return _read(*_run(["scan", "--rule", str(rule_file), *options], paths, folder))


def _run(words: Sequence[str], paths: Sequence[Path], folder: Path | None = None) -> tuple[bytes, bytes]:
    """Run ast-grep where the person stands; what it tells on the way, and what it puts out."""
    given = [str(path) if not str(path).startswith("-") else f"./{path}" for path in paths]
    environment = {**cli.ENVIRONMENT, **{k: os.environ[k] for k in _OF_GIT if k in os.environ}}
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        cli.start(*words, *given, stdout=out, stderr=err, env=environment, cwd=folder) as running,
    ):
        try:
            code = running.wait(WALL_SECONDS)
        except subprocess.TimeoutExpired as error:
            running.kill()
            raise cli.Slow(f"ast-grep took more than {WALL_SECONDS} s to walk") from error
        err.seek(0)
        out.seek(0)
        told = err.read()
        _check(code, told)
        return told, out.read()


# Where git's own list of ignored files may lie.
_OF_GIT: Final = ("HOME", "XDG_CONFIG_HOME")


def _check(code: int, told: bytes) -> None:
    if b"panicked at" in told or code < 0 or code == 101:
        raise cli.Crash("ast-grep panicked")
    if code not in (0, 1):
        lines = [line.strip(" ╰▻│├") for line in told.decode("utf-8", "replace").splitlines() if line.strip()]
        reasons = [line for line in lines if not line.startswith("sg: ")]
        raise RulewrightError(
            f"{NO_WALK}: {reasons[-1] if reasons else f'exit {code}'}",
            "look at sgconfig.yml and the globs of the rule",
        )


def _read(told: bytes, matches: bytes) -> _Seen:
    seen = _Seen({}, {}, {Path(os.fsdecode(line)) for line in matches.splitlines() if line}, set())
    first: dict[Path, str] = {}
    for path, facts in _entities(told):
        name = facts.get("language", "").lower()
        if "skipped" in facts:
            seen.skipped[path] = facts["skipped"]
        elif first.setdefault(path, name) != name:
            seen.hosts.add(path)
        elif language := AST_GREP_NAMES.get(name):
            seen.files[path] = language
    return seen


def _entities(told: bytes) -> Iterator[tuple[Path, dict[str, str]]]:
    """The files that ast-grep names as it goes, and what it says of each."""
    mark = b"sg: entity|file|"
    for line in told.splitlines():
        name, colon, what = line[len(mark) :].rpartition(b": ")
        if line.startswith(mark) and colon:
            facts = what.decode("utf-8", "replace").split(",")
            yield Path(os.fsdecode(name)), dict(part.partition("=")[::2] for part in facts)


_TWINS: Final = frozenset({"c", "cpp"})


def _take_named(
    paths: Sequence[Path],
    documents: Sequence[Document],
    active: Sequence[int],
    listed: dict[Path, WalkedFile],
) -> None:
    """Take files that a person named though ast-grep does not: scripts by their first line, C for C++.

    A file without a suffix is taken for the first rule's language where nothing else is named; any other
    of an unknown language is not: in a list of changed files are texts and style sheets, too.
    """
    languages = list(dict.fromkeys(documents[number].action.language for number in active))
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
        numbers = [n for n in active if documents[n].action.language == chosen and not documents[n].scoped]
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


def _count_unlisted(
    paths: Sequence[Path], documents: Sequence[Document], known: set[Path], walk: Walk
) -> None:
    """Count the files of the languages below the folders that ast-grep did not list."""
    languages = {one.action.language for one in documents if not one.off}
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
            elif _size(path):
                walk.ignored += 1


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


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
            mine = os.path.splitext(name)[1] in suffixes  # noqa: PTH122  (once for every file)
            yield (os.path.join(base, name) if mine else ""), hidden or name.startswith(".")  # noqa: PTH118
