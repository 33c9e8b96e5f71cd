"""Windows: the function, class or statements around an edit, cut out of a large file.

Invariant: a window's two sides differ exactly as the files do, and putting the new side in
the place of the old one gives the new file. Whole lines only; comments directly above a
definition belong to it. A file that does not parse still gives a window of lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from rulewright.languages import Language

# Node kinds of tree-sitter grammars that stand for themselves.
DEFINITIONS: Final = frozenset(
    {
        "function_definition", "class_definition", "decorated_definition",
        "function_declaration", "generator_function_declaration", "class_declaration", "method_definition",
        "interface_declaration", "type_alias_declaration", "enum_declaration", "export_statement",
        "abstract_class_declaration", "internal_module",
        "method_declaration", "constructor_declaration", "record_declaration", "annotation_type_declaration",
        "type_declaration", "function_item", "impl_item", "struct_item", "enum_item", "trait_item", "mod_item",
        "class_specifier", "struct_specifier", "template_declaration", "namespace_definition",
        "lexical_declaration", "variable_declaration",
    }
)  # fmt: skip
_FUNCTIONS: Final = frozenset(
    {
        "function_definition", "decorated_definition", "function_declaration",
        "generator_function_declaration", "method_definition", "method_declaration",
        "constructor_declaration", "function_item",
    }
)  # fmt: skip


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
    shorter = min(len(pre), len(post))
    start = 0
    while start < shorter and pre[start] == post[start]:
        start += 1
    tail = 0
    while tail < shorter - start and pre[-1 - tail] == post[-1 - tail]:
        tail += 1
    return Span(start, len(pre) - tail, len(post) - tail)


def cut(
    pre: str, post: str, language: Language, max_chars: int = 4_000, context_lines: int = 3
) -> Window | None:
    """Cut the smallest useful window around an edit.

    Preferred is the innermost function (with its decorators and the comments above it)
    that holds the whole change; then the smallest other definition; then the top-level
    statements that it touches, with up to `context_lines` lines around them.

    Args:
        pre: the old file.
        post: the new file.
        language: of both.
        max_chars: bound on each side of the window.
        context_lines: lines around a window of bare lines.

    Returns:
        The window, or `None` if the smallest one is larger than `max_chars`.
    """
    old, new = pre.splitlines(keepends=True), post.splitlines(keepends=True)
    span = changed(old, new)
    for kind, start, end in _candidates(pre, language, span, context_lines, len(old)):
        window = _window(old, new, span, kind, start, end)
        if max(len(window.pre), len(window.post)) <= max_chars and window.pre.strip() and window.post.strip():
            return window
    return None


def functions(code: str, language: Language, max_chars: int = 4_000) -> Iterator[tuple[int, int, str]]:
    """Yield every function of a file that is small enough, as 1-based lines and dedented text.

    Outer functions come before those that they hold; a method is yielded apart from its class.
    """
    lines = code.splitlines(keepends=True)
    for node in _definitions(code, language):
        if node.kind() not in _FUNCTIONS:
            continue
        start, end = _lines_of(node)
        text, _ = dedent(lines[start:end])
        if len(text) <= max_chars:
            yield start + 1, end, text


def put_back(pre: str, window: Window) -> str:
    """Give the old file with the window's new side in the place of its old side.

    This is the new file, except where a line of the new side is indented less than the window.
    """
    lines = pre.splitlines(keepends=True)
    indented = [
        window.indent + line if line.strip() else line for line in window.post.splitlines(keepends=True)
    ]
    return "".join(lines[: window.start_line - 1] + indented + lines[window.end_line :])


def _candidates(
    code: str, language: Language, span: Span, context: int, n_lines: int
) -> Iterator[tuple[str, int, int]]:
    """Spans of old lines that hold the change, best first."""
    holders = []
    for node in _definitions(code, language):
        start, end = _lines_of(node)
        # A pure insertion at a definition's edge is not inside it.
        inside = start <= span.start and span.end <= end and (span.start > start or span.end > span.start)
        if inside and not (span.start == span.end == end):
            holders.append((node.kind(), _with_comments(code, start), end))
    innermost = sorted(holders, key=lambda h: (h[0] not in _FUNCTIONS, h[2] - h[1]))
    yield from innermost
    for around in (context, 1, 0):
        start, end = _statements(code, language, span)
        yield "lines", max(0, start - around), min(n_lines, end + around)
        yield "lines", max(0, span.start - around), min(n_lines, span.end + around)


def _window(old: list[str], new: list[str], span: Span, kind: str, start: int, end: int) -> Window:
    grown = span.post_end - span.end
    before, after = old[start:end], new[start : end + grown]
    indent = _common_indent(before + after)
    return Window(_strip(before, indent), _strip(after, indent), start + 1, end, indent, kind)


def dedent(lines: list[str]) -> tuple[str, str]:
    """Join lines without their common indentation; give both."""
    indent = _common_indent(lines)
    return _strip(lines, indent), indent


def _strip(lines: list[str], indent: str) -> str:
    return "".join(line[len(indent) :] if line.startswith(indent) else line for line in lines)


def _common_indent(lines: list[str]) -> str:
    indents = [re.match(r"[ \t]*", line).group() for line in lines if line.strip()]  # type: ignore[union-attr]
    if not indents:
        return ""
    low, high = min(indents), max(indents)
    n = next((i for i, (a, b) in enumerate(zip(low, high)) if a != b), min(len(low), len(high)))
    return low[:n]


def _definitions(code: str, language: Language) -> Iterator[Any]:
    """Definition nodes in document order; decorators and exports stand for what they wrap."""
    if language == "other":
        return
    from ast_grep_py import SgRoot

    stack = [SgRoot(code, language).root()]
    while stack:
        node = stack.pop()
        kind = node.kind()
        if kind in DEFINITIONS:
            yield node
        if node.is_leaf():
            continue
        stack.extend(reversed(node.children()))


def _lines_of(node: Any) -> tuple[int, int]:
    span = node.range()
    return span.start.line, span.end.line + (span.end.column > 0)


def _with_comments(code: str, start: int) -> int:
    """Move a start up over comment and annotation lines directly above it."""
    lines = code.split("\n")
    while start > 0 and re.match(r"\s*(#|//|\*|/\*|\*/)", lines[start - 1]) and lines[start - 1].strip():
        start -= 1
    return start


def _statements(code: str, language: Language, span: Span) -> tuple[int, int]:
    """Widen a span to whole top-level statements."""
    if language == "other":
        return span.start, span.end
    from ast_grep_py import SgRoot

    start, end = span.start, span.end
    for node in SgRoot(code, language).root().children():
        first, last = _lines_of(node)
        if first < end and last > start:
            start, end = min(start, first), max(end, last)
    return start, end
