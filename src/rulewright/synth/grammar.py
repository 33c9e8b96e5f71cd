"""Nodes and patterns for instance edits, by the table of `rulewright.grammars`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ast_grep_py import SgNode

from rulewright.grammars import GRAMMARS, Grammar
from rulewright.languages import Language


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
