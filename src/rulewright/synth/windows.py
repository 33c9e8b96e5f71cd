"""Windows: self-contained pieces of real files that do not overlap.

Invariant: a window is whole lines, dedented, and parses without an error node. A
`statement` tiling covers a line at most once, so that two windows of a file never
share code.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ast_grep_py import SgNode

from rulewright import difftext
from rulewright.engine.parsing import parse
from rulewright.languages import SCRIPTS, Language
from rulewright.state.state import count_tokens
from rulewright.synth.grammar import of_kind
from rulewright.synth.kinds import WindowKind

# Nodes whose named children are statements or members.
_LISTS: Final[dict[Language, frozenset[str]]] = {
    "python": frozenset({"module", "block"}),
    **dict.fromkeys(SCRIPTS, frozenset({"program", "statement_block", "switch_case", "switch_default"})),
    "java": frozenset(
        {"program", "class_body", "block", "constructor_body", "interface_body", "enum_body_declarations"}
    ),
    "go": frozenset({"source_file", "block", "statement_list"}),
}  # fmt: skip
_FUNCTIONS: Final[dict[Language, tuple[str, ...]]] = {
    "python": ("function_definition", "decorated_definition", "class_definition"),
    **dict.fromkeys(
        SCRIPTS, ("function_declaration", "class_declaration", "lexical_declaration", "export_statement")
    ),
    "java": ("method_declaration", "class_declaration", "constructor_declaration"),
    "go": ("function_declaration", "method_declaration"),
}  # fmt: skip
LANGUAGES: Final = tuple(_LISTS)
_MIN_CHARS: Final = 12
_MAX_LINES: Final = 6
"""Of a `statement` window."""
PAIRED_RATE: Final = 0.5
"""How often a function window takes its neighbor in, if both fit."""


@dataclass(frozen=True)
class WindowLimits:
    """What fits. Both bounds hold for every window."""

    max_chars: int
    max_tokens: int
    """By `state.count_tokens`: an upper-side estimate for byte-level BPE."""

    def fit(self, text: str) -> bool:
        return _MIN_CHARS <= len(text) <= self.max_chars and count_tokens(text) <= self.max_tokens


@dataclass(frozen=True)
class Cut:
    """A dedented piece of a file that parses by itself."""

    text: str
    line: int
    """1-based line of the file where it begins."""


def cut(
    text: str, language: Language, kind: WindowKind, limits: WindowLimits, rng: random.Random
) -> list[Cut]:
    """Cut a file into windows of one kind, in file order.

    `statement` packs one to four neighboring statements; `function` takes the
    largest functions and classes that fit; `file` is the file, if it fits.
    """
    if kind == "file":
        return [Cut(text, 1)] if limits.fit(text) and not parse(text, language).broken else []
    root = parse(text, language).root
    lines = text.split("\n")
    if kind == "function":  # in pre-order: the outermost that fits is taken
        spans = [_rows(node) for node in of_kind(root, *_FUNCTIONS[language])]
    else:
        spans = sorted(_statements(root, language, limits, rng))
    chosen: list[tuple[int, int]] = []
    windows: list[Cut] = []
    for first, last in spans:
        if chosen and first <= chosen[-1][1]:
            continue
        window = _window(lines, first, last, language, limits)
        if window is None:
            continue
        # Two neighbors in one window: what "only in f" needs.
        paired = kind == "function" and chosen and rng.random() < PAIRED_RATE
        if paired and _is_pair(lines, chosen[-1], (first, last)):
            pair = _window(lines, chosen[-1][0], last, language, limits)
            if pair is not None:
                windows[-1], chosen[-1] = pair, (chosen[-1][0], last)
                continue
        windows.append(window)
        chosen.append((first, last))
    return windows


def _window(lines: list[str], first: int, last: int, language: Language, limits: WindowLimits) -> Cut | None:
    indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
    text = difftext.dedent("\n".join(lines[first : last + 1]).removeprefix(indent), indent)
    piece = f"{text}\n"
    fits = text is not None and limits.fit(piece) and not parse(piece, language).broken
    return Cut(piece, first + 1) if fits else None


def _is_pair(lines: list[str], one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two neighbors are of the same depth, with only blank lines between them."""
    depths = [len(lines[row]) - len(lines[row].lstrip()) for row in (one[0], other[0])]
    return depths[0] == depths[1] and not any(line.strip() for line in lines[one[1] + 1 : other[0]])


def _statements(
    root: SgNode, language: Language, limits: WindowLimits, rng: random.Random
) -> Iterator[tuple[int, int]]:
    """Tile every statement list with runs that fit; go into what does not fit."""
    lists = _LISTS[language]
    stack = [root]
    while stack:
        node = stack.pop()
        if node.kind() not in lists:
            stack.extend(reversed([child for child in node.children() if child.is_named()]))
            continue
        run: list[tuple[int, int]] = []
        wanted = rng.randint(1, 4)
        inner = []
        for child in node.children():
            if not child.is_named():
                continue
            first, last = _rows(child)
            if child.kind() == "comment" or child.kind().endswith("_comment"):
                continue
            size = len(child.text())
            if last - first + 1 > _MAX_LINES or size > limits.max_chars:
                inner.append(child)
                if run:
                    yield run[0][0], run[-1][1]
                    run = []
                continue
            if run and (len(run) >= wanted or last - run[0][0] + 1 > _MAX_LINES):
                yield run[0][0], run[-1][1]
                run, wanted = [], rng.randint(1, 4)
            run.append((first, last))
        if run:
            yield run[0][0], run[-1][1]
        stack.extend(reversed(inner))


def _rows(node: SgNode) -> tuple[int, int]:
    span = node.range()
    # A node that ends at column 0 ends with the newline of the line before.
    return span.start.line, span.end.line - (span.end.column == 0 and span.end.line > span.start.line)
