"""Rules of one change that belong together: an import and the uses of what it binds.

An import goes only where nothing uses its names any more, comes only where a use stands and nothing
binds the name, and a rule for an imported name holds only in files that import it. All of it is
said in the rules themselves, by relations to the root of the file, so the pinned ast-grep reads it
too. Whoever ties rules verifies what comes of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from rulewright.actions.action import Rule
from rulewright.languages import Language
from rulewright.mining.rules import imports
from rulewright.mining.rules.imports import Import, with_guards
from rulewright.mining.rules.reading import new_text, old_text

_KEYWORDS: Final = frozenset(
    ["import", "from", "as", "const", "let", "var", "use", "static", "require", "new", "await", "return"]
)


def with_import_guards(rules: Sequence[Rule], language: Language) -> list[Rule]:
    """The rules with their guards; rules for uses first, those for imports after them.

    A rule that nothing ties stays as it is.
    """
    if language not in imports.KINDS:
        return list(rules)
    rules = uses_first(rules, language)
    gone = [_removed_import(rule, language) for rule in rules]
    known = list(dict.fromkeys(one for one in gone if one is not None))
    made: list[Rule] = []
    for rule, goes in zip(rules, gone, strict=True):
        comes = _added_import(rule, language)
        if goes is None and comes is None:
            made.append(only_where_imported(rule, known, language))
            continue
        guards: list[dict[str, Any]] = []
        if goes is not None and (left := goes.names - (comes.names if comes is not None else frozenset())):
            guards.append({"not": imports.file_uses(left, language, _matcher(rule))})
        if comes is not None and goes is not None and comes.names != goes.names:
            guards.append({"not": imports.file_imports(comes, language)})
        if comes is not None and goes is None:
            guards += [
                imports.file_uses(comes.names, language),
                {"not": imports.file_binds(comes.names, language)},
            ]
        made.append(with_guards(rule, *guards))
    return made


def only_where_imported(rule: Rule, gone: Sequence[Import], language: Language) -> Rule:
    """A rule for a name that an import binds, only where a file imports it from there."""
    # The words that the rule asks for, without those behind a dot.
    asked = set(re.findall(r"(?<![\w.$'\"])[A-Za-z_]\w*", old_text(rule)))
    own = [one for one in gone if asked & one.names]
    return with_guards(rule, imports.file_imports(own[0], language)) if len(own) == 1 else rule


def not_in_imports(rule: Rule, language: Language) -> Rule:
    """A rule for uses, where it would match the same words of an import too."""
    if is_import_rule(rule, language) or language not in imports.KINDS:
        return rule
    kinds = [{"inside": {"kind": kind, "stopBy": "end"}} for kind in imports.KINDS[language]]
    return with_guards(rule, {"not": {"any": kinds} if len(kinds) > 1 else kinds[0]})


def uses_first(rules: Sequence[Rule], language: Language) -> list[Rule]:
    """Rules for uses first, those for imports after them."""
    return sorted(rules, key=lambda rule: is_import_rule(rule, language))


def is_import_rule(rule: Rule, language: Language) -> bool:
    """Whether a rule takes an import away, or brings one."""
    return _removed_import(rule, language) is not None or _added_import(rule, language) is not None


def names_of(rule: Rule) -> set[str]:
    """The names of a rule, on both sides; of a relation those that it asks for as well."""
    return set(re.findall(r"(?<!\$)\b[A-Za-z_]\w+", f"{old_text(rule)} {new_text(rule)}")) - _KEYWORDS


def _removed_import(rule: Rule, language: Language) -> Import | None:
    """The import that a rule takes away."""
    old, new = _sides(rule)
    return _difference(old, new, language)


def _added_import(rule: Rule, language: Language) -> Import | None:
    """The import that a rule brings."""
    old, new = _sides(rule)
    return _difference(new, old, language)


def _sides(rule: Rule) -> tuple[str, str]:
    """What goes and what comes; the path of a Go import as the string that it is part of."""
    old, new = old_text(rule), new_text(rule)
    if _matcher(rule).get("kind") == "interpreted_string_literal_content":
        return f'"{old.strip("^$")}"', f'"{new}"'
    return old, new


def _difference(text: str, other: str, language: Language) -> Import | None:
    lines = set(_lines(other))
    found = [
        one
        for line in _lines(text)
        if line not in lines and (one := imports.parse_import(line, language)) is not None
    ]
    return found[0] if len(found) == 1 else None


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _matcher(rule: Rule) -> dict[str, Any]:
    """What a rule matches, without what stands around it."""
    parts = rule["rule"].get("all", [rule["rule"]])
    return {key: part[key] for part in parts for key in ("pattern", "kind", "regex", "any") if key in part}
