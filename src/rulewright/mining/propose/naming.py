"""Matchers, without variables, that identify one node by its text, name or first line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from rulewright.actions.visit import WORD, regex_escape
from rulewright.difftext import dedent
from rulewright.mining.text.lift import VARIABLE_LIKE, leading_spaces
from rulewright.mining.text.snippets import selector_rule
from rulewright.mining.text.tree import Node, Tree

SHORT: Final = 60
MAX_HEAD: Final = 80
"""Most characters of a first line that identifies a node."""
MIN_HEAD: Final = 16
_WORD: Final = re.compile(r"\w{2}")


def by_text(tree: Tree, node: Node) -> dict[str, Any]:
    """Match a node by its whole text: as a pattern, else by kind and regular expression."""
    text = tree.text_of(node)
    if node.named and not VARIABLE_LIKE.search(text):
        pattern = dedent(text, leading_spaces(tree, node.start)) or text
        matcher = selector_rule(pattern, node.kind, tree.language, strict=True)
        if matcher is not None:
            return matcher
    return {"kind": node.kind, "regex": f"^{regex_escape(text)}$"}


def by_name(tree: Tree, node: Node) -> Iterator[dict[str, Any]]:
    """Match a node by its name, and by its first line, whatever it contains."""
    text = tree.text_of(node)
    line, *more = text.split("\n")
    name_node = next((c for c in node.children if c.named and c.size <= SHORT and c.field() == "name"), None)
    if name_node is not None:
        yield {
            "kind": node.kind,
            "has": {"field": "name", "regex": f"^{regex_escape(tree.text_of(name_node))}$"},
        }
    whole = "" if more or len(line) > MAX_HEAD else "$"
    if more and not _WORD.search(line):
        words_line = next((words for words in map(str.strip, more) if _WORD.search(words)), "")
        if node.is_comment and words_line:
            yield {"kind": node.kind, "regex": regex_escape(words_line[:MAX_HEAD])}
        return
    head = line if whole else _unique_start(tree, node, line[:MAX_HEAD])
    yield {"kind": node.kind, "regex": f"^{regex_escape(head)}{whole}"}


def _unique_start(tree: Tree, node: Node, head: str) -> str:
    """The shortest start of a first line, in words, that no other node of its kind has."""
    others = [other.text() for other in tree.root.sg.find_all(kind=node.kind)]
    for match in WORD.finditer(head):
        prefix = head[: match.end()]
        if match.end() >= MIN_HEAD and sum(text.startswith(prefix) for text in others) == 1:
            return prefix
    return head
