"""Split the effect of an action into single places, and apply some of them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Final

from ast_grep_py import SgNode, SgRoot

from rulewright import grammars
from rulewright.actions.action import Action
from rulewright.difftext import splice
from rulewright.engine import suppress
from rulewright.engine.applier import MatchEdit, find_all
from rulewright.engine.apply import Parts, Step, Trace, partly, spans_after, trace
from rulewright.engine.parsing import leaves, parse
from rulewright.engine.rules import compile_rule
from rulewright.languages import Language
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


_CLASS_NAME: Final = re.compile(r"[A-Z]\w*[a-z]\w*")
_DEFINES: Final = re.compile(
    r"class|interface|struct|enum|trait|record|module|type_spec|type_alias|type_item"
)
_BASES: Final = re.compile(r"super|base_|extends|heritage|delegation|constructor_invocation|impl_item")
_MAKES: Final = frozenset(
    {
        "object_creation_expression", "new_expression", "composite_literal", "compound_literal_expression",
        "struct_expression",
    }
)  # fmt: skip
_GENERIC: Final = frozenset({"generic_type", "generic_name"})
_OF_ONE: Final = grammars.MEMBERS | _GENERIC | {"qualified_type", "scoped_type_identifier", "user_type"}
"""A name with its qualifier or its arguments."""
_OF_SEVERAL: Final = frozenset({"binary_operator", "binary_expression", "union_type", "tuple"})
"""What joins types in an annotation, or values in an expression."""
_FUNCTIONS: Final = frozenset({"go", "c"})
"""Languages in which a capital letter does not tell a class from a function."""


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


def _role(node: SgNode | None, language: Language) -> str:
    """What the name of a class is used for, or whose it is; nothing of any other node."""
    if node is None or not _CLASS_NAME.fullmatch(node.text()):
        return ""
    while inner := node.children():
        node = inner[0]
    if _names_space(node):
        return "namespace"
    is_type = node.kind() == "type_identifier"
    has_arguments = False
    parent = node.parent()
    while parent is not None and parent.kind() in _OF_ONE:
        is_type |= "type" in parent.kind()
        has_arguments |= parent.kind() in _GENERIC
        first = parent.children()[0]
        if first == node and parent.kind() in grammars.MEMBERS:
            break
        owner = re.split(r"\W+", first.text())[-1]
        if first != node and (owner[:1].isupper() or _in_package(parent)):
            return f"of {owner}"
        node, parent = parent, parent.parent()
    while parent is not None and parent.kind() in _OF_SEVERAL:
        node, parent = parent, parent.parent()
    if parent is None:
        return "value"
    kind = parent.kind()
    unnamed = grammars.UNNAMED_ROLES.get((kind, node.kind()))
    is_called = parent.field("function") == node or unnamed == "function"
    if kind in _MAKES or (is_called and language not in _FUNCTIONS):
        return "new"
    if _DEFINES.search(kind) and (parent.field("name") == node or unnamed == "name"):
        return "definition"
    above = parent.parent()
    if _BASES.search(kind) or (above is not None and above.kind() == "class_definition"):
        return "base"
    is_type |= "type" in kind or parent.field("type") == node
    return "value" if not is_type else "generic" if has_arguments else "type"


def _in_package(parent: SgNode) -> bool:
    """Whether a class is named with its package, as Java does where another one of its name is imported."""
    return parent.kind() == "scoped_type_identifier" and "::" not in parent.text()


def _names_space(node: SgNode) -> bool:
    """Whether a name is a part of the namespace or package that a file says to be in."""
    parent = node.parent()
    while parent is not None and parent.kind() in _PATHS:
        parent = parent.parent()
    return parent is not None and parent.kind() in _SPACES


_PATHS: Final = frozenset({"namespace_name", "qualified_name", "scoped_identifier", "identifier"})
_SPACES: Final = frozenset(
    {
        "namespace_definition", "namespace_declaration", "file_scoped_namespace_declaration",
        "package_declaration", "package_header", "package_clause",
    }
)  # fmt: skip


_WORD: Final = re.compile(r"(?:(?:get|set|is|has)(?:_|(?=[A-Z])))?[A-Z]?[a-z]+")
_CALLS: Final = re.compile(r"\s*(?:\(|\{|::<)")
_OWNED: Final = re.compile(r"[?!]*\s*(?:\.|->)\s*$")
_LAST_NAME: Final = re.compile(r"\w+$")
_CLOSING: Final = {")": "(", "]": "["}
_REACH: Final = 400
"""Characters to look back for what a method is called on."""


def is_one_word(name: str) -> bool:
    """Whether a name is of one word, as methods of unlike classes have; `get_it` is no other."""
    return _WORD.fullmatch(name) is not None


def _whose(source: str, edit: MatchEdit, gone: Sequence[str], come: Sequence[str], language: Language) -> str:
    """Whose method is called at a place where nothing but its name, one plain word, changes; else nothing.

    >>> _whose("self.cache.fetch(1)", MatchEdit(11, 16, "load"), ["fetch"], ["load"], "python")
    'of cache'
    """
    if len(gone) != 1 or len(come) != 1 or not is_one_word(gone[0]):
        return ""
    old, name = source[edit.start : edit.end], gone[0]
    found = re.search(rf"(?:^|[.>]\s*)({name})\b", old)
    if found is None or (dense(old[: found.start(1)] + come[0] + old[found.end(1) :]) != dense(edit.text)):
        return ""
    start, end = edit.start + found.start(1), edit.start + found.end(1)
    before = source[max(0, start - _REACH) : start]
    sign = _OWNED.search(before)
    if sign is None or not (language == "ruby" or _CALLS.match(source, end)):
        return ""
    owner = _LAST_NAME.search(_without_arguments(before[: sign.start()]))
    return f"of {owner[0].strip('_') or owner[0]}" if owner is not None else "of a value"


def dense(text: str) -> str:
    """A text without its blanks."""
    return "".join(text.split())


def _without_arguments(text: str) -> str:
    """A text up to the brackets that it ends with."""
    while text[-1:] in _CLOSING:
        closing, depth = text[-1], 0
        for at in range(len(text) - 1, -1, -1):
            depth += (text[at] == closing) - (text[at] == _CLOSING[closing])
            if not depth:
                break
        text = text[:at].rstrip()
    return text


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
        owner = _whose(source, edit, only_gone, only_come, step.rule.language)
        around = (edit.node, *edit.node.ancestors()) if edit.node is not None else ()
        in_import = any("import" in one.kind() or one.kind() in _IMPORTS for one in around)
        yield Place(
            line + 1, last + 1, source[edit.start : edit.end], edit.text, number, only_gone, only_come,
            _texts(old) == _texts(new), in_import, owner or _role(edit.node, step.rule.language),
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
