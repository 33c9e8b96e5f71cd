"""Judge many rules on one text of which only changed statements are parsed anew.

Invariant: `judged` gives exactly what judging rule after rule on whole texts gives, or nothing. Where a text
has faults, a fix does harm, or a rule might match across the border of a changed statement, only that tells.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Container, Sequence
from typing import Final, NamedTuple

from ast_grep_py import SgNode

from rulewright.actions.action import Action
from rulewright.difftext import splice
from rulewright.engine import applier, checks, literals, statements, suppress, tidy
from rulewright.engine.applier import Match, MatchEdit
from rulewright.engine.apply import Barred, RuleEffect, Step, spans_after, sum_up, written
from rulewright.engine.parsing import ParsedCode, parse, parsed, span
from rulewright.engine.rules import CompiledRule, compiled, weight
from rulewright.engine.statements import Alone, ChangedStatement
from rulewright.languages import Language
from rulewright.verdict import Outcome, RuleFailed

FEW: Final = 3
"""Rules that are searched for one by one, if there are no more."""


MANY: Final = 4
"""Rules for which it pays in a short text too."""


class _Unsure(Exception):
    """Only judging rule after rule on whole texts can tell."""


_Begin = tuple[str, str | None]
"""The kind of a node, and what it surely begins with."""


class _Found(NamedTuple):
    """Matches of a rule in a text."""

    source: str
    matches: Sequence[Match]
    n_found: int


def pays(action: Action, code: str) -> bool:
    """Whether so many rules may match in a text of this size that it takes less time than whole texts."""
    if len(action.rules) < 2 or action.language == "other":
        return False
    try:
        able = sum(literals.may_match(code, rule.needs) for rule in compiled(action))
    except RuleFailed:
        return False
    return able >= (2 if len(code) >= statements.PARTED_CHARS else MANY)


def judged(action: Action, code: str, exact: bool, barred: Container[int] = ()) -> Outcome | None:
    """What comes of rules on a text, where nothing speaks against it; `None`: that is for `judge` to tell.

    Raises:
        Barred: a rule may match whose number is `barred`.
    """
    try:
        rules = compiled(action)
        text = _Text(code, action.language, exact, rules)
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

    def __init__(self, code: str, language: Language, exact: bool, rules: Sequence[CompiledRule]) -> None:
        code.encode("utf-8")
        self.now = self._code = code
        self._language, self._exact = language, exact
        self._local = [rule for rule in rules if rule.is_local and not rule.needs_cli]
        self._begins: dict[_Begin, list[SgNode]] | None = None
        """Nodes of the first tree that those local rules match that may, once they are needed."""
        self._able: list[CompiledRule] = []
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
        replaced = [(one.source[e.start : e.end], e.text) for one in found for _, e in one.matches]
        if replaced:
            tidied = self._take(base, *(one.matches for one in found))
            if sum(len(new) for _, new in replaced) > applier.MIN_CAP_CHARS or _may_harm(
                rule, found, self.now
            ):
                raise _Unsure
        return RuleEffect(replaced, sum(one.n_found for one in found), self.now, tidied)

    def check(self) -> ParsedCode:
        """Make sure that the text as it is now has no faults; returns the tree with holes."""
        if self._base is None:
            return self._parse_whole()
        if self._holes and self._alone is None:
            self._alone = statements.parse_alone(self._holes, self._language, len(self._base.source) // 2)
            if self._alone is None:
                return self._parse_whole()
        return self._base

    def _parse_whole(self) -> ParsedCode:
        # From the first tree whole texts go on where they must tell; others are of no use to them.
        self._base = (parse if self.now is self._code else parsed)(self.now, self._language)
        self._holes, self._alone, self._able = [], None, []
        self._above, self._seen = set(), set()
        if self._begins is not None:
            self._begins.clear()
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

    def _find(self, rule: CompiledRule, rule_id: str, base: ParsedCode) -> list[_Found] | None:
        """The matches outside the holes, and those in their new texts; `None`: one is across a border."""
        found = self._run(rule, rule_id, base, self._nodes(rule, base))
        if self._alone is None:
            return [found]
        outside: list[Match] = []
        ends = [hole.end for hole in self._holes]
        for match in found.matches:
            start, end = span(match.node)
            at = bisect_right(ends, start)
            if at == len(ends) or end <= self._holes[at].start:
                outside.append(match)
            elif not self._holes[at].holds(start, end):
                return None
        fresh = self._alone.tree
        if not literals.may_match(fresh.source, rule.needs):
            return [found._replace(matches=outside)]
        inside = self._run(rule, rule_id, fresh)
        starts = self._alone.starts
        for match in inside.matches:
            start, end = span(match.node)
            at = bisect_right(starts, start) - 1
            if at < 0 or end > starts[at] + len(self._holes[at].text):
                return None
        return [found._replace(matches=outside), inside]

    def _nodes(self, rule: CompiledRule, base: ParsedCode) -> Sequence[SgNode] | None:
        """The matches of a rule in the tree, by one search for all rules; `None`: that does not tell them."""
        if not literals.may_match(base.source, rule.needs):
            return ()
        if not rule.is_local:
            return None
        if self._begins is None:
            self._begins = {}
            self._able = [one for one in self._local if literals.may_match(base.source, one.needs)]
            either = {"rule": {"any": [one.core.config["rule"] for one in self._able]}}
            for node in applier.find_all(base.root, either) if len(self._able) >= FEW else ():
                self._begins.setdefault((node.kind(), _begin(_first(node))), []).append(node)
        if len(self._able) < FEW:
            return None
        mine = [begin for begin in self._begins if _meets(begin, rule)]
        if not mine:
            return ()
        is_plain = len(mine) == 1 and rule.core.config.keys() == {"rule"}
        is_its_own = is_plain and sum(_meets(mine[0], one) for one in self._able) == 1
        return self._begins[mine[0]] if is_its_own else None

    def _run(
        self, rule: CompiledRule, rule_id: str, tree: ParsedCode, nodes: Sequence[SgNode] | None = None
    ) -> _Found:
        if nodes is not None and not nodes:
            return _Found(tree.source, (), 0)
        mark = "" if self._exact or not tree.padded else tidy.mark_for(tree.source, str(rule.source))
        done = applier.run_rule(rule, tree.source, tree.root, rule_id, mark, nodes)
        if mark and any(mark in match.edit.text for match in done.matches):
            raise _Unsure
        return _Found(tree.source, done.matches, done.n_found)

    def _take(self, base: ParsedCode, outside: Sequence[Match], inside: Sequence[Match] = ()) -> bool:
        """Make the edits of a rule, outside the holes and in their new texts; give whether it was tidied."""
        rows = [(e.start, e.end, e.text, [(0, len(e.text))]) for _, e in outside]
        holes: list[ChangedStatement] = []
        edits = deque(edit for _, edit in inside)
        for at, hole in zip(self._alone.starts if self._alone is not None else (), self._holes, strict=True):
            mine: list[MatchEdit] = []
            while edits and edits[0].start < at + len(hole.text):
                edit = edits.popleft()
                mine.append(edit._replace(start=edit.start - at, end=edit.end - at))
            holes.append(hole._replace(text=written(hole.text, mine)))
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
        made = [match.edit for match in outside]
        changed = statements.changed(base.source, made, [match.node for match in outside], holes)
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


def _may_harm(rule: CompiledRule, found: Sequence[_Found], after: str) -> bool:
    """Whether there may be something for a judgment to say."""
    if rule.literal_weight >= checks.LITERAL_SHARE * weight(after[:1000]):
        return True
    for one in found:
        edits, nodes = [match.edit for match in one.matches], [match.node for match in one.matches]
        step = Step(rule, one.source, tuple(edits), tuple(nodes), "", one.n_found, False)
        if checks.lossy([step]) or checks.reindented([step]):
            return True
    return False
