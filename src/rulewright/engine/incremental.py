"""Judge many rules on one text of which only changed statements are parsed anew.

Invariant: `judged` gives exactly what judging rule after rule on whole texts gives, or nothing. Where a text
has faults, a fix does harm, or a rule might match across the border of a changed statement, only that tells.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Final, cast

from ast_grep_py import SgNode

from rulewright.actions.action import Action
from rulewright.difftext import splice
from rulewright.engine import applier, changed_statements, checks, literals, suppress, tidy
from rulewright.engine.applier import MatchEdit
from rulewright.engine.apply import Barred, RuleEffect, Step, spans_after, sum_up
from rulewright.engine.changed_statements import Alone, ChangedStatement
from rulewright.engine.parsing import ParsedCode, parse, parsed, span
from rulewright.engine.rules import CompiledRule, compiled, weight
from rulewright.languages import Language
from rulewright.verdict import Outcome, RuleFailed

MANY: Final = 4
"""Rules for which it pays in a short text too."""


class _Unsure(Exception):
    """Only judging rule after rule on whole texts can tell."""


_Begin = tuple[str, str | None]
"""The kind of a node, and what it surely begins with."""


def pays(action: Action, code: str) -> bool:
    """Whether so many rules may match in a text of this size that it takes less time than whole texts."""
    if len(action.rules) < 2 or action.language == "other":
        return False
    try:
        able = sum(literals.may_match(code, rule.needs) for rule in compiled(action))
    except RuleFailed:
        return False
    return able >= (2 if len(code) >= changed_statements.PARTED_CHARS else MANY)


def judged(action: Action, code: str, exact: bool, barred: Container[int] = ()) -> Outcome | None:
    """What comes of rules on a text, where nothing speaks against it; `None`: that is for `judge` to tell.

    Raises:
        Barred: a rule may match whose number is `barred`.
    """
    try:
        rules = compiled(action)
        text = _Text(code, action.language, exact)
        effects: list[RuleEffect] = []
        for number, rule in enumerate(rules):
            if not text.may_match(rule):
                effects.append(RuleEffect((), 0, text.now))
            elif number in barred:
                raise Barred
            else:
                effects.append(text.apply(rule, action.id_of(number)))
        text.check()
    except (_Unsure, RuleFailed, applier.NotPorted, UnicodeEncodeError):
        return None
    return sum_up(effects, code)


class _Text:
    """A text that rules change: the tree of an earlier state, with holes for what changed since then."""

    def __init__(self, code: str, language: Language, exact: bool) -> None:
        code.encode("utf-8")
        self.now = self._code = code
        self._language, self._exact = language, exact
        self._base: ParsedCode | None = None
        self._holes: list[ChangedStatement] = []
        self._seen: set[tuple[str, int, int]] = set()
        self._above: set[tuple[str, str | None, int]] = set()
        """Of each node that holes are in: its kind, what it surely begins with, where its first token is."""
        self._alone: Alone | None = None
        """The new texts of the holes, once they are parsed."""

    def may_match(self, rule: CompiledRule) -> bool:
        """Whether the text as it is now holds what a rule needs."""
        return literals.may_match(self.now, rule.needs)

    def apply(self, rule: CompiledRule, rule_id: str) -> RuleEffect:
        """Apply a rule to the text as it is now.

        Raises:
            _Unsure: what it does, or whether it does harm, cannot be told so.
        """
        if rule.needs_cli or suppress.MARK in self.now:
            raise _Unsure
        base = self.check()
        if self._holes and not (rule.is_local and self._keeps_out(rule)):
            base = self._parse_whole()
        found = self._find(rule, rule_id, base)
        if found is None:
            base = self._parse_whole()
            found = self._find(rule, rule_id, base)
            assert found is not None
        tidied = False
        replaced = [pair for one in found for pair in one.effect.replaced]
        if replaced:
            tidied = self._take(base, *(one.edits for one in found))
            is_large = sum(len(new) for _, new in replaced) > applier.MIN_CAP_CHARS
            writes_much = rule.literal_weight >= checks.LITERAL_SHARE * weight(self.now[:1000])
            if is_large or writes_much or checks.lossy(found) or checks.reindented(found):
                raise _Unsure
        return RuleEffect(replaced, sum(one.n_found for one in found), self.now, tidied)

    def check(self) -> ParsedCode:
        """Make sure that the text as it is now has no faults; returns the tree with holes."""
        if self._base is None:
            return self._parse_whole()
        if self._holes and self._alone is None:
            limit = len(self._base.source) // 2
            self._alone = changed_statements.parse_alone(self._holes, self._language, limit)
            if self._alone is None:
                return self._parse_whole()
        return self._base

    def _parse_whole(self) -> ParsedCode:
        # From the first tree whole texts go on where they must tell; others are of no use to them.
        self._base = (parse if self.now is self._code else parsed)(self.now, self._language)
        self._holes, self._alone = [], None
        self._above, self._seen = set(), set()
        if self._base.broken:
            raise _Unsure
        return self._base

    def _keeps_out(self, rule: CompiledRule) -> bool:
        """Whether a rule can match no node that holds are in, for sure."""
        kinds = {kind for kind, _ in rule.roots}
        if None in kinds:
            return False
        ends = [hole.end for hole in self._holes]
        for kind, begin, start in self._above:
            at = bisect_right(ends, start)
            is_known = at == len(ends) or start < self._holes[at].start
            if kind in kinds and not (is_known and not _meets((kind, begin), rule)):
                return False
        return True

    def _find(self, rule: CompiledRule, rule_id: str, base: ParsedCode) -> list[Step] | None:
        """The matches outside the holes, and those in their new texts; `None`: one is across a border."""
        found = self._run(rule, rule_id, base)
        if self._alone is None:
            return [found]
        outside: list[MatchEdit] = []
        ends = [hole.end for hole in self._holes]
        for edit in found.edits:
            start, end = span(cast(SgNode, edit.node))
            at = bisect_right(ends, start)
            if at == len(ends) or end <= self._holes[at].start:
                outside.append(edit)
            elif not self._holes[at].holds(start, end):
                return None
        inside = self._run(rule, rule_id, self._alone.tree)
        starts = self._alone.starts
        for edit in inside.edits:
            start, end = span(cast(SgNode, edit.node))
            at = bisect_right(starts, start) - 1
            if at < 0 or end > starts[at] + len(self._holes[at].text):
                return None
        return [replace(found, edits=tuple(outside)), inside]

    def _run(self, rule: CompiledRule, rule_id: str, tree: ParsedCode) -> Step:
        if not literals.may_match(tree.source, rule.needs):
            return Step(rule, tree.source, (), "", 0)
        mark = "" if self._exact or not tree.padded else tidy.mark_for(tree.source, str(rule.source))
        done = applier.run_rule(rule, tree.source, tree.root, rule_id, mark)
        if mark and any(mark in edit.text for edit in done.edits):
            raise _Unsure
        return Step(rule, tree.source, done.edits, "", done.n_found)

    def _take(self, base: ParsedCode, outside: Sequence[MatchEdit], inside: Sequence[MatchEdit] = ()) -> bool:
        """Make the edits of a rule, outside the holes and in their new texts; give whether it was tidied."""
        rows = [(e.start, e.end, e.text, [(0, len(e.text))]) for e in outside]
        holes: list[ChangedStatement] = []
        edits = deque(inside)
        for at, hole in zip(self._alone.starts if self._alone is not None else (), self._holes, strict=True):
            mine: list[MatchEdit] = []
            while edits and edits[0].start < at + len(hole.text):
                edit = edits.popleft()
                mine.append(edit._replace(start=edit.start - at, end=edit.end - at))
            holes.append(hole._replace(text=splice(hole.text, mine)))
            rows.append((hole.start, hole.end, holes[-1].text, spans_after(mine)))
        rows.sort(key=lambda row: row[:2])
        places: list[tuple[int, int]] = []
        shift = 0
        for start, end, text, within in rows:
            places += [(start + shift + first, start + shift + last) for first, last in within]
            shift += len(text) - (end - start)
        self.now, tidied = splice(base.source, (row[:3] for row in rows)), False
        if not self._exact:
            self.now, tidied = tidy.tidy(self.now, places, "")
        changed = changed_statements.changed(base.source, outside, holes)
        self._alone = None
        if changed is None or tidied:
            self._base = None
        else:
            self._holes = changed
            for hole in changed:
                parent = hole.node.parent()
                if parent is not None and (place := (parent.kind(), *span(parent))) not in self._seen:
                    self._seen.add(place)
                    for one in hole.node.ancestors():
                        first = _first(one)
                        self._above.add((one.kind(), _begin(first), span(first)[0]))
        return tidied


def _first(node: SgNode) -> SgNode:
    """The first token of a node."""
    while (inner := node.child(0)) is not None:
        node = inner
    return node


def _begin(token: SgNode) -> str | None:
    """What a node surely begins with; ast-grep passes over unnamed tokens (`async`)."""
    return token.text() if token.is_named() and "comment" not in token.kind() else None


def _meets(node: _Begin, rule: CompiledRule) -> bool:
    """Whether a rule may match a node."""
    return any(
        kind in (None, node[0]) and (begin is None or node[1] in (None, begin)) for kind, begin in rule.roots
    )
