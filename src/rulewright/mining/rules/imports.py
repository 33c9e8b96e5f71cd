"""What a file imports, and rules that take an import away or bring one, wherever that is right.

Where a change binds other names than before, its import lines are not learned from as text: an
import is one in every file, wherever it stands there and whatever is imported beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, NamedTuple

from ast_grep_py import SgNode

from rulewright import difftext
from rulewright.actions import visit
from rulewright.actions.action import Rule
from rulewright.actions.visit import regex_escape
from rulewright.engine.parsing import parse
from rulewright.grammars import ROOT
from rulewright.languages import Language
from rulewright.mining.text.snippets import of_kinds

_REQUIRES: Final = ("variable_declaration", "lexical_declaration")
_SCRIPT: Final = ("import_statement", *_REQUIRES)
_SCRIPT_NAMES: Final = ("identifier", "shorthand_property_identifier")
_TYPED_NAMES: Final = (*_SCRIPT_NAMES, "type_identifier")
KINDS: Final[Mapping[Language, tuple[str, ...]]] = {
    "python": ("import_statement", "import_from_statement"),
    "javascript": _SCRIPT, "typescript": _SCRIPT, "tsx": _SCRIPT,
    "java": ("import_declaration",), "go": ("import_spec",), "rust": ("use_declaration",),
    "kotlin": ("import_header",), "php": ("namespace_use_declaration",),
}  # fmt: skip
"""Kinds of the nodes that bring names into a file."""
NAMES: Final[Mapping[Language, tuple[str, ...]]] = {
    "python": ("identifier",), "javascript": _SCRIPT_NAMES, "typescript": _TYPED_NAMES, "tsx": _TYPED_NAMES,
    "java": ("identifier", "type_identifier"), "go": ("identifier", "package_identifier"),
    "rust": ("identifier", "type_identifier"), "kotlin": ("simple_identifier", "type_identifier"),
    "php": ("name",),
}  # fmt: skip
"""Kinds of the nodes that use them."""
_PARTS: Final[Mapping[Language, tuple[str, ...]]] = {
    "python": ("dotted_name", "aliased_import"), "javascript": ("import_specifier",),
    "typescript": ("import_specifier",), "tsx": ("import_specifier",),
}  # fmt: skip
"""Kinds of one name among several of one import."""
_HOLDERS: Final[Mapping[Language, str]] = {"kotlin": "import_list", "go": "import_declaration"}
"""Kind of the node that holds the imports, where that is not the root."""
_SCRIPT_DEFINITIONS: Final = ("function_declaration", "class_declaration", "variable_declarator")
_DEFINITIONS: Final[Mapping[Language, tuple[str, ...]]] = {
    "python": ("function_definition", "class_definition"), "javascript": _SCRIPT_DEFINITIONS,
    "typescript": _SCRIPT_DEFINITIONS, "tsx": _SCRIPT_DEFINITIONS,
    "java": ("class_declaration", "interface_declaration", "enum_declaration"),
    "rust": ("function_item", "struct_item", "enum_item", "trait_item"),
}  # fmt: skip
"""Kinds of the nodes that define a name, by their field `name`."""
_PATHS: Final[Mapping[Language, str]] = {"java": ".", "kotlin": ".", "rust": "::", "php": "\\"}
"""What stands between the parts of a name, where an import is one path."""
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_STRING: Final = re.compile(r"""(["'])(.*?)\1""")
_REQUIRE: Final = re.compile(
    r"^\s*(?:const|let|var)\s+(.*?)=\s*(?:await\s+)?(?:require|import)\s*\(", re.DOTALL
)
_PATH: Final = re.compile(
    r"(?:import|use|pub use)\s+(?:(?:static|function|const)\s+)?\\?([\w.:\\]+)"
    r"((?:\.|::|\\)\{.*\}|\s+as\s+\w+)?",
    re.DOTALL,
)
_DECLARING: Final = ("const ", "let ", "var ")
_KEYWORDS: Final = frozenset({"import", "type", "typeof", "static", "use", "pub", "crate", "self"})


@dataclass(frozen=True)
class Import:
    """What a statement brings into a file: names, and from where."""

    names: frozenset[str]
    module: str


class Binding(NamedTuple):
    """One name that a file imports."""

    module: str
    name: str


def parse_import(text: str, language: Language) -> Import | None:
    """The import that a text states; `None` where it is none, or binds no name."""
    if language not in KINDS or visit.VARIABLE.search(text):
        return None
    module, bound = _split(text.strip().rstrip(";"), language)
    # The name that a part binds is the last one of `a as b` and `a: b`.
    last = (name for part in bound for name in _NAME.findall(part)[-1:])
    names = frozenset(name for name in last if name not in _KEYWORDS)
    return Import(names, module) if names else None


def _split(text: str, language: Language) -> tuple[str, list[str]]:
    """The module, and a text for each name that is bound."""
    if language == "python":
        found = re.fullmatch(r"from\s+([\w.]+)\s+import\s+\(?(.*?)\)?", text, re.DOTALL)
        if found is not None:
            return found[1], found[2].split(",")
        found = re.fullmatch(r"import\s+([\w.]+(?:\s+as\s+\w+)?)", text)
        name = found[1] if found is not None else ""
        return name.split(" ")[0], [name if " as " in name else name.split(".")[0]]
    if language in _PATHS:
        found = _PATH.fullmatch(text)
        if found is None or found[1].endswith(_PATHS[language]):
            return "", []
        listed = (found[2] or "").strip(".:\\{} \n")
        return found[1], listed.split(",") if listed else [found[1].split(_PATHS[language])[-1]]
    string = _STRING.search(text)
    if string is None:
        return "", []
    if language == "go":
        before = text[: string.start()].replace("import", "").strip()
        return string[2], [before or string[2].rpartition("/")[-1]]
    required = _REQUIRE.match(text)
    if required is not None:
        return string[2], required[1].strip("{} \n").split(",")
    if not re.match(r"import\b", text):
        return "", []
    return string[2], re.split(r"[,{}]", text[: string.start()].removeprefix("import").rpartition("from")[0])


class _Statement(NamedTuple):
    text: str
    first: int
    last: int
    states: Import


def _statements(text: str, language: Language) -> Iterator[_Statement]:
    """The imports at the top of a file, with their lines from 0."""
    top: list[SgNode] = []
    for node in parse(text, language).root.children():
        is_holder = node.kind() == _HOLDERS.get(language)
        top += node.find_all(kind=KINDS[language][0]) if is_holder else [node]
    for node in top:
        if node.kind() in KINDS[language] and (states := parse_import(node.text(), language)) is not None:
            span = node.range()
            yield _Statement(node.text(), span.start.line, span.end.line, states)


def bindings(text: str, language: Language) -> dict[Binding, str]:
    """Every name that a file imports, with the statement that does it."""
    if language not in KINDS:
        return {}
    return {
        Binding(one.states.module, name): one.text
        for one in _statements(text, language)
        for name in sorted(one.states.names)
    }


def post_with_old_imports(pre: str, post: str, language: Language) -> str | None:
    """`post` with the imports of `pre`; `None` where both bind the same, or Go, or neither parses.

    `import_rules` covers what a change does to imported names. In JavaScript a change of modules alone is
    like any other change; elsewhere a module as often loses one of its names as it moves with all of them.
    """
    old, new = bindings(pre, language), bindings(post, language)
    if language not in KINDS or language == "go":
        return None
    by_path = language == "python" or language in _PATHS
    same = set(old) == set(new) if by_path else {o.name for o in old} == {n.name for n in new}
    return None if same else _with_imports_of(pre, post, language)


def _with_imports_of(pre: str, post: str, language: Language) -> str:
    old, new = difftext.lines(pre), difftext.lines(post)
    of_old, of_new = _lines(pre, language), _lines(post, language)
    made: list[str] = []
    done = 0
    for a0, a1, b0, b1 in difftext.changed(old, new):
        made += old[done:a0]
        code = [new[i] for i in range(b0, b1) if i not in of_new]
        kept = [old[i] for i in range(a0, a1) if i in of_old]
        if not "".join(code).strip() and all(i in of_old or not old[i].strip() for i in range(a0, a1)):
            made += old[a0:a1]
        else:
            made += [*kept, *code]
        done = a1
    return "".join([*made, *old[done:]])


def _lines(text: str, language: Language) -> set[int]:
    return {line for one in _statements(text, language) for line in range(one.first, one.last + 1)}


def _is_blank(line: str) -> bool:
    return not line.strip()


def code_lines(text: str, language: Language) -> list[str]:
    """The lines of a file without its imports and without the blank ones around them."""
    if language not in KINDS:
        return difftext.rows(text)
    lines = difftext.rows(text)
    drop = _lines(text, language)
    first = min(drop, default=0)
    above = takewhile(_is_blank, reversed(lines[:first]))
    below = (line + n for line in drop for n, _ in enumerate(takewhile(_is_blank, lines[line + 1 :]), 1))
    drop = {*drop, *(first - n for n, _ in enumerate(above, 1)), *below}
    return [line for number, line in enumerate(lines) if number not in drop]


def only_import_from(word: str, text: str, language: Language) -> str:
    r"""The one name that a file imports from a module that a word names, wholly or in part; else nothing.

    Where packages are paths of their own (Java, Kotlin), the package or class that follows it in all paths.

    >>> member_of("kit", "from kit import Shelf\n", "python")
    'Shelf'
    >>> member_of("kit", "from kit import Shelf, Box\n", "python"), member_of("kit", "import kit\n", "python")
    ('', '')
    >>> member_of("kit", "import kit.box.*;\nclass A extends kit.box.Lid {}\n", "java")
    'box'
    >>> member_of("kit", "import kit.Box;\n", "java")
    'Box'
    """
    found = [
        (one.name, statement)
        for one, statement in bindings(text, language).items()
        if word == one.module or word in re.split(r"[^\w-]+", one.module)
    ]
    if _PATHS.get(language) == "." and word == word.lower():
        after = set(re.findall(rf"(?<!\w){re.escape(word)}\.(?=(?:[a-z]\w*\.)*[A-Z*])(\w+)", text))
        if after:
            return after.pop() if len(after) == 1 else ""
    if len(found) != 1 or found[0][0] == word:
        return ""
    is_named = language in _PATHS or "{" in found[0][1] or found[0][1].startswith("from ")
    return found[0][0] if is_named else ""


# Demands on a file, as relations to its root


def _within(language: Language, held: Mapping[str, Any]) -> dict[str, Any]:
    return {"inside": {"kind": ROOT[language], "stopBy": "end", "has": {**held, "stopBy": "end"}}}


def _any_of(names: frozenset[str]) -> str:
    return "|".join(map(regex_escape, sorted(names)))


def _module(module: str) -> str:
    return rf"(^|[^\w./]){regex_escape(module)}([^\w./]|$)"


def file_imports(one: Import, language: Language) -> dict[str, Any]:
    """The file imports the names from there."""
    words = [rf"\b({_any_of(one.names)})\b", _module(one.module)]
    return _within(language, {**of_kinds(KINDS[language]), "all": [{"regex": word} for word in words]})


def file_binds(names: frozenset[str], language: Language) -> dict[str, Any]:
    """Some import of the file binds one of the names."""
    return _within(language, {**of_kinds(KINDS[language]), "regex": rf"\b({_any_of(names)})\b"})


def file_uses(
    names: frozenset[str], language: Language, but: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The file uses one of the names, outside of imports and of what `but` matches around it."""
    kinds = [kind for kind in KINDS[language] if kind not in _REQUIRES]
    outside: list[dict[str, Any]] = [{"inside": {"kind": kind, "stopBy": "end"}} for kind in kinds]
    if but is not None:
        outside.append({"inside": {**but, "stopBy": but.get("stopBy", "end")}})
    if language == "python":
        outside.append({"inside": {"kind": "attribute", "field": "attribute"}})
    held = {**of_kinds(NAMES[language]), "regex": f"^({_any_of(names)})$"}
    return _within(language, {**held, "not": {"any": outside} if len(outside) > 1 else outside[0]})


def with_guards(rule: Rule, *guards: Mapping[str, Any]) -> Rule:
    """A rule with more demands on what it matches."""
    if not guards:
        return rule
    matcher = rule["rule"]
    if len(guards) == 1 and not set(guards[0]) & {*matcher, "all"}:
        return {**rule, "rule": {**matcher, **guards[0]}}
    parts = matcher["all"] if set(matcher) == {"all"} else [matcher]
    return {**rule, "rule": {"all": [*parts, *guards]}}


# Rules


def import_rules(gone: Mapping[Binding, str], come: Mapping[Binding, str], language: Language) -> list[Rule]:
    """Rules that take names away where nothing uses them, and bring names where something does.

    A name that only comes from another module is brought from there and taken away where it was. The path of
    a Go import is learned like any text; where the new one stands already, the old one goes.
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
    for one, statement in gone.items():
        made += removal_rules(one, statement, language)
    for one, statement in come.items():
        made.append(_adding(one, statement, language))
    return made


def _only_statement(one: Binding, statement: str, language: Language) -> dict[str, Any]:
    """The statement that binds this name and no other."""
    return _exactly(_statement_for(one, statement, language), language)


def _exactly(statement: str, language: Language) -> dict[str, Any]:
    """All of a statement, since a pattern fits longer ones too."""
    words = re.sub(r"(?:\\s)?\s+", r"\\s+", regex_escape(statement.rstrip(";")))
    quoted = re.sub(r"""\\?["']""", """["']""", words)
    root = parse(statement, language).root.children()
    own = root[0].kind() if root and language not in _HOLDERS else KINDS[language][0]
    return {"kind": own, "regex": rf"^{quoted};?$"}


def _statement_for(one: Binding, statement: str, language: Language) -> str:
    """The part of a statement that binds this name, as a statement of its own."""
    stated = parse_import(statement, language)
    if stated is not None and len(stated.names) == 1:
        return statement
    own = re.search(rf"[\w.]+\s+as\s+{one.name}\b", statement)
    name = own[0] if own is not None else one.name
    if language == "python":
        return f"from {one.module} import {name}"
    quote = '"' if '"' in statement else "'"
    end = ";" if statement.endswith(";") else ""
    if language in _PATHS:
        return f"use {one.module}{_PATHS[language]}{name};"
    if statement.startswith(_DECLARING):
        return f"{statement.split()[0]} {{ {one.name} }} = require({quote}{one.module}{quote}){end}"
    return f"import {{ {name} }} from {quote}{one.module}{quote}{end}"


def _removing(one: Binding, statement: str, language: Language) -> Iterator[Rule]:
    """The whole statement with the gap after another import, or before what follows; one name of several.

    What stands above the first import, mostly a blank line away, keeps its distance.
    """
    alone = _only_statement(one, statement, language)
    yield {"rule": {**alone, "follows": {"pattern": "$Z", **of_kinds(KINDS[language])}},
           "fix": {"template": "$Z", "expandStart": {"regex": "."}}}  # fmt: skip
    yield {"rule": {**alone, "precedes": {"pattern": "$Z"}},
           "fix": {"template": "$Z", "expandEnd": {"regex": "."}}}  # fmt: skip
    if language in _PARTS and statement.startswith(("import {", "from ")):
        held = {"kind": KINDS[language][-1] if language == "python" else "import_statement",
                "regex": _module(one.module), "stopBy": "end"}  # fmt: skip
        part = {**of_kinds(_PARTS[language]), "regex": rf"(^|\s){one.name}$", "inside": held}
        after = {**of_kinds(_PARTS[language]), "stopBy": "end"}
        yield {"rule": {**part, "precedes": {"pattern": "$Z", **after}},
               "fix": {"template": "$Z", "expandEnd": after}}  # fmt: skip
        yield {"rule": {**part, "follows": {"regex": "^,$"}},
               "fix": {"template": "", "expandStart": {"regex": r"^,$"}}}  # fmt: skip


def removal_rules(one: Binding, statement: str, language: Language) -> list[Rule]:
    """Rules that take a name away where no other import or use of the file needs it."""
    guard = {"not": file_uses(frozenset({one.name}), language, _only_statement(one, statement, language))}
    return [with_guards(rule, guard) for rule in _removing(one, statement, language)]


def _moving(old: Binding, new: Binding, was: str, now: str, language: Language) -> Iterator[Rule]:
    """The whole statement in its place; one name of several as a statement, then out of its list."""
    statement = _statement_for(new, now, language)
    yield {"rule": _only_statement(old, was, language), "fix": statement}
    there, here = (file_imports(Import(frozenset({old.name}), one.module), language) for one in (old, new))
    yield with_guards(_after_imports(statement, language), there, {"not": here})
    for rule in _removing(old, was, language):
        yield with_guards(rule, here)


def _adding(one: Binding, statement: str, language: Language) -> Rule:
    """The statement, or one for this name alone, after the last import of a file."""
    names = frozenset({one.name})
    defines: list[dict[str, Any]] = []
    if kinds := _DEFINITIONS.get(language):  # the file may define the name itself
        held = {**of_kinds(NAMES[language]), "regex": f"^({_any_of(names)})$"}
        defines = [_within(language, {**held, "inside": {**of_kinds(kinds), "field": "name"}})]
    return with_guards(
        _after_imports(_statement_for(one, statement, language), language),
        file_uses(names, language, _only_statement(one, statement, language)),
        {"not": file_binds(names, language)},
        *[{"not": one} for one in defines],
    )


def _after_imports(statement: str, language: Language) -> Rule:
    """A statement after the last import of a file."""
    kinds = [kind for kind in KINDS[language] if kind not in _REQUIRES]
    if statement.startswith(_DECLARING):
        kinds = list(_REQUIRES)
    kind = of_kinds(kinds)
    known: dict[str, Any] = {"regex": r"\brequire\("} if kinds == list(_REQUIRES) else {}
    last = {**kind, **known, "pattern": "$LAST", "inside": {"kind": _HOLDERS.get(language, ROOT[language])},
            "not": {"precedes": {**kind, **known, "stopBy": "end"}}}  # fmt: skip
    return {"rule": last, "fix": f"$LAST\n{statement}"}


def unbound_name(text: str, names: frozenset[str], language: Language) -> str:
    """A name that a text uses and no import of it binds; empty where there is none."""

    def used(names: Iterable[str], text: str) -> list[str]:
        return [name for name in sorted(names) if re.search(rf"(?<![\w.]){re.escape(name)}\b", text)]

    # Most files hold none of them, and need not be parsed.
    if not (there := used(names, text)):
        return ""
    missing = {*there} - {one.name for one in bindings(text, language)}
    return next(iter(used(missing, "\n".join(code_lines(text, language)))), "")
