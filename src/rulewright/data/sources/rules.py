"""ast-grep rules with examples: rule packs, rule files with tests, rows of a rule catalog.

One record a rule and invalid case: the case is `pre`, what ast-grep makes of it `post`, the rule
the action. Nothing of a result is taken from the source; valid cases must stay as they are.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rulewright import jsonl, yaml12
from rulewright.actions import Action, Rejection, parse_action
from rulewright.data import licenses, verified
from rulewright.data.drafts import Draft, Drop
from rulewright.data.schemas import MAX_ELSEWHERE
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row, rule_pack
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
            yield from rule_pack.rows(path)
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
