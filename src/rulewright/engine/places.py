"""Split the effect of an action into single places, and apply some of them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Final

from ast_grep_py import SgNode, SgRoot

from rulewright.actions.action import Action
from rulewright.difftext import splice
from rulewright.engine import suppress
from rulewright.engine.applier import find_all
from rulewright.engine.apply import Parts, Step, Trace, partly, spans_after, trace
from rulewright.engine.name_use import arguments_of, owner_of, role_of
from rulewright.engine.parsing import leaves, parse
from rulewright.engine.rules import compile_rule
from rulewright.verdict import Place

_IMPORTS: Final = frozenset(
    {
        "use_declaration", "preproc_include", "extern_crate_declaration", "namespace_use_declaration",
        "using_directive",
    }
)  # fmt: skip
_WORDS: Final = frozenset(
    {
        "string_fragment", "string_content", "interpreted_string_literal_content", "string_literal_content",
        "heredoc_content",
    }
)  # fmt: skip


Keep = Callable[[Place], str | None]
"""The text to write at a place: `place.new`, another, or `None` to leave it alone."""


def matches(action: Action, text: str) -> list[SgNode]:
    """Every node that the first rule of an action finds, with a `fix` or without one.

    Raises:
        RuleFailed: ast-grep refuses the rule, or breaks down on it.
    """
    rule = compile_rule(action.rules[0], action.language)
    root = parse(text, action.language).root
    found = find_all(root, rule.core.config)
    return suppress.keep(found, root, action.id_of(0)) if suppress.MARK in text else found


def where(lines: Container[int]) -> Keep:
    """Change the places that touch some lines (from 1), and no others."""
    return lambda place: place.new if place.touches(lines) else None


def of(action: Action, text: str) -> list[Place]:
    """Every place that an action changes, rule after rule."""
    return made(trace(action, text))


def made(done: Trace) -> list[Place]:
    """Every place that an action changed."""
    earlier: list[_Lines] = []
    found: list[Place] = []
    for number, step in enumerate(done.steps):
        found += _places(number, step, earlier)
        earlier.append(_Lines(step))
    return found


def after(action: Action, text: str, keep: Keep) -> str:
    """The text with an action applied at some places only; as it was where the action fails."""
    done = change(action, text, keep)
    return done.steps[-1].after if done.steps and done.failure is None else text


def change(action: Action, text: str, keep: Keep, *, exact: bool = False) -> Trace:
    """Apply an action at some places only; a later rule sees what the earlier ones left.

    Replacements that change nothing are no places.
    """
    before: list[_Lines] = []

    def choose(number: int, step: Step) -> Step:
        found = iter(_places(number, step, before))
        source = step.source
        texts = [
            edit.text if source[edit.start : edit.end] == edit.text else keep(next(found))
            for edit in step.edits
        ]
        left = partly(step, texts, exact=exact)
        before.append(_Lines(left))
        return left

    return trace(action, text, exact=exact, choose=choose)


def _places(number: int, step: Step, earlier: Sequence[_Lines]) -> Iterator[Place]:
    """What a step changes, in order. Each text is walked once, however many places there are."""
    source = step.source
    changed = [edit for edit in step.edits if source[edit.start : edit.end] != edit.text]
    if not changed:
        return
    after = step.parts or Parts(
        SgRoot(splice(source, step.edits), step.rule.language).root(), tuple(spans_after(step.edits))
    )
    spans_new = [
        span for edit, span in zip(step.edits, after.spans) if source[edit.start : edit.end] != edit.text
    ]
    spans = [(edit.start, edit.end) for edit in changed]
    breaks = _breaks(source)
    sides = zip(
        leaves(step.before.root, spans, comments=False), leaves(after.root, spans_new, comments=False),
        strict=True,
    )  # fmt: skip
    for edit, (old, new) in zip(changed, sides, strict=True):
        line, last = bisect_left(breaks, edit.start), bisect_left(breaks, max(edit.start, edit.end - 1))
        for one in reversed(earlier):
            line, last = one.before(line), one.before(last)
        gone, come = _words(old), _words(new)
        only_gone = tuple(word for word in gone if word not in come)
        only_come = tuple(word for word in come if word not in gone)
        owner = owner_of(source, edit, only_gone, only_come, step.rule.language)
        around = (edit.node, *edit.node.ancestors()) if edit.node is not None else ()
        in_import = any("import" in one.kind() or one.kind() in _IMPORTS for one in around)
        yield Place(
            line + 1, last + 1, source[edit.start : edit.end], edit.text, number, only_gone, only_come,
            _texts(old) == _texts(new), in_import, owner or role_of(edit.node, step.rule.language),
            arguments_of(edit.node, only_gone),
        )  # fmt: skip


class _Lines:
    """Which line of a text became which line after a step."""

    def __init__(self, step: Step) -> None:
        breaks = _breaks(step.source)
        self._rows: list[tuple[int, int, int, int]] = []
        """First line of an edit before and after it, lines that it took and that it brought."""
        shift = 0
        for edit in step.edits:
            first = bisect_left(breaks, edit.start)
            n_old, n_new = bisect_left(breaks, edit.end) - first, edit.text.count("\n")
            self._rows.append((first, first + shift, n_old, n_new))
            shift += n_new - n_old

    def before(self, line: int) -> int:
        """The line (from 0) that a line of the result had before the step."""
        # Of the edits on one line the first decides.
        at = bisect_left(self._rows, line, key=lambda row: row[1])
        if not at:
            return line
        first, start, n_old, n_new = self._rows[at - 1]
        if line <= start + n_new:
            return min(line - (start - first), first + n_old)
        return line - (start + n_new) + (first + n_old)


def _breaks(text: str) -> list[int]:
    """Where the line ends are."""
    return [found.start() for found in re.finditer("\n", text)]


def _words(tokens: Sequence[SgNode]) -> tuple[str, ...]:
    """The names, literals and words of texts among some tokens, each once."""
    found: dict[str, None] = {}
    for node in tokens:
        kind, text = node.kind(), node.text()
        is_word = node.is_named() and any(map(str.isalnum, text)) and kind not in _KEYWORDS
        if is_word or kind in _WORDS:
            found[text] = None
    return tuple(found)


def _texts(tokens: Sequence[SgNode]) -> list[str]:
    return [text for node in tokens if (text := node.text()).strip()]


_KEYWORDS: Final = frozenset(
    {"none", "null", "true", "false", "null_literal", "nil", "self", "this", "primitive_type"}
)
