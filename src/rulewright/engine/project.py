"""ast-grep projects: the nearest `sgconfig.yml`, its folders, and the utility rules that its rules share.

Read as ast-grep reads them. The variables of a shared utility rule are local to it. If inlining a utility
rule could change what a rule matches, the rule is refused. Nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from rulewright import yaml12
from rulewright.actions import visit
from rulewright.errors import UsageError, why
from rulewright.languages import AST_GREP_NAMES

CONFIG: Final = "sgconfig.yml"
YAML: Final = (".yml", ".yaml")
SNAPSHOTS: Final = "__snapshots__"
"""The folder beside tests in which `ast-grep test` keeps what rules found."""
SKIPPED: Final = frozenset({"node_modules", SNAPSHOTS, ".git"})
OWNERS: Final = ("rule", "constraints", "utils", "rewriters", "fix")
"""The parts of a rule that may name utility rules."""

Document = dict[str, Any]


class NotAlone(Exception):
    """A rule that is not the same without its project's utility rules as with them; why."""


@dataclass(frozen=True)
class Project:
    """A folder with `sgconfig.yml`, and the folders that it names; without `ruleDirs` it has none."""

    root: Path
    rule_dirs: tuple[Path, ...] = ()
    test_dirs: tuple[Path, ...] = ()
    util_dirs: tuple[Path, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All that the file says."""

    def holds(self, path: Path) -> bool:
        """Whether a path is a rule folder of the project, or inside one."""
        whole = path.resolve()
        return any(folder.resolve() in (whole, *whole.parents) for folder in self.rule_dirs)

    def snapshots(self) -> dict[str, dict[str, str | None]]:
        """What `ast-grep test` expects, by rule and code: the code after the first match is replaced.

        `None` where the rule had no fix. Of a file that cannot be read nothing is expected.
        """
        found: dict[str, dict[str, str | None]] = {}
        configs = self.settings.get("testConfigs") or ()
        for one in (one for one in configs if isinstance(one, dict) and one.get("testDir")):
            folder = self.root / str(one.get("testDir")) / str(one.get("snapshotDir") or SNAPSHOTS)
            for file in sorted(folder.glob("*.yml")):
                documents = documents_of(file)
                for document in () if isinstance(documents, Unread) else documents:
                    held = document.get("snapshots") if isinstance(document, Mapping) else None
                    cases = held.items() if isinstance(held, Mapping) else ()
                    fixed = {code: case.get("fixed") for code, case in cases if isinstance(case, Mapping)}
                    if fixed:
                        found.setdefault(str(document.get("id")), {}).update(fixed)
        return found

    def utils(self) -> dict[str, Document]:
        """The shared utility rules, by id.

        Raises:
            UsageError: a file is one for which ast-grep reads no rule of this project.
        """
        found: dict[str, Document] = {}
        for file in (file for folder in self.util_dirs for file in yaml_files(folder)):
            documents = documents_of(file)
            if isinstance(documents, Unread):
                raise UsageError(f"{file}: {documents.why}", "correct the file")
            if said := misplaced_util(documents):
                raise UsageError(f"{file}: {said}", "correct the file")
            found[str(documents[0]["id"])] = documents[0]
        return found


def misplaced_util(documents: Sequence[Any]) -> str:
    """Why ast-grep refuses a file of utility rules with this content; empty if it accepts it."""
    if len(documents) > 1:
        return f"{len(documents)} documents, and a file of `utilDirs` holds one rule"
    one = documents[0] if documents else None
    lacking = [key for key in ("id", "language", "rule") if not isinstance(one, dict) or key not in one]
    return f"missing field `{lacking[0]}` of a utility rule" if lacking else ""


class Unread(NamedTuple):
    """Where a file of rules or tests cannot be read, and why."""

    line: int
    """From 1."""
    why: str


def documents_of(file: Path) -> list[Any] | Unread:
    """The YAML documents of a file of rules or tests, read as ast-grep reads them."""
    try:
        return yaml12.load_all(file.read_text(encoding="utf-8"), text_keys=True)
    except (OSError, UnicodeDecodeError, yaml12.YamlError) as error:
        return _unread(error)


def _unread(error: OSError | UnicodeDecodeError | yaml12.YamlError) -> Unread:
    match error:
        case yaml12.YamlError():
            return Unread(error.line or 1, f"not YAML: {error}")
        case UnicodeDecodeError():
            return Unread(error.object.count(b"\n", 0, error.start) + 1, "not UTF-8 text")
    return Unread(1, f"cannot be read ({why(error)})")


def read(root: Path) -> Project | None:
    """The project of a folder; `None` if it has no `sgconfig.yml`.

    Raises:
        UsageError: the file is not YAML, or names a folder that does not exist.
    """
    file = root / CONFIG
    if not file.is_file():
        return None
    try:
        config = yaml12.load(file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml12.YamlError) as error:
        raise UsageError(f"{file}: {_unread(error).why}", "correct the file") from error
    if not isinstance(config, dict) or not config.get("ruleDirs"):
        return Project(root, settings=config if isinstance(config, dict) else {})
    for key, entry in (("ruleDirs", "FOLDER"), ("utilDirs", "FOLDER"), ("testConfigs", "{testDir: FOLDER}")):
        if not isinstance(config.get(key) or [], list):
            raise UsageError(f"{file}: `{key}` must be a list", f"write `{key}: [{entry}]`")
    for name in (*config["ruleDirs"], *(config.get("utilDirs") or ())):
        if not (root / str(name)).is_dir():
            raise UsageError(
                f"{file}: no folder `{name}`, so ast-grep cannot read this project",
                "correct ruleDirs and utilDirs, or name the folder of rules",
            )
    tests = [one.get("testDir") for one in config.get("testConfigs") or () if isinstance(one, dict)]
    rule_dirs, test_dirs, util_dirs = (
        tuple(root / str(name) for name in names)
        for names in (config["ruleDirs"], filter(None, tests), config.get("utilDirs") or ())
    )
    return Project(root, rule_dirs, test_dirs, util_dirs, config)


def above(path: Path, allowed: Callable[[Path], bool] = lambda folder: True) -> Project | None:
    """The project of a file or folder: that of the nearest `sgconfig.yml`, as ast-grep finds it.

    Args:
        path: the file or folder.
        allowed: whether a folder may be looked at, given its real path.
    """
    start = path.resolve()
    for folder in (start, *start.parents):
        if allowed(folder) and (folder / CONFIG).is_file():
            # As the user names it, where that is possible: messages and findings name files in it.
            return read(next((one for one in (path, *path.parents) if one.resolve() == folder), folder))
    return None


def below(folder: Path) -> list[Path]:
    """The folders below one that is no project itself in which projects begin, as in a monorepo."""
    found: list[Path] = []
    for place, folders, names in _walk(folder):
        if CONFIG in names and place != folder:
            with suppress(UsageError):  # the rules of one that cannot be read are read by themselves
                home = read(place)
                if home is not None and home.rule_dirs:
                    found.append(place)
                    folders.clear()
    return found


def yaml_files(folder: Path) -> Iterator[Path]:
    """The YAML files below a folder that ast-grep reads there."""
    for place, _, names in _walk(folder):
        files = (place / one for one in sorted(names) if one.endswith(YAML) and one != CONFIG)
        yield from (file for file in files if not file.is_fifo())


def _walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """A folder and those below it that ast-grep reads, in order, as `os.walk` gives them."""
    for name, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one not in SKIPPED and not one.startswith("."))
        yield Path(name), folders, names


def completer(
    file: Path | None, allowed: Callable[[Path], bool] = lambda folder: True
) -> Callable[[Any], Any]:
    """What puts the shared utility rules into a rule that names some: those of its file's project.

    ast-grep takes the project where the command runs; that one counts for a rule that lies in none.

    Args:
        file: of the rule, if it lies in one.
        allowed: whether a folder may be read, given its real path; the rules of others are not there.
    """

    def complete(document: Any) -> Any:
        if not isinstance(document, dict) or not missing(document):
            return document
        home = (file is not None and above(file.parent, allowed)) or above(Path(), allowed)
        if not home:
            return document
        folders = tuple(one for one in home.util_dirs if allowed(one.resolve()))
        return with_utils(document, replace(home, util_dirs=folders).utils())

    return complete


def missing(document: Mapping[str, Any]) -> set[str]:
    """The utility rules that a rule names and does not define."""
    return _named({key: document.get(key) for key in OWNERS}) - set(_own(document))


def with_utils(document: Document, utils: Mapping[str, Document]) -> Document:
    """A rule with the shared utility rules that it uses put into it.

    Raises:
        NotAlone: one of them cannot be, and be the same.
    """
    own = _own(document)
    made: dict[str, Any] = {}
    # A shared rule that uses another one does not see what the rule itself calls the same.
    names = {name: name if name not in own else f"shared: {name}" for name in utils}
    owed = missing(document) & utils.keys()
    while owed:
        name = min(owed)  # a set has another order in each process, and the rule may be saved
        owed.remove(name)
        if names[name] in made:
            continue
        _check_alone(name, utils[name], document)
        parts = _own(utils[name])
        seen = {**names, **{one: f"{name}: {one}" for one in parts}}
        made |= {seen[one]: _shared(part, seen) for one, part in parts.items()}
        made[names[name]] = _shared(utils[name]["rule"], seen)
        owed |= (_named([utils[name]["rule"], *parts.values()]) - parts.keys()) & utils.keys()
    return {**document, "utils": {**own, **made}} if made else document


def _own(document: Mapping[str, Any]) -> dict[str, Any]:
    given = document.get("utils")
    return given if isinstance(given, dict) else {}


def _check_alone(name: str, util: Document, document: Document) -> None:
    """Raise `NotAlone` for a utility rule that would not be the same within another rule."""
    where = f"the shared utility rule `{name}`"
    languages = [AST_GREP_NAMES.get(str(one.get("language", "")).lower()) for one in (util, document)]
    if languages[0] != languages[1]:
        raise NotAlone(f"{where} is for {util.get('language')}, the rule for {document.get('language')}")
    if util.get("constraints"):
        raise NotAlone(f"{where} has `constraints`, which only ast-grep can apply")
    patterns = (value for key, value in visit.pairs([util["rule"], _own(util)]) if key == "pattern")
    texts = (one.get("context", "") if isinstance(one, dict) else str(one) for one in patterns)
    used = [one for text in texts for one in visit.VARIABLE.findall(text) if visit.binds(one)]
    twice = next((one for one in used if used.count(one) > 1), None)
    if twice is not None:
        raise NotAlone(f"{where} uses {twice} twice, which only ast-grep can compare")


def _shared(part: Any, names: Mapping[str, str]) -> Any:
    """A part of a shared utility rule as another rule has it: it calls utility rules by other names.

    Its patterns bind nothing: what a shared utility rule binds, no other rule sees.
    """
    if isinstance(part, list):
        return [_shared(one, names) for one in part]
    if not isinstance(part, dict):
        return part
    made = {key: _shared(one, names) for key, one in part.items()}
    called = part.get("matches")
    if isinstance(called, str):
        made["matches"] = names.get(called, called)
    match part.get("pattern"):
        case str(text):
            made["pattern"] = visit.unbound(text)
        case {"context": str(text), **rest}:
            made["pattern"] = {**rest, "context": visit.unbound(text)}
    return made


def _named(value: Any) -> set[str]:
    """The utility rules that a rule refers to by `matches`."""
    return {name for key, name in visit.pairs(value) if key == "matches" and isinstance(name, str)}
