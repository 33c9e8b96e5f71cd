"""What the trees of the five languages call the few things that instance edits need.

One table, filled from the tree-sitter grammars inside ast-grep 0.51; no behaviour
beyond looking nodes up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ast_grep_py import SgNode

from rulewright.languages import Language


@dataclass(frozen=True)
class Grammar:
    """Node kinds of one language."""

    call: str
    callee: str
    """Field of the call that holds the function's name (or the member expression)."""
    arguments: str
    member: str
    """`a.b` where it is not called; the call's callee too, except in Java."""
    property: str
    """Field of `member` that holds the name after the dot."""
    identifier: str
    integer: tuple[str, ...]
    string: tuple[str, ...]
    imports: tuple[str, ...]
    wrap: str = "%s"
    """Context in which a call or expression pattern parses as meant."""
    keywords: frozenset[str] = frozenset()


_COMMON: Final = frozenset(
    {"self", "cls", "this", "super", "print", "None", "True", "False", "_", "err", "ok"}
)
_JS = Grammar(
    "call_expression", "function", "arguments", "member_expression", "property", "identifier",
    ("number",), ("string",), ("import_statement",),
    keywords=_COMMON
    | {"undefined", "require", "module", "exports", "console", "process", "arguments", "async"},
)  # fmt: skip
GRAMMARS: Final[dict[Language, Grammar]] = {
    "python": Grammar(
        "call", "function", "argument_list", "attribute", "attribute", "identifier",
        ("integer",), ("string",), ("import_from_statement", "import_statement"),
        keywords=_COMMON | {"len", "str", "int", "list", "dict", "set", "tuple", "type", "isinstance",
                            "Exception", "super", "range", "bool", "object", "__name__", "open"},
    ),
    "javascript": _JS,
    "typescript": _JS,
    "tsx": _JS,
    "java": Grammar(
        "method_invocation", "name", "argument_list", "field_access", "field", "identifier",
        ("decimal_integer_literal",), ("string_literal",), ("import_declaration",), keywords=_COMMON,
    ),
    "go": Grammar(
        "call_expression", "function", "argument_list", "selector_expression", "field", "identifier",
        ("int_literal",), ("interpreted_string_literal",), ("import_spec",),
        wrap="package p\nfunc f() { %s }",
        keywords=_COMMON
        | {"nil", "true", "false", "append", "make", "len", "cap", "new", "panic", "string", "error"},
    ),
}  # fmt: skip


def expression(language: Language, text: str, kind: str) -> str | dict[str, str]:
    """A pattern for an expression; with context and selector where the language needs them."""
    wrap = GRAMMARS[language].wrap
    if language == "java" and kind == "field_access":
        wrap = "class C { Object o = %s; }"
    return text if wrap == "%s" else {"context": wrap.replace("%s", text), "selector": kind}


def of_kind(root: SgNode, *kinds: str) -> list[SgNode]:
    """Every node of the kinds, in file order."""
    rule: Any = {"rule": {"any": [{"kind": kind} for kind in kinds]}}
    return root.find_all(rule)


def leaves(node: SgNode) -> Iterator[SgNode]:
    """The nodes without children, left to right."""
    stack = [node]
    while stack:
        top = stack.pop()
        children = top.children()
        if children:
            stack.extend(reversed(children))
        else:
            yield top


def arguments(call: SgNode, grammar: Grammar) -> list[SgNode] | None:
    """The arguments of a call; `None` where they hold a comment or it has no plain list."""
    held = call.field("arguments")
    if held is None or held.kind() != grammar.arguments:
        return None
    inner = [child for child in held.children() if child.is_named()]
    return None if any("comment" in child.kind() for child in inner) else inner


def span(node: SgNode) -> tuple[int, int]:
    """Start and end, in characters."""
    place = node.range()
    return place.start.index, place.end.index


def splice(text: str, edits: list[tuple[int, int, str]]) -> str:
    """Replace disjoint character ranges.

    >>> splice("a + b", [(0, 1, "x"), (4, 5, "y")])
    'x + y'
    """
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text
