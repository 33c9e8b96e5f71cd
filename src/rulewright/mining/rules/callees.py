"""Narrow the rename of a bare name to calls and to members of what the edit shows.

A rule that renames every token of one spelling also renames variables, parameters and members of
other types. If an edit only renames calls, or members of a type or module, a relation to the call or
member says so, and the arguments stay as they are written. The caller verifies the narrower rule.
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
"""Fields that hold what a call calls; only the first may hold a member."""
_RECEIVER: Final = ("object", "receiver")
_DOTTED: Final = frozenset({"python", "javascript", "typescript", "tsx", "java"})
"""Languages with dotted members, in which a call is a pattern by itself."""
_ELEMENTS: Final = ("jsx_opening_element", "jsx_self_closing_element")
_WITH_OR_WITHOUT: Final = ("method_invocation", "call")
"""Kinds of calls in Java and Ruby; only some have a receiver."""


def bare_rename(action: Action) -> tuple[str, str] | None:
    """The old and new name if an action renames a name by its spelling alone; else `None`."""
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
    """`self` or `this` if a rule of the action matches a member of it; else empty."""
    for matcher in (part for rule in action.rules for part in visit.required(rule.get("rule"))):
        pattern = matcher.get("pattern")
        found = _OWN.match(pattern) if isinstance(pattern, str) else None
        # Regular expressions for what the nodes around a match must hold.
        regexes = (str(around.get("has", {}).get("regex", "")) for around in _outward(matcher))
        found = found or next(filter(None, map(_OWN_NAME.fullmatch, regexes)), None)
        if found is not None:
            return found[1]
    return ""


def _member(rule: Any, fix: Any) -> tuple[str, str] | None:
    """The names if a rule renames a member of anything (`$A.old` to `$A.new`); else `None`."""
    pattern = rule.get("pattern")
    text = pattern.get("context", "") if isinstance(pattern, dict) else pattern
    new = _MEMBER.fullmatch(fix) if isinstance(fix, str) else None
    if not isinstance(text, str) or new is None or set(rule) - {"pattern"}:
        return None
    old = _MEMBER.search(text) if isinstance(pattern, dict) else _MEMBER.fullmatch(text)
    return (old[2], new[2]) if old is not None and old[1] == new[1] else None


def _spelled_out(rule: Any) -> str | None:
    """The name that a rule matches by its whole text and, at most, the kind of its parent; else `None`."""
    around = rule.get("inside")
    kind = around.get("kind", "") if isinstance(around, dict) else ""
    if isinstance(around, dict) and ({"inside", "has"} & set(around) or grammars.CALL.search(kind)):
        return None  # it asks for a call or an owner
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
            # A capitalized name is specific by itself, and its owner may be imported under another name.
            called = _member_relation(name, code, action.language)
        called = called or _key_relation(name, action.language)
        if called is None:
            return None
        # A capitalized name without a qualifier is a class, except for functions of C and Go.
        is_bare = called.get("field") not in _CALLED[1:] and "inside" not in called
        if is_bare and names[0][:1].isupper() and action.language not in ("go", "c", "cpp"):
            return None
        matcher = {"kind": name.kind(), "regex": f"^{regex_escape(names[0])}$", "inside": called}
        rule: Rule = {"rule": matcher, "fix": names[1]}
        made.setdefault(str(rule), rule)
    return Action(action.language, tuple(made.values()), action.mode, action.notes)


def narrowed_to_use(action: Action, names: Sequence[SgNode]) -> Action | None:
    """The rename of a member of any value, narrowed to the way in which the edit uses it.

    Without types, a method is identified by its name and number of arguments, and a member that is read
    is not a method. If one name contains the other (`warn`, `warning`), it is the same thing renamed.

    Args:
        action: one rule.
        names: what it matches where it was learned.

    Returns:
        `None` where the member has a named owner, where it is no rename, or where the uses differ.
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
    inside = reduce(lambda inner, relation: {**relation, "inside": inner}, reversed(outer), use)
    return replace(action, rules=({**rule, "rule": {**rule["rule"], "inside": inside}},))


def _outward(matcher: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The relations of a matcher to the nodes around it, outward."""
    while isinstance(inner := matcher.get("inside"), Mapping):
        yield inner
        matcher = inner


def _arguments(name: SgNode) -> int | None:
    """The number of arguments if a name is what a call calls; else `None`."""
    parent = name.parent()
    while parent is not None and parent.kind() in grammars.MEMBERS and _end(parent) == _end(name):
        parent = parent.parent()
    if parent is None or not grammars.CALL.search(parent.kind()):
        return None
    called, argument_list = next(filter(None, map(parent.field, _CALLED)), None), parent.field("arguments")
    if called is None or argument_list is None or _end(called) != _end(name):
        return None
    return sum(one.is_named() and "comment" not in one.kind() for one in argument_list.children())


def call_relation(
    name: SgNode, code: str, language: Language, quoted: frozenset[str] = frozenset()
) -> dict[str, Any] | None:
    """The relation of a name to the call that calls it; `None` where none does.

    It asks for the owner of the name if that is a type, module, `self` or a `quoted` name.
    """
    node, parent = name, name.parent()
    around: list[dict[str, Any]] = []
    has_owner = False
    while parent is not None and not name.children():
        link: dict[str, Any] = {"kind": parent.kind(), **_by_field(parent, node)}
        if not has_owner and (owner := _owner(parent, name, code, language, quoted)):
            link["has"], has_owner = owner, True
        around.append(link)
        if grammars.CALL.search(parent.kind()):
            if language == "ruby" and parent.field("receiver") is None:
                # A call with a receiver has the same kind, but is of another method.
                link["not"] = {"has": {"field": "receiver", "regex": "."}}
            role = link.get("field") or grammars.UNNAMED_ROLES.get((parent.kind(), node.kind()))
            # One relation within the other, the innermost node first.
            nested = reduce(lambda outer, link: {**link, "inside": outer}, reversed(around))
            return nested if role in (_CALLED if node is name else _CALLED[:1]) else None
        if parent.kind() not in grammars.MEMBERS or _end(parent) != _end(name):
            return None
        node, parent = parent, parent.parent()
    return None


def _member_relation(name: SgNode, code: str, language: Language) -> dict[str, Any] | None:
    """The relation of a name to the member of a type, module or `self` that it is; else `None`."""
    parent = name.parent()
    if parent is None or parent.kind() not in grammars.MEMBERS or _end(parent) != _end(name):
        return None
    owner = _owner(parent, name, code, language, frozenset())
    return {"kind": parent.kind(), **_by_field(parent, name), "has": owner} if owner else None


def _key_relation(name: SgNode, language: Language) -> dict[str, Any] | None:
    """The relation of the name of an argument, attribute or field to what has it; else `None`.

    That is a call, an element or a value, by the last part of its own name: `run` for `a.b.run(key=1)`.
    """
    node, parent = name, name.parent()
    if parent is None or _start(parent) != _start(name) or parent.kind() not in grammars.KEYED:
        return None
    around: list[dict[str, Any]] = []
    while parent is not None and parent.kind() in grammars.KEYED | grammars.KEYED_LISTS:
        around.append({"kind": parent.kind(), **_by_field(parent, node)})
        node, parent = parent, parent.parent()
    called = _called_name(parent) if parent is not None else None
    # In `map[string]Box{key: 1}` the key is a value.
    word = re.search(r"(?<!\])\b\w+$", called.text()) if called is not None else None
    if parent is None or called is None or word is None:
        return None
    sign = "^" if word[0] == called.text() else r"[^\w\]]"
    regex = f"{sign}{regex_escape(word[0])}$"
    if parent.kind() in _ELEMENTS and called.text()[:1].islower():
        regex = "^[a-z]"  # an element of HTML: its attributes are those of all
    has = {**_by_field(parent, called), "regex": regex}
    kinds = _ELEMENTS if parent.kind() in _ELEMENTS else (parent.kind(),)
    owner: dict[str, Any] = {"kind": ", ".join(kinds), "has": has}
    if language == "ruby" and parent.field("receiver") is None:
        owner["not"] = {"has": {"field": "receiver", "regex": "."}}
    return reduce(lambda outer, link: {**link, "inside": outer}, reversed(around), owner)


def _called_name(owner: SgNode) -> SgNode | None:
    """What a call calls, or the name of an element or of the type of a value; `None` for other nodes."""
    if not grammars.CALL.search(owner.kind()) and owner.kind() not in (*_ELEMENTS, *grammars.MADE):
        return None
    by_field = next(filter(None, map(owner.field, (*_CALLED, "type", "constructor"))), None)
    return by_field or next(child for child in owner.children() if child.is_named())


def _owner(
    parent: SgNode, name: SgNode, code: str, language: Language, quoted: frozenset[str]
) -> dict[str, Any]:
    """What a relation asks of the owner before a name: which one if that is specific, or any."""
    first = parent.children()[0]
    if _start(first) >= _start(name):
        return {}
    owner, by_field = (
        _named_owner(code[_start(parent) : _start(name)], code, language, quoted),
        _by_field(parent, first),
    )
    if owner:
        return {**by_field, "regex": f"^{regex_escape(owner)}$"}
    # A call without a receiver has the same kind in these languages.
    fields = [field for field in _RECEIVER if parent.field(field) == first] if name.parent() == parent else []
    return {"field": fields[0], "regex": "."} if fields and parent.kind() in _WITH_OR_WITHOUT else {}


def _by_field(parent: SgNode, node: SgNode) -> dict[str, str]:
    """A relation's demand for the field that holds a node; empty if none does."""
    name = field_of(node, parent)
    return {"field": name} if name else {}


def _named_owner(before: str, code: str, language: Language, quoted: frozenset[str]) -> str:
    """The type, module or `self` that owns a name; empty if the owner is any other value."""
    found = re.fullmatch(r"(.*?)(\.|::|->|\?\.)\s*", before, re.DOTALL)
    if found is None:
        return ""
    owner, sign = found[1].strip(), found[2]
    first = owner.split("::")[0].split(".")[0]
    named = owner == "$this" or re.fullmatch(r"[\w.:]+", owner) is not None
    own = owner in ("self", "this", "super", "$this") or first in quoted
    lines = grammars.import_line(language).findall(code)
    # A call of a function named `use` is no import.
    lines = [line for line in lines if not re.match(r"\s*use\s*\(", line)]
    imported = any(re.search(rf"\b{re.escape(first)}\b", line) for line in lines)
    return owner if named and (sign == "::" or own or first[:1].isupper() or imported) else ""


def _start(node: SgNode) -> int:
    return span(node)[0]


def _end(node: SgNode) -> int:
    return span(node)[1]
