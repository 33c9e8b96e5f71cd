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
from pathlib import Path
from typing import Any, Final

from rulewright import jsonl, yaml12
from rulewright.actions import Action, Rejection, parse_action
from rulewright.actions.rule_file import name_of
from rulewright.actions.rule_text import AST_GREP_NAMES, is_meant_as_rule
from rulewright.data import licenses
from rulewright.data.drafts import Draft, Drop
from rulewright.data.schemas import MAX_ELSEWHERE
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row
from rulewright.errors import UsageError, why

_YAML: Final = (".yml", ".yaml")
_SKIPPED: Final = frozenset({"node_modules", "__snapshots__", ".git"})
_VARIABLE: Final = re.compile(r"\$[A-Z_]")
_CONFIG: Final = "sgconfig.yml"


def rows_of(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Yield `rule, before, id, message, …` for every case of every rule.

    Args:
        paths: rule packs (folders, with `sgconfig.yml` or without), rule files, JSONL catalogs.

    Raises:
        UsageError: one is none of these.
    """
    for path in paths:
        if path.is_dir():
            yield from _pack_rows(path, None)
        elif path.suffix in _YAML:
            # The pack that it belongs to: the nearest folder with `sgconfig.yml`, else its own.
            near = (folder for folder in path.parents[:4] if (folder / _CONFIG).is_file())
            yield from _pack_rows(next(near, path.parent), path)
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


def _pack_rows(root: Path, only: Path | None) -> Iterator[dict[str, Any]]:
    rules: list[tuple[Path, dict[str, Any]]] = []
    cases: dict[str, dict[str, list[str]]] = {}
    problems: list[dict[str, Any]] = []
    utils: dict[str, Any] = {}
    places = _places(root)
    for file, kind in places:
        try:
            documents = yaml12.load_all(file.read_text(encoding="utf-8"), text_keys=True)
        except (OSError, UnicodeDecodeError, yaml12.YamlError) as error:
            line, said = unread(error)
            problems.append({"path": str(file), "line": line, "problem": said})
            continue
        rest = [document for document in documents if document is not None]
        for number, document in enumerate(rest, 1):
            if kind == "rule" and not (isinstance(document, dict) and is_meant_as_rule(document)):
                said = "no rule, so ast-grep reads no rule of this project"
                problems.append({"path": str(file), "line": 1, "problem": said, "kind": "refused"})
            if not isinstance(document, dict):
                continue
            if "rule" in document and "id" not in document:
                document = {"id": name_of(file.stem, number, len(rest)), **document}
            if "valid" in document or "invalid" in document:
                held = cases.setdefault(str(document.get("id", "")), {"valid": [], "invalid": []})
                for key, texts in held.items():
                    texts += [text for text in document.get(key) or () if isinstance(text, str)]
            elif kind == "util" and "rule" in document:
                utils.update(_with_own(document))
            elif is_meant_as_rule(document) and (only is None or file.samefile(only)):
                rules.append((file, document))
    if not rules and (only is not None or not problems):
        raise UsageError(
            f"{only or root}: no ast-grep rule in it", "expected YAML documents with id, language and rule"
        )
    yield from problems if only is None else ()
    license = licenses.of_folder(root, 2)
    for file, document in rules:
        yield from _rule_rows(root, file, document, cases, utils, license)


def unread(error: OSError | UnicodeDecodeError | yaml12.YamlError) -> tuple[int, str]:
    """The line, from 1, where a rule file cannot be read, and why."""
    match error:
        case yaml12.YamlError():
            return error.line or 1, f"not YAML: {error}"
        case UnicodeDecodeError():
            return error.object.count(b"\n", 0, error.start) + 1, "not UTF-8 text"
    return 1, f"cannot be read ({why(error)})"


def _places(root: Path) -> list[tuple[Path, str]]:
    """The YAML files of a pack, each with what it must hold: `rule`, `util`, `test`, or `any` of them."""
    config: Any = {}
    if (root / _CONFIG).is_file():
        try:
            config = yaml12.load((root / _CONFIG).read_text(encoding="utf-8")) or {}
        except yaml12.YamlError as error:
            raise UsageError(f"{root / _CONFIG}: not YAML: {error}", "fix the file") from error
    if not isinstance(config, dict) or not config.get("ruleDirs"):
        return [(file, "any") for file in _yaml_files(root)]
    tests = [t.get("testDir") for t in config.get("testConfigs") or () if isinstance(t, dict)]
    for folder in (*config["ruleDirs"], *(config.get("utilDirs") or ())):
        if not (root / str(folder)).is_dir():
            raise UsageError(
                f"{root / _CONFIG}: no folder `{folder}`, so ast-grep reads no rule of this project",
                "correct ruleDirs and utilDirs, or name the folder of rules",
            )
    found: dict[Path, str] = {}
    kinds = {"rule": config["ruleDirs"], "test": filter(None, tests), "util": config.get("utilDirs") or ()}
    for kind, folders in kinds.items():
        for folder in folders:
            found.update(dict.fromkeys(_yaml_files(root / str(folder)), kind))
    return list(found.items())


def _yaml_files(folder: Path) -> list[Path]:
    files = []
    for name, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in _SKIPPED and not f.startswith("."))
        files += [Path(name) / n for n in sorted(names) if n.endswith(_YAML) and n != _CONFIG]
    return files


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
    row = {
        "id": name, "rule": json.dumps(_self_contained(document, utils), ensure_ascii=False),
        "language": str(document.get("language", "")), "message": document.get("message") or "",
        "note": document.get("note") or "", "description": about.get("description") or "",
        "pack": root.resolve().name, "path": os.path.relpath(file, root), "license": license,
        "valid": held["valid"],
    }  # fmt: skip
    invalid = list(dict.fromkeys(held["invalid"]))
    for number, before in enumerate(invalid):
        others = [text for other, text in enumerate(invalid) if other != number]
        yield {**row, "before": before, "others": others[:8]}
    if not invalid:
        yield {**row, "before": ""}


def _self_contained(document: dict[str, Any], utils: Mapping[str, Any]) -> dict[str, Any]:
    """A rule with the global utility rules that it uses put into it."""
    own = dict(document.get("utils") or {})
    owed = _named({key: document.get(key) for key in ("rule", "constraints", "utils", "rewriters")})
    while owed:
        name = owed.pop()
        if name not in own and name in utils:
            own[name] = utils[name]
            owed |= _named(utils[name])
    return {**document, "utils": own} if own else document


def _with_own(document: Mapping[str, Any]) -> dict[str, Any]:
    """A global utility rule and its own ones, which no other rule sees: their names get its id before them.

    >>> _with_own({"id": "is-loop", "rule": {"matches": "for"}, "utils": {"for": {"kind": "for_statement"}}})
    {'is-loop': {'matches': 'is-loop: for'}, 'is-loop: for': {'kind': 'for_statement'}}
    """
    name, given = str(document.get("id", "")), document.get("utils")
    own = given if isinstance(given, dict) else {}
    names = {inner: f"{name}: {inner}" for inner in own}
    made = {name: _renamed(document["rule"], names)}
    return made | {long: _renamed(own[inner], names) for inner, long in names.items()}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A rule that refers to utility rules by other names."""
    if isinstance(value, list):
        return [_renamed(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    made = {key: _renamed(one, names) for key, one in value.items()}
    called = value.get("matches")
    return {**made, "matches": names.get(called, called)} if isinstance(called, str) else made


def _named(value: Any) -> set[str]:
    """The utility rules that a rule refers to by `matches`."""
    if isinstance(value, dict):
        found = {value["matches"]} if isinstance(value.get("matches"), str) else set()
        return found.union(*map(_named, value.values()))
    return set().union(*map(_named, value)) if isinstance(value, list) else set()


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
    before = next((row[k] for k in ("example_before", "before", "invalid", "pre") if row.get(k)), "")
    return {
        "id": str(row.get("id") or ""), "rule": rule or "", "language": language,
        "before": before[0] if isinstance(before, list) else before,
        "others": before[1:] if isinstance(before, list) else [],
        "message": row.get("title") or row.get("message") or "", "note": row.get("note") or "",
        "description": row.get("description") or "", "pack": "catalog",
        "path": str(row.get("source_path") or row.get("path") or ""),
        "license": str(row.get("license") or row.get("licence") or ""), "valid": row.get("valid") or [],
    }  # fmt: skip


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
        return [Drop("not_yaml", f"{row['path']}: {row['problem']}")]
    name = str(row.get("language", ""))
    if name.lower() not in AST_GREP_NAMES:
        return [Drop("language", f"{name or 'no language'}: none that rules are written for here")]
    before, rule = row.get("before"), row.get("rule")
    if not isinstance(rule, str) or not rule:
        return [Drop("no_rule", "neither a rule nor a command line")]
    if not isinstance(before, str) or not before.strip():
        return [Drop("no_example", f"rule {row['id']}: no invalid case in its tests")]
    action = parse_action(rule, AST_GREP_NAMES[name.lower()])
    if isinstance(action, Rejection) and "lacks -r" in action.detail:
        return [Drop("no_fix", f"{row['id']}: it finds, and changes nothing")]
    if isinstance(action, Rejection):
        return [Drop(f"action_{action.verdict.value}", action.detail)]
    if not all("fix" in one for one in action.rules):
        return [Drop("no_fix", f"rule {row['id']}: it finds, and changes nothing")]
    return [_draft(row, action, before, config)]


def _draft(row: Row, action: Action, before: str, config: IngestConfig) -> Draft | Drop:
    from rulewright.data import verified

    after = verified.execute(action, before)
    if isinstance(after, Drop):
        return after
    hit = next((v for v in row["valid"] if isinstance(v, str) and verified.matches(action, v)), None)
    if hit is not None:
        return Drop(
            "valid_case_changed", f"rule {row['id']}: changes what its tests call valid: {hit[:80]!r}"
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
    """What a person would ask for: the message, else the note, else the description's beginning."""
    from rulewright.data import verified

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
