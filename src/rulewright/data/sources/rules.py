"""ast-grep rules with examples: rule packs, rule files with tests, rows of a rule catalog.

One record a rule and invalid case: the case is `pre`, what ast-grep makes of it `post`, the rule
the action. Nothing of a result is taken from the source; valid cases must stay as they are.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Final

from rulewright import jsonl, yaml12
from rulewright.actions import Action, Rejection, parse_action
from rulewright.actions.rule_file import name_of
from rulewright.actions.rule_text import is_meant_as_rule
from rulewright.actions.suggest import did_you_mean
from rulewright.data import licenses, verified
from rulewright.data.drafts import Draft, Drop
from rulewright.data.schemas import MAX_ELSEWHERE
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row
from rulewright.engine import project
from rulewright.errors import UsageError
from rulewright.languages import AST_GREP_NAMES

_VARIABLE: Final = re.compile(r"\$[A-Z_]")


def rows_of(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yield `rule, before, id, message, …` for every case of every rule.

    Args:
        paths: rule packs (folders, with `sgconfig.yml` or without), rule files, JSONL catalogs.

    Raises:
        UsageError: one is none of these.
    """
    for path in paths:
        if path.is_dir() or path.suffix in project.YAML:
            yield from _pack_rows(path)
        elif path.name.endswith((".jsonl", ".jsonl.gz")):
            for line in jsonl.read_lines(path):
                if line.value is None:
                    yield {"path": str(path), "line": line.number, "problem": line.problem}
                else:
                    row = _catalog_row(line.value)
                    yield row if row["path"] else {**row, "path": str(path), "line": line.number}
        else:
            raise UsageError(
                f"{path}: no rule file, rule pack or catalog",
                "name a .yml file, a folder with sgconfig.yml or rule files, or a .jsonl file of rules",
            )


def _pack_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rules of a file or folder; tests and shared utility rules are those of its project.

    A folder that is no project may hold several; the rules of each are read as that project's.
    """
    home = home_of(path)
    is_whole = home is not None and path.resolve() == home.root.resolve()
    if home is not None and home.rule_dirs and (is_whole or home.holds(path)):
        root, only = home.root, None if is_whole else path.resolve()
        inner = []
    else:
        root, only = (path, None) if path.is_dir() else (path.parent, path.resolve())
        inner = project.below(path) if path.is_dir() else []
    rules: list[tuple[Path, dict[str, Any]]] = []
    cases: dict[str, dict[str, list[str]]] = {}
    tests: dict[str, Path] = {}
    problems: list[dict[str, Any]] = []
    inner_rows = [row for one in inner for row in _rows_or_none(one)]
    for file, kind in _places(root):
        if any(one in file.parents for one in inner):
            continue
        documents = project.documents_of(file)
        if isinstance(documents, project.Unread):
            problems.append({"path": str(file), "line": documents.line, "problem": documents.why})
            continue
        rest = [document for document in documents if document is not None]
        if kind == "util" and (said := project.misplaced_util(rest)):
            problems.append(_refused(file, said))
        n_rules = sum(isinstance(one, dict) and is_meant_as_rule(one) for one in rest)
        for number, document in enumerate(rest, 1):
            is_rule = isinstance(document, dict) and is_meant_as_rule(document)
            if kind == "rule" and not is_rule:
                problems.append(_refused(file, "no rule"))
            elif kind == "any" and n_rules and not is_rule and not _is_test(document):
                said = f"document {number} is no rule, so ast-grep reads none of this file"
                problems.append({"path": str(file), "line": 1, "problem": said, "kind": "refused"})
            if not isinstance(document, dict):
                continue
            if "rule" in document and "id" not in document:
                document = {"id": name_of(file.stem, number, len(rest)), **document}
            if _is_test(document):
                name = str(document.get("id", ""))
                tests.setdefault(name, file)
                held = cases.setdefault(name, {"valid": [], "invalid": []})
                for key, texts in held.items():
                    texts += [text for text in document.get(key) or () if isinstance(text, str)]
            elif kind != "util" and is_meant_as_rule(document) and _within(only, file):
                rules.append((file, document))
    if not rules and not inner_rows and (only is not None or not problems):
        raise UsageError(
            f"{path}: no ast-grep rule in it", "expected YAML documents with id, language and rule"
        )
    known = [str(document.get("id", "")) for _, document in rules]
    for name, file in tests.items():
        if only is None and name not in known:
            said = no_rule(name, known)
            problems.append({"path": str(file), "line": 1, "problem": said, "kind": "test-of-none"})
    yield from (problem for problem in problems if _within(only, Path(problem["path"])))
    license = licenses.of_folder(root, 2)
    utils: dict[str, Any] = {}
    if home is not None and any(project.missing(one) for _, one in rules):
        # What is wrong with such a file of the whole project has been told above.
        with suppress(UsageError) if is_whole else nullcontext():
            utils = home.utils()
    snapshots = home.snapshots() if home is not None and home.root == root else {}
    for file, document in rules:
        for row in _rule_rows(root, file, document, cases, utils, license):
            yield {**row, "snapshots": snapshots.get(row["id"], {})}
    for row in inner_rows:
        place = row.get("file")
        its = {"pack": root.resolve().name, "path": os.path.relpath(place, root)} if place else {}
        yield {**row, **its, "license": row.get("license") or license}


def _rows_or_none(path: Path) -> list[dict[str, Any]]:
    """The rules of a project; none where there are none yet."""
    try:
        return list(_pack_rows(path))
    except UsageError:
        return []


def _is_test(document: Any) -> bool:
    return isinstance(document, dict) and ("valid" in document or "invalid" in document)


def _within(only: Path | None, file: Path) -> bool:
    """Whether a file is, or lies in, what is asked for; without that all is."""
    return only is None or only in (file.resolve(), *file.resolve().parents)


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


def _refused(file: Path, what: str) -> dict[str, Any]:
    said = f"{what}, so ast-grep cannot read this project"
    return {"path": str(file), "line": 1, "problem": said, "kind": "refused"}


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


def _rule_rows(
    root: Path,
    file: Path,
    document: dict[str, Any],
    cases: Mapping[str, Mapping[str, list[str]]],
    utils: Mapping[str, Any],
    license: str,
) -> Iterator[dict[str, Any]]:
    name = str(document.get("id", ""))
    held = cases.get(name, {"valid": [], "invalid": []})
    metadata = document.get("metadata")
    about = metadata if isinstance(metadata, dict) else {}
    try:
        whole, apart = project.with_utils(document, utils), ""
    except project.NotAlone as error:
        whole, apart = document, str(error)
    row = {
        "id": name, "rule": json.dumps(whole, ensure_ascii=False), "apart": apart,
        "language": str(document.get("language", "")), "message": document.get("message") or "",
        "note": document.get("note") or "", "description": about.get("description") or "",
        "pack": root.resolve().name, "path": os.path.relpath(file, root), "file": str(file),
        "license": license,
        "valid": held["valid"],
    }  # fmt: skip
    invalid = list(dict.fromkeys(held["invalid"]))
    for number, before in enumerate(invalid):
        others = [text for other, text in enumerate(invalid) if other != number]
        yield {**row, "before": before, "others": others[:8]}
    if not invalid:
        yield {**row, "before": ""}


def _catalog_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a catalog: a rule file or a command line, and an example."""
    rule, line = row.get("rule_yaml") or row.get("rule"), row.get("cli")
    language = str(row.get("language") or "")
    if isinstance(rule, dict):
        rule = json.dumps(rule, ensure_ascii=False)
    if isinstance(rule, str) and rule:
        rule = _complete(rule, {"id": "rule", "language": language})
    elif isinstance(line, str):
        cli = {"type": "ast_grep", "language": language, "mode": "cli", "cli": _run_line(line, language)}
        rule = json.dumps({"action": cli}, ensure_ascii=False)
    examples = (_listed(row.get(key)) for key in ("example_before", "before", "invalid", "pre"))
    before, *others = next(filter(None, examples), [""])
    return {
        "id": str(row.get("id") or ""), "rule": rule or "", "language": language,
        "before": before, "others": others,
        "message": row.get("title") or row.get("message") or "", "note": row.get("note") or "",
        "description": row.get("description") or "", "pack": "catalog",
        "path": str(row.get("source_path") or row.get("path") or ""),
        "license": str(row.get("license") or row.get("licence") or ""), "valid": _listed(row.get("valid")),
    }  # fmt: skip


def _listed(given: Any) -> list[Any]:
    """One text, or a list of them, as a list."""
    return given if isinstance(given, list) else [given] if isinstance(given, str) and given else []


def _complete(text: str, defaults: Mapping[str, str]) -> str:
    """A rule text in which every document has an id and a language, as in a rule file."""
    try:
        documents = [d for d in yaml12.load_all(text, text_keys=True) if isinstance(d, dict)]
    except yaml12.YamlError:
        return text
    if all(key in document for document in documents for key in defaults):
        return text
    return "\n---\n".join(json.dumps({**defaults, **document}, ensure_ascii=False) for document in documents)


def _run_line(line: str, language: str) -> str:
    """A command line with the words that ast-grep lets one leave out: `run`, and the language.

    >>> _run_line("sg -p a -r b", "python")
    'ast-grep run -p a -r b -l python'
    """
    try:
        words = shlex.split(line)
    except ValueError:
        return line
    if words[:1] in (["sg"], ["ast-grep"]):
        words = ["ast-grep", *(() if words[1:2] == ["run"] else ("run",)), *words[1:]]
    if language and not any(re.match(r"-l|--lang", word) for word in words):
        words += ["-l", language]
    return shlex.join(words)


def normalize(row: Row, config: IngestConfig) -> Sequence[Draft | Drop]:
    """One rule and one case: an edit made by executing the rule, or why there is none."""
    if row.get("problem"):
        kind = str(row.get("kind", "not-yaml")).replace("-", "_")
        return [Drop(kind, f"{row['path']}: {row['problem']}")]
    name = str(row.get("language", ""))
    if name.lower() not in AST_GREP_NAMES:
        return [Drop("language", f"{name or 'no language'}: not a supported language")]
    before, rule = row.get("before"), row.get("rule")
    if not isinstance(rule, str) or not rule:
        return [Drop("no_rule", "neither a rule nor a command line")]
    if row.get("apart"):
        return [Drop("shared_utils", f"rule {row['id']}: {row['apart']}")]
    if not isinstance(before, str) or not before.strip():
        return [Drop("no_example", f"rule {row['id']}: no invalid case in its tests")]
    action = parse_action(rule, AST_GREP_NAMES[name.lower()])
    if isinstance(action, Rejection) and "lacks -r" in action.detail:
        return [Drop("no_fix", f"{row['id']}: it has no fix")]
    if isinstance(action, Rejection):
        return [Drop(f"action_{action.verdict.value}", action.detail)]
    if not all("fix" in one for one in action.rules):
        return [Drop("no_fix", f"rule {row['id']}: it has no fix")]
    return [_draft(row, action, before, config)]


def _draft(row: Row, action: Action, before: str, config: IngestConfig) -> Draft | Drop:
    after = verified.execute(action, before)
    if isinstance(after, Drop):
        return after
    hit = next((v for v in row["valid"] if isinstance(v, str) and verified.matches(action, v)), None)
    if hit is not None:
        return Drop(
            "valid_case_changed", f"rule {row['id']}: changes a case that its tests call valid: {hit[:80]!r}"
        )
    instruction, tags = _instruction(row, action, before, config)
    if not instruction:
        return Drop("no_instruction")
    others = [(text, verified.execute(action, text)) for text in _texts(row.get("others"))]
    extra: dict[str, Any] = {
        "action": row["rule"],
        "siblings": [{"pre": text, "post": made} for text, made in others if isinstance(made, str)],
        "negatives": _texts(row["valid"])[:MAX_ELSEWHERE],
        "provenance": {"rule": row["id"], "pack": row["pack"]},
    }
    stated = re.sub(r"\s*\(.*\)$", "", str(row["license"]))
    return Draft(
        instruction=instruction,
        pre=before,
        post=after,
        group=f"{row['pack']}:{re.sub(r'-(pg|r|cli)?[0-9.]+$', '', str(row['id']))}",
        language=action.language,
        license=stated if licenses.normalize(stated) != licenses.UNKNOWN else config.license,
        tags=("rule", *tags),
        extra={key: value for key, value in extra.items() if value},
    )


def _texts(values: Any) -> list[str]:
    """The texts of a list that a record may hold."""
    return [text for text in values or () if isinstance(text, str) and text and "\r" not in text]


def _instruction(row: Row, action: Action, before: str, config: IngestConfig) -> tuple[str, tuple[str, ...]]:
    """What the user would ask for: the message, else the note, else the description's beginning."""
    message = str(row["message"]).strip()
    if _VARIABLE.search(message):
        message = verified.message_of(action, message, before)
    first = str(row["description"]).strip().split("\n\n")[0]
    for text in (message, str(row["note"]).strip(), first):
        if text:
            return text, ()
    if row["id"] and config.fallback_instruction:
        words = re.sub(r"[_\-./]+", " ", str(row["id"])).strip()
        return config.fallback_instruction.format(name=row["id"], words=words), ("instruction_fallback",)
    return "", ()
