"""Instance edits of names: variables, functions, methods, attributes, keywords."""

from __future__ import annotations

import random
import re

from ast_grep_py import SgNode

from rulewright.engine.parsing import span
from rulewright.synth import naming
from rulewright.synth.grammar import leaves, of_kind
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
    rule_of,
)


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
        and not any(_isproperty_of(node, code) for node in nodes)
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
    return proposal(code, [(*span(node), old) for node in nodes], rule_of(old, new), old=old, new=new)


def _isproperty_of(node: SgNode, code: Code) -> bool:
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
    picked = pick_call(code, rng, dotted=False)
    if picked is None:
        return None
    new, calls = picked
    old = naming.other_name(new, code.names, code.text, rng)
    if old is None or nested(calls):
        return None
    edits = []
    for call in calls:
        start = span(call)[0]
        edits.append((start, start + len(new), old))
    rule = call_rule(code, f"{old}($$$ARGS)", f"{new}($$$ARGS)")
    return proposal(code, edits, rule, old=old, new=new)


def rename_method(code: Code, rng: random.Random) -> Proposal | None:
    """`x.old(…)` → `x.new(…)`, whatever the receiver."""
    picked = pick_call(code, rng, dotted=True)
    if picked is None:
        return None
    new = picked[0].rpartition(".")[2]
    old = naming.other_name(new, code.names, code.text, rng)
    calls = [call for call in calls_of(code) if callee_text(call, code).endswith("." + new)]
    if old is None or nested(calls):
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
    rule = call_rule(code, f"$OBJ.{old}($$$ARGS)", f"$OBJ.{new}($$$ARGS)")
    return proposal(code, edits, rule, old=old, new=new)


def rename_attribute(code: Code, rng: random.Random) -> Proposal | None:
    """`x.old` → `x.new`, unless it is called."""
    members = [node for node in of_kind(code.root, code.grammar.member) if not is_callee(node, code)]
    names = sorted({property_of(node, code) for node in members} - {""})
    if not names:
        return None
    new = rng.choice(names)
    old = naming.other_name(new, code.names, code.text, rng)
    chosen = [node for node in members if property_of(node, code) == new]
    if old is None or nested(chosen):
        return None
    edits = [(span(node)[1] - len(new), span(node)[1], old) for node in chosen]
    rule = member_rule(code, f"$OBJ.{old}", f"$OBJ.{new}")
    return proposal(code, edits, rule, old=old, new=new)


def rename_keyword(code: Code, rng: random.Random) -> Proposal | None:
    """Python: `f(old=…)` → `f(new=…)`."""
    nodes = of_kind(code.root, "keyword_argument")
    names = sorted({name.text() for node in nodes if (name := node.field("name")) is not None})
    if not names:
        return None
    new = rng.choice(names)
    old = naming.other_name(new, code.names, code.text, rng)
    chosen = [node for node in nodes if node.text().startswith(f"{new}=")]
    if old is None or not chosen or nested(chosen):
        return None
    edits = [(span(node)[0], span(node)[0] + len(new), old) for node in chosen]
    pattern = {"context": f"f({old}=$V)", "selector": "keyword_argument"}
    return proposal(code, edits, rule_of(pattern, f"{new}=$V"), old=old, new=new)


def qualify_call(code: Code, rng: random.Random) -> Proposal | None:
    """`f(…)` → `module.f(…)`."""
    picked = pick_apart(code, rng, dotted=True)
    if picked is None or picked[0].split(".")[0] in ("self", "this", "cls"):
        return None
    full, calls = picked
    owner, _, name = full.rpartition(".")
    if re.search(rf"(?<![\w.]){re.escape(name)}\(", code.text):
        return None
    edits = [(span(call)[0], span(call)[0] + len(owner) + 1, "") for call in calls]
    rule = call_rule(code, f"{name}($$$ARGS)", f"{full}($$$ARGS)")
    return proposal(code, edits, rule, old=name, new=full, module=owner)
