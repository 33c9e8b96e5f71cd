"""Checks of the effect of rules; each returns a reason, or an empty text if there is no problem."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

from ast_grep_py import SgNode

from rulewright.console import plural
from rulewright.difftext import splice
from rulewright.engine import patterns
from rulewright.engine.applier import find_all
from rulewright.engine.apply import Step, spans_after
from rulewright.engine.mentioned import Spans, capture
from rulewright.engine.parsing import leaves, parse, span
from rulewright.engine.rules import CompiledRule, Fix, weight
from rulewright.engine.transforms import Rewrite

_KEYWORD: Final = re.compile(r"[a-z_]{2,}")
_STRING: Final = re.compile(r"(^|_)(string|string_literal|raw_string_literal|text_block)$")
LITERAL_SHARE: Final = 0.5
LITERAL_CHARS: Final = 60


def wrong(post: str, expected: str | None) -> str:
    """Where the result first differs from the expected text."""
    if expected is None or post == expected:
        return ""
    if post.removesuffix("\n") == expected.removesuffix("\n"):
        return (
            f"the line end at the end of the text is {'missing' if len(post) < len(expected) else 'too much'}"
        )
    got, want = post.split("\n"), expected.split("\n")
    for number, (one, other) in enumerate(zip(got, want), 1):
        if one != other:
            return f"line {number} is {_short(one)}, wanted {_short(other)}"
    return f"{len(got)} lines, wanted {len(want)}"


def _short(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


def syntax(steps: Sequence[Step]) -> str:
    """Whether the result parses worse than the text before."""
    changing = [step for step in steps if step.edits]
    if len(changing) == 1 and changing[0].parts is not None and not changing[0].tidied:
        return ""
    last = steps[-1]
    after = parse(last.after, last.rule.language)
    if not after.broken or not after.is_worse_than(before := steps[0].before):
        return ""
    now, then = after.errors + after.missing, before.errors + before.missing
    told = f"the result has {plural(now, 'syntax error')}, the code before {then}"
    return f"{told}; the first at line {after.first_line}"


def degenerate(steps: Sequence[Step]) -> str:
    """Whether rules replace the whole text, or most of it, with literal text."""
    for step in steps:
        literal = step.rule.literal_weight
        # Mostly the beginning of the text tells already that the rule did not write half of it.
        if any(literal < LITERAL_SHARE * max(1, weight(text)) for text in (step.after[:1000], step.after)):
            continue
        whole = max(1, weight(step.source))
        for edit in step.edits:
            node = edit.node
            replaced = weight(step.source[edit.start : edit.end])
            if replaced < LITERAL_SHARE * whole:
                continue
            uncovered, done = replaced, edit.start
            for start, end in sorted(_captures(step.rule, node, used_only=True)) if node is not None else ():
                uncovered -= weight(step.source[max(start, done) : min(end, edit.end)])
                done = max(end, done)
            root = node is not None and node.parent() is None
            if uncovered >= LITERAL_SHARE * whole and (root or literal >= LITERAL_CHARS):
                share = round(100 * uncovered / whole)
                return f"one fix writes {literal} characters of its own over {share} % of the code"
    return ""


def _captures(rule: CompiledRule, node: SgNode, used_only: bool = False) -> Spans:
    names = rule.core.variables
    if used_only and rule.core.fix is not None:
        used = {slot.name for slot in rule.core.fix.template.slots}
        sources = {rule.core.transforms[name].variable for name in used if name in rule.core.transforms}
        names &= used | sources
    return [held for name in sorted(names) for held in capture(node, name)]


def lossy(steps: Sequence[Step]) -> str:
    """Named code inside a match that neither the pattern nor a capture covers, and that the result lacks."""
    for step in steps:
        fix, mentioned = step.rule.core.fix, step.rule.mentioned
        # Without a fix nothing goes; an empty one says that the match shall go, as far as it is spelled out.
        if fix is None or (_is_empty(fix) and not mentioned.spells_out):
            continue
        kept = _Kept(step)
        for number, edit in enumerate(step.edits):
            node = edit.node
            if node is None or node.is_leaf():
                continue
            covered = _captures(step.rule, node) + mentioned.wildcards(node)
            said = mentioned.words_for(node) if mentioned.choices else mentioned.words
            said = said | mentioned.again(node) if mentioned.repeated else said
            for lost in _uncovered(node, covered, said, keywords=mentioned.spells_out):
                if not kept.holds(lost, number):
                    return _dropped(lost)
            if mentioned.parts is not None:
                for lost in _beyond(node, covered, mentioned.parts):
                    if not kept.holds_all(lost, node, number):
                        return _dropped(lost)
            if dropped := _unjoined(step.rule, node, kept, number):
                return dropped
    return ""


def _dropped(lost: SgNode) -> str:
    return (
        f"line {lost.range().start.line + 1}: the match holds {_short(lost.text())} "
        f"({lost.kind()}), which neither the pattern nor a variable covers: the fix drops it"
    )


def _beyond(node: SgNode, covered: Spans, parts: Counter[str]) -> Iterator[SgNode]:
    """The parts of a match that it holds more often than the pattern.

    ast-grep ends a list where the pattern ends: `return nil` matches `return nil, "", nil`.
    """
    left = parts.copy()
    for part in patterns.smallest_parts(node, covered):
        text = patterns.squeezed(part.text())
        left[text] -= 1
        if left[text] < 0:
            yield part


def _is_empty(fix: Fix) -> bool:
    return not fix.template.slots and not any(text.strip() for text in fix.template.fragments)


class _Kept:
    """What the fixes of a step wrote, token by token: a name within a longer one is not kept."""

    def __init__(self, step: Step) -> None:
        self._step = step

    @cached_property
    def _tokens(self) -> list[list[str]]:
        """Of each edit its tokens."""
        step = self._step
        if step.parts is not None:
            root, spans = step.parts
        else:
            root = parse(splice(step.source, step.edits), step.rule.language).root
            spans = tuple(spans_after(step.edits))
        return [_texts(tokens) for tokens in leaves(root, spans)]

    def holds(self, node: SgNode, number: int) -> bool:
        """Whether the tokens of a node stand in a row in what an edit wrote."""
        return _count(_texts(_leaves(node)), self._tokens[number]) > 0

    def holds_all(self, part: SgNode, node: SgNode, number: int) -> bool:
        """Whether an edit wrote what a part of a match says as often as the match does."""
        sought = _texts(_leaves(part))
        return _count(sought, self._tokens[number]) >= _count(sought, _texts(_leaves(node)))


def _count(sought: Sequence[str], tokens: Sequence[str]) -> int:
    n = len(sought)
    return sum(tokens[at : at + n] == sought for at in range(len(tokens) - n + 1))


def _leaves(node: SgNode) -> list[SgNode]:
    return leaves(node, [span(node)])[0]


def _texts(tokens: Sequence[SgNode]) -> list[str]:
    return [" ".join(node.text().split()) for node in tokens]


def _unjoined(rule: CompiledRule, node: SgNode, kept: _Kept, number: int) -> str:
    """Code between the parts that rewriters rewrote and `joinBy` put together again; it is gone."""
    written = {slot.name for slot in rule.core.fix.template.slots} if rule.core.fix is not None else set()
    for name, transform in rule.core.transforms.items():
        if not isinstance(transform, Rewrite) or transform.join_by is None or name not in written:
            continue
        one = node.get_match(transform.variable)
        for captured in [one] if one is not None else node.get_multiple_matches(transform.variable):
            spans = [
                span(found)
                for rewriter in transform.rewriters
                if rewriter in rule.rewriters
                for found in find_all(captured, rule.rewriters[rewriter].config)
            ]
            for leaf in _leaves(captured):
                start, end = span(leaf)
                inside = any(low <= start and end <= high for low, high in spans)
                if not inside and _has_words(leaf.text()) and not kept.holds(leaf, number):
                    return (
                        f"line {leaf.range().start.line + 1}: `joinBy` leaves out {_short(leaf.text())} "
                        f"({leaf.kind()}), which no rewriter matches"
                    )
    return ""


def reindented(steps: Sequence[Step]) -> str:
    """Where indentation changed the text of a multi-line string that the rule only carried along."""
    for step in steps:
        for edit in step.edits:
            old = step.source[edit.start : edit.end]
            if "\n" not in old or "\n" not in edit.text or _below_first(old) == _below_first(edit.text):
                continue
            within = edit.node if edit.node is not None else step.before.root
            for text, line in _long_strings(within, edit.start, edit.end):
                if text not in edit.text and _flush(text) in _flush(edit.text):
                    return f"line {line}: the text of a multi-line string changes by its new indentation"
    return ""


def _below_first(text: str) -> str:
    return text.partition("\n")[2]


def _flush(text: str) -> str:
    return "\n".join(line.strip() for line in text.split("\n"))


def _long_strings(within: SgNode, first: int, last: int) -> Iterator[tuple[str, int]]:
    """Strings of several lines below a node and within a range, and the line of each."""
    stack = [within]
    while stack:
        node = stack.pop()
        start, end = span(node)
        if end <= first or start >= last or "\n" not in node.text():
            continue
        if first <= start and end <= last and _STRING.search(node.kind()):
            yield node.text(), node.range().start.line + 1
        else:
            stack += node.children()


def _uncovered(
    node: SgNode, covered: Sequence[tuple[int, int]], said: frozenset[str], keywords: bool
) -> Iterator[SgNode]:
    """The largest named parts of a node that nothing covers, in order.

    Args:
        node: the match.
        covered: character ranges that variables hold.
        said: words of the rule's patterns.
        keywords: whether bare keywords count too (`async`): where a pattern spells them
            out, one more is a loss; where the rule names a kind, they belong to it.
    """
    # A sum of a thousand terms is a thousand levels deep: no recursion, and each part is searched once.
    stack: list[tuple[SgNode, list[int] | None]] = [(child, None) for child in reversed(node.children())]
    while stack:
        child, mentioned = stack.pop()
        start, end = span(child)
        if start == end or any(low <= start and end <= high for low, high in covered):
            continue
        text = child.text()
        if text in said:
            continue
        if not child.is_named():
            if keywords and _KEYWORD.fullmatch(text):
                yield child
            continue
        goes = child.is_leaf()
        if not goes and not any(low < end and start < high for low, high in covered):
            mentioned = _mentioned(child, said) if mentioned is None else mentioned
            at = bisect_left(mentioned, start)
            goes = at == len(mentioned) or mentioned[at] >= end
        if not goes:
            stack += [(one, mentioned) for one in reversed(child.children())]
        elif _has_words(text) or "comment" in child.kind():
            yield child


def _has_words(text: str) -> bool:
    return any(char.isalnum() for char in text)


def _mentioned(node: SgNode, said: frozenset[str]) -> list[int]:
    """Where the parts of a node begin that are words of the rule's patterns, or a repeated variable's."""
    longest = max(map(len, said), default=0)
    found: list[int] = []
    stack = [node]
    while stack:
        item = stack.pop()
        start, end = span(item)
        if end - start <= longest and (text := item.text()) in said and _has_words(text):
            found.append(start)
        else:
            stack += reversed(item.children())
    return found
