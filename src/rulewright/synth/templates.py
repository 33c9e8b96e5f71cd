"""Codemod templates: a rule, its inverse, a reason, and phrasings of the request.

Invariant: a loaded template has both rules, a reason and at least one phrasing. `make` checks whether
ast-grep accepts the rules and whether they undo each other on real code.

Two forms are read. The packaged YAML says `old` and `new` once and derives both
rules; JSON Lines gives `forward` and `inverse` in full:

    {"name", "language", "forward": {"rule", "constraints", "fix"}, "inverse": {…},
     "reason", "paraphrases": […]}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from rulewright import jsonl, yaml12
from rulewright.actions.action import EFFECTIVE_FIELDS, Rule
from rulewright.actions.visit import without_variables
from rulewright.errors import UsageError
from rulewright.languages import LANGUAGES, Language, normalize_language

_KEYS: Final = frozenset(
    {
        "name", "family", "reason", "say", "example", "language", "languages",
        "old", "new", "old_rule", "new_rule", "old_unless", "new_unless", "old_where", "new_where",
        "old_fix", "new_fix", "old_transform", "new_transform", "context", "selector", "needs", "scope",
    }
)  # fmt: skip
# `$X`, `$$$X`; and the words and marks that are neither space nor variable.
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[^\sA-Za-z0-9_(){}\[\],;:.\"'`]+|\d+")


@dataclass(frozen=True)
class Codemod:
    """One codemod, readable in both directions."""

    name: str
    language: Language
    family: str
    forward: Rule
    inverse: Rule
    reason: str
    phrasings: tuple[str, ...]
    example: str = ""
    """A small idiomatic snippet on which the round trip holds; empty where the source had none."""
    needs: tuple[str, ...] = ()
    """Texts that must all occur in code for the inverse to match; a cheap pre-filter."""

    def could_match(self, code: str) -> bool:
        return all(text in code for text in self.needs)


@lru_cache(maxsize=1)
def packaged() -> tuple[Codemod, ...]:
    """Every template that ships with the package, sorted by name."""
    found: dict[str, Codemod] = {}
    folder = resources.files("rulewright.synth") / "templates"
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if not entry.name.endswith(".yaml"):
            continue
        for template in _from_yaml(entry.read_text(encoding="utf-8"), entry.name):
            if template.name in found:
                raise UsageError(f"{entry.name}: template {template.name} exists twice", "rename one of them")
            found[template.name] = template
    return tuple(found[name] for name in sorted(found))


def load(path: Path) -> tuple[Codemod, ...]:
    """Read the user's templates from `.yaml` or `.jsonl`.

    Raises:
        UsageError: the file cannot be read, or a template in it is incomplete.
    """
    if path.suffix in (".yaml", ".yml"):
        return tuple(_from_yaml(jsonl.require_file(path).read_text(encoding="utf-8"), str(path)))
    made = []
    for line in jsonl.read_lines(path):
        if line.value is None:
            raise UsageError(f"{path}:{line.number}: {line.problem}", "fix or remove the line")
        made.append(_from_row(line.value, f"{path}:{line.number}"))
    return tuple(made)


def _from_yaml(text: str, place: str) -> Iterable[Codemod]:
    try:
        document = yaml12.load(text)
    except yaml12.YamlError as error:
        raise UsageError(f"{place}:{error.line}: not valid YAML: {error}", "fix the line") from error
    if not isinstance(document, dict) or not isinstance(document.get("templates"), list):
        raise UsageError(f"{place}: expected a mapping with `templates: […]`", "see docs/guide/synth.md")
    shared = {key: value for key, value in document.items() if key != "templates"}
    for entry in document["templates"]:
        if not isinstance(entry, dict):
            raise UsageError(f"{place}: template {entry!r}: expected a mapping", "see docs/guide/synth.md")
        whole = {**shared, **entry}
        named = whole.get("languages") or [whole.get("language", "")]
        languages = [normalize_language(str(name)) for name in named]
        if "other" in languages or not set(languages) <= set(LANGUAGES):
            raise UsageError(f"{place}: {whole.get('name')}: no language {named}", "e.g. language: python")
        for language in languages:
            yield _from_entry(whole, language, place)


def _from_entry(entry: Mapping[str, Any], language: Language, place: str) -> Codemod:
    name = str(entry.get("name", ""))
    where = f"{place}: {name or 'a template without name'}"
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise UsageError(f"{where}: unknown key {unknown[0]!r}", f"known: {', '.join(sorted(_KEYS))}")
    missing = [
        key for key in ("name", "family", "reason", "say", "old", "new", "example") if key not in entry
    ]
    if missing:
        raise UsageError(f"{where}: missing {', '.join(missing)}", "see docs/guide/synth.md")
    needs = entry.get("needs", () if "new_rule" in entry else _needs({"pattern": entry["new"]}))
    return Codemod(
        name=f"{language}/{name}",
        language=language,
        family=entry["family"],
        forward=_rule(entry, "old", entry.get("new_fix", entry["new"])),
        inverse=_rule(entry, "new", entry.get("old_fix", entry["old"])),
        reason=entry["reason"],
        phrasings=tuple(entry["say"]),
        example=entry["example"],
        needs=tuple(needs),
    )


def _rule(entry: Mapping[str, Any], side: str, fix: Any) -> Rule:
    # The `rule` of one side: given in full, or the pattern with its context and exceptions.
    matcher = entry.get(f"{side}_rule")
    if matcher is None:
        pattern = entry[side]
        if entry.get("context") and entry.get("selector"):
            pattern = {"context": entry["context"].replace("%s", pattern), "selector": entry["selector"]}
        matcher = {"pattern": pattern}
    unless = entry.get(f"{side}_unless")
    rule: dict[str, Any] = {"rule": {**matcher, "not": unless} if unless is not None else dict(matcher)}
    for key, field in (("where", "constraints"), ("transform", "transform")):
        if entry.get(f"{side}_{key}"):
            rule[field] = entry[f"{side}_{key}"]
    return {**rule, "fix": fix}


def _from_row(row: Mapping[str, Any], place: str) -> Codemod:
    missing = [key for key in ("name", "language", "forward", "inverse", "paraphrases") if not row.get(key)]
    if missing:
        raise UsageError(f"{place}: missing {', '.join(missing)}", "see docs/guide/synth.md for the format")
    language = normalize_language(str(row["language"]))
    if language == "other":
        raise UsageError(f"{place}: {row['name']}: no language {row['language']}", "e.g. python")
    rules = []
    for side in ("forward", "inverse"):
        given = row[side]
        if not isinstance(given, Mapping) or "rule" not in given or "fix" not in given:
            raise UsageError(f"{place}: {side}: expected `rule` and `fix`", "see docs/guide/synth.md")
        rules.append({key: given[key] for key in EFFECTIVE_FIELDS if given.get(key) is not None})
    return Codemod(
        name=str(row["name"]),
        language=language,
        family=str(row.get("family", "given")),
        forward=rules[0],
        inverse=rules[1],
        reason=str(row.get("reason") or ""),
        phrasings=tuple(map(str, row["paraphrases"])),
        example=str(row.get("example") or ""),
        needs=_needs(rules[1]["rule"]),
    )


def _needs(rule: Mapping[str, Any]) -> tuple[str, ...]:
    """Words and marks that any match of a plain pattern must contain; nothing for other rules.

    >>> _needs({"pattern": "$X is None"})
    ('None', 'is')
    """
    plain = rule.get("pattern")
    if not isinstance(plain, str):
        plain = str(plain["context"]) if isinstance(plain, Mapping) and "selector" not in plain else ""
    return tuple(sorted(set(_WORD.findall(without_variables(plain)))))
