"""The normal form of an action as a weighted tree, and as one line of text.

yaml, cli and rule forms of one rewrite give equal trees; key order, formatting and
defaults do not show. Two views exist of each: with the names of metavariables as
written, and *alpha*, with the names renumbered by first use, so that a consistent
renaming does not show either. Weights and rules: docs/rewards.md.

Not here: whether ast-grep takes the rule, and what it does to code.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from rulewright.actions.action import Action

MAX_ORDERS: Final = 120
"""Orders of interchangeable atoms tried for the smallest text; beyond, the order given stands."""

INNER_WEIGHT: Final = 0.5
_WEIGHTS: Final = {"pattern": 4.0, "fix": 4.0, "regex": 3.0, "kind": 2.0}
_FUZZY: Final = frozenset({"pattern", "fix", "regex"})
# ast-grep evaluates the keys of a rule object in this order, whatever order they are written in.
_EVALUATION: Final = (
    "pattern", "kind", "regex", "nthChild", "range",
    "inside", "has", "precedes", "follows",
    "all", "any", "not", "matches",
)  # fmt: skip
_RELATIONS: Final = frozenset({"inside", "has", "precedes", "follows"})
_FIELDS: Final = ("rule", "constraints", "utils", "transform", "rewriters", "fix")
_DEFAULTS: Final = {"strictness": "smart", "stopBy": "neighbor"}
_METAVAR: Final = re.compile(r"(\$\$\$|\$\$?)([A-Z][A-Z0-9_]*)")
"""A metavariable that binds a name; `$_X` and `$$$` bind none and stay as they are."""
_RENAMED: Final = frozenset({"pattern", "fix", "source", "call"})
_NAMED: Final = re.compile(r"(constraint|transform):([A-Z][A-Z0-9_]*)$")


@dataclass(frozen=True, slots=True)
class Node:
    """A labelled node with its own weight, perhaps a text, and children."""

    label: str
    weight: float = INNER_WEIGHT
    text: str | None = None
    kids: tuple[Node, ...] = ()
    size: float = field(init=False)
    """Weight of the whole subtree."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", self.weight + sum(kid.size for kid in self.kids))

    @property
    def fuzzy(self) -> bool:
        """Whether a nearly equal text earns a part of the weight."""
        return self.label in _FUZZY

    def dump(self) -> str:
        """The subtree as text, e.g. `rule(pattern="$A == None" kind="x")`."""
        head = (
            self.label if self.text is None else f"{self.label}={json.dumps(self.text, ensure_ascii=False)}"
        )
        return f"{head}({' '.join(kid.dump() for kid in self.kids)})" if self.kids else head


@dataclass(frozen=True, slots=True)
class Views:
    """What a comparison needs of one action: the trees of its documents and its texts."""

    raw: tuple[Node, ...]
    alpha: tuple[Node, ...]
    raw_text: str
    alpha_text: str


def views(action: Action) -> Views:
    """Give the comparable views of an action; cached, so a teacher's costs nothing twice."""
    return _views(action.language, action.rules_json())


@lru_cache(maxsize=8192)
def _views(language: str, rules_json: str) -> Views:
    documents = tuple(_document(language, rule) for rule in json.loads(rules_json))
    in_order = tuple(_arranged(document, keep_order=True) for document in documents)
    as_sets = tuple(_arranged(document, keep_order=False) for document in documents)
    raw_order = tuple(_sorted_raw(document) for document in documents)
    return Views(
        raw=documents,
        alpha=as_sets,
        raw_text="\n".join(document.dump() for document in raw_order),
        alpha_text="\n".join(document.dump() for document in in_order),
    )


# Building


def _leaf(label: str, value: Any, kids: Iterable[Node] = ()) -> Node:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return Node(label, _WEIGHTS.get(label, 1.0), text, tuple(kids))


def _document(language: str, rule: Mapping[str, Any]) -> Node:
    return Node("document", kids=(_leaf("language", language), *_fields(rule)))


def _fields(rule: Mapping[str, Any]) -> list[Node]:
    kids: list[Node] = []
    for name in _FIELDS:
        value = rule.get(name)
        if value is None or (value in ({}, []) and name != "rule"):
            continue
        kids.append(_BUILDERS[name](value))
    return kids


def _rule(value: Any, label: str = "rule") -> Node:
    return Node(label, kids=tuple(_atoms(value)))


def _atoms(value: Any) -> list[Node]:
    """Flatten a rule object and its nested `all` into the list of what must hold."""
    if not isinstance(value, Mapping):
        return [_leaf("rule", value)]
    known = [key for key in _EVALUATION if key in value]
    others = sorted(key for key in value if key not in _EVALUATION)
    return [atom for key in (*known, *others) for atom in _atom(key, value[key])]


def _atom(key: str, value: Any) -> list[Node]:
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else None
    if key == "all" and items is not None:
        return [atom for item in items for atom in _atoms(item)]
    if key == "any" and items is not None:
        if len(items) == 1:
            return _atoms(items[0])
        return [Node("any", kids=tuple(_rule(item, "case") for item in items))]
    if key == "not":
        return [_rule(value, "not")]
    if key in _RELATIONS and isinstance(value, Mapping):
        return [_relation(key, value)]
    if key == "pattern" and isinstance(value, Mapping):
        extra = [_leaf(k, v) for k, v in sorted(value.items()) if k != "context" and v != _DEFAULTS.get(k)]
        return [_leaf("pattern", value.get("context", ""), extra)]
    if key == "nthChild":
        return [_nth_child(value if isinstance(value, Mapping) else {"position": value})]
    if key == "range" and isinstance(value, Mapping):
        return [_plain("range", value)]
    return [_leaf(key, value)]


def _relation(key: str, value: Mapping[str, Any]) -> Node:
    rule = {k: v for k, v in value.items() if k not in ("stopBy", "field")}
    kids = _atoms(rule)
    if (stop := value.get("stopBy", "neighbor")) != "neighbor":
        kids.append(_rule(stop, "stopBy") if isinstance(stop, Mapping) else _leaf("stopBy", stop))
    if "field" in value:
        kids.append(_leaf("field", value["field"]))
    return Node(key, kids=tuple(kids))


def _nth_child(value: Mapping[str, Any]) -> Node:
    position = value.get("position")
    if isinstance(position, str) and re.fullmatch(r"\s*\d+\s*", position):
        position = int(position)
    kids = [_leaf("position", position)]
    if "ofRule" in value:
        kids.append(_rule(value["ofRule"], "ofRule"))
    if value.get("reverse"):
        kids.append(_leaf("reverse", True))
    return Node("nthChild", kids=tuple(kids))


def _plain(label: str, value: Any) -> Node:
    """A subtree of data that has no rule in it."""
    if isinstance(value, Mapping):
        return Node(label, kids=tuple(_plain(str(k), v) for k, v in sorted(value.items())))
    return _leaf(label, value)


def _constraints(value: Any) -> Node:
    return _keyed("constraints", "constraint", value, _rule)


def _utils(value: Any) -> Node:
    return _keyed("utils", "util", value, _rule)


def _transform(value: Any) -> Node:
    return _keyed("transform", "transform", value, _transformation)


def _keyed(label: str, kid: str, value: Any, build: Callable[[Any, str], Node]) -> Node:
    if not isinstance(value, Mapping):
        return _leaf(label, value)
    return Node(label, kids=tuple(build(v, f"{kid}:{k}") for k, v in sorted(value.items())))


def _transformation(value: Any, label: str) -> Node:
    if isinstance(value, str):
        return Node(label, kids=(_leaf("call", value),))
    return _plain(label, value)


def _rewriters(value: Any) -> Node:
    if not isinstance(value, list):
        return _leaf("rewriters", value)
    kids = [
        Node(f"rewriter:{item.get('id')}", kids=tuple(_fields(item)))
        for item in value
        if isinstance(item, Mapping)
    ]
    return Node("rewriters", kids=tuple(kids))


def _fix(value: Any) -> Node:
    if isinstance(value, list):
        value = value[0] if value else ""  # ast-grep uses the first
    if not isinstance(value, Mapping):
        return _leaf("fix", value)
    kids = [_expansion(key, value[key]) for key in ("expandStart", "expandEnd") if key in value]
    return _leaf("fix", value.get("template", ""), kids)


def _expansion(key: str, value: Any) -> Node:
    return _relation(key, value) if isinstance(value, Mapping) else _leaf(key, value)


_BUILDERS: Final[dict[str, Callable[[Any], Node]]] = {
    "rule": _rule,
    "constraints": _constraints,
    "utils": _utils,
    "transform": _transform,
    "rewriters": _rewriters,
    "fix": _fix,
}


# Ordering and renaming


def _sorted_raw(node: Node) -> Node:
    """Order what has no order, names as written; for the text of the raw view."""
    kids = tuple(_sorted_raw(kid) for kid in node.kids)
    if node.label == "any":
        kids = tuple(sorted(kids, key=Node.dump))
    return replace(node, kids=_free_first(kids, Node.dump))


def _free_first(kids: Sequence[Node], key: Callable[[Node], str]) -> tuple[Node, ...]:
    """Bring forward the atoms that bind nothing; among them order has no effect."""
    free = sorted((kid for kid in kids if not _binds(kid)), key=key)
    return (*free, *(kid for kid in kids if _binds(kid)))


def _binds(node: Node) -> bool:
    if node.label == "matches":
        return True  # the named rule may bind
    if node.label in _RENAMED and node.text is not None and _METAVAR.search(node.text):
        return True
    return any(_binds(kid) for kid in node.kids)


def _arranged(document: Node, *, keep_order: bool) -> Node:
    """The alpha view: the order and numbering that give the smallest text."""
    candidates = (_renumbered(order) for order in _orders(document, keep_order))
    return min(candidates, key=Node.dump)


def _orders(node: Node, keep_order: bool) -> list[Node]:
    """Every order of equal-looking children, within `MAX_ORDERS`."""
    if not node.kids:
        return [node]
    options = [_orders(kid, keep_order) for kid in node.kids]
    arrangements = _arrangements(node, keep_order)
    if len(arrangements) * math.prod(map(len, options)) > MAX_ORDERS:
        arrangements, options = arrangements[:1], [option[:1] for option in options]
    return [
        replace(node, kids=kids)
        for arrangement in arrangements
        for kids in itertools.product(*(options[i] for i in arrangement))
    ]


def _arrangements(node: Node, keep_order: bool) -> list[list[int]]:
    kids = node.kids
    if len(kids) == 1 or node.label in ("document", "constraints", "transform"):
        return [list(range(len(kids)))]
    looks = [_look(kid) for kid in kids]
    if keep_order and node.label != "any":
        free = sorted((i for i in range(len(kids)) if not _binds(kids[i])), key=looks.__getitem__)
        return [[*free, *(i for i in range(len(kids)) if _binds(kids[i]))]]
    order = sorted(range(len(kids)), key=looks.__getitem__)
    tied = [list(group) for _, group in itertools.groupby(order, key=looks.__getitem__)]
    if math.prod(math.factorial(len(group)) for group in tied) > MAX_ORDERS:
        return [order]
    permuted = itertools.product(*(itertools.permutations(group) for group in tied))
    return [[i for group in choice for i in group] for choice in permuted]


def _look(node: Node) -> str:
    """How a subtree looks when names do not count."""
    return _renumbered(node).dump()


def _renumbered(node: Node) -> Node:
    """Rename metavariables to V1, V2 … by first use, in the order of the tree."""
    names: dict[str, str] = {}

    def rename(name: str) -> str:
        return names.setdefault(name, f"V{len(names) + 1}")

    def walk(node: Node) -> Node:
        label, text = node.label, node.text
        if named := _NAMED.match(label):
            label = f"{named.group(1)}:{rename(named.group(2))}"
        if text is not None and label in _RENAMED:
            text = _METAVAR.sub(lambda m: m.group(1) + rename(m.group(2)), text)
        kids = [walk(kid) for kid in node.kids]
        if label in ("constraints", "transform"):
            kids.sort(key=lambda kid: kid.label)
        return Node(label, node.weight, text, tuple(kids))

    return walk(node)
