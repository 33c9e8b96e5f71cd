"""One rule on one text, in process: match, build each replacement, join.

The result equals that of `ast-grep scan -U`, byte for byte; rules for which this is not possible are left
to the command line (`CompiledRule.needs_cli`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from ast_grep_py import Config, SgNode

from rulewright.actions.action import Rule
from rulewright.engine import suppress, template
from rulewright.engine.parsing import span
from rulewright.engine.rules import CompiledRule, Core, Fix, compile_rule
from rulewright.engine.transforms import Rewrite
from rulewright.errors import first_line
from rulewright.languages import Language
from rulewright.verdict import RuleFailed, Verdict

GROWTH: Final = 20
MIN_CAP_CHARS: Final = 4_000_000


class NotPorted(Exception):
    """A case that only the command line can decide; what it does then is the result."""


class MatchEdit(NamedTuple):
    """Replace `source[start:end]` by `text`."""

    start: int
    end: int
    text: str
    node: SgNode | None = None
    """What matched; `None` where only the command line found it."""


class Applied(NamedTuple):
    """The text after a rule."""

    text: str
    edits: tuple[MatchEdit, ...]
    n_found: int
    """Matches before overlapping ones were left out."""


def find_all(root: SgNode, config: Mapping[str, Any]) -> list[SgNode]:
    """Every match below a node, outer before inner.

    Raises:
        RuleFailed: the binding broke down.
    """
    try:
        found: list[SgNode] = root.find_all(cast(Config, config))
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RuleFailed(f"ast-grep panics: {first_line(error)}", Verdict.CRASHED) from error
    return found


def ran(rule: Rule, language: Language, source: str, root: SgNode) -> Applied | None:
    """The effect of a rule on a parsed text; `None` if refused, or left to the command line."""
    try:
        compiled = compile_rule(rule, language)
        return None if compiled.needs_cli else run_rule(compiled, source, root, "")
    except (RuleFailed, NotPorted):
        return None


def run_rule(rule: CompiledRule, source: str, root: SgNode, rule_id: str, mark: str = "") -> Applied:
    """Apply a rule to a parsed text.

    Args:
        rule: the rule; not one that needs the command line.
        source: the text that `root` was parsed from.
        root: its root node.
        rule_id: what `ast-grep-ignore: id` comments call it.
        mark: a character that is nowhere in the text, put at the end of each
            whitespace-only line that is carried over from it; empty: none.
    """
    found = find_all(root, rule.core.config)
    rewrites = [name for name, step in rule.core.transforms.items() if isinstance(step, Rewrite)]
    for node in found if rewrites else ():
        # ast-grep computes every transform of every match, used or not, and may panic over one.
        maker = _Maker(source, rule, node, "")
        for name in rewrites:
            maker.transformed(node, rule.core, name)
    if found and suppress.MARK in source:
        found = suppress.keep(found, root, rule_id)
    if rule.core.fix is None or not found:
        return Applied(source, (), len(found))
    edits: list[MatchEdit] = []
    pieces: list[str] = []
    done = size = 0
    limit = max(MIN_CAP_CHARS, GROWTH * len(source))
    for node in found:
        maker = _Maker(source, rule, node, mark)
        start, end = _range(node, rule.core.fix)
        if start < done:
            continue
        edits.append(MatchEdit(start, end, maker.replacement(node, rule.core), node))
        pieces += [source[done:start], edits[-1].text]
        size += len(edits[-1].text)
        if size > limit:
            said = f"the fixes write more than {limit:,} characters into {len(source):,}"
            raise RuleFailed(said, Verdict.BAD_ACTION)
        done = end
    pieces.append(source[done:])
    return Applied("".join(pieces), tuple(edits), len(found))


def _range(node: SgNode, fix: Fix) -> tuple[int, int]:
    first = _reach(node, fix.expand_start, forward=False)
    last = _reach(node, fix.expand_end, forward=True)
    return span(first or node)[0], span(last or node)[1]


def _reach(node: SgNode, relation: Mapping[str, Any] | None, forward: bool) -> SgNode | None:
    """The sibling that an expansion goes to, as ast-grep's `stopBy` searches; `None`: it stays."""
    if relation is None:
        return None
    rule = {key: value for key, value in relation.items() if key not in ("stopBy", "field")}
    stop = relation.get("stopBy") or "neighbor"
    if stop == "neighbor":
        near = node.next() if forward else node.prev()
        return near if near is not None and near.matches(**rule) else None
    siblings: Sequence[SgNode] = node.next_all() if forward else node.prev_all()
    for sibling in siblings:
        if sibling.matches(**rule):
            return sibling
        if isinstance(stop, dict) and sibling.matches(**stop):
            return None
    return None


class _Maker:
    """Builds replacements for one match of the outer rule."""

    def __init__(self, source: str, rule: CompiledRule, outer: SgNode, mark: str) -> None:
        self._source, self._rule, self._outer, self._mark = source, rule, outer, mark

    def replacement(self, node: SgNode, core: Core) -> str:
        assert core.fix is not None
        made = core.fix.template
        parts = [made.fragments[0]]
        for slot, fragment in zip(made.slots, made.fragments[1:], strict=True):
            parts += [self._slot(node, core, slot), fragment]
        text = "".join(parts)
        if "\n" not in text:
            return text
        return template.reindent(text, 0, template.indent_at(self._source, span(node)[0]))

    def _slot(self, node: SgNode, core: Core, slot: template.Slot) -> str:
        if slot.multiple:
            nodes = node.get_multiple_matches(slot.name)
            if not nodes and node is not self._outer:
                nodes = self._outer.get_multiple_matches(slot.name)
            if not nodes:
                return ""
            return self._capture(span(nodes[0])[0], span(nodes[-1])[1], slot.indent)
        for owner, its in ((node, core), (self._outer, self._rule.core)):
            if slot.name in its.transforms:
                return template.reindent(self.transformed(owner, its, slot.name), 0, slot.indent)
            one = owner.get_match(slot.name)
            if one is not None:
                return self._capture(*span(one), slot.indent)
        return ""

    def _capture(self, start: int, end: int, indent: int) -> str:
        text = self._source[start:end]
        if "\n" not in text:
            return text
        text = mark_blank_lines(text, self._mark)
        return template.reindent(text, template.indent_at(self._source, start), indent)

    def transformed(self, node: SgNode, core: Core, name: str) -> str:
        step = core.transforms[name]
        if not isinstance(step, Rewrite):
            return mark_blank_lines(node.get_transformed(name) or "", self._mark)
        nodes = node.get_multiple_matches(step.variable) if step.multiple else [node.get_match(step.variable)]
        captured = [one for one in nodes if one is not None]
        if not captured:
            return ""
        start, end = span(captured[0])[0], span(captured[-1])[1]
        edits = [edit for one in captured for edit in self._rewrites(one, step)]
        if any(edit.start < start or edit.end > end for edit in edits):
            # ast-grep slices out of range here, and panics or not by the place.
            raise NotPorted("a rewriter whose expansion leaves the captured node")
        # What is between two rewritten parts, and these, in turns; of those that overlap the first.
        parts: list[str] = []
        done = start
        for edit in edits:
            if edit.start >= done:
                parts += [mark_blank_lines(self._source[done : edit.start], self._mark), edit.text]
                done = edit.end
        parts.append(mark_blank_lines(self._source[done:end], self._mark))
        text = "".join(parts) if step.join_by is None else step.join_by.join(parts[1::2])
        return template.reindent(text, template.indent_at(self._source, start), 0)

    def _rewrites(self, node: SgNode, step: Rewrite) -> list[MatchEdit]:
        """What the rewriters make inside a node: outer first, first rewriter that matches wins."""
        best: dict[tuple[int, int, int], tuple[SgNode, Core]] = {}
        for name in step.rewriters:
            core = self._rule.rewriters.get(name)
            if core is None:
                # A rule without `rewriters` may name some all the same: they rewrite nothing.
                continue
            for found in find_all(node, core.config):
                begin, stop = span(found)
                # A parent and its only child span the same text: depth tells them apart.
                key = (begin, -stop, len(found.ancestors()))
                best.setdefault(key, (found, core))
        edits = []
        for _, (found, core) in sorted(best.items(), key=lambda item: item[0]):
            assert core.fix is not None
            start, end = _range(found, core.fix)
            edits.append(MatchEdit(start, end, self.replacement(found, core)))
        return edits


def mark_blank_lines(text: str, mark: str) -> str:
    """Put a mark at the end of each padded line but the first and last: blanks, not just a line end."""
    if not mark or "\n" not in text:
        return text
    first, *inner, last = text.split("\n")
    padded = (line + mark if line.strip("\r").isspace() else line for line in inner)
    return "\n".join([first, *padded, last])
