"""A rename by a bare name → the same rename where the name is called, with its qualifier.

A rule that renames every token of one spelling also renames variables, parameters and members of
other types. Where all that changed are calls, the rule can say so: `Place::nowhere($$$A)`,
`$A.recv($$$B)`. Nothing is judged here; whoever asks verifies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from ast_grep_py import SgNode

from rulewright import grammars
from rulewright.actions.action import Action
from rulewright.languages import Language

_NAME: Final = re.compile(r"[^\W\d]\w*")
_MEMBER: Final = re.compile(r"(\$[A-Z][A-Z0-9_]*(?:\.|->|::))(\w+)(?![\w(])")
_OWN: Final = re.compile(r"(self|\$?this|cls|super\(\))\s*(?:\.|->|::)")
_CONTEXTS: Final[dict[Language, tuple[str, str]]] = {
    "go": ("func f() { %s }", "call_expression"),
    "c": ("void f() { %s; }", "call_expression"),
    "cpp": ("void f() { %s; }", "call_expression"),
    "java": ("class C { void f() { %s; } }", "method_invocation"),
}
_IMPORT: Final = re.compile(r"^\s*(?:import|from|use|using|const \w+ = require|#include)\b.*$", re.MULTILINE)


def bare_name(action: Action) -> tuple[str, str] | None:
    """The old and the new name of an action that renames a name by its spelling alone."""
    if len(action.rules) != 1:
        return None
    rule, fix = action.rules[0].get("rule", {}), action.rules[0].get("fix")
    if (member := _member(rule, fix)) is not None:
        return member
    old = _spelled(rule)
    if old is None or not isinstance(fix, str) or not _NAME.fullmatch(fix) or "transform" in action.rules[0]:
        return None
    return old, fix


def own_member(action: Action) -> str:
    """`self` or `this`, if a rule of the action is about a member of it; else nothing."""
    for rule in action.rules:
        pattern = rule.get("rule", {}).get("pattern")
        found = _OWN.match(pattern) if isinstance(pattern, str) else None
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


def _spelled(rule: Any) -> str | None:
    """The name that a rule spells out whole, if it asks for no more than where it stands."""
    if isinstance(rule.get("any"), list):
        names = {_spelled(one) for one in rule["any"]}
        return names.pop() if len(names) == 1 else None
    pattern, regex = rule.get("pattern"), rule.get("regex")
    text = pattern.get("selector") and None if isinstance(pattern, dict) else pattern
    if text is None and isinstance(regex, str) and regex.startswith("^") and regex.endswith("$"):
        text = regex[1:-1]
    return text if isinstance(text, str) and _NAME.fullmatch(text) else None


def as_calls(action: Action, code: str, nodes: Sequence[SgNode]) -> Action | None:
    """The rename as rules about calls; `None` where one of the places is none.

    Args:
        action: one that `bare_name` knows.
        code: the text before.
        nodes: the names that changed in it.
    """
    names = bare_name(action)
    if names is None or not nodes:
        return None
    made: dict[tuple[str, str], None] = {}
    for node in nodes:
        qualifier = _qualifier(_last(node), code)
        if qualifier is None or (not qualifier[0] and _is_class(names[0], action.language)):
            return None
        made[qualifier] = None
    rules = tuple(_rule(action.language, before, names) for before, _ in made)
    return Action(action.language, rules, action.mode, action.notes)


def _is_class(name: str, language: Language) -> bool:
    """Whether a name that is called names a class: a capital says so, but for functions of C and Go."""
    return name[:1].isupper() and language not in ("go", "c", "cpp")


def _last(node: SgNode) -> SgNode:
    """The last token of a node: of a member, its name."""
    while inner := node.children():
        node = inner[-1]
    return node


def _qualifier(node: SgNode, code: str) -> tuple[str, str] | None:
    """What stands before a called name (`$A.`, `Place::`, nothing); `None` where it is not called."""
    whole = node
    parent = node.parent()
    while parent is not None and parent.kind() in grammars.MEMBERS and _end(parent) == _end(node):
        whole, parent = parent, parent.parent()
    if parent is None or not grammars.CALL.search(parent.kind()):
        return None
    if parent.kind() == "method_invocation":
        owner, name = parent.field("object"), parent.field("name")
        if name is None or name.text() != node.text() or _start(name) != _start(node):
            return None
        if owner is None:
            return "", ""
        before = code[_start(owner) : _start(node)]
    else:
        function = parent.field("function") or parent.child(0)
        if function is None or _start(function) != _start(whole) or _end(function) != _end(whole):
            return None
        before = code[_start(whole) : _start(node)]
    return _kept(before, code)


def _kept(before: str, code: str) -> tuple[str, str]:
    """A qualifier as the rule says it: a type, module or `self` by name, a value as a variable."""
    found = re.fullmatch(r"(.*?)(\.|::|->|\?\.)\s*", before, re.DOTALL)
    if found is None:
        return before.strip(), ""
    owner, sign = found[1].strip(), found[2]
    first = owner.split("::")[0].split(".")[0]
    named = owner == "$this" or re.fullmatch(r"[\w.:]+", owner) is not None
    own = owner in ("self", "this", "super", "$this")
    known = sign == "::" or own or first[:1].isupper() or _imports(first, code)
    return (f"{owner}{sign}" if named and known else f"$A{sign}"), sign


def _imports(name: str, code: str) -> bool:
    return any(re.search(rf"\b{re.escape(name)}\b", line) for line in _IMPORT.findall(code))


def _rule(language: Language, before: str, names: tuple[str, str]) -> dict[str, Any]:
    old, new = (f"{before}{name}($$$ARGS)" for name in names)
    if language in _CONTEXTS:
        context, selector = _CONTEXTS[language]
        return {"rule": {"pattern": {"context": context % old, "selector": selector}}, "fix": new}
    return {"rule": {"pattern": old}, "fix": new}


def _start(node: SgNode) -> int:
    return node.range().start.index


def _end(node: SgNode) -> int:
    return node.range().end.index
