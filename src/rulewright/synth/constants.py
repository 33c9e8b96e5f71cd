"""Instance edits of constants: numbers, strings, values, imports, decorators, exception classes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Container
from typing import Final

from ast_grep_py import SgNode

from rulewright.engine.parsing import span
from rulewright.languages import SCRIPTS, Language
from rulewright.synth import naming
from rulewright.synth.grammar import of_kind
from rulewright.synth.proposals import Code, Proposal, proposal, rule_of


def change_number(code: Code, rng: random.Random) -> Proposal | None:
    """One number for another, everywhere in the window."""
    nodes = of_kind(code.root, *code.grammar.integer)
    values = {node.text() for node in nodes}
    return _change_one(code, nodes, rng, lambda new: naming.other_number(new, rng), values)


def change_string(code: Code, rng: random.Random) -> Proposal | None:
    """One string for another, everywhere in the window."""
    nodes = [node for node in of_kind(code.root, *code.grammar.string) if naming.is_plain_string(node.text())]
    return _change_one(code, nodes, rng, lambda new: naming.other_string(new, code.names, rng), code.text)


def _change_one(
    code: Code, nodes: list[SgNode], rng: random.Random, other: Callable[[str], str | None],
    taken: Container[str],
) -> Proposal | None:  # fmt: skip
    values = sorted({node.text() for node in nodes})
    if not values:
        return None
    new = rng.choice(values)
    old = other(new)
    if old is None or old in taken:
        return None
    chosen = [node for node in nodes if node.text() == new]
    return proposal(code, [(*span(node), old) for node in chosen], rule_of(old, new), old=old, new=new)


def set_value(code: Code, rng: random.Random) -> Proposal | None:
    """`NAME = old` → `NAME = new`, for a number, string or constant."""
    kind, left, right = _ASSIGNMENT[code.language]
    found = []
    for node in of_kind(code.root, kind):
        name, value = node.field(left), node.field(right)
        if name is None or value is None or node.field("type") is not None:
            continue
        if re.fullmatch(r"[A-Za-z_][\w.]*", name.text()) and naming.other_value(
            value.text(), code.language, random.Random(0)
        ):
            found.append((node, name.text(), value))
    if not found:
        return None
    _, target, value = rng.choice(found)
    if sum(other == target for _, other, _ in found) > 1:
        return None
    old = naming.other_value(value.text(), code.language, rng)
    if old is None:
        return None
    operator = ":=" if kind == "short_var_declaration" else "="
    shown = f"{target} {operator} {{}}"
    pattern: object = shown.format(old)
    if code.language != "python":
        pattern = {"context": _DECLARE[code.language].format(shown.format(old)), "selector": kind}
    rule = rule_of(pattern, shown.format(value.text()))
    return proposal(code, [(*span(value), old)], rule, name=target, old=old, new=value.text())


_ASSIGNMENT: Final[dict[Language, tuple[str, str, str]]] = {
    "python": ("assignment", "left", "right"),
    **dict.fromkeys(SCRIPTS, ("variable_declarator", "name", "value")),
    "java": ("variable_declarator", "name", "value"),
    "go": ("short_var_declaration", "left", "right"),
}
_DECLARE: Final[dict[Language, str]] = {
    **dict.fromkeys(SCRIPTS, "let {};"),
    "java": "int {};",
    "go": "package p\nfunc f() {{ {} }}",
}


def change_import(code: Code, rng: random.Random) -> Proposal | None:
    """Import the same names from another module."""
    found = of_kind(code.root, *code.grammar.imports)
    if not found:
        return None
    node = rng.choice(found)
    match code.language:
        case "python":
            source = node.field("module_name")
            if node.kind() != "import_from_statement" or (source and source.text().startswith(".")):
                return None
        case "java":
            source = next((child for child in node.children() if child.kind() == "scoped_identifier"), None)
        case "go":
            source = node.field("path")
        case _ if code.language in SCRIPTS:
            source = node.field("source")
        case _:
            source = None
    if source is None:
        return None
    is_name = code.language in ("python", "java")
    new = source.text() if is_name else source.text()[1:-1]
    old = naming.other_module(new, code.names, code.text, rng, "." if is_name else "/")
    if old is None:
        return None
    quote = "" if is_name else '"' if code.language == "go" else source.text()[0]
    rule = rule_of(f"{quote}{old}{quote}", f"{quote}{new}{quote}")
    if code.language == "python":
        if "(" in node.text() or "*" in node.text():
            return None
        rule = rule_of(f"from {old} import $$$NAMES", f"from {new} import $$$NAMES")
    elif code.language == "java":
        rule = rule_of({"context": f"import {old};", "selector": "scoped_identifier"}, new)
    return proposal(code, [(*span(source), f"{quote}{old}{quote}")], rule, old=old, new=new)


def change_decorator(code: Code, rng: random.Random) -> Proposal | None:
    """Python: one decorator for another."""
    nodes = of_kind(code.root, "decorator")
    names = sorted({node.text()[1:].strip() for node in nodes})
    names = [name for name in names if re.fullmatch(r"[A-Za-z_][\w.]*(\([^()\n$]*\))?", name)]
    if not names:
        return None
    new = rng.choice(names)
    old = naming.other_decorator(new, code.names, rng)
    if old is None or f"@{old}" in code.text:
        return None
    chosen = [node for node in nodes if node.text() == f"@{new}"]
    rule = rule_of({"context": f"@{old}\ndef f(): pass", "selector": "decorator"}, f"@{new}")
    return proposal(code, [(*span(node), f"@{old}") for node in chosen], rule, old=f"@{old}", new=f"@{new}")


def change_exception(code: Code, rng: random.Random) -> Proposal | None:
    """Raise (throw) another exception class, its arguments kept."""
    if code.language not in naming.EXCEPTIONS:
        return None
    before = "raise " if code.language == "python" else "throw new "
    form = "raise {}($$$ARGS)" if code.language == "python" else "new {}($$$ARGS)"
    found = [(m[1], m.start(1)) for m in re.finditer(rf"\b{before}([A-Z]\w+)\(", code.text)]
    if not found:
        return None
    new = rng.choice(sorted({name for name, _ in found}))
    others = [name for name in naming.EXCEPTIONS[code.language] if name not in code.text]
    if not others:
        return None
    old = rng.choice(others)
    edits = [(start, start + len(new), old) for name, start in found if name == new]
    return proposal(code, edits, rule_of(form.format(old), form.format(new)), old=old, new=new)
