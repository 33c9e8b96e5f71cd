"""Instance edits of calls: arguments swapped, added, removed; results wrapped; properties and methods."""

from __future__ import annotations

import random
from typing import Final

from ast_grep_py import SgNode

from rulewright.engine.parsing import span
from rulewright.synth import naming
from rulewright.synth.grammar import arguments, of_kind
from rulewright.synth.proposals import (
    Code,
    Proposal,
    call_rule,
    callee_text,
    calls_of,
    is_callee,
    member_rule,
    nested,
    pick_apart,
    pick_call,
    property_of,
    proposal,
)

_UNORDERED: Final = frozenset(
    ["keyword_argument", "list_splat", "dictionary_splat", "spread_element", "generator_expression"]
)
"""Arguments whose place says nothing."""


_HOLDS_A_CALL: Final = frozenset(["await", "await_expression", "go_statement", "defer_statement"])


def swap_arguments(code: Code, rng: random.Random) -> Proposal | None:
    """`f(a, b)` → `f(b, a)`."""
    picked = pick_apart(code, rng)
    if picked is None:
        return None
    name, calls = picked
    edits = []
    for call in calls:
        given = arguments(call, code.grammar)
        if given is None or len(given) != 2 or any(node.kind() in _UNORDERED for node in given):
            return None
        first, second = given
        edits += [(*span(first), second.text()), (*span(second), first.text())]
    rule = call_rule(code, f"{name}($A, $B)", f"{name}($B, $A)")
    made = proposal(code, edits, rule, call=name)
    return made and Proposal(made.pre, made.rules, made.slots, len(calls))


def add_argument(code: Code, rng: random.Random) -> Proposal | None:
    """`f(a)` → `f(a, last)`: the last argument, short, is what was missing."""
    picked = pick_apart(code, rng)
    if picked is None:
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
    rule = call_rule(code, f"{name}($$$ARGS)", f"{name}($$$ARGS, {new})")
    return proposal(code, edits, rule, call=name, arg=new)


def remove_argument(code: Code, rng: random.Random) -> Proposal | None:
    """`f(a, extra)` → `f(a)`."""
    picked = pick_apart(code, rng)
    if picked is None:
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
    rule = call_rule(code, f"{name}($$$ARGS, {extra})", f"{name}($$$ARGS)")
    return proposal(code, edits, rule, call=name, arg=extra)


def wrap_call(code: Code, rng: random.Random) -> Proposal | None:
    """`inner(…)` → `outer(inner(…))`."""
    found: dict[tuple[str, str], list[tuple[SgNode, SgNode]]] = {}
    for call in calls_of(code):
        given = arguments(call, code.grammar)
        outer = callee_text(call, code)
        if outer and given and len(given) == 1 and given[0].kind() == code.grammar.call:
            inner = callee_text(given[0], code)
            if inner and inner != outer:
                found.setdefault((outer, inner), []).append((call, given[0]))
    if not found:
        return None
    outer, inner = rng.choice(sorted(found))
    pairs = found[outer, inner]
    if nested([call for call, _ in pairs]):
        return None
    edits = [(*span(call), argument.text()) for call, argument in pairs]
    rule = call_rule(code, f"{inner}($$$ARGS)", f"{outer}({inner}($$$ARGS))")
    return proposal(code, edits, rule, outer=outer, inner=inner)


def unwrap_call(code: Code, rng: random.Random) -> Proposal | None:
    """`outer(inner(…))` → `inner(…)`."""
    picked = pick_apart(code, rng)
    if picked is None:
        return None
    inner, calls = picked
    outer = rng.choice(naming.WRAPPERS[code.language])
    if f"{outer}(" in code.text:
        return None
    for call in calls:
        parent = call.parent()
        if parent is not None and parent.kind() in _HOLDS_A_CALL:
            return None
    edits = [(*span(call), f"{outer}({call.text()})") for call in calls]
    rule = call_rule(code, f"{outer}({inner}($$$ARGS))", f"{inner}($$$ARGS)")
    return proposal(code, edits, rule, outer=outer, inner=inner)


def attribute_to_call(code: Code, rng: random.Random) -> Proposal | None:
    """`x.name` → `x.name()`: a property became a method."""
    picked = pick_call(code, rng, dotted=True)
    if picked is None or code.language == "java":
        return None
    name = picked[0].rpartition(".")[2]
    calls = [call for call in calls_of(code) if callee_text(call, code).endswith("." + name)]
    if nested(calls) or any(arguments(call, code.grammar) != [] for call in calls):
        return None
    edits = [(span(call)[1] - 2, span(call)[1], "") for call in calls]
    rule = member_rule(code, f"$OBJ.{name}", f"$OBJ.{name}()")
    return proposal(code, edits, rule, name=name)


def call_to_attribute(code: Code, rng: random.Random) -> Proposal | None:
    """`x.name()` → `x.name`: a method became a property."""
    members = [node for node in of_kind(code.root, code.grammar.member) if not is_callee(node, code)]
    members = [node for node in members if not _is_target(node)]
    names = sorted({property_of(node, code) for node in members} - {""})
    if not names or code.language == "java":
        return None
    name = rng.choice(names)
    chosen = [node for node in members if property_of(node, code) == name]
    if nested(chosen):
        return None
    edits = [(span(node)[1], span(node)[1], "()") for node in chosen]
    rule = call_rule(code, f"$OBJ.{name}()", f"$OBJ.{name}")
    return proposal(code, edits, rule, name=name)


def _is_target(node: SgNode) -> bool:
    """Whether something is assigned to the node, where no call may stand."""
    parent = node.parent()
    if parent is None or "assignment" not in parent.kind():
        return parent is not None and parent.kind() in ("delete_statement", "pattern_list", "for_statement")
    left = parent.field("left")
    return left is not None and span(left) == span(node)
