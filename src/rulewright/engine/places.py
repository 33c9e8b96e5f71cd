"""The single places that an action changes in a text, and the text with some of them changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ast_grep_py import SgNode

from rulewright.actions.action import Action
from rulewright.engine import suppress
from rulewright.engine.applier import Edit, find_all
from rulewright.engine.apply import Step, Trace, partly, trace
from rulewright.engine.parsing import Parsed, parse
from rulewright.engine.rules import compile_rule

_IMPORTS: Final = frozenset({"use_declaration", "preproc_include", "extern_crate_declaration"})
_WORDS: Final = frozenset({"string_fragment", "string_content", "interpreted_string_literal_content"})


@dataclass(frozen=True)
class Place:
    """One replacement.

    Args:
        line, last_line: 1-based lines that it covers in the text before any rule.
        old, new: the text that goes and the text that comes.
        rule: index of the rule.
        gone, come: names and literals of `old` that `new` lacks, and the other way round.
    """

    line: int
    last_line: int
    old: str
    new: str
    rule: int
    gone: tuple[str, ...] = ()
    come: tuple[str, ...] = ()
    comments_only: bool = False
    """Whether the code is the same before and after, comments left out."""
    in_import: bool = False
    """Whether it is an import, or stands in one."""


Keep = Callable[[Place], str | None]
"""The text to write at a place: `place.new`, another, or `None` to leave it alone."""


def matches(action: Action, text: str) -> list[SgNode]:
    """Every node that the first rule of an action finds, with a `fix` or without one.

    Raises:
        BadRule: ast-grep refuses the rule.
        Panicked: ast-grep breaks down on it.
    """
    rule = compile_rule(action.rules[0], action.language)
    root = parse(text, action.language).root
    found = find_all(root, rule.core.config)
    return suppress.keep(found, root, action.id_of(0)) if suppress.MARK in text else found


def of(action: Action, text: str, *, exact: bool = False) -> list[Place]:
    """Every place that an action changes, rule after rule."""
    found: list[Place] = []

    def note(place: Place) -> str:
        found.append(place)
        return place.new

    change(action, text, note, exact=exact)
    return found


def change(action: Action, text: str, keep: Keep, *, exact: bool = False) -> Trace:
    """Apply an action at some places only; a later rule sees what the earlier ones left.

    Replacements that change nothing are no places.
    """
    before: list[Step] = []

    def choose(number: int, step: Step) -> Step:
        texts: list[str | None] = []
        after: Parsed | None = None
        shift = 0
        for edit, node in zip(step.edits, step.nodes, strict=True):
            old = step.before.source[edit.start : edit.end]
            if old != edit.text:
                after = after or parse(_spliced(step), step.rule.language)
                place = _place(number, step, before, edit, edit.start + shift, after)
                texts.append(keep(replace(place, in_import=_is_import(node))))
            else:
                texts.append(edit.text)
            shift += len(edit.text) - len(old)
        left = partly(step, texts, exact=exact)
        before.append(left)
        return left

    return trace(action, text, exact=exact, choose=choose)


def _is_import(node: SgNode | None) -> bool:
    return node is not None and any(
        "import" in one.kind() or one.kind() in _IMPORTS for one in (node, *node.ancestors())
    )


def _spliced(step: Step) -> str:
    pieces: list[str] = []
    done = 0
    for edit in step.edits:
        pieces += [step.before.source[done : edit.start], edit.text]
        done = edit.end
    return "".join([*pieces, step.before.source[done:]])


def _place(number: int, step: Step, earlier: Sequence[Step], edit: Edit, at: int, after: Parsed) -> Place:
    source = step.before.source
    start, end, new = edit
    line = source.count("\n", 0, start)
    last = source.count("\n", 0, max(start, end - 1))
    for one in reversed(earlier):
        line, last = _before(line, one), _before(last, one)
    gone, come = words(step.before.root, start, end), words(after.root, at, at + len(new))
    return Place(
        line + 1, last + 1, source[start:end], new, number,
        tuple(word for word in gone if word not in come), tuple(word for word in come if word not in gone),
        _tokens(step.before.root, start, end) == _tokens(after.root, at, at + len(new)),
    )  # fmt: skip


def _before(line: int, step: Step) -> int:
    """The line (from 0) that a line of a step's result had before the step."""
    source = step.before.source
    shift = 0
    for edit in step.edits:
        first = source.count("\n", 0, edit.start)
        n_old, n_new = source.count("\n", edit.start, edit.end), edit.text.count("\n")
        if line <= first + shift:
            break
        if line <= first + shift + n_new:
            return min(line - shift, first + n_old)
        shift += n_new - n_old
    return line - shift


def words(root: SgNode, start: int, end: int) -> tuple[str, ...]:
    """Names and literals that a range of a text touches, each once, in order; no keywords."""
    return tuple(dict.fromkeys(node.text() for node in _leaves(root, start, end) if _is_word(node)))


def _tokens(root: SgNode, start: int, end: int) -> list[str]:
    return [node.text() for node in _leaves(root, start, end) if node.text().strip()]


def _leaves(root: SgNode, start: int, end: int) -> Iterator[SgNode]:
    """The tokens that a range of a text touches, comments left out."""
    stack = [root]
    while stack:
        node = stack.pop()
        span = node.range()
        if span.end.index <= start or span.start.index >= end or "comment" in node.kind():
            continue
        inner = node.children()
        stack += reversed(inner)
        if not inner:
            yield node


def _is_word(node: SgNode) -> bool:
    kind = node.kind()
    if kind in _WORDS:
        return True
    return node.is_named() and any(char.isalnum() for char in node.text()) and not _is_keyword(kind)


def _is_keyword(kind: str) -> bool:
    return kind in ("none", "null", "true", "false", "null_literal", "nil", "self", "this", "primitive_type")
