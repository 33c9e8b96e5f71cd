"""Members that a class has from a base that its file imports: they mean the same in other such classes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from ast_grep_py import Config, SgNode

from rulewright.actions.action import Rule
from rulewright.actions.visit import regex_escape
from rulewright.languages import SCRIPTS, Language
from rulewright.mining.rules import imports
from rulewright.mining.rules.guards import file_imports
from rulewright.mining.rules.import_statements import Binding, Import
from rulewright.mining.rules.reading import old_text
from rulewright.mining.text.tree import Tree

_CLASSES: Final[Mapping[Language, tuple[str, Mapping[str, str]]]] = {
    "python": ("class_definition", {"field": "superclasses"}),
    "java": ("class_declaration", {"field": "superclass"}),
    **dict.fromkeys(SCRIPTS, ("class_declaration", {"kind": "class_heritage"})),
}
"""The node kind of a class, and the matcher for what names its bases."""
_NAME: Final = re.compile(r"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*")
_OWN: Final = re.compile(r"\b(?:self|this)\s*\.\s*(\w+)")


def guards_for(rule: Rule, texts: Sequence[str], language: Language) -> list[Mapping[str, Any]]:
    """What holds a rule about own members to classes of the base that has them.

    Args:
        rule: about members of `self` or `this`.
        texts: of the files that it was learned from.
        language: of these.

    Returns:
        Nothing where a file defines a member itself, or its classes share no imported base.
    """
    members = set(_OWN.findall(old_text(rule))) or set(re.findall(r"^\w+$", old_text(rule)))
    if language not in _CLASSES or not members:
        return []
    matcher = {key: rule[key] for key in ("rule", "constraints", "utils") if key in rule}
    shared: set[tuple[str, Binding]] | None = None
    for text in texts:
        tree = Tree(text, language)
        if any(map(tree.defines, members)):
            return []
        bound = {one.name: one for one in imports.bindings(text, language)}
        for node in tree.root.sg.find_all(cast(Config, matcher)):
            names = set(_bases(node, language))
            named = {(name, bound[first]) for name in names if (first := name.partition(".")[0]) in bound}
            shared = named if shared is None else shared & named
    if not shared:
        return []
    name, binding = min(shared)
    kind, bases = _CLASSES[language]
    around = {"kind": kind, "stopBy": "end", "has": {**bases, "regex": rf"\b{regex_escape(name)}\b"}}
    return [{"inside": around}, file_imports(Import(frozenset({binding.name}), binding.module), language)]


def _bases(node: SgNode, language: Language) -> Iterator[str]:
    """The names of the bases of the class around a node, dotted ones whole."""
    kind, bases = _CLASSES[language]
    holder = next((one for one in node.ancestors() if one.kind() == kind), None)
    if holder is not None:
        named = (
            holder.field(bases["field"])
            if "field" in bases
            else next((one for one in holder.children() if one.kind() == bases["kind"]), None)
        )
        yield from _NAME.findall(named.text()) if named is not None else ()
