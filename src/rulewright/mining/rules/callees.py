"""A rename by a bare name → the same rename where the name is called, or a member, with its qualifier.

A rule that renames every token of one spelling also renames variables, parameters and members of
other types. Where all that changed are calls, or members of a type or module, the rule can say so by a
relation to the call or member, and the arguments stay as they are written. Nothing is judged here;
whoever asks verifies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, Final

from ast_grep_py import SgNode

from rulewright import grammars
from rulewright.actions import visit
from rulewright.actions.action import Action, Rule
from rulewright.actions.visit import regex_escape
from rulewright.engine.parsing import span
from rulewright.languages import Language
from rulewright.mining.text.tree import field_of

_NAME: Final = re.compile(r"[^\W\d]\w*")
_MEMBER: Final = re.compile(r"(\$[A-Z][A-Z0-9_]*(?:\.|->|::))(\w+)(?![\w(])")
_OWN: Final = re.compile(r"(self|\$?this|cls|super\(\))\s*(?:\.|->|::)")
_OWN_NAME: Final = re.compile(r"\^\\?(self|\$?this|cls)\$")
_CALLED: Final = ("function", "name", "method", "macro")
"""What a call calls, by its fields; only the first of them may be a member of something."""
_RECEIVER: Final = ("object", "receiver")
_DOTTED: Final = frozenset({"python", "javascript", "typescript", "tsx", "java"})
"""Languages that take a member by a dot, of which a pattern of a call is one."""
_WITH_OR_WITHOUT: Final = ("method_invocation", "call")
"""Calls of Java and Ruby, of which only some have a receiver."""


def bare_rename(action: Action) -> tuple[str, str] | None:
    """The old and the new name of an action that renames a name by its spelling alone."""
    if len(action.rules) != 1:
        return None
    rule, fix = action.rules[0].get("rule", {}), action.rules[0].get("fix")
    if (member := _member(rule, fix)) is not None:
        return member
    old = _spelled_out(rule)
    if old is None or not isinstance(fix, str) or not _NAME.fullmatch(fix) or "transform" in action.rules[0]:
        return None
    return old, fix


def own_member(action: Action) -> str:
    """`self` or `this`, if a rule of the action is about a member of it; else nothing."""
    for matcher in (part for rule in action.rules for part in visit.required(rule.get("rule"))):
        pattern = matcher.get("pattern")
        found = _OWN.match(pattern) if isinstance(pattern, str) else None
        # What the places around a matched node must hold, as a regular expression.
        held = (str(around.get("has", {}).get("regex", "")) for around in _outward(matcher))
        found = found or next(filter(None, map(_OWN_NAME.fullmatch, held)), None)
        if found is not None:
            return found[1]
    return ""


def _member(rule: Any, fix: Any) -> tuple[str, str] | None:
    """The names of a rule for a member of anything: `$A.old` to `$A.new`."""
    pattern = rule.get("pattern")
    text = pattern.get("context", "") if isinstance(pattern, dict) else pattern
    new = _MEMBER.fullmatch(fix) if isinstance(fix, str) else None
    if not isinstance(text, str) or new is None or set(rule) - {"pattern"}:
        return None
    old = _MEMBER.search(text) if isinstance(pattern, dict) else _MEMBER.fullmatch(text)
    return (old[2], new[2]) if old is not None and old[1] == new[1] else None


def _spelled_out(rule: Any) -> str | None:
    """The name that a rule spells out whole, if it asks for no more than where it stands."""
    around = rule.get("inside")
    kind = around.get("kind", "") if isinstance(around, dict) else ""
    if isinstance(around, dict) and ({"inside", "has"} & set(around) or grammars.CALL.search(kind)):
        return None  # it asks for a call, or for what it belongs to
    pattern, regex = rule.get("pattern"), rule.get("regex")
    if isinstance(rule.get("any"), list) and regex is None:
        names = {_spelled_out(one) for one in rule["any"]}
        return names.pop() if len(names) == 1 else None
    text = pattern.get("selector") and None if isinstance(pattern, dict) else pattern
    if text is None and isinstance(regex, str) and regex.startswith("^") and regex.endswith("$"):
        text = regex[1:-1]
    return text if isinstance(text, str) and _NAME.fullmatch(text) else None


def as_call_rules(action: Action, code: str, nodes: Sequence[SgNode]) -> Action | None:
    """A `bare_rename` as rules about calls and members; `None` where a name is neither."""
    names = bare_rename(action)
    if names is None or not nodes:
        return None
    made: dict[str, Rule] = {}
    for node in nodes:
        name = node
        while inner := name.children():
            name = inner[-1]  # of a member, its name
        called = call_relation(name, code, action.language)
        if called is None and not names[0][:1].isupper():
            # A name with a capital says which one is meant, and its owner may have a second name.
            called = _member_relation(name, code, action.language)
        if called is None:
            return None
        # Nothing stands before the name, as far as the relation tells, and a capital says that it names a
        # class, but for functions of C and Go.
        is_bare = called.get("field") not in _CALLED[1:] and "inside" not in called
        if is_bare and names[0][:1].isupper() and action.language not in ("go", "c", "cpp"):
            return None
        matcher = {"kind": name.kind(), "regex": f"^{regex_escape(names[0])}$", "inside": called}
        rule: Rule = {"rule": matcher, "fix": names[1]}
        made.setdefault(str(rule), rule)
    return Action(action.language, tuple(made.values()), action.mode, action.notes)


def narrowed_to_use(action: Action, names: Sequence[SgNode]) -> Action | None:
    """The replacement of a member of anything by another one, for the one use of it that the names show.

    Without types a method is known by its name and its number of arguments, and a member that is read
    is no method. Where one name holds the other (`warn`, `warning`) the same thing got another name.

    Args:
        action: one rule.
        names: what it matches where it was learned.

    Returns:
        `None` where the member is of something named, no name becomes another, or uses differ.
    """
    [rule] = action.rules
    relations, fix = list(_outward(rule["rule"])), str(rule["fix"])
    if action.language not in _DOTTED or not relations or not _NAME.fullmatch(fix):
        return None
    *outer, last = relations
    is_named = any(one.get("has", {}).get("regex", ".") != "." for one in relations)
    old, new = names[0].text().lower(), fix.lower()
    if is_named or "pattern" in last or old in new or new in old:
        return None
    counts = {_arguments(name) for name in names}
    if grammars.CALL.search(last.get("kind", "")) and (outer or "has" in last):
        [count] = counts if len(counts) == 1 else [None]
        if count is None:
            return None
        spelled = f"$_.{names[0].text()}({', '.join(['$_'] * count)})"
        use = {"pattern": spelled} | {key: last[key] for key in ("field",) if key in last}
    elif last.get("kind") in grammars.MEMBERS and counts == {None}:
        call = grammars.GRAMMARS[action.language].call
        use = {**last, "not": {"inside": {"kind": call, "field": "function"}}}
    else:
        return None
    inside = reduce(lambda inner, held: {**held, "inside": inner}, reversed(outer), use)
    return replace(action, rules=({**rule, "rule": {**rule["rule"], "inside": inside}},))


def _outward(matcher: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a matcher asks of the places around, outward."""
    while isinstance(inner := matcher.get("inside"), Mapping):
        yield inner
        matcher = inner


def _arguments(name: SgNode) -> int | None:
    """With how many arguments a name is called; `None` where it is not."""
    parent = name.parent()
    while parent is not None and parent.kind() in grammars.MEMBERS and _end(parent) == _end(name):
        parent = parent.parent()
    if parent is None or not grammars.CALL.search(parent.kind()):
        return None
    called, held = next(filter(None, map(parent.field, _CALLED)), None), parent.field("arguments")
    if called is None or held is None or _end(called) != _end(name):
        return None
    return sum(one.is_named() and "comment" not in one.kind() for one in held.children())


def call_relation(
    name: SgNode, code: str, language: Language, quoted: frozenset[str] = frozenset()
) -> dict[str, Any] | None:
    """The call that a name stands in, as a relation to it; `None` where it is not what is called.

    A type, module or `self` before the name is asked for, and what is `quoted`; any other value is not.
    """
    node, parent = name, name.parent()
    around: list[dict[str, Any]] = []
    has_owner = False
    while parent is not None and not name.children():
        held: dict[str, Any] = {"kind": parent.kind(), **_by_field(parent, node)}
        if not has_owner and (owner := _owner(parent, name, code, language, quoted)):
            held["has"], has_owner = owner, True
        around.append(held)
        if grammars.CALL.search(parent.kind()):
            if language == "ruby" and parent.field("receiver") is None:
                # With one it is a call of the same kind, of another method.
                held["not"] = {"has": {"field": "receiver", "regex": "."}}
            role = held.get("field") or grammars.UNNAMED_ROLES.get((parent.kind(), node.kind()))
            # One relation within the other, the innermost node first.
            nested = reduce(lambda outer, held: {**held, "inside": outer}, reversed(around))
            return nested if role in (_CALLED if node is name else _CALLED[:1]) else None
        if parent.kind() not in grammars.MEMBERS or _end(parent) != _end(name):
            return None
        node, parent = parent, parent.parent()
    return None


def _member_relation(name: SgNode, code: str, language: Language) -> dict[str, Any] | None:
    """The member of a type, module or `self` that a name is, as a relation to it; `None` for any other."""
    parent = name.parent()
    if parent is None or parent.kind() not in grammars.MEMBERS or _end(parent) != _end(name):
        return None
    owner = _owner(parent, name, code, language, frozenset())
    return {"kind": parent.kind(), **_by_field(parent, name), "has": owner} if owner else None


def _owner(
    parent: SgNode, name: SgNode, code: str, language: Language, quoted: frozenset[str]
) -> dict[str, Any]:
    """A demand for what stands before a name: that it is there, and which if it says what the name is of."""
    first = parent.children()[0]
    if _start(first) >= _start(name):
        return {}
    owner, held = (
        _named_owner(code[_start(parent) : _start(name)], code, language, quoted),
        _by_field(parent, first),
    )
    if owner:
        return {**held, "regex": f"^{regex_escape(owner)}$"}
    # A call without a receiver may be of the same kind.
    fields = [field for field in _RECEIVER if parent.field(field) == first] if name.parent() == parent else []
    return {"field": fields[0], "regex": "."} if fields and parent.kind() in _WITH_OR_WITHOUT else {}


def _by_field(parent: SgNode, node: SgNode) -> dict[str, str]:
    """The field by which a node is held, as a relation asks for it; nothing where it is by none."""
    name = field_of(node, parent)
    return {"field": name} if name else {}


def _named_owner(before: str, code: str, language: Language, quoted: frozenset[str]) -> str:
    """A type, module or `self` before a name; an empty text for a value."""
    found = re.fullmatch(r"(.*?)(\.|::|->|\?\.)\s*", before, re.DOTALL)
    if found is None:
        return ""
    owner, sign = found[1].strip(), found[2]
    first = owner.split("::")[0].split(".")[0]
    named = owner == "$this" or re.fullmatch(r"[\w.:]+", owner) is not None
    own = owner in ("self", "this", "super", "$this") or first in quoted
    lines = grammars.import_line(language).findall(code)
    # A call of something named `use` imports nothing.
    lines = [line for line in lines if not re.match(r"\s*use\s*\(", line)]
    imported = any(re.search(rf"\b{re.escape(first)}\b", line) for line in lines)
    return owner if named and (sign == "::" or own or first[:1].isupper() or imported) else ""


def _start(node: SgNode) -> int:
    return span(node)[0]


def _end(node: SgNode) -> int:
    return span(node)[1]
