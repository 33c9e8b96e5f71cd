"""Find mistakes in packs of ast-grep rules: every rule with its own tests and its findings.

Reads rule files, folders of them, projects with sgconfig.yml and catalogs, as ast-grep reads them;
`engine.audit` checks a single rule. Nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from rulewright import console, difftext, jsonl
from rulewright.actions import Action, Rejection
from rulewright.actions.rule_file import Document, read_given
from rulewright.actions.rule_text import DOCUMENT_FIELDS
from rulewright.actions.suggest import quoted
from rulewright.data.sources import rule_pack
from rulewright.data.sources.rules import rows_of
from rulewright.engine import audit, globs, judge, project, walk
from rulewright.engine.apply import trace
from rulewright.engine.audit import LEVELS, Finding
from rulewright.errors import UsageError, few
from rulewright.languages import AST_GREP_NAMES, OTHER_LANGUAGES
from rulewright.replacing import read_text

MAX_FILES: Final = 200
"""Files on which the effects of one rule are looked at; more are only counted."""
EVERYWHERE_FILES, EVERYWHERE_LINES = 0.8, 5


@dataclass
class Audited:
    """A rule of a pack and what was found."""

    id: str
    path: str
    line: int = 1
    language: str = ""
    valid: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    pairs: list[tuple[str, str]] = field(default_factory=list)
    snapshots: Mapping[str, str | None] = field(default_factory=dict)
    text: str = ""
    """What is read as the rule; empty where nothing is."""
    document: Document | None = None
    """The rule, where its effects can be looked at."""
    findings: list[Finding] = field(default_factory=list)


def audit_all(
    rules: Sequence[Path], against: Sequence[Path] = (), examples: Path | None = None
) -> list[Audited]:
    """Every rule below the paths, with what was found.

    Args:
        rules: rule files, folders of rules, projects with sgconfig.yml, catalogs (.jsonl).
        against: files and folders of code to try the rules on.
        examples: cases by rule.

    Raises:
        UsageError: a path is not there, or holds no rules.
    """
    if not rules:
        raise UsageError("no rule is named", "name rule files or folders of them")
    rules = [path.parent if path.name == project.CONFIG and path.is_file() else path for path in rules]
    project_of = _project_finder()
    audited = list(_read(rules))
    audited += _join_tests(rules, audited, project_of)
    _add_examples(examples, audited)
    first: dict[tuple[Path | None, str], Audited] = {}
    for one in (one for one in audited if one.id and one.text):
        other = first.setdefault((project_of(one.path), one.id), one)
        if other is not one:
            one.findings.append(Finding("duplicate-id", f"{other.path}:{other.line} has this id, too"))
    for one in audited:
        _audit_alone(one)
    if against:
        _audit_against(against, audited)
    return audited


def finding_rows(audited: Sequence[Audited]) -> list[dict[str, Any]]:
    """One row a finding, the gravest first."""
    rows = [
        {
            "rule": one.id, "path": one.path, "line": one.line, "kind": finding.kind,
            "level": finding.level, "detail": finding.detail, "where": finding.where,
        }
        for one in audited
        for finding in one.findings
    ]  # fmt: skip
    return sorted(rows, key=lambda row: LEVELS.index(row["level"]))


def _read(paths: Sequence[Path]) -> Iterator[Audited]:
    """Every rule, with its own tests; a file that is no YAML counts as one."""
    known: dict[tuple[str, str, str], Audited] = {}
    refused: UsageError | None = None
    tests: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder", "name rule files or folders of them")
        if (instead := _no_rules(path)) is not None:
            tests += [path]
            yield from instead
            continue
        try:
            rows = list(rows_of([path]))
        except UsageError as error:
            refused = refused or error
            continue
        yield from _taken(rows, known)
    for path in tests:
        yield from _taken(_rows_tested(path, {one.id for one in known.values()}), known)
    if refused is not None and not known:
        raise refused
    yield from known.values()


def _taken(
    rows: Iterable[Mapping[str, Any]], known: dict[tuple[str, str, str], Audited]
) -> Iterator[Audited]:
    """Put the rules of some rows among those that are known; give what is no rule."""
    for row in rows:
        if "problem" in row:
            found = [Finding(row.get("kind", "not-yaml"), row["problem"])]
            yield Audited("", row["path"], row.get("line", 1), findings=found)
            continue
        place = str(row.get("file") or row["path"])
        key = (place, row["id"], row["rule"])
        if not row["rule"]:
            found = [Finding("refused", "no rule in the row: expected `rule_yaml`, `rule` or `cli`")]
            yield Audited(row["id"], place, row.get("line", 1), findings=found)
            continue
        if key not in known:
            line = row.get("line") or _line_of(place, row["id"])
            known[key] = Audited(row["id"], place, line, row["language"], list(row["valid"]))
            known[key].snapshots = row.get("snapshots", {})
            if row.get("apart"):
                known[key].findings.append(Finding("not-checked", row["apart"]))
            else:
                known[key].text = row["rule"]
        if row["before"]:
            known[key].invalid.append(row["before"])


def _rows_tested(path: Path, known: set[str]) -> Iterator[dict[str, Any]]:
    """The rules that a test file is for, of the project that it lies in, but for those that are known."""
    names = {str(row.get("id", "")) for row in _tests_in(path)} - known
    home = rule_pack.home_of(path) if names else None
    for row in rows_of([home.root]) if home is not None and home.rule_dirs else ():
        if row.get("id") in names or ("problem" in row and Path(row["path"]).resolve() == path.resolve()):
            yield row


def _join_tests(
    paths: Sequence[Path], audited: Sequence[Audited], project_of: Callable[[Path | str], Path | None]
) -> list[Audited]:
    """Give rules without cases those of test files of their project under another of the paths.

    Gives the test files that are for no rule: only of folders, for beside single files there are others.
    """
    known = {one.id for one in audited if one.id}
    of_none: list[Audited] = []
    if len(paths) < 2:
        return of_none
    lacking: dict[tuple[Path | None, str], list[Audited]] = {}
    for one in audited:
        if one.id and not one.valid and not one.invalid:
            lacking.setdefault((project_of(one.path), one.id), []).append(one)
    for path in paths:
        home = rule_pack.home_of(path)
        is_all = all(map(Path.is_dir, paths)) and not (home and home.rule_dirs)
        for file in project.yaml_files(path) if path.is_dir() else [path]:
            for row in _tests_in(file) if file.suffix in project.YAML else ():
                name = str(row.get("id", ""))
                for one in lacking.get((project_of(file), name), ()):
                    one.valid += _texts(row.get("valid"))
                    one.invalid += _texts(row.get("invalid"))
                if is_all and name not in known:
                    found = [Finding("test-of-none", rule_pack.no_rule(name, sorted(known)))]
                    of_none.append(Audited("", str(file), findings=found))
    return of_none


def _project_finder() -> Callable[[Path | str], Path | None]:
    """What tells the folder of the project that a file lies in; each folder is looked up once.

    Other projects have rules and tests of their own.
    """
    known: dict[Path, Path | None] = {}

    def project_of(file: Path | str) -> Path | None:
        folder = Path(file).parent
        if folder not in known:
            home = rule_pack.home_of(Path(file))
            known[folder] = home.root.resolve() if home is not None and home.rule_dirs else None
        return known[folder]

    return project_of


def _tests_in(file: Path) -> list[dict[str, Any]]:
    """The tests in a file; none where it cannot be read as YAML."""
    documents = project.documents_of(file)
    return [] if isinstance(documents, project.Unread) else _tests_of(documents)


def _tests_of(documents: Sequence[Any]) -> list[dict[str, Any]]:
    return [one for one in documents if isinstance(one, dict) and ("valid" in one or "invalid" in one)]


def _no_rules(path: Path) -> list[Audited] | None:
    """What one file without rules gives: that it is no YAML, or (of tests) nothing; `None`: it has rules."""
    if path.is_dir() or path.suffix not in project.YAML:
        return None
    if path.parent.name == project.SNAPSHOTS:
        console.say(f"{path}: snapshot file of `ast-grep test`, skipped")
        return []
    found = project.documents_of(path)
    if isinstance(found, project.Unread):
        return [Audited("", str(path), found.line, findings=[Finding("not-yaml", found.why)])]
    if any(isinstance(one, dict) and "rule" in one for one in found) or not _tests_of(found):
        return None
    console.say(f"{path}: test file, checked together with its rules")
    return []


def _line_of(place: str, name: str) -> int:
    """The line where a rule's id stands; 1 where it cannot be found."""
    try:
        lines = difftext.rows(Path(place).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return 1
    for number, line in enumerate(lines, 1):
        head, colon, value = line.partition(":")
        if colon and head.strip() == "id" and value.split("#")[0].strip().strip("'\"") == name:
            return number
    return 1


def _add_examples(path: Path | None, audited: Sequence[Audited]) -> None:
    """Give each rule the cases that a file holds for it."""
    if path is None:
        return
    by_id: dict[str, list[Audited]] = {}
    for one in audited:
        by_id.setdefault(one.id, []).append(one)
    for row in _example_rows(path):
        name = str(row.get("id", ""))
        if name and name not in by_id:
            raise UsageError(f"{path}: there is no rule '{name}'", f"rules are {few(sorted(by_id), 10)}")
        for one in by_id.get(name, audited if not name else ()):
            one.valid += _texts(row.get("valid"))
            one.invalid += _texts(row.get("invalid"))
            if isinstance(row.get("pre"), str) and isinstance(row.get("post"), str):
                one.pairs.append((row["pre"], row["post"]))


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _example_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.suffix in project.YAML:
        documents = project.documents_of(jsonl.require_file(path))
        if isinstance(documents, project.Unread):
            raise UsageError(f"{path}:{documents.line}: {documents.why}", "correct the line")
        yield from (one for one in documents if isinstance(one, dict))
        return
    for line in jsonl.read_lines(jsonl.require_file(path)):
        if not isinstance(line.value, dict):
            raise UsageError(f"{path}:{line.number}: {line.problem or 'not an object'}", "correct the line")
        yield line.value


def _read_document(one: Audited) -> Document | None:
    """The rule, where ast-grep accepts it and it may match; what speaks against that is noted."""
    name = one.language.lower()
    home = rule_pack.home_of(Path(one.path)) if name not in AST_GREP_NAMES else None
    custom = home is not None and one.language in (home.settings.get("customLanguages") or ())
    if name not in AST_GREP_NAMES and (name in OTHER_LANGUAGES or custom):
        what = "of the project's own" if custom else "that only ast-grep takes"
        one.findings.append(Finding("not-checked", f"{one.language} is a language {what}"))
        return None
    read = read_given(one.text)
    if isinstance(read, Rejection):
        one.findings.append(Finding("refused", read.detail))
        # The rest of the rule may be looked at all the same where only keys are too many.
        read = read_given(_known_fields(one.text))
    if isinstance(read, Rejection):
        return None
    found = list(audit.form(read[0].action))
    if refused := globs.refused(read[0]):
        found.append(Finding("refused", refused))
    one.findings += found
    return None if any(one.kind in ("refused", "matches-nothing") for one in found) else read[0]


def _audit_alone(one: Audited) -> None:
    """The rule's form, its tests, and what it does to the cases."""
    one.document = _read_document(one) if one.text else None
    if one.document is None:
        return
    action = one.document.action
    one.findings += audit.tests(action, one.valid, one.invalid)
    kept = {code: one.snapshots[code] for code in one.invalid if code in one.snapshots}
    one.findings += audit.snapshots(action, kept)
    if "fix" in action.rules[0]:
        for number, code in enumerate(one.invalid, 1):
            one.findings += audit.effects(action, code, f"invalid case {number}", False)
        for number, (pre, post) in enumerate(one.pairs, 1):
            outcome = judge(action, pre, post)
            if outcome.post != post:
                detail = outcome.detail or str(outcome.verdict)
                one.findings.append(Finding("wrong-result", detail, f"example {number}"))
    shown = [*one.invalid, *(pre for pre, _ in one.pairs)]
    if not any(audit.finds(action, code) for code in shown):
        # Some patterns that are no correct code match all the same: a rule that nothing was shown to may.
        one.findings += [
            finding for finding in audit.broken(action) if shown or "lower case" in finding.detail
        ]


def _known_fields(text: str) -> str:
    """A rule's JSON without the keys that ast-grep does not know."""
    try:
        given = json.loads(text)
    except ValueError:
        return text
    if not isinstance(given, dict) or "rule" not in given:
        return text
    return json.dumps({key: value for key, value in given.items() if key in DOCUMENT_FIELDS})


def _audit_against(paths: Sequence[Path], audited: Sequence[Audited]) -> None:
    """What the rules do to the files of a repository."""
    spans: dict[tuple[str, int, int], tuple[str, str]] = {}
    for one in audited:
        if one.document is None or one.document.off:
            continue
        found = walk.find(paths, [one.document], True, Path(one.path).parent).files
        hits = [file for file in found if file.may_match]
        idle = False
        for glob in one.document.files or ():
            alone = replace(one.document, files=(glob,), ignores=())
            if not walk.find(paths, [alone], True, Path(one.path).parent).files:
                idle = True
                said = quoted(str(glob.get("glob") if isinstance(glob, dict) else glob))
                one.findings.append(Finding("never-fires", f"`files`: no file is {said}"))
        if not found:
            one.findings += [] if idle else [Finding("never-fires", "no file that it is for")]
        elif not hits:
            one.findings.append(Finding("never-fires", f"no match in {len(found)} files"))
            told = {finding.kind for finding in one.findings}
            one.findings += [f for f in audit.broken(one.document.action) if f.kind not in told]
        else:
            one.findings = [finding for finding in one.findings if finding.kind != "broken-pattern"]
        n_places = n_lines = 0
        seen: set[str] = set()
        for file in hits[:MAX_FILES]:
            try:
                text = read_text(file.path)
            except UsageError:
                continue
            n_lines += text.count("\n") + 1
            n_places += _look(one, one.document.action, str(file.path), text, seen, spans)
        many = len(found) >= EVERYWHERE_LINES and len(hits) >= EVERYWHERE_FILES * len(found)
        if many and n_places * EVERYWHERE_LINES >= n_lines:
            detail = f"{n_places} places in {n_lines} lines of {len(hits)} of {len(found)} files"
            one.findings.append(Finding("fires-everywhere", detail))


def _look(
    one: Audited,
    action: Action,
    path: str,
    text: str,
    seen: set[str],
    spans: dict[tuple[str, int, int], tuple[str, str]],
) -> int:
    """Note what a rule does to a file, each kind of finding once; give the number of matches."""
    steps = trace(action, text, exact=True).steps
    if "fix" in action.rules[0]:
        for finding in audit.effects(action, text, path, True):
            if finding.kind not in seen:
                seen.add(finding.kind)
                one.findings.append(finding)
        for step in steps:
            for edit in step.edits:
                key = (path, edit.start, edit.end)
                other, new = spans.setdefault(key, (one.id, edit.text))
                if other != one.id and new != edit.text and f"overlap {other}" not in seen:
                    seen.add(f"overlap {other}")
                    line = text.count("\n", 0, edit.start) + 1
                    one.findings.append(
                        Finding("overlap", f"`{other}` rewrites the same code", f"{path}:{line}")
                    )
    return sum(step.n_found for step in steps)
