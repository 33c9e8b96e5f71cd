"""Keep a rule from changing its own results again.

`f($$$A)` to `f($$$A, key=1)` matches what it made, and so every call that has the key already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ast_grep_py import SgNode

from rulewright import grammars
from rulewright.actions.action import Action, Rule
from rulewright.actions.visit import regex_escape
from rulewright.engine import places
from rulewright.engine.apply import Step, spans_after, trace
from rulewright.languages import Language
from rulewright.mining.by_hand.diffs import Change
from rulewright.mining.rules.guards import with_guards

_KEY: Final = re.compile(r"([\w$\"'-]+)\s*(=>|=|:)(?![=:])")
"""A keyword argument up to its value."""


def idempotent(rule: Rule, changes: Sequence[Change], language: Language) -> Rule | None:
    """The rule, with guards that exclude its own results in the change; `None` if guards cannot do that."""
    steps = [_run(rule, change, language) for change in changes]
    again = [pair for step in steps for pair in _repeats(rule, step, language)]
    if not again:
        return rule
    guards: dict[str, dict[str, Any]] = {}
    for old, new in again:
        guard = _added_item(old, new) or _added_line(rule, new)
        if guard is None:
            return None
        guards.setdefault(str(guard), {"not": guard})
    guarded = with_guards(rule, *guards.values())
    after = [_run(guarded, change, language) for change in changes]
    if any(list(_repeats(guarded, step, language)) for step in after):
        return None
    pairs = zip(changes, steps, after, strict=True)
    same = all(_text(one, change) == _text(other, change) for change, one, other in pairs)
    return guarded if same else None


def _text(step: Step | None, change: Change) -> str:
    return step.after if step is not None else change.pre


def _run(rule: Rule, change: Change, language: Language) -> Step | None:
    """What a rule does at the changed places of a file; `None` if it does nothing or fails."""
    keep = places.where(change.changed)
    done = places.change(Action(language, (rule,), mode="rule"), change.pre, keep, exact=True)
    return done.steps[-1] if done.steps and done.failure is None else None


def _repeats(rule: Rule, step: Step | None, language: Language) -> Iterator[tuple[SgNode, SgNode]]:
    """The nodes that a rule changes twice: before the first change, and after it."""
    if step is None or not step.edits:
        return
    second = trace(Action(language, (rule,), mode="rule"), step.after, exact=True)
    if second.failure is not None or not second.steps:
        return
    [found] = second.steps
    source = step.after
    for (start, end), old in zip(spans_after(step.edits), step.edits, strict=True):
        for new in found.edits:
            meets = max(start, new.start) < min(end, new.end)
            if meets and source[new.start : new.end] != new.text and old.node and new.node:
                yield old.node, new.node


def _added_item(old: SgNode, new: SgNode) -> dict[str, Any] | None:
    """A matcher for the one item that a list in the node got; `None` if that is not the change."""
    path: list[str] = []
    while old.kind() == new.kind():
        had = [one.text() for one in _parts(old)]
        has = _parts(new)
        come = [one for one in has if one.text() not in had]
        if grammars.LIST.search(new.kind()) and len(come) == len(has) - len(had) == 1:
            [it] = come
            key = _KEY.match(it.text())
            regex = rf"^{regex_escape(key[1])}\s*{key[2]}" if key else f"^{regex_escape(it.text())}$"
            item_matcher: dict[str, Any] = {"has": {"kind": it.kind(), "regex": regex}}
            for kind in reversed(path):
                item_matcher = {"has": {"kind": kind, **item_matcher}}
            return item_matcher
        apart = [(one, two) for one, two in zip(_parts(old), has, strict=False) if one.text() != two.text()]
        if len(had) != len(has) or len(apart) != 1:
            return None
        old, new = apart[0]
        path.append(new.kind())
    return None


def _added_line(rule: Rule, new: SgNode) -> dict[str, Any] | None:
    """A matcher for the one line that a rule adds beside its match; `None` if it does not."""
    old, fix = rule["rule"].get("pattern"), rule["fix"]
    if not isinstance(old, str) or not isinstance(fix, str):
        return None
    first, sign, last = fix.partition("\n")
    if not sign or old not in (first, last):
        return None
    kinds: list[str] = []
    node, parent = new, new.parent()
    while parent is not None and not (
        grammars.STATEMENTS.search(parent.kind()) or parent.kind() in grammars.ROOTS
    ):
        node, parent = parent, parent.parent()
        kinds.append(node.kind())
    text, sibling, side = (last, node.next(), "precedes") if old == first else (first, node.prev(), "follows")
    if sibling is None:
        return None
    found: dict[str, Any] = {"pattern": text}
    inner = sibling.child(0)
    if inner is not None and inner.text() == sibling.text():
        # A pattern is the call, not the statement that holds nothing else.
        found = {"kind": sibling.kind(), "has": found}
    line_matcher: dict[str, Any] = {side: found}
    for kind in reversed(kinds):
        line_matcher = {"inside": {"kind": kind, **line_matcher}}
    return line_matcher


def _parts(node: SgNode) -> list[SgNode]:
    return [one for one in node.children() if one.is_named() and "comment" not in one.kind()]
