"""Read import statements from the tree: the module of each, and the names that it binds.

What holds for a file as a whole (which names it imports, which of its lines are code) is in `imports`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from ast_grep_py import SgNode, SgRoot

from rulewright.actions import visit
from rulewright.engine.parsing import faults, span
from rulewright.languages import Language

REQUIRES: Final = ("variable_declaration", "lexical_declaration")
_SCRIPT: Final = ("import_statement", *REQUIRES)
_SCRIPT_NAMES: Final = ("identifier", "shorthand_property_identifier")
_TYPED_NAMES: Final = (*_SCRIPT_NAMES, "type_identifier")
KINDS: Final[Mapping[Language, tuple[str, ...]]] = {
    "python": ("import_statement", "import_from_statement"),
    "javascript": _SCRIPT, "typescript": _SCRIPT, "tsx": _SCRIPT,
    "java": ("import_declaration",), "go": ("import_spec",), "rust": ("use_declaration",),
    "kotlin": ("import_header",), "php": ("namespace_use_declaration",),
}  # fmt: skip
"""Node kinds of imports."""
NAMES: Final[Mapping[Language, tuple[str, ...]]] = {
    "python": ("identifier",), "javascript": _SCRIPT_NAMES, "typescript": _TYPED_NAMES, "tsx": _TYPED_NAMES,
    "java": ("identifier", "type_identifier"), "go": ("identifier", "package_identifier"),
    "rust": ("identifier", "type_identifier"), "kotlin": ("simple_identifier", "type_identifier"),
    "php": ("name",),
}  # fmt: skip
"""Node kinds of names that may use an import."""
HOLDERS: Final[Mapping[Language, str]] = {"kotlin": "import_list", "go": "import_declaration"}
"""Node kind of the parent of imports, where that is not the root."""
PATHS: Final[Mapping[Language, str]] = {"java": ".", "kotlin": ".", "rust": "::", "php": "\\"}
"""The separator of a qualified name, where an import is one path."""
_SEVERAL: Final[Mapping[str, tuple[str, ...]]] = {
    "import_statement": ("dotted_name", "aliased_import"),
    "namespace_use_declaration": ("namespace_use_clause",),
    **dict.fromkeys(REQUIRES, ("variable_declarator",)),
}  # fmt: skip
"""Node kinds of the imports in a statement that may hold several, each of its own module."""
_PATH_KINDS: Final = frozenset(
    {"identifier", "scoped_identifier", "crate", "self", "super", "name", "qualified_name", "namespace_name"}
)
_PATH_LISTS: Final = frozenset({"use_list", "namespace_use_group"})
_PATH_PARTS: Final = _PATH_KINDS | _PATH_LISTS | {"use_as_clause", "scoped_use_list", "use_wildcard"}
_WILDCARDS: Final = frozenset({"asterisk", "wildcard_import", "*"})
_ASKED: Final = frozenset(
    {
        "await_expression", "call_expression", "member_expression", "subscript_expression",
        "as_expression", "satisfies_expression", "non_null_expression",
    }
)  # fmt: skip
"""What JavaScript may ask of a module that it imports by a call."""
_AROUND: Final[Mapping[Language, tuple[str, str]]] = {
    "php": ("<?php\n", ";"), "go": ("import ", ""), "java": ("", ";"), "rust": ("", ";"),
}  # fmt: skip
"""What is before and behind an import in a file that holds no more."""


class Binding(NamedTuple):
    """One name that a file imports."""

    module: str
    name: str


@dataclass(frozen=True)
class Import:
    """The names that one statement imports, and their module."""

    names: frozenset[str]
    module: str


class Imported(NamedTuple):
    """One name that a statement binds."""

    module: str
    name: str
    written: str
    """As it is written in the statement: `a as b`."""
    is_listed: bool
    """Whether it stands in a list of names of its module."""


@dataclass(frozen=True)
class ImportStatement:
    """The import of one module.

    Attributes:
        text: the statement as it would be without the other modules in it.
        node: the whole statement.
        part: what in it is about this module.
    """

    text: str
    node: SgNode
    part: SgNode
    module: str
    names: tuple[Imported, ...]


def parse_import(text: str, language: Language) -> Import | None:
    """Parse an import statement; `None` if it is none, or binds no name."""
    read = read_import(text, language)
    return Import(frozenset(one.name for one in read.names), read.module) if read else None


def read_import(text: str, language: Language) -> ImportStatement | None:
    """Read a text that is one import; `None` if it is none, or binds no name."""
    if language not in KINDS or visit.VARIABLE.search(text):
        return None
    before, end = _AROUND.get(language, ("", ""))
    before = "" if text.startswith("import ") else before
    root = SgRoot(f"{before}{text}{'' if text.endswith(end) else end}\n", language).root()
    # Flow's types are errors within an import of JavaScript.
    nodes = root.children() if language == "javascript" else faults(root)
    found = [] if any(node.kind() == "ERROR" for node in nodes) else [*import_statements(root, language)]
    return replace(found[0], text=text) if len(found) == 1 else None


def import_statements(root: SgNode, language: Language) -> Iterator[ImportStatement]:
    """The imports at the top level of a file that bind names, one for each module."""
    top: list[SgNode] = []
    for node in root.children():
        is_holder = node.kind() == HOLDERS.get(language)
        top += node.find_all(kind=KINDS[language][0]) if is_holder else [node]
    for node in top:
        if node.kind() not in KINDS[language]:
            continue
        parts = [part for part in node.children() if part.kind() in _SEVERAL.get(node.kind(), ())] or [node]
        head = node.text()[: span(parts[0])[0] - span(node)[0]]
        for part in parts:
            module, names = _names(part, PATHS.get(language, ""))
            if names:
                text = node.text() if len(parts) == 1 else head + part.text()
                yield ImportStatement(text, node, part, module, tuple(names))


def _names(part: SgNode, sign: str) -> tuple[str, list[Imported]]:
    """The module that a part of an import names, and the names that it binds."""
    kind = part.kind()
    if kind in ("dotted_name", "aliased_import"):
        module = (part.field("name") or part).text()
        name = alias.text() if (alias := part.field("alias")) else module.partition(".")[0]
        return module, [Imported(module, name, part.text(), is_listed=False)]
    if kind == "import_spec":
        module, own = _unquoted(part.field("path")), part.field("name")
        name = own.text().strip(".") if own else _package(module)
        return module, [Imported(module, name, part.text(), is_listed=False)] if name else []
    if kind == "variable_declarator":
        return _of_declaration(part)
    if sign:
        return _of_paths(part, sign)
    if module_name := part.field("module_name"):
        return module_name.text(), _listed(module_name.text(), part.field_children("name"))
    module = _unquoted(part.find(kind="string"))
    return module, [*_of_clause(part, module)]


def _unquoted(string: SgNode | None) -> str:
    return string.text()[1:-1] if string is not None else ""


def _listed(module: str, parts: Iterable[SgNode]) -> list[Imported]:
    names = ((one.field("alias") or one.field("name") or one, one) for one in parts)
    return [Imported(module, name.text(), one.text(), is_listed=True) for name, one in names]


def _of_clause(statement: SgNode, module: str) -> Iterator[Imported]:
    """What an `import` of JavaScript binds: the default, the whole module, or names of a list."""
    clauses = (part for part in statement.children() if part.kind().endswith("_clause"))
    for one in (inner for clause in clauses for inner in clause.children()):
        if one.kind() == "named_imports":
            yield from _listed(module, one.find_all(kind="import_specifier"))
        elif one.kind() in ("identifier", "namespace_import"):
            yield Imported(module, one.text().split()[-1], one.text(), is_listed=False)


def _of_declaration(part: SgNode) -> tuple[str, list[Imported]]:
    """What a declaration of JavaScript binds that calls `require` or `import`."""
    name, value, call = part.field("name"), part.field("value"), None
    while value is not None and value.kind() in _ASKED:
        call, value = value, value.child(1 if value.kind() == "await_expression" else 0)
    if name is None or call is None or value is None or value.text() not in ("require", "import"):
        return "", []
    module, is_list = _unquoted(call.find(kind="string")), name.kind() == "object_pattern"
    return module, [
        Imported(module, bound.text(), one.text(), is_list)
        for one in (name.children() if is_list else [name])
        for bound in _bound(one)
        if module
    ]


def _bound(pattern: SgNode) -> Iterator[SgNode]:
    """The names that a pattern of JavaScript binds."""
    inner = pattern.field("value") or pattern.field("left")
    if inner is None and pattern.kind() in ("identifier", "shorthand_property_identifier_pattern"):
        yield pattern
    for one in [inner] if inner is not None else pattern.children():
        yield from _bound(one)


def _of_paths(part: SgNode, sign: str) -> tuple[str, list[Imported]]:
    """What a statement binds that imports paths, or lists of them."""
    tree = part.field("argument") or part
    is_list = any(one.kind() in _PATH_LISTS for one in tree.children())
    first = next((one for one in tree.children() if one.kind() in _PATH_KINDS), tree) if is_list else tree
    module = first.text().removeprefix("\\")
    found = []
    for path, alias in _paths(tree, sign):
        owner, _, last = path.rpartition(sign)
        module = module if is_list else path
        if (alias or last != "self") and (owner or not is_list):
            written = f"{last} as {alias}" if alias else last
            found.append(Imported(owner if is_list else path, alias or last, written, is_list))
    return module, found


def _paths(node: SgNode, sign: str, base: str = "") -> Iterator[tuple[str, str]]:
    """Each path in an import, whole, with the other name that it gets; none of all that a module has."""
    if node.kind() in _PATH_KINDS:
        yield base + node.text().removeprefix("\\"), ""
        return
    children = {one.kind(): one for one in node.children()}
    inner = [one for one in node.children() if one.kind() in _PATH_PARTS | {"namespace_use_clause"}]
    alias = node.field("alias") or children.get("import_alias")
    if not inner or children.keys() & _WILDCARDS:
        return
    if node.kind() in _PATH_LISTS:
        for one in inner:
            yield from _paths(one, sign, base)
    elif alias is not None:
        yield base + inner[0].text().removeprefix("\\"), alias.text().split()[-1]
    elif len(inner) == 1:
        yield from _paths(inner[0], sign, base)
    else:
        yield from _paths(inner[1], sign, f"{base}{inner[0].text()}{sign}".removeprefix("\\"))


def _package(path: str) -> str:
    """The name of a Go package by its import path, whose last part may be a version; empty if unknown.

    >>> _package("k8s.io/klog/v2"), _package("gopkg.in/yaml.v3"), _package("a/go-b")
    ('klog', 'yaml', '')
    """
    found = re.search(r"([^/]+?)(?:[/.]v\d+)?$", path)
    return found[1] if found is not None and found[1].isidentifier() else ""


def only_name(name: str, statement: ImportStatement, language: Language) -> str:
    """The statement that binds this one of the names of a statement, written like that."""
    if len(statement.names) == 1:
        return statement.text
    own = next(one for one in statement.names if one.name == name)
    if language == "python":
        return f"from {own.module} import {own.written}"
    node, part = statement.node, statement.part
    if language in PATHS:
        sorts = [f"{child.text()} " for child in node.children() if child.kind() in ("function", "const")]
        return f"use {''.join(sorts)}{own.module}{PATHS[language]}{own.written};"
    clause = part.field("name") or next(child for child in part.children() if child.kind() == "import_clause")
    start, end = (at - span(node)[0] for at in span(clause))
    written = f"{{ {own.written} }}" if own.is_listed else own.written
    return f"{node.text()[:start].strip()} {written} {node.text()[end:].strip()}"
