"""Guards: what a rule asks of the file around a match, above all what that imports and uses.

An import goes only where nothing uses its names any more, comes only where something does and nothing
binds them, and a rule for an imported name holds only in files that import it. Guards are relations to
the root of the file, so the pinned ast-grep reads them too. The caller verifies what comes of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rulewright.actions.action import Rule
from rulewright.actions.visit import regex_escape
from rulewright.engine.parsing import parse
from rulewright.grammars import ROOT
from rulewright.languages import Language
from rulewright.mining.rules import imports
from rulewright.mining.rules.import_statements import KINDS, NAMES, REQUIRES, Import, parse_import
from rulewright.mining.rules.reading import new_text, old_text
from rulewright.mining.text.snippets import of_kinds
from rulewright.mining.text.tree import Tree

_KEYWORDS: Final = frozenset(
    ["import", "from", "as", "const", "let", "var", "use", "static", "require", "new", "await", "return"]
)


def in_file(language: Language, matcher: Mapping[str, Any]) -> dict[str, Any]:
    """The file around a match holds a node, anywhere."""
    return {"inside": {"kind": ROOT[language], "stopBy": "end", "has": {**matcher, "stopBy": "end"}}}


def any_of(names: frozenset[str]) -> str:
    """A regular expression for one of several names."""
    return "|".join(map(regex_escape, sorted(names)))


def module_regex(module: str, language: Language) -> str:
    """A regular expression for a module in an import statement, which quotes it or not."""
    is_quoted = REQUIRES[0] in KINDS[language]
    around = ("[\"']", "[\"']") if is_quoted else (r"(^|[^\w./])", r"([^\w./]|$)")
    return regex_escape(module).join(around)


def file_imports(one: Import, language: Language) -> dict[str, Any]:
    """The file around a match imports one of the names from that module."""
    named = import_of(any_of(one.names), language)
    return in_file(language, {**named, "all": [{"regex": module_regex(one.module, language)}]})


def file_binds(names: frozenset[str], language: Language) -> dict[str, Any]:
    """An import of the file around a match binds one of the names, from any module."""
    return in_file(language, import_of(any_of(names), language))


def import_of(words: str, language: Language) -> dict[str, Any]:
    """The matcher for an import that contains a word; in JavaScript also for a declaration by `require`.

    Args:
        words: a regular expression.
        language: of the file.
    """
    statement = _import_statement(language)
    if REQUIRES[0] not in KINDS[language]:
        return {**statement, "regex": rf"\b({words})\b"}
    # A name of JavaScript may begin with `$`.
    stated = {**statement, "regex": rf"[^\w$]({words})([^\w$]|$)"}
    required = rf"^\w+[^=]*[^\w$]({words})([^\w$=][^=]*)?=\s*(await\s+)?(require|import)\s*\("
    return {"any": [stated, {**of_kinds(REQUIRES), "regex": required}]}


def _import_statement(language: Language) -> dict[str, Any]:
    return of_kinds([kind for kind in KINDS[language] if kind not in REQUIRES])


def file_uses(
    names: frozenset[str], language: Language, but: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The file around a match uses one of the names, outside of imports and of nodes like `but`."""
    kinds = [kind for kind in KINDS[language] if kind not in REQUIRES]
    outside: list[dict[str, Any]] = [{"inside": {"kind": kind, "stopBy": "end"}} for kind in kinds]
    if but is not None:
        outside.append({"inside": {**but, "stopBy": but.get("stopBy", "end")}})
    outside += _of_something(language)
    name = {**of_kinds(NAMES[language]), "regex": f"^({any_of(names)})$"}
    return in_file(language, {**name, "not": {"any": outside}})


def spelled(name: str, language: Language) -> dict[str, Any]:
    """The matcher for an imported name, in its import or where the code uses it without an owner."""
    kinds = [kind for kind in NAMES[language] if not kind.startswith("shorthand")]
    return {**of_kinds(kinds), "regex": f"^{regex_escape(name)}$", "not": belongs_elsewhere(language)}


def belongs_elsewhere(language: Language) -> dict[str, Any]:
    """The matcher for a name that is a member or names an argument, so that no import binds it."""
    signs = _of_something(language)
    one = {"any": signs} if len(signs) > 1 else signs[0]
    return {**one, "not": {"inside": {**_import_statement(language), "stopBy": "end"}}}


def _of_something(language: Language) -> list[dict[str, Any]]:
    """Matchers for a name behind its owner, and for one that names an argument."""
    sign: dict[str, Any] = {"regex": r"^(->|\?->|::|\\|\$)$" if language == "php" else r"^(\.|\?\.|::)$"}
    if language == "kotlin":  # `::f` is the function itself
        sign = {"any": [{"regex": r"^\??\.$"}, {"regex": "^::$", "follows": {"regex": "."}}]}
    signs: list[dict[str, Any]] = [{"follows": sign}]
    if language in _ARGUMENTS:
        signs.append({"precedes": {"regex": "^[=:]$"}, "inside": {"kind": _ARGUMENTS[language]}})
    return signs


_ARGUMENTS: Final[Mapping[Language, str]] = {
    "python": "keyword_argument", "kotlin": "value_argument", "php": "argument", "java": "element_value_pair",
}  # fmt: skip
"""Node kind of a keyword argument."""


def misused_name(tree: Tree, after: str, names: frozenset[str]) -> str:
    """Why a name that a file imports no longer is not done with there, or is another thing; else empty."""
    before, language = tree.text, tree.language
    known, left = ({one.name for one in imports.bindings(text, language)} for text in (before, after))
    for name in sorted(known & names):
        if tree.has_local(name) or tree.defines(name):
            return f"`{name}` is another thing in a part of the file"
        if re.search(_EXPORTED.format(re.escape(name)), before):
            return f"the file exports `{name}`"
        matcher = {**of_kinds(NAMES[language]), "regex": f"^{regex_escape(name)}$"}
        apart = {"inside": {**import_of(r"\w+", language), "stopBy": "end"}}
        used: Any = {"rule": {**matcher, "not": {"any": [belongs_elsewhere(language), apart]}}}
        is_used = parse(after, language).root.find(used) is not None
        if is_used and name not in left:
            return f"`{name}` is used there in another way too"
        if name in left and not is_used and after != before:
            return f"the import of `{name}` would be left over"
    return ""


_EXPORTED: Final = r"__all__\s*\+?=[^\])]*['\"]{0}['\"]|export\s*\{{[^}}]*\b{0}\b"


def with_guards(rule: Rule, *guards: Mapping[str, Any]) -> Rule:
    """A rule that asks for more of what it matches."""
    if not guards:
        return rule
    matcher = rule["rule"]
    if len(guards) == 1 and not set(guards[0]) & {*matcher, "all"}:
        return {**rule, "rule": {**matcher, **guards[0]}}
    parts = matcher["all"] if set(matcher) == {"all"} else [matcher]
    return {**rule, "rule": {"all": [*parts, *guards]}}


def with_import_guards(rules: Sequence[Rule], language: Language) -> list[Rule]:
    """The rules with the guards that an import and its uses need; uses first, imports after them.

    A rule that has to do with no import stays as it is.
    """
    if language not in KINDS:
        return list(rules)
    rules = uses_first(rules, language)
    changed = [_changed_imports(rule, language) for rule in rules]
    known = list(dict.fromkeys(goes for goes, _ in changed if goes is not None))
    made: list[Rule] = []
    for rule, (goes, comes) in zip(rules, changed, strict=True):
        if goes is None and comes is None:
            made.append(only_where_imported(rule, known, language))
            continue
        guards: list[dict[str, Any]] = []
        if goes is not None and (left := goes.names - (comes.names if comes is not None else frozenset())):
            guards.append({"not": file_uses(left, language, _matcher(rule))})
        if comes is not None and goes is not None and comes.names != goes.names:
            guards.append({"not": file_imports(comes, language)})
        if comes is not None and goes is None:
            guards += [
                file_uses(comes.names, language),
                {"not": file_binds(comes.names, language)},
            ]
        made.append(with_guards(rule, *guards))
    return made


def only_where_imported(rule: Rule, gone: Sequence[Import], language: Language) -> Rule:
    """A rule that asks for an imported name, held to files that import that name from its module."""
    # The words that the rule asks for, without those behind a dot.
    asked = set(re.findall(r"(?<![\w.$'\"])[A-Za-z_]\w*", old_text(rule)))
    own = [one for one in gone if asked & one.names]
    return with_guards(rule, file_imports(own[0], language)) if len(own) == 1 else rule


def not_in_imports(rule: Rule, language: Language) -> Rule:
    """A rule held to code outside of imports, unless it is about an import itself."""
    if is_import_rule(rule, language) or language not in KINDS:
        return rule
    kinds = [{"inside": {"kind": kind, "stopBy": "end"}} for kind in KINDS[language]]
    return with_guards(rule, {"not": {"any": kinds} if len(kinds) > 1 else kinds[0]})


def uses_first(rules: Sequence[Rule], language: Language) -> list[Rule]:
    """Rules in order: for uses first, for imports after them."""
    return sorted(rules, key=lambda rule: is_import_rule(rule, language))


def is_import_rule(rule: Rule, language: Language) -> bool:
    """Whether a rule removes or adds an import."""
    return _changed_imports(rule, language) != (None, None)


def names_of(rule: Rule) -> set[str]:
    """The names in what a rule matches and in its fix, those of its relations included."""
    return set(re.findall(r"(?<!\$)\b[A-Za-z_]\w+", f"{old_text(rule)} {new_text(rule)}")) - _KEYWORDS


def _changed_imports(rule: Rule, language: Language) -> tuple[Import | None, Import | None]:
    """The import that a rule removes, and the one that it adds; `None` where it does not."""
    old, new = old_text(rule), new_text(rule)
    if _matcher(rule).get("kind") == "interpreted_string_literal_content":  # the path of a Go import
        old, new = f'"{old.strip("^$")}"', f'"{new}"'
    return _difference(old, new, language), _difference(new, old, language)


def _difference(text: str, other: str, language: Language) -> Import | None:
    lines = set(_lines(other))
    found = [
        one
        for line in _lines(text)
        if line not in lines and (one := parse_import(line, language)) is not None
    ]
    return found[0] if len(found) == 1 else None


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _matcher(rule: Rule) -> dict[str, Any]:
    """The part of a rule's matcher that is about the match itself, without its relations."""
    parts = rule["rule"].get("all", [rule["rule"]])
    return {key: part[key] for part in parts for key in ("pattern", "kind", "regex", "any") if key in part}
