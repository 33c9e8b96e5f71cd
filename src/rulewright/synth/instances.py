"""Edits whose rule depends on the code: names, arguments, constants, imports, wrappers.

Each family looks at real code (what should come *out*), invents what was there
before, and says the rule that leads from one to the other. Invariant: a proposal is
only a proposal; `make` verifies it by applying the rule.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ast_grep_py import SgNode

from rulewright.actions.action import Rule
from rulewright.languages import Language
from rulewright.synth import naming
from rulewright.synth.grammar import GRAMMARS, Grammar, arguments, expression, leaves, of_kind, span, splice


@dataclass(frozen=True)
class Code:
    """A window of real code, parsed, and the names used elsewhere in its file."""

    text: str
    root: SgNode
    language: Language
    names: Sequence[str]
    """Identifiers of the file, sorted."""

    @property
    def grammar(self) -> Grammar:
        return GRAMMARS[self.language]


@dataclass(frozen=True)
class Proposal:
    """A change someone could have asked for: before, rule, and the words' fillings."""

    pre: str
    rules: tuple[Rule, ...]
    slots: Mapping[str, str] = field(default_factory=dict)
    sites: int = 1


Family = Callable[[Code, random.Random], Proposal | None]


def _rule(pattern: object, fix: str) -> Rule:
    return {"rule": {"pattern": pattern}, "fix": fix}


def _proposal(code: Code, edits: list[tuple[int, int, str]], rule: Rule, **slots: str) -> Proposal | None:
    if not edits:
        return None
    return Proposal(splice(code.text, edits), (rule,), slots, len(edits))


def _calls(code: Code) -> list[SgNode]:
    return of_kind(code.root, code.grammar.call)


def _callee_text(call: SgNode, code: Code) -> str:
    """`f` or `a.b.f` as written; empty for anything more complex."""
    if code.language == "java":
        named, owner = call.field("name"), call.field("object")
        text = (owner.text() + "." if owner else "") + (named.text() if named else "")
    else:
        callee = call.field(code.grammar.callee)
        text = callee.text() if callee else ""
    return text if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,2}", text) else ""


def _pick_call(code: Code, rng: random.Random, dotted: bool | None = None) -> tuple[str, list[SgNode]] | None:
    """One called name and all its calls in the window."""
    by_name: dict[str, list[SgNode]] = {}
    for call in _calls(code):
        name = _callee_text(call, code)
        if name and name not in code.grammar.keywords and (dotted is None or ("." in name) == dotted):
            by_name.setdefault(name, []).append(call)
    if not by_name:
        return None
    name = rng.choice(sorted(by_name))
    return name, by_name[name]


def _nested(nodes: list[SgNode]) -> bool:
    """Whether one of the nodes lies inside another: rewriting takes the outermost only."""
    spans = sorted(map(span, nodes))
    return any(later[0] < earlier[1] for earlier, later in zip(spans, spans[1:], strict=False))


# Names


def rename_identifier(code: Code, rng: random.Random) -> Proposal | None:
    """`old` → `new`, every use of a plain name."""
    grammar = code.grammar
    counts: dict[str, list[SgNode]] = {}
    for leaf in of_kind(code.root, grammar.identifier):
        counts.setdefault(leaf.text(), []).append(leaf)
    usable = sorted(
        name
        for name, nodes in counts.items()
        if len(name) > 1
        and name not in grammar.keywords
        and not name.startswith("__")
        and not any(_is_property(node, code) for node in nodes)
    )
    if not usable:
        return None
    new = rng.choice(usable)
    nodes = counts[new]
    if sum(leaf.text() == new for leaf in leaves(code.root)) != len(nodes):
        return None  # the same word is also a property or a key: a bare rename would reach it
    old = naming.other_name(new, code.names, code.text, rng)
    if old is None:
        return None
    return _proposal(code, [(*span(node), old) for node in nodes], _rule(old, new), old=old, new=new)


def _is_property(node: SgNode, code: Code) -> bool:
    """Whether an identifier is an attribute, a keyword argument's name or part of an import."""
    parent = node.parent()
    if parent is None:
        return False
    kind = parent.kind()
    if code.language == "python":
        if kind == "attribute":
            named = parent.field("attribute")
            return named is not None and span(named) == span(node)
        if kind == "keyword_argument":
            named = parent.field("name")
            return named is not None and span(named) == span(node)
        return kind in ("dotted_name", "aliased_import")
    if code.language == "java" and kind in ("field_access", "method_invocation"):
        named = parent.field("field" if kind == "field_access" else "name")
        return named is not None and span(named) == span(node)
    return kind in ("import_specifier", "export_specifier", "labeled_statement", "import_clause")


def rename_call(code: Code, rng: random.Random) -> Proposal | None:
    """`old(…)` → `new(…)`, plain functions."""
    picked = _pick_call(code, rng, dotted=False)
    if picked is None:
        return None
    new, calls = picked
    old = naming.other_name(new, code.names, code.text, rng)
    if old is None or _nested(calls):
        return None
    edits = []
    for call in calls:
        start = span(call)[0]
        edits.append((start, start + len(new), old))
    pattern = expression(code.language, f"{old}($$$ARGS)", code.grammar.call)
    return _proposal(code, edits, _rule(pattern, f"{new}($$$ARGS)"), old=old, new=new)


def rename_method(code: Code, rng: random.Random) -> Proposal | None:
    """`x.old(…)` → `x.new(…)`, whatever the receiver."""
    picked = _pick_call(code, rng, dotted=True)
    if picked is None:
        return None
    new = picked[0].rpartition(".")[2]
    old = naming.other_name(new, code.names, code.text, rng)
    calls = [call for call in _calls(code) if _callee_text(call, code).endswith("." + new)]
    if old is None or _nested(calls):
        return None
    edits = []
    for call in calls:
        held = call.field("arguments")
        if held is None:
            return None
        end = span(held)[0]
        if code.text[end - len(new) : end] != new:
            return None
        edits.append((end - len(new), end, old))
    pattern = expression(code.language, f"$OBJ.{old}($$$ARGS)", code.grammar.call)
    return _proposal(code, edits, _rule(pattern, f"$OBJ.{new}($$$ARGS)"), old=old, new=new)


def rename_attribute(code: Code, rng: random.Random) -> Proposal | None:
    """`x.old` → `x.new`, where it is not called."""
    members = [node for node in of_kind(code.root, code.grammar.member) if not _is_callee(node, code)]
    names = sorted({_property(node, code) for node in members} - {""})
    if not names:
        return None
    new = rng.choice(names)
    old = naming.other_name(new, code.names, code.text, rng)
    chosen = [node for node in members if _property(node, code) == new]
    if old is None or _nested(chosen):
        return None
    edits = [(span(node)[1] - len(new), span(node)[1], old) for node in chosen]
    pattern = expression(code.language, f"$OBJ.{old}", code.grammar.member)
    return _proposal(code, edits, _rule(pattern, f"$OBJ.{new}"), old=old, new=new)


def _property(member: SgNode, code: Code) -> str:
    named = member.field(code.grammar.property)
    return named.text() if named is not None and re.fullmatch(r"[A-Za-z]\w+", named.text()) else ""


def _is_callee(member: SgNode, code: Code) -> bool:
    parent = member.parent()
    return parent is not None and parent.kind() == code.grammar.call and span(parent)[0] == span(member)[0]


def rename_keyword(code: Code, rng: random.Random) -> Proposal | None:
    """Python: `f(old=…)` → `f(new=…)`."""
    nodes = of_kind(code.root, "keyword_argument")
    names = sorted({name.text() for node in nodes if (name := node.field("name")) is not None})
    if not names:
        return None
    new = rng.choice(names)
    old = naming.other_name(new, code.names, code.text, rng)
    chosen = [node for node in nodes if node.text().startswith(f"{new}=")]
    if old is None or not chosen or _nested(chosen):
        return None
    edits = [(span(node)[0], span(node)[0] + len(new), old) for node in chosen]
    pattern = {"context": f"f({old}=$V)", "selector": "keyword_argument"}
    return _proposal(code, edits, _rule(pattern, f"{new}=$V"), old=old, new=new)


def qualify_call(code: Code, rng: random.Random) -> Proposal | None:
    """`f(…)` → `module.f(…)`."""
    picked = _pick_call(code, rng, dotted=True)
    if picked is None or _nested(picked[1]) or picked[0].split(".")[0] in ("self", "this", "cls"):
        return None
    full, calls = picked
    owner, _, name = full.rpartition(".")
    if re.search(rf"(?<![\w.]){re.escape(name)}\(", code.text):
        return None
    edits = [(span(call)[0], span(call)[0] + len(owner) + 1, "") for call in calls]
    pattern = expression(code.language, f"{name}($$$ARGS)", code.grammar.call)
    return _proposal(code, edits, _rule(pattern, f"{full}($$$ARGS)"), old=name, new=full, module=owner)


# Arguments


def swap_arguments(code: Code, rng: random.Random) -> Proposal | None:
    """`f(a, b)` → `f(b, a)`."""
    picked = _pick_call(code, rng)
    if picked is None or _nested(picked[1]):
        return None
    name, calls = picked
    edits = []
    for call in calls:
        given = arguments(call, code.grammar)
        if given is None or len(given) != 2 or not all(map(_positional, given)):
            return None
        first, second = given
        edits += [(*span(first), second.text()), (*span(second), first.text())]
    pattern = expression(code.language, f"{name}($A, $B)", code.grammar.call)
    made = _proposal(code, edits, _rule(pattern, f"{name}($B, $A)"), call=name)
    return made and Proposal(made.pre, made.rules, made.slots, len(calls))


def _positional(node: SgNode) -> bool:
    return node.kind() not in (
        "keyword_argument", "list_splat", "dictionary_splat", "spread_element", "generator_expression",
    )  # fmt: skip


def add_argument(code: Code, rng: random.Random) -> Proposal | None:
    """`f(a)` → `f(a, last)`: the last argument, short, is what was missing."""
    picked = _pick_call(code, rng)
    if picked is None or _nested(picked[1]):
        return None
    name, calls = picked
    edits, added = [], set()
    for call in calls:
        given = arguments(call, code.grammar)
        if not given or len(given) < 2 or len(given[-1].text()) > 32 or "\n" in given[-1].text():
            return None
        edits.append((span(given[-2])[1], span(given[-1])[1], ""))
        added.add(given[-1].text())
    if len(added) != 1 or "$" in (new := added.pop()):
        return None
    pattern = expression(code.language, f"{name}($$$ARGS)", code.grammar.call)
    return _proposal(code, edits, _rule(pattern, f"{name}($$$ARGS, {new})"), call=name, arg=new)


def remove_argument(code: Code, rng: random.Random) -> Proposal | None:
    """`f(a, extra)` → `f(a)`."""
    picked = _pick_call(code, rng)
    if picked is None or _nested(picked[1]):
        return None
    name, calls = picked
    extra = naming.extra_argument(code.language, code.names, rng)
    if extra in code.text:
        return None
    edits = []
    for call in calls:
        given = arguments(call, code.grammar)
        if not given or given[-1].kind() in ("generator_expression", "spread_element", "dictionary_splat"):
            return None
        end = span(given[-1])[1]
        edits.append((end, end, f", {extra}"))
    pattern = expression(code.language, f"{name}($$$ARGS, {extra})", code.grammar.call)
    return _proposal(code, edits, _rule(pattern, f"{name}($$$ARGS)"), call=name, arg=extra)


# Wrapping


def wrap_call(code: Code, rng: random.Random) -> Proposal | None:
    """`inner(…)` → `outer(inner(…))`."""
    found: dict[tuple[str, str], list[tuple[SgNode, SgNode]]] = {}
    for call in _calls(code):
        given = arguments(call, code.grammar)
        outer = _callee_text(call, code)
        if outer and given and len(given) == 1 and given[0].kind() == code.grammar.call:
            inner = _callee_text(given[0], code)
            if inner and inner != outer:
                found.setdefault((outer, inner), []).append((call, given[0]))
    if not found:
        return None
    outer, inner = rng.choice(sorted(found))
    pairs = found[outer, inner]
    if _nested([call for call, _ in pairs]):
        return None
    edits = [(*span(call), argument.text()) for call, argument in pairs]
    pattern = expression(code.language, f"{inner}($$$ARGS)", code.grammar.call)
    return _proposal(code, edits, _rule(pattern, f"{outer}({inner}($$$ARGS))"), outer=outer, inner=inner)


def unwrap_call(code: Code, rng: random.Random) -> Proposal | None:
    """`outer(inner(…))` → `inner(…)`."""
    picked = _pick_call(code, rng)
    if picked is None or _nested(picked[1]):
        return None
    inner, calls = picked
    outer = rng.choice(naming.WRAPPERS[code.language])
    if f"{outer}(" in code.text:
        return None
    for call in calls:
        parent = call.parent()
        if parent is not None and parent.kind() in (
            "await",
            "await_expression",
            "go_statement",
            "defer_statement",
        ):
            return None
    edits = [(*span(call), f"{outer}({call.text()})") for call in calls]
    pattern = expression(code.language, f"{outer}({inner}($$$ARGS))", code.grammar.call)
    return _proposal(code, edits, _rule(pattern, f"{inner}($$$ARGS)"), outer=outer, inner=inner)


def attribute_to_call(code: Code, rng: random.Random) -> Proposal | None:
    """`x.name` → `x.name()`: a property became a method."""
    picked = _pick_call(code, rng, dotted=True)
    if picked is None or code.language == "java":
        return None
    name = picked[0].rpartition(".")[2]
    calls = [call for call in _calls(code) if _callee_text(call, code).endswith("." + name)]
    if _nested(calls) or any(arguments(call, code.grammar) != [] for call in calls):
        return None
    edits = [(span(call)[1] - 2, span(call)[1], "") for call in calls]
    pattern = expression(code.language, f"$OBJ.{name}", code.grammar.member)
    return _proposal(code, edits, _rule(pattern, f"$OBJ.{name}()"), name=name)


def call_to_attribute(code: Code, rng: random.Random) -> Proposal | None:
    """`x.name()` → `x.name`: a method became a property."""
    members = [node for node in of_kind(code.root, code.grammar.member) if not _is_callee(node, code)]
    members = [node for node in members if not _is_target(node)]
    names = sorted({_property(node, code) for node in members} - {""})
    if not names or code.language == "java":
        return None
    name = rng.choice(names)
    chosen = [node for node in members if _property(node, code) == name]
    if _nested(chosen):
        return None
    edits = [(span(node)[1], span(node)[1], "()") for node in chosen]
    pattern = expression(code.language, f"$OBJ.{name}()", code.grammar.call)
    return _proposal(code, edits, _rule(pattern, f"$OBJ.{name}"), name=name)


def _is_target(node: SgNode) -> bool:
    """Whether something is assigned to the node, where no call may stand."""
    parent = node.parent()
    if parent is None or "assignment" not in parent.kind():
        return parent is not None and parent.kind() in ("delete_statement", "pattern_list", "for_statement")
    left = parent.field("left")
    return left is not None and span(left) == span(node)


# Constants


def change_number(code: Code, rng: random.Random) -> Proposal | None:
    """One number for another, everywhere in the window."""
    nodes = of_kind(code.root, *code.grammar.integer)
    values = sorted({node.text() for node in nodes})
    if not values:
        return None
    new = rng.choice(values)
    old = naming.other_number(new, rng)
    if old is None or old in values:
        return None
    chosen = [node for node in nodes if node.text() == new]
    return _proposal(code, [(*span(node), old) for node in chosen], _rule(old, new), old=old, new=new)


def change_string(code: Code, rng: random.Random) -> Proposal | None:
    """One string for another, everywhere in the window."""
    nodes = [node for node in of_kind(code.root, *code.grammar.string) if naming.is_plain_string(node.text())]
    values = sorted({node.text() for node in nodes})
    if not values:
        return None
    new = rng.choice(values)
    old = naming.other_string(new, code.names, rng)
    if old is None or old in code.text:
        return None
    chosen = [node for node in nodes if node.text() == new]
    return _proposal(code, [(*span(node), old) for node in chosen], _rule(old, new), old=old, new=new)


def set_value(code: Code, rng: random.Random) -> Proposal | None:
    """`NAME = old` → `NAME = new`, for a number, string or constant."""
    kind, left, right = _ASSIGNMENT[code.language]
    found = []
    for node in of_kind(code.root, kind):
        name, value = node.field(left), node.field(right)
        if name is None or value is None or node.field("type") is not None:
            continue
        if re.fullmatch(r"[A-Za-z_][\w.]*", name.text()) and naming.other_value(
            value.text(), random.Random(0)
        ):
            found.append((node, name.text(), value))
    if not found:
        return None
    _, name, value = rng.choice(found)
    if sum(other == name for _, other, _ in found) > 1:
        return None
    old = naming.other_value(value.text(), rng)
    if old is None:
        return None
    operator = ":=" if kind == "short_var_declaration" else "="
    shown = f"{name} {operator} {{}}"
    pattern: object = shown.format(old)
    if code.language != "python":
        pattern = {"context": _DECLARE[code.language].format(shown.format(old)), "selector": kind}
    rule = _rule(pattern, shown.format(value.text()))
    return _proposal(code, [(*span(value), old)], rule, name=name, old=old, new=value.text())


_ASSIGNMENT: Final[dict[Language, tuple[str, str, str]]] = {
    "python": ("assignment", "left", "right"),
    "javascript": ("variable_declarator", "name", "value"),
    "typescript": ("variable_declarator", "name", "value"),
    "tsx": ("variable_declarator", "name", "value"),
    "java": ("variable_declarator", "name", "value"),
    "go": ("short_var_declaration", "left", "right"),
}
_DECLARE: Final[dict[Language, str]] = {
    "javascript": "let {};",
    "typescript": "let {};",
    "tsx": "let {};",
    "java": "int {};",
    "go": "package p\nfunc f() {{ {} }}",
}


# Imports, decorators, exceptions


def change_import(code: Code, rng: random.Random) -> Proposal | None:
    """Import the same names from another module."""
    found = of_kind(code.root, *code.grammar.imports)
    if not found:
        return None
    node = rng.choice(found)
    match code.language:
        case "python":
            module = node.field("module_name")
            if module is None or node.kind() != "import_from_statement" or module.text().startswith("."):
                return None
            new, start = module.text(), span(module)[0]
            old = naming.other_module(new, code.names, code.text, rng, ".")
            if old is None or "(" in node.text() or "*" in node.text():
                return None
            rule = _rule(f"from {old} import $$$NAMES", f"from {new} import $$$NAMES")
            return _proposal(code, [(start, start + len(new), old)], rule, old=old, new=new)
        case "javascript" | "typescript" | "tsx":
            source = node.field("source")
            if source is None:
                return None
            quote, new = source.text()[0], source.text()[1:-1]
            old = naming.other_module(new, code.names, code.text, rng, "/")
            if old is None:
                return None
            rule = _rule(f"{quote}{old}{quote}", f"{quote}{new}{quote}")
            return _proposal(code, [(*span(source), f"{quote}{old}{quote}")], rule, old=old, new=new)
        case "java":
            path = next((child for child in node.children() if child.kind() == "scoped_identifier"), None)
            if path is None:
                return None
            new = path.text()
            old = naming.other_module(new, code.names, code.text, rng, ".")
            if old is None:
                return None
            pattern = {"context": f"import {old};", "selector": "scoped_identifier"}
            return _proposal(code, [(*span(path), old)], _rule(pattern, new), old=old, new=new)
        case "go":
            source = node.field("path")
            if source is None:
                return None
            new = source.text()[1:-1]
            old = naming.other_module(new, code.names, code.text, rng, "/")
            if old is None:
                return None
            return _proposal(
                code, [(*span(source), f'"{old}"')], _rule(f'"{old}"', f'"{new}"'), old=old, new=new
            )
    return None


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
    rule = {"rule": {"kind": "decorator", "pattern": {"context": f"@{old}\ndef f(): pass", "selector": "decorator"}},
            "fix": f"@{new}"}  # fmt: skip
    return _proposal(code, [(*span(node), f"@{old}") for node in chosen], rule, old=f"@{old}", new=f"@{new}")


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
    return _proposal(code, edits, _rule(form.format(old), form.format(new)), old=old, new=new)


FAMILIES: Final[dict[str, Family]] = {
    family.__name__.replace("_", "-"): family
    for family in (
        rename_identifier, rename_call, rename_method, rename_attribute, rename_keyword, qualify_call,
        swap_arguments, add_argument, remove_argument, wrap_call, unwrap_call, attribute_to_call,
        call_to_attribute, change_number, change_string, set_value, change_import, change_decorator,
        change_exception,
    )
}  # fmt: skip
PYTHON_ONLY: Final = frozenset({"rename-keyword", "change-decorator"})
