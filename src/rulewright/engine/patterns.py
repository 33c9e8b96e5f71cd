"""Read a pattern without matching it: its root, its variables, its words.

The binding compiles patterns but tells nothing about them; `scan` refuses rules whose
node kinds it cannot compute and variables that no pattern defines. So the pattern is
parsed once more here, in ast-grep's way, and read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ast_grep_py import SgNode, SgRoot

from rulewright.actions.visit import pattern_parts
from rulewright.engine.parsing import faults, span
from rulewright.languages import Language

# The letter that stands for `$` where `$` is not part of an identifier (ast-grep's table).
_SIGIL: Final[dict[Language, str]] = {
    "python": "µ", "rust": "µ", "go": "µ", "c": "𐀀", "cpp": "𐀀",
    "ruby": "µ", "php": "µ", "csharp": "µ", "kotlin": "µ",
}  # fmt: skip
_DOLLARS: Final = re.compile(r"(\$+)([A-Z_])?")
_MULTI: Final = re.compile(r"\$\$\$([A-Z0-9_]*)")
_SINGLE: Final = re.compile(r"\$\$?([A-Z_][A-Z0-9_]*)")
_ERROR: Final = "ERROR"


@dataclass(frozen=True)
class PatternFacts:
    """What a pattern says, read from its syntax tree."""

    root_kind: str | None
    """Node kind of the root; `None` where any kind can match (a bare variable) or it is broken."""
    broken: bool
    """Whether the pattern has syntax errors, as a piece of code."""
    guessed: bool
    """Whether its tree is a guess, which binding and command line may make differently."""
    variables: frozenset[str]
    """Names that a match defines."""
    repeated: frozenset[str]
    """Those that it names more than once."""
    words: frozenset[str]
    """Texts of all leaves that are not variables."""
    first: str | None
    """The first leaf, where it is a name or a literal."""
    parts: Counter[str]
    """How often it holds each smallest named part that is no variable (`smallest_parts`)."""


def to_source(pattern: str, language: Language) -> str:
    """Give the text that is parsed for a pattern: `$A` becomes an identifier."""
    sigil = _SIGIL.get(language)
    if sigil is None or "$" not in pattern:
        return pattern

    def swap(found: re.Match[str]) -> str:
        run, letter = found.groups()
        return (sigil if letter or len(run) == 3 else "$") * len(run) + (letter or "")

    return _DOLLARS.sub(swap, pattern)


def from_source(text: str, language: Language) -> str:
    """Restore the dollar signs of variables from their placeholder letter.

    >>> from_source("f(µA, µµµB, µm)", "python")
    'f($A, $$$B, µm)'
    """
    sigil = _SIGIL.get(language)
    if sigil is None:
        return text
    return re.sub(f"({sigil}+)(?=[A-Z_])", lambda found: "$" * len(found[1]), text)


def variable_of(text: str, language: Language) -> tuple[str | None, bool] | None:
    """Read a node's text as a metavariable: its name (`None` if anonymous) and whether a list."""
    sigil = _SIGIL.get(language)
    if sigil is not None:
        if not text.startswith(sigil):
            return None
        text = text.replace(sigil, "$")
    multi = _MULTI.fullmatch(text)
    if multi:
        name = multi.group(1)
        return (None if not name or name.startswith("_") else name), True
    single = _SINGLE.fullmatch(text)
    if single:
        name = single.group(1)
        return (None if name.startswith("_") else name), False
    return None


@lru_cache(maxsize=4096)
def facts(pattern: str, selector: str | None, language: Language) -> PatternFacts:
    """Read a pattern (or the context of one, with its selector)."""
    source = to_source(pattern, language)
    root = SgRoot(source, language).root()
    wrong = list(faults(root))
    broken = any(node.kind() == _ERROR for node in wrong)
    guessed = any(not is_plain(node, source) for node in wrong)
    selected = root.find({"rule": {"kind": selector}}) if selector else _single(root)
    top = selected if selected is not None else root
    variables: set[str] = set()
    repeated: set[str] = set()
    words: set[str] = set()
    for variable, word in _leaves(top, language):
        if variable is None:
            words.add(word)
        elif variable[0] is not None:  # `$_` and `$$$` capture nothing
            (repeated if variable[0] in variables else variables).add(variable[0])
    kind: str | None = top.kind()
    # ast-grep takes an error for a kind where it is one token; a contextual pattern knows its kind
    # even where it is a bare variable.
    bare = variable_of(top.text(), language) is not None
    if (kind == _ERROR and not top.is_leaf()) or (bare and not selector):
        kind = None
    first = top
    while (inner := first.child(0)) is not None:
        first = inner
    named = first.is_named() and variable_of(first.text(), language) is None
    parts = Counter(_parts(top, language))
    return PatternFacts(
        kind, broken, guessed, frozenset(variables), frozenset(repeated), frozenset(words),
        first.text() if named else None, parts,
    )  # fmt: skip


def kind_of(pattern: Any, language: Language) -> str | None:
    """The kind of node that a rule's `pattern` matches; `None` where any: `template` compares text alone."""
    if isinstance(pattern, dict) and pattern.get("strictness") == "template":
        return None
    return facts(*pattern_parts(pattern), language).root_kind


def is_plain(fault: SgNode, source: str) -> bool:
    """Whether a fault leaves no choice: a text that is no statement, or one without its `;`."""
    start, end = span(fault)
    whole = start == 0 and end >= len(source.rstrip())
    return whole if fault.kind() == _ERROR else fault.kind() == ";"


def _single(node: SgNode) -> SgNode:
    """Go down while there is one child (or one and an empty second), as ast-grep does."""
    while True:
        children = node.children()
        if len(children) == 1 or (len(children) == 2 and not children[1].text()):
            node = children[0]
        else:
            return node


def smallest_parts(node: SgNode, left_out: Collection[tuple[int, int]] = ()) -> Iterator[SgNode]:
    """The named nodes without named ones below them, in order, but comments and what ranges cover.

    A literal without letters is one (`""`, `[]`), and so is `_`.
    """
    stack = [node]
    while stack:
        item = stack.pop()
        start, end = span(item)
        if start == end or any(low <= start and end <= high for low, high in left_out):
            continue
        inner = _named_children(item)
        if inner:
            stack += reversed(inner)
        elif item.is_named() and "comment" not in item.kind():
            yield item


def _parts(top: SgNode, language: Language) -> Iterator[str]:
    """The smallest parts of a pattern, squeezed; `[$$$A]` is one as well, for it matches `[]`."""
    for part in smallest_parts(top):
        variable = variable_of(part.text(), language)
        around = part.parent()
        if variable is None:
            yield squeezed(part.text())
        elif variable[1] and part != top and around is not None and len(_named_children(around)) == 1:
            yield squeezed(around.text().replace(part.text(), ""))


def _named_children(node: SgNode) -> list[SgNode]:
    return [child for child in node.children() if child.is_named()]


def squeezed(text: str) -> str:
    """The text without blanks: they may differ within `( )` and the like."""
    return "".join(text.split())


def _leaves(node: SgNode, language: Language) -> Iterator[tuple[Any, str]]:
    stack = [node]
    while stack:
        item = stack.pop()
        text = item.text()
        variable = variable_of(text, language)
        if variable is not None:
            yield variable, text
            continue
        children = item.children()
        if children:
            stack += children
        else:
            yield None, text


_LOWER: Final = re.compile(r"\$+([a-z]\w*)")


def fault(pattern: str) -> str:
    """What is wrong with a pattern that is no correct code, as the end of a sentence.

    >>> fault("f($a)"), fault("f(")
    (' has a variable in lower case, `$a`: variables are upper case', ' has a syntax error as code')
    """
    found = _LOWER.search(pattern)
    if found is None:
        return " has a syntax error as code"
    return f" has a variable in lower case, `{found.group()}`: variables are upper case"
