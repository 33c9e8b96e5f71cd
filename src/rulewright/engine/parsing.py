"""A text as ast-grep's binding parses it, and where that parse is in doubt.

Binding and command line carry different tree-sitter releases (0.27.0 and 0.27.1 in 0.51). They agree on
well-formed code; on broken code they recover differently now and then, so a text with syntax errors is
left to the command line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

from ast_grep_py import SgNode, SgRoot

from rulewright.engine import tidy
from rulewright.languages import Language

# As keyword arguments, which the binding reads at half the cost of a `Config`.
_FAULTS: Final[dict[str, Any]] = {"any": [{"kind": "ERROR"}, {"regex": "^$"}]}
# Line ends that the grammar takes as tokens may be empty at the end of a file.
_EMPTY_BY_RIGHT: Final = frozenset({"", "\n", "automatic_semicolon"})


@dataclass(frozen=True)
class ParsedCode:
    """A text and its tree.

    Attributes:
        errors: nodes that the grammar could not place.
        missing: tokens that the parser had to invent.
        first_line: 1-based line of the first fault; 0 where there is none.
    """

    source: str
    language: Language
    root: SgNode
    errors: int
    missing: int
    first_line: int

    @cached_property
    def padded(self) -> bool:
        """Whether a line is whitespace and nothing else."""
        return tidy.holds_padding(self.source)

    @property
    def broken(self) -> bool:
        """Whether the tree is a guess in places."""
        return self.errors + self.missing > 0

    def is_worse_than(self, before: ParsedCode) -> bool:
        """Whether there are more faults of either kind: fewer of one do not make up for more of the other."""
        return self.errors > before.errors or self.missing > before.missing


def parsed(source: str, language: Language) -> ParsedCode:
    """Parse a text."""
    root = SgRoot(source, language).root()
    errors = missing = first = 0
    for node in faults(root):
        if node.kind() == "ERROR":
            errors += 1
        else:
            missing += 1
        first = first or node.range().start.line + 1
    return ParsedCode(source, language, root, errors, missing, first)


@lru_cache(maxsize=8)
def parse(source: str, language: Language) -> ParsedCode:
    """Parse a text; the last few are kept, since one text often meets many rules."""
    return parsed(source, language)


def faults(root: SgNode) -> Iterator[SgNode]:
    """What the grammar could not place (`ERROR`), and tokens that the parser had to invent."""
    for node in root.find_all(**_FAULTS):
        invented = node.is_leaf() and node.kind() not in _EMPTY_BY_RIGHT and node.parent() is not None
        if invented or node.kind() == "ERROR":
            yield node


def span(node: SgNode) -> tuple[int, int]:
    """Where a node begins and ends in its text, in characters.

    `SgNode.range` says so too, but counts the columns as well: on one long line of n matches that takes n².
    """
    edit = node.replace("")
    return edit.start_pos, edit.end_pos


def leaves(root: SgNode, spans: Sequence[tuple[int, int]], comments: bool = True) -> list[list[SgNode]]:
    """The tokens below a node that each range of the text touches, in order; perhaps without comments.

    The ranges come in order and do not overlap.
    """
    found: list[list[SgNode]] = [[] for _ in spans]
    ends = [end for _, end in spans]
    stack = [root]
    while stack:
        node = stack.pop()
        start, end = span(node)
        first = bisect_right(ends, start)
        if first == len(spans) or spans[first][0] >= end:
            continue
        if not comments and "comment" in node.kind():
            continue
        inner = node.children()
        stack += reversed(inner)
        while not inner and first < len(spans) and spans[first][0] < end:
            found[first].append(node)
            first += 1
    return found
