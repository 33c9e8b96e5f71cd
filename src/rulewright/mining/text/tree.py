"""A parsed text as plain nodes: fast to walk, with ast-grep's own kinds and offsets.

Invariant: offsets count characters of `Tree.text`, and children lie within their parent. Nothing
here knows about edits or rules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from ast_grep_py import SgNode, SgRoot

from rulewright import grammars
from rulewright.actions.visit import WORD
from rulewright.engine.parsing import span
from rulewright.languages import SCRIPTS, Language

OPENERS: Final = "([{<"


def field_of(node: SgNode, parent: SgNode) -> str:
    """The name of the field by which a parent holds a node; empty if none."""
    place = span(node)
    for name in grammars.FIELDS:
        if any(span(held) == place for held in parent.field_children(name)):
            return name
    return ""


class Node:
    """One node of the tree, named or not; its children are read on first use."""

    __slots__ = (
        "_bag",
        "_children",
        "_field",
        "_tree",
        "end",
        "index",
        "kind",
        "named",
        "parent",
        "sg",
        "slot",
        "start",
    )

    def __init__(self, sg: SgNode, parent: Node | None, slot: int, tree: Tree) -> None:
        self.sg = sg
        self.kind = sg.kind()
        self.start, self.end = span(sg)
        self.named = sg.is_named()
        self.parent = parent
        self.slot = slot
        """Its index among its parent's children."""
        self.index = tree.next_index()
        """Its number in the tree; larger than its parent's."""
        self._tree = tree
        self._children: list[Node] | None = None
        self._bag: Counter[str] | None = None
        self._field: str | None = None

    @property
    def tree(self) -> Tree:
        """The tree that it belongs to."""
        return self._tree

    @property
    def children(self) -> list[Node]:
        """In order."""
        if self._children is None:
            self._children = [Node(sg, self, i, self._tree) for i, sg in enumerate(self.sg.children())]
        return self._children

    @property
    def size(self) -> int:
        return self.end - self.start

    @property
    def is_comment(self) -> bool:
        return "comment" in self.kind

    def ancestors(self) -> Iterator[Node]:
        """From the parent up to the root."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def siblings_after(self) -> list[Node]:
        return self.parent.children[self.slot + 1 :] if self.parent else []

    def siblings_before(self) -> list[Node]:
        """Nearest first."""
        return self.parent.children[: self.slot][::-1] if self.parent else []

    def field(self) -> str:
        """The name of the field by which the parent holds this node; empty if none."""
        if self._field is None:
            self._field = "" if self.parent is None else field_of(self.sg, self.parent.sg)
        return self._field

    def role(self) -> str:
        """The field, or a name for its role where the grammar has no field; never part of a rule."""
        above = self.parent.kind if self.parent is not None else ""
        return self.field() or grammars.UNNAMED_ROLES.get((above, self.kind), "")

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in pre-order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def leaves(self) -> Iterator[Node]:
        """The nodes without children, in order; empty ones left out."""
        return (node for node in self.walk() if not node.children and node.end > node.start)


_FUNCTION: Final = re.compile(r"function|method|lambda|closure|func_literal|constructor")
_VARIABLES: Final[Mapping[Language, str]] = {"kotlin": "simple_identifier", "php": "variable_name"}
"""Node kind of a variable's name, where it is not `identifier`."""
_DEFINES: Final = re.compile(
    r"declarator$|declaration$|definition$|_item$|_spec$|_elem$|_signature$|_def$|^assignment$"
    r"|^(?:singleton_)?method$"
)
_NAMED_VARIABLES: Final = frozenset(
    {("variable_declaration", "simple_identifier"), ("class_parameter", "simple_identifier")}
)
"""Kinds of a Kotlin variable or property and of its name, which stands in no field."""
_WITHIN_DECLARATORS: Final = re.compile(r"^(?:function|pointer|reference)_declarator$|^qualified_identifier$")
"""Of a C definition, what stands between it and its name."""
_DECLARES: Final = re.compile(
    r"declarator$|declaration$|assignment$|(?:^|_)for(?:_|each)|range_clause|(?:const|var)_spec$"
    r"|^as_pattern$|^named_expression$|^let_condition$"
)
_PATTERNS: Final = frozenset(
    {
        "expression_list", "pattern_list", "tuple_pattern", "list_pattern", "list_splat_pattern",
        "dictionary_splat_pattern", "as_pattern_target", "array_pattern", "object_pattern", "rest_pattern",
    }
)  # fmt: skip
"""What holds several names that are declared together."""
_PARTS: Final = {"assignment_pattern": "left", "object_assignment_pattern": "left", "pair_pattern": "value"}
"""What holds a declared name beside other code, with the field of the name."""
_VALUES: Final = ("type", "value", "default_value")
"""What stands beside a declared name."""


def _is_declared(name: SgNode) -> bool:
    """Whether a name is one that a function declares as a variable, or that is a type parameter."""
    parent = name.parent()
    if name.kind() == "type_identifier":
        return parent is not None and parent.kind().startswith("type_parameter")
    while parent is not None and (
        parent.kind() in _PATTERNS
        or (parent.kind() in _PARTS and parent.field(_PARTS[parent.kind()]) == name)
    ):
        name, parent = parent, parent.parent()
    # In Kotlin the default of a parameter stands beside it.
    if parent is None or name in map(parent.field, _VALUES) or parent.kind() == "function_value_parameters":
        return False
    if "parameter" in parent.kind() or name in (parent.field("parameters"), parent.field("parameter")):
        return True
    named = [one for field in ("name", "pattern", "left", "alias") for one in parent.field_children(field)][
        :1
    ]
    # In C and C++ one declaration may be of several names.
    named = named or list(parent.field_children("declarator"))
    named = named or [child for child in parent.children() if child.is_named()][:1]
    inside = any(_FUNCTION.search(above.kind()) for above in parent.ancestors())
    # The name of a function in C and C++ stands in a declarator, too.
    is_variable = _DECLARES.search(parent.kind()) is not None and parent.kind() != "function_declarator"
    return name in named and inside and is_variable


class Tree:
    """A text and its nodes."""

    def __init__(self, text: str, language: Language) -> None:
        self.text = text
        self.language = language
        self.document = SgRoot(text, language)
        self._count = 0
        self.root = Node(self.document.root(), None, 0, self)
        self._spans: dict[tuple[int, int], list[Node]] = {}

    def next_index(self) -> int:
        """A number for a new node."""
        self._count += 1
        return self._count

    @property
    def work(self) -> float:
        """What one rule costs to try on this text, as a multiple of one of 10,000 characters."""
        return max(0.2, len(self.text) / 10_000)

    def text_of(self, node: Node) -> str:
        return self.text[node.start : node.end]

    def bag(self, node: Node) -> Counter[str]:
        """The multiset of a node's words and signs."""
        if node._bag is None:
            node._bag = Counter(WORD.findall(self.text, node.start, node.end))
        return node._bag

    def at(self, start: int, end: int) -> list[Node]:
        """Nodes with exactly this range, outermost first."""
        known = self._spans.get((start, end))
        if known is None:
            around = reversed(self.covering(start, end))
            known = [node for node in around if node.start == start and node.end == end]
            self._spans[start, end] = known
        return known

    def is_edge_to_edge(self, start: int, end: int) -> bool:
        """Whether a node begins at `start` and a node, maybe another one, ends at `end`."""
        begins = any(node.start == start for node in self.covering(start, start))
        return begins and any(node.end == end for node in self.covering(end, end))

    def is_deeper_than(self, levels: int) -> bool:
        """Whether nodes are nested deeper than this."""
        stack = [(self.root, 1)]
        while stack:
            node, level = stack.pop()
            if level > levels:
                return True
            # A deeper tree needs about a character a level, so small nodes need no visit.
            stack.extend((child, level + 1) for child in node.children if level + child.size > levels)
        return False

    def n_errors(self) -> int:
        """How many nodes could not be parsed."""
        return len(self.root.sg.find_all(kind=grammars.ERROR))

    def covering(self, start: int, end: int) -> list[Node]:
        """Nodes that contain a range, edges included, innermost first."""
        found: list[Node] = []
        frontier = [self.root]
        while frontier:
            node = frontier.pop()
            found.append(node)
            frontier.extend(c for c in node.children if c.start <= start and end <= c.end)
        return sorted(found, key=lambda node: (node.size, -node.index))

    def within(self, start: int, end: int) -> list[Node]:
        """Nodes that lie within a range, in pre-order."""
        found: list[Node] = []
        stack = [self.root]
        while stack:
            node = stack.pop()
            if start <= node.start and node.end <= end:
                found.append(node)
            stack.extend(c for c in reversed(node.children) if c.end > start and c.start < end)
        return found

    def stripped(self, start: int, end: int) -> tuple[int, int]:
        """A range without the blanks at both ends."""
        while start < end and self.text[start].isspace():
            start += 1
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return start, end

    def line_indent(self, position: int) -> str:
        """The leading blanks of the line at a position."""
        line = self.text.rfind("\n", 0, position) + 1
        end = line
        while end < len(self.text) and self.text[end] in " \t":
            end += 1
        return self.text[line:end]

    def siblings_spanning(self, start: int, end: int) -> list[Node]:
        """The siblings in a row with exactly this range, one node included; empty if there are none."""
        whole = self.at(start, end)
        if whole:
            return [whole[0]]
        for node in self.covering(start, end):
            inner = [c for c in node.children if c.start >= start and c.end <= end and c.size]
            if inner and inner[0].start == start and inner[-1].end == end:
                return inner
        return []

    def defines(self, name: str) -> bool:
        """Whether the code defines a function, class, field or variable of this name anywhere."""
        return any(self.definitions(name))

    def definitions(self, name: str) -> Iterator[SgNode]:
        """Where this name is that of a function, class, field or variable which its parent defines."""
        for node in self.root.sg.find_all({"rule": {"regex": f"^{re.escape(name)}$"}}):
            whole, parent = node, node.parent()
            if parent is not None and parent.kind() == "qualified_identifier":  # `int Room::size() {}`
                whole, parent = parent, parent.parent()
            if parent is None:
                continue
            fields = (parent.field(role) for role in ("name", "left", "declarator"))
            kinds = parent.kind(), whole.kind()
            is_named = grammars.UNNAMED_ROLES.get(kinds) == "name" or kinds in _NAMED_VARIABLES
            if is_named or (_DEFINES.search(parent.kind()) and whole in fields):
                yield node

    def definition_of(self, name: SgNode) -> SgNode:
        """What a name of `definitions` is defined by, with its body."""
        node = name.parent() or name
        while _WITHIN_DECLARATORS.search(node.kind()) and (parent := node.parent()) is not None:
            node = parent
        return node

    def has_local(self, name: str) -> bool:
        """Whether a function declares a variable of this name, or it is a type parameter."""
        kinds = [_VARIABLES.get(self.language, "identifier")]
        if self.language in SCRIPTS:
            kinds.append("shorthand_property_identifier_pattern")
        if self.language in grammars.TYPED:
            kinds.append("type_identifier")
        found = self.root.sg.find_all(
            {"rule": {"any": [{"kind": kind} for kind in kinds], "regex": f"^{re.escape(name)}$"}}
        )
        return any(_is_declared(node) for node in found)
