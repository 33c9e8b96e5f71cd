"""Rule packs: the rules of a file, a folder or an ast-grep project, with their tests and utility rules."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rulewright.actions.rule_file import name_of
from rulewright.actions.rule_text import is_meant_as_rule
from rulewright.actions.suggest import did_you_mean
from rulewright.data import licenses
from rulewright.engine import project
from rulewright.errors import UsageError

Row = dict[str, Any]


@dataclass(frozen=True)
class _Extent:
    """The files that a path asks for."""

    root: Path
    """The folder that is read: a whole project, or a folder that lies in no `ruleDirs`."""
    only: Path | None
    """The file or folder below it whose rules are asked for; `None` for all."""
    home: project.Project | None
    """The project whose utility rules these rules may use."""
    inner: Sequence[Path] = ()
    """The projects below a folder that is none; each is read by itself."""

    @property
    def is_whole(self) -> bool:
        """Whether this is a whole project."""
        home = self.home
        return self.only is None and home is not None and self.root.resolve() == home.root.resolve()

    def holds(self, file: Path) -> bool:
        """Whether a file is, or lies in, what is asked for."""
        return self.only is None or self.only in (file.resolve(), *file.resolve().parents)


@dataclass
class _Tests:
    file: Path
    """The first with tests of this rule."""
    valid: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)


@dataclass
class _Held:
    """What the files of an extent hold."""

    rules: list[tuple[Path, Row]] = field(default_factory=list)
    tests: dict[str, _Tests] = field(default_factory=dict)
    """By the id of their rule."""
    problems: list[Row] = field(default_factory=list)

    def add_tests(self, file: Path, document: Mapping[str, Any]) -> None:
        tests = self.tests.setdefault(str(document.get("id", "")), _Tests(file))
        for key, texts in (("valid", tests.valid), ("invalid", tests.invalid)):
            texts += [text for text in document.get(key) or () if isinstance(text, str)]

    def tests_without_rule(self) -> Iterator[Row]:
        known = [str(document.get("id", "")) for _, document in self.rules]
        for name, tests in self.tests.items():
            if name not in known:
                yield _problem(tests.file, no_rule(name, known), "test-of-none")


def rows(path: Path) -> Iterator[Row]:
    """Yield a row for each case of each rule of a file or folder, and one for each file with a problem.

    A folder that is no project may hold several; the rules of each are read as that project's.

    Raises:
        UsageError: it holds no rule, or its project cannot be read.
    """
    extent = _extent(path)
    held = _read(extent)
    inner_rows = [row for one in extent.inner for row in _rows_or_none(one)]
    if not held.rules and not inner_rows and (extent.only is not None or not held.problems):
        raise UsageError(
            f"{path}: no ast-grep rule in it", "expected YAML documents with id, language and rule"
        )
    if extent.only is None:
        held.problems += held.tests_without_rule()
    yield from (problem for problem in held.problems if extent.holds(Path(problem["path"])))
    license = licenses.of_folder(extent.root, 2)
    yield from _rule_rows(extent, held, license)
    for row in inner_rows:
        place = row.get("file")
        its = (
            {"pack": extent.root.resolve().name, "path": os.path.relpath(place, extent.root)} if place else {}
        )
        yield {**row, **its, "license": row.get("license") or license}


def home_of(path: Path) -> project.Project | None:
    """The project of a file or folder; `None` if the project cannot be read."""
    folder = path if path.is_dir() else path.parent
    try:
        return project.above(folder)
    except UsageError:
        if (path / project.CONFIG).is_file():
            raise
        return None


def no_rule(name: str, known: Sequence[str]) -> str:
    """That tests are for a rule that is not there."""
    return f"no rule has the id `{name}`{did_you_mean(name, known)}"


def _extent(path: Path) -> _Extent:
    home = home_of(path)
    if home is not None and home.rule_dirs:
        if path.resolve() == home.root.resolve():
            return _Extent(home.root, None, home)
        if home.holds(path):
            return _Extent(home.root, path.resolve(), home)
    if path.is_dir():
        return _Extent(path, None, home, project.below(path))
    return _Extent(path.parent, path.resolve(), home)


def _read(extent: _Extent) -> _Held:
    held = _Held()
    for file, kind in _places(extent.root):
        if any(one in file.parents for one in extent.inner):
            continue
        documents = project.documents_of(file)
        if isinstance(documents, project.Unread):
            held.problems.append(_problem(file, documents.why, "not-yaml", documents.line))
            continue
        rest = [document for document in documents if document is not None]
        held.problems += _misplaced(file, kind, rest)
        for number, document in enumerate(rest, 1):
            if not isinstance(document, dict):
                continue
            if "rule" in document and "id" not in document:
                document = {"id": name_of(file.stem, number, len(rest)), **document}
            if _is_test(document):
                held.add_tests(file, document)
            elif kind != "util" and is_meant_as_rule(document) and extent.holds(file):
                held.rules.append((file, document))
    return held


def _places(root: Path) -> list[tuple[Path, str]]:
    """The YAML files of a pack, each with what it must hold: `rule`, `util`, `test`, or `any` of them."""
    home = project.read(root)
    if home is None or not home.rule_dirs:
        return [(file, "any") for file in project.yaml_files(root)]
    found: dict[Path, str] = {}
    for kind, folders in (("rule", home.rule_dirs), ("test", home.test_dirs), ("util", home.util_dirs)):
        for folder in folders:
            found.update(dict.fromkeys(project.yaml_files(folder), kind))
    return list(found.items())


def _misplaced(file: Path, kind: str, documents: Sequence[Any]) -> Iterator[Row]:
    """The documents of a file for which ast-grep reads no rule of it, or none of its project."""
    if kind == "util" and (said := project.misplaced_util(documents)):
        yield _refused(file, said)
    are_rules = [isinstance(one, dict) and is_meant_as_rule(one) for one in documents]
    for number, (document, is_rule) in enumerate(zip(documents, are_rules, strict=True), 1):
        if kind == "rule" and not is_rule:
            yield _refused(file, "no rule")
        elif kind == "any" and any(are_rules) and not is_rule and not _is_test(document):
            said = f"document {number} is no rule, so ast-grep reads none of this file"
            yield _problem(file, said, "refused")


def _is_test(document: Any) -> bool:
    return isinstance(document, dict) and ("valid" in document or "invalid" in document)


def _refused(file: Path, what: str) -> Row:
    return _problem(file, f"{what}, so ast-grep cannot read this project", "refused")


def _problem(file: Path, said: str, kind: str, line: int = 1) -> Row:
    return {"path": str(file), "line": line, "problem": said, "kind": kind}


def _rows_or_none(path: Path) -> list[Row]:
    """The rules of a project; none where there are none yet."""
    try:
        return list(rows(path))
    except UsageError:
        return []


def _rule_rows(extent: _Extent, held: _Held, license: str) -> Iterator[Row]:
    utils: dict[str, Any] = {}
    if extent.home is not None and any(project.missing(one) for _, one in held.rules):
        # What is wrong with such a file of the whole project has been told above.
        with suppress(UsageError) if extent.is_whole else nullcontext():
            utils = extent.home.utils()
    of_project = extent.home is not None and extent.home.root == extent.root
    snapshots = extent.home.snapshots() if extent.home is not None and of_project else {}
    for file, document in held.rules:
        tests = held.tests.get(str(document.get("id", "")), _Tests(file))
        for row in _cases(extent.root, file, document, tests, utils):
            yield {**row, "license": license, "snapshots": snapshots.get(row["id"], {})}


def _cases(root: Path, file: Path, document: Row, tests: _Tests, utils: Mapping[str, Any]) -> Iterator[Row]:
    """A row for each invalid case of a rule; without such a case one row."""
    metadata = document.get("metadata")
    about = metadata if isinstance(metadata, dict) else {}
    try:
        whole, apart = project.with_utils(document, utils), ""
    except project.NotAlone as error:
        whole, apart = document, str(error)
    row = {
        "id": str(document.get("id", "")), "rule": json.dumps(whole, ensure_ascii=False), "apart": apart,
        "language": str(document.get("language", "")), "message": document.get("message") or "",
        "note": document.get("note") or "", "description": about.get("description") or "",
        "pack": root.resolve().name, "path": os.path.relpath(file, root), "file": str(file),
        "valid": tests.valid,
    }  # fmt: skip
    invalid = list(dict.fromkeys(tests.invalid))
    for number, before in enumerate(invalid):
        others = [text for other, text in enumerate(invalid) if other != number]
        yield {**row, "before": before, "others": others[:8]}
    if not invalid:
        yield {**row, "before": ""}
