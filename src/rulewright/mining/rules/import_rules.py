"""Rules that remove an import, add one or move a name to another module, wherever that is right.

Where a change binds other names than before, its import lines are not learned from as text: each
name is removed where nothing uses it any more, and added where something does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rulewright.actions.action import Rule
from rulewright.actions.visit import regex_escape
from rulewright.grammars import ROOT
from rulewright.languages import Language
from rulewright.mining.rules.guards import (
    any_of,
    file_binds,
    file_imports,
    file_uses,
    in_file,
    module_regex,
    with_guards,
)
from rulewright.mining.rules.import_statements import (
    HOLDERS,
    KINDS,
    NAMES,
    REQUIRES,
    Binding,
    Import,
    only_name,
    parse_import,
    read_import,
)
from rulewright.mining.text.snippets import of_kinds

_PARTS: Final[Mapping[Language, tuple[str, ...]]] = {
    "python": ("dotted_name", "aliased_import"), "javascript": ("import_specifier",),
    "typescript": ("import_specifier",), "tsx": ("import_specifier",),
}  # fmt: skip
"""Node kinds of one name in an import of several."""
_SCRIPT_DEFINITIONS: Final = ("function_declaration", "class_declaration", "variable_declarator")
_DEFINITIONS: Final[Mapping[Language, tuple[str, ...]]] = {
    "python": ("function_definition", "class_definition"), "javascript": _SCRIPT_DEFINITIONS,
    "typescript": _SCRIPT_DEFINITIONS, "tsx": _SCRIPT_DEFINITIONS,
    "java": ("class_declaration", "interface_declaration", "enum_declaration"),
    "rust": ("function_item", "struct_item", "enum_item", "trait_item"),
}  # fmt: skip
"""Node kinds that define a name, in their field `name`."""
_NOTE: Final = r"^(#|//|/\*)\s*(noqa|type:|pylint|pyright|mypy|flake8|isort|ruff|eslint|tslint|prettier|@ts-)"
"""A comment to a checker, which is about the code before it."""


def rules_for_imports(
    gone: Mapping[Binding, str], come: Mapping[Binding, str], language: Language
) -> list[Rule]:
    """Rules that remove names where nothing uses them, and add names where something does.

    A name whose module changes is added from the new module and removed from the old one. The path of a
    Go import is learned like any text; where the new import is there already, the old one is removed.
    """
    made: list[Rule] = []
    if language == "go":
        return [rule for one, statement in gone.items() for rule in removal_rules(one, statement, language)]
    moved = {old: new for old in gone for new in come if old.name == new.name}
    for was, now in dict.fromkeys((gone[one], come[new]) for one, new in moved.items()):
        old_one, new_one = parse_import(was, language), parse_import(now, language)
        if old_one and new_one and len(old_one.names) > 1 and old_one.names == new_one.names:
            made.append({"rule": _exactly(was, language), "fix": now})
    for one, new in moved.items():
        made += _moving(one, new, gone[one], come[new], language)
    gone = {one: statement for one, statement in gone.items() if one not in moved}
    come = {one: statement for one, statement in come.items() if one not in moved.values()}
    # First, so that one stands where the other was even in a file that imports nothing else.
    for one, statement in come.items():
        made += _adding(one, statement, language)
    for one, statement in gone.items():
        made += removal_rules(one, statement, language)
    return made


def _only_statement(one: Binding, statement: str, language: Language) -> dict[str, Any]:
    """The matcher for a statement that binds this name and no other."""
    return _exactly(_statement_for(one, statement, language), language)


def _exactly(statement: str, language: Language) -> dict[str, Any]:
    """The matcher for a whole statement; a pattern would match longer ones too."""
    words = re.sub(r"(?:\\s)?\s+", r"\\s+", regex_escape(statement.rstrip(";")))
    quoted = re.sub(r"""\\?["']""", """["']""", words)
    read = read_import(statement, language)
    kind = read.node.kind() if read is not None else KINDS[language][0]
    return {"kind": kind, "regex": rf"^{quoted};?$"}


def _statement_for(one: Binding, statement: str, language: Language) -> str:
    """A statement that binds this one name, written like the given statement."""
    read = read_import(statement, language)
    return only_name(one.name, read, language) if read is not None else statement


def _removing(one: Binding, statement: str, language: Language) -> Iterator[Rule]:
    """Rules that remove a whole statement with the gap before or after it, or one name of several.

    The gap goes with the import next to it, so that what stands above the first import keeps its distance.
    """
    alone = _only_statement(one, statement, language)
    # A comment behind it would stand behind the import before it.
    noted = rf"(?m)^[ \t]*{alone['regex'].strip('^$')}[ \t]*(#|//|/\*)"
    alone["not"] = {"inside": {"kind": ROOT[language], "regex": noted, "stopBy": "end"}}
    yield {"rule": {**alone, "follows": {"pattern": "$Z", **of_kinds(KINDS[language])}},
           "fix": {"template": "$Z", "expandStart": {"regex": "."}}}  # fmt: skip
    yield {"rule": {**alone, "precedes": {"pattern": "$Z"}},
           "fix": {"template": "$Z", "expandEnd": {"regex": "."}}}  # fmt: skip
    if language in _PARTS and _is_listed(one, statement, language):
        part = {
            **of_kinds(_PARTS[language]),
            "regex": rf"(^|\s){regex_escape(one.name)}$",
            "inside": _listing(one.module, language),
        }
        after = {**of_kinds(_PARTS[language]), "stopBy": "end"}
        yield {"rule": {**part, "precedes": {"pattern": "$Z", **after}},
               "fix": {"template": "$Z", "expandEnd": after}}  # fmt: skip
        yield {"rule": {**part, "follows": {"regex": "^,$"}},
               "fix": {"template": "", "expandStart": {"regex": r"^,$"}}}  # fmt: skip


def _is_listed(one: Binding, statement: str, language: Language) -> bool:
    """Whether a name stands in a list of an import, not of a declaration."""
    read = read_import(statement, language)
    if read is None or read.node.kind() in REQUIRES:
        return False
    return any(name.is_listed for name in read.names if name.name == one.name)


def removal_rules(one: Binding, statement: str, language: Language) -> list[Rule]:
    """Rules that remove an imported name where the file does not use it."""
    guard = {"not": file_uses(frozenset({one.name}), language, _only_statement(one, statement, language))}
    return [with_guards(rule, guard) for rule in _removing(one, statement, language)]


def _moving(old: Binding, new: Binding, was: str, now: str, language: Language) -> Iterator[Rule]:
    """Rules that replace a whole statement, or add a statement for one name and remove it from its list."""
    statement = _statement_for(new, now, language)
    yield {"rule": _only_statement(old, was, language), "fix": statement}
    there, here = (file_imports(Import(frozenset({old.name}), one.module), language) for one in (old, new))
    for rule in _coming(new, now, language):
        yield with_guards(rule, there, {"not": here})
    for rule in _removing(old, was, language):
        yield with_guards(rule, here)


def _adding(one: Binding, statement: str, language: Language) -> list[Rule]:
    """The rules that add this name to the imports of a file that needs it."""
    names = frozenset({one.name})
    defines: list[dict[str, Any]] = []
    if kinds := _DEFINITIONS.get(language):  # the file may define the name itself
        identifier = {**of_kinds(NAMES[language]), "regex": f"^({any_of(names)})$"}
        defines = [in_file(language, {**identifier, "inside": {**of_kinds(kinds), "field": "name"}})]
    guards = [
        file_uses(names, language, _only_statement(one, statement, language)),
        {"not": file_binds(names, language)},
        *[{"not": one} for one in defines],
    ]
    return [with_guards(rule, *guards) for rule in _coming(one, statement, language)]


def _coming(one: Binding, statement: str, language: Language) -> list[Rule]:
    """Rules, without guards, that add a name to an import of its module, or a statement if there is none."""
    after = _after_imports(_statement_for(one, statement, language), language)
    if language not in _PARTS or not _is_listed(one, statement, language):
        return [after]
    read = read_import(statement, language)
    written = next((name.written for name in read.names if name.name == one.name), "") if read else ""
    around = _listing_of(one.module, statement, language)
    first = {**around, "not": {"follows": {**around, "stopBy": "end"}}, "inside": {"kind": ROOT[language]}}
    part = of_kinds(_PARTS[language])
    # A comment behind the last name would stand behind the new one.
    later = of_kinds((*_PARTS[language], "comment"))
    last = {**part, "pattern": "$LAST", "not": {"precedes": {**later, "stopBy": "end"}}}
    # A name of Python with another behind it (`a as b`) stands in a node of its own.
    within = {} if language == "python" else {"stopBy": "end"}
    joined = [
        {"rule": {**last, "inside": {"all": [first, lines], **within}}, "fix": f"$LAST,{gap}{written}"}
        for lines, gap in (({"regex": r"\n"}, "\n"), ({"not": {"regex": r"\n"}}, " "))
    ]
    return [*joined, after]


def _listing_of(module: str, statement: str, language: Language) -> dict[str, Any]:
    """The matcher for an import of names of a module that is for types if a statement is, and not else."""
    if language == "python":
        regex = rf"^from\s+{regex_escape(module)}\s+import\b"
        return {"kind": "import_from_statement", "regex": regex}
    for_types = {"regex": r"^import\s+type\b"}
    is_for_types = re.match(for_types["regex"], statement) is not None
    kind = {"kind": "import_statement", "regex": module_regex(module, language)}
    return {"all": [kind, for_types if is_for_types else {"not": for_types}]}


def _listing(module: str, language: Language) -> dict[str, Any]:
    """The matcher for an import of names of a module, seen from one of them."""
    kind = KINDS[language][-1] if language == "python" else "import_statement"
    return {"kind": kind, "regex": module_regex(module, language), "stopBy": "end"}


def _after_imports(statement: str, language: Language) -> Rule:
    """The rule, without guards, that adds a statement after the last import of a file.

    An import with a note to a checker behind it is left alone: the note would stand behind the new one.
    """
    read = read_import(statement, language)
    is_declaration = read is not None and read.node.kind() in REQUIRES
    kinds = [kind for kind in KINDS[language] if (kind in REQUIRES) == is_declaration]
    kind = of_kinds(kinds)
    known: dict[str, Any] = {"regex": r"\brequire\("} if is_declaration else {}
    later: dict[str, Any] = {"precedes": {**kind, **known, "stopBy": "end"}}
    if REQUIRES[0] in KINDS[language] or language == "python":
        noted = {"precedes": {"kind": "comment", "regex": _NOTE}}
        later = {"any": [noted, {"precedes": {**later["precedes"], "not": noted}}]}
    last = {**kind, **known, "pattern": "$LAST", "inside": {"kind": HOLDERS.get(language, ROOT[language])},
            "not": later}  # fmt: skip
    return {"rule": last, "fix": f"$LAST\n{statement}"}
