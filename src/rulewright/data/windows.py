"""Windows: the function, class or statements around an edit, cut out of a large file.

Invariant: a window's two sides differ exactly as the files do, and putting the new side in
the place of the old one gives the new file. Whole lines only; comments directly above a
definition belong to it. A file that does not parse still gives a window of lines.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from rulewright import difftext
from rulewright.difftext import common_ends
from rulewright.languages import Language

# Node kinds of tree-sitter grammars that stand for themselves.
DEFINITIONS: Final = frozenset(
    {
        "function_definition", "class_definition", "decorated_definition",
        "function_declaration", "generator_function_declaration", "class_declaration", "method_definition",
        "interface_declaration", "type_alias_declaration", "enum_declaration", "export_statement",
        "abstract_class_declaration", "internal_module", "lexical_declaration", "variable_declaration",
        "method_declaration", "constructor_declaration", "record_declaration",
        "annotation_type_declaration", "type_declaration",
        "function_item", "impl_item", "struct_item", "enum_item", "trait_item", "mod_item",
        "class_specifier", "struct_specifier", "template_declaration", "namespace_definition",
        "method", "singleton_method", "trait_declaration", "struct_declaration", "namespace_declaration",
        "local_function_statement", "object_declaration", "companion_object", "secondary_constructor",
    }
)  # fmt: skip
_WRAPPERS: Final = frozenset({"decorated_definition", "export_statement", "template_declaration"})
_FUNCTIONS: Final = frozenset(
    {
        "function_definition", "decorated_definition", "function_declaration",
        "generator_function_declaration", "method_definition", "method_declaration",
        "constructor_declaration", "function_item", "method", "singleton_method", "local_function_statement",
        "secondary_constructor",
    }
)  # fmt: skip


# A smaller window of statements or lines is used only if there is no larger one.
_MIN_CHARS: Final = 40
_CONTEXT_LINES: Final = 3
"""Around a window of bare lines."""


class Window(NamedTuple):
    """A part of an edit: whole lines, without their common indentation."""

    pre: str
    post: str
    start_line: int
    """1-based first line of the window in the old file."""
    end_line: int
    """1-based last line of the window in the old file."""
    indent: str
    """White space that was removed from the start of every non-blank line."""
    kind: str
    """Kind of the syntax node, or `lines`."""


class Span(NamedTuple):
    """0-based lines `[start, end)` of the old file, and the end in the new file."""

    start: int
    end: int
    post_end: int


def changed(pre: list[str], post: list[str]) -> Span:
    """The smallest span of lines outside which two files are equal."""
    start, tail = common_ends(pre, post)
    return Span(start, len(pre) - tail, len(post) - tail)


def cut(pre: str, post: str, language: Language, max_chars: int = 4_000) -> Window | None:
    """Cut the smallest useful window around an edit.

    Preferred is the innermost function (with its decorators and the comments above it)
    that holds the whole change; then the smallest other definition; then the run of
    neighboring statements that it touches; at last bare lines. Of these, the first one
    that parses as well as the file does.

    Returns:
        The window, or `None` if no window around the change is within `max_chars`.
    """
    old, new = difftext.lines(pre), difftext.lines(post)
    span = changed(old, new)
    root = _parse(pre, language)
    tolerated = root is None or _has_error(root) or _has_error(_parse(post, language))
    fallback = None
    for kind, start, end in _candidates(root, old, span):
        grown = span.post_end - span.end
        before, after = old[start:end], new[start : end + grown]
        indent = _common_indent(before + after)
        window = Window(_strip(before, indent), _strip(after, indent), start + 1, end, indent, kind)
        if max(len(window.pre), len(window.post)) > max_chars or not (
            window.pre.strip() and window.post.strip()
        ):
            continue
        parses = tolerated or not any(_has_error(_parse(side, language)) for side in window[:2])
        if parses and (kind in DEFINITIONS or len(window.pre) >= _MIN_CHARS):
            return window
        fallback = fallback or window
    return fallback


def _candidates(root: Any, old: list[str], span: Span) -> Iterator[tuple[str, int, int]]:
    """Spans of old lines that hold the change, best first."""
    # The nodes that hold the change, outermost first; of an insertion at a node's edge it holds nothing.
    chain, holding = [], [root] if root is not None else []
    while len(holding) == 1:
        chain.append(holding[0])
        placed = [(child, *_lines_of(child)) for child in chain[-1].children()]
        if span.start == span.end:
            holding = [child for child, start, end in placed if start < span.start < end]
        else:
            holding = [child for child, start, end in placed if start <= span.start and span.end <= end]
    wrapped = {i + 1 for i, node in enumerate(chain) if node.kind() in _WRAPPERS}
    holders = [
        (node.kind(), *_lines_of(node))
        for i, node in enumerate(chain)
        if node.kind() in DEFINITIONS and i not in wrapped  # a function goes with its decorators
    ]
    innermost = sorted(holders, key=lambda h: (h[0] not in _FUNCTIONS, h[2] - h[1]))
    for kind, start, end in innermost:
        while start > 0 and re.match(r"\s*(#|//|\*|/\*|@)", old[start - 1]):
            start -= 1  # comments and annotations directly above belong to it
        yield kind, start, end
    for node in reversed(chain):
        yield "statements", *_run(node, span)
    for around in (_CONTEXT_LINES, 1, 0):
        yield "lines", max(0, span.start - around), min(len(old), span.end + around)


def _run(node: Any, span: Span) -> tuple[int, int]:
    """The lines of the children that a change touches; of an insertion, of its neighbors."""
    start, end = span.start, span.end
    children = [_lines_of(child) for child in node.children()]
    if start == end:
        before = [lines for lines in children if lines[1] <= start]
        after = [lines for lines in children if lines[0] >= start]
        return (before[-1][0] if before else start), (after[0][1] if after else end)
    touched = [(first, last) for first, last in children if first < end and last > start]
    return min([start, *(t[0] for t in touched)]), max([end, *(t[1] for t in touched)])


def _strip(lines: list[str], indent: str) -> str:
    """Lines of white space only stay as they are, so that a window can be put back."""
    return "".join(line.removeprefix(indent) if line.strip() else line for line in lines)


def _common_indent(lines: list[str]) -> str:
    indents = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip()]
    return os.path.commonprefix(indents)  # noqa: RUF071  (characters are meant)


def _parse(code: str, language: Language) -> Any:
    """The root of a text's syntax tree, or `None` where the language has none."""
    if language == "other":
        return None
    from ast_grep_py import SgRoot

    return SgRoot(code, language).root()


def _has_error(root: Any) -> bool:
    return root is not None and root.find(kind="ERROR") is not None


def _lines_of(node: Any) -> tuple[int, int]:
    span = node.range()
    return span.start.line, span.end.line + (span.end.column > 0)
