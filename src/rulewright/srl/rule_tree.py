"""The normal form of an action as a weighted tree, and as one line of text.

Two views exist of each: with the names of metavariables as written, and *alpha*, with
the names renumbered by first use, so that a consistent renaming does not show. Where
order has no effect, alpha's order is the one that gives the smallest text, so that names
do not decide it. Weights and rules: docs/reference/rewards.md; the normal form: `actions.canonical`.

Not here: whether ast-grep takes the rule, and what it does to code.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from rulewright.actions.action import Action
from rulewright.actions.canonical import normal_form
from rulewright.actions.visit import RELATIONS, Numbering, binds
from rulewright.languages import normalize_language

MAX_ORDERS: Final = 120
"""Orders of interchangeable atoms tried for the smallest text; beyond, the order given stands."""

INNER_WEIGHT: Final = 0.5
_WEIGHTS: Final = {"pattern": 4.0, "fix": 4.0, "regex": 3.0, "kind": 2.0}
_FUZZY: Final = frozenset({"pattern", "fix", "regex"})
_FIELDS: Final = ("rule", "constraints", "utils", "transform", "rewriters", "fix")
_RENAMED: Final = frozenset({"pattern", "fix", "source", "call"})
_NAMED: Final = re.compile(r"(constraint|transform):([A-Z][A-Z0-9_]*)$")


@dataclass(frozen=True, slots=True)
class RuleNode:
    """A labeled node with its own weight, perhaps a text, and children."""

    label: str
    weight: float = INNER_WEIGHT
    text: str | None = None
    kids: tuple[RuleNode, ...] = ()
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

    raw: tuple[RuleNode, ...]
    alpha: tuple[RuleNode, ...]
    raw_text: str
    alpha_text: str


def views(action: Action) -> Views:
    """Give the comparable views of an action; cached, so a teacher's costs nothing twice."""
    return _views(action.language, action.rules_json())


@lru_cache(maxsize=8192)
def _views(language: str, rules_json: str) -> Views:
    action = Action(normalize_language(language), tuple(json.loads(rules_json)))
    documents = tuple(
        RuleNode("document", kids=(_leaf("language", document["language"]), *_fields(document)))
        for document in normal_form(action)
    )
    in_order = tuple(_arranged(document, keep_order=True) for document in documents)
    as_sets = tuple(_arranged(document, keep_order=False) for document in documents)
    raw_order = tuple(_sorted_raw(document) for document in documents)
    return Views(
        raw=documents,
        alpha=as_sets,
        raw_text="\n".join(document.dump() for document in raw_order),
        alpha_text="\n".join(document.dump() for document in in_order),
    )


# Building, from the normal form


def _leaf(label: str, value: Any, kids: Iterable[RuleNode] = ()) -> RuleNode:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return RuleNode(label, _WEIGHTS.get(label, 1.0), text, tuple(kids))


def _fields(rule: Mapping[str, Any]) -> list[RuleNode]:
    return [_BUILDERS[name](rule[name]) for name in _FIELDS if rule.get(name) is not None]


def _rule(value: Any, label: str = "rule") -> RuleNode:
    return RuleNode(label, kids=tuple(_atoms(value)))


def _atoms(value: Any) -> list[RuleNode]:
    """The atoms of a rule: one `{key: value}`, or `{"all": [atom, …]}`."""
    if not isinstance(value, Mapping):
        return [_leaf("rule", value)]
    if set(value) == {"all"} and isinstance(value["all"], list):
        return [atom for item in value["all"] for atom in _atoms(item)]
    return [_atom(key, inner) for key, inner in value.items()]


def _atom(key: str, value: Any) -> RuleNode:
    if key == "any" and isinstance(value, list):
        return RuleNode("any", kids=tuple(_rule(item, "case") for item in value))
    if key == "not":
        return _rule(value, "not")
    if key in RELATIONS and isinstance(value, Mapping):
        return _relation(key, value)
    if key == "pattern" and isinstance(value, Mapping):
        return _leaf("pattern", value.get("context", ""), _parts(value, without="context"))
    if key == "nthChild":
        position = [_leaf("position", value.get("position"))]
        rule = [_rule(value["ofRule"], "ofRule")] if "ofRule" in value else []
        return RuleNode(
            "nthChild", kids=(*position, *rule, *(_parts(value, without="position", and_="ofRule")))
        )
    return _plain(key, value)


def _parts(value: Mapping[str, Any], without: str, and_: str = "") -> list[RuleNode]:
    return [_leaf(key, inner) for key, inner in sorted(value.items()) if key not in (without, and_)]


def _relation(key: str, value: Mapping[str, Any]) -> RuleNode:
    kids = _atoms(value.get("rule"))
    if (stop := value.get("stopBy")) is not None:
        kids.append(_rule(stop, "stopBy") if isinstance(stop, Mapping) else _leaf("stopBy", stop))
    if "field" in value:
        kids.append(_leaf("field", value["field"]))
    return RuleNode(key, kids=tuple(kids))


def _plain(label: str, value: Any) -> RuleNode:
    """A subtree of data that has no rule in it."""
    if isinstance(value, Mapping):
        return RuleNode(label, kids=tuple(_plain(str(k), v) for k, v in sorted(value.items())))
    return _leaf(label, value)


def _keyed(label: str, kid: str, build: Callable[[Any, str], RuleNode]) -> Callable[[Any], RuleNode]:
    def make(value: Any) -> RuleNode:
        return RuleNode(label, kids=tuple(build(v, f"{kid}:{k}") for k, v in value.items()))

    return make


def _rewriters(value: Any) -> RuleNode:
    if not isinstance(value, list):
        return _leaf("rewriters", value)
    kids = [
        RuleNode(f"rewriter:{item.get('id')}", kids=tuple(_fields(item)))
        if isinstance(item, Mapping)
        else _leaf("rewriter", item)
        for item in value
    ]
    return RuleNode("rewriters", kids=tuple(kids))


def _fix(value: Any) -> RuleNode:
    if not isinstance(value, Mapping):
        return _leaf("fix", value)
    kids = [
        _relation(key, value[key]) if isinstance(value[key], Mapping) else _leaf(key, value[key])
        for key in ("expandStart", "expandEnd")
        if key in value
    ]
    return _leaf("fix", value.get("template") or "", kids)


_BUILDERS: Final[dict[str, Callable[[Any], RuleNode]]] = {
    "rule": _rule,
    "constraints": _keyed("constraints", "constraint", _rule),
    "utils": _keyed("utils", "util", _rule),
    "transform": _keyed("transform", "transform", lambda value, label: _plain(label, value)),
    "rewriters": _rewriters,
    "fix": _fix,
}


# Ordering and renaming


def _sorted_raw(node: RuleNode) -> RuleNode:
    """Order what has no order, names as written; for the text of the raw view."""
    kids = tuple(_sorted_raw(kid) for kid in node.kids)
    if node.label == "any":
        kids = tuple(sorted(kids, key=RuleNode.dump))
    # Atoms that bind nothing come first; among them order has no effect.
    free = sorted((kid for kid in kids if not _binds(kid)), key=RuleNode.dump)
    return replace(node, kids=(*free, *(kid for kid in kids if _binds(kid))))


def _binds(node: RuleNode) -> bool:
    if node.label == "matches":
        return True  # the named rule may bind
    if node.label in _RENAMED and node.text is not None and binds(node.text):
        return True
    return any(_binds(kid) for kid in node.kids)


def _arranged(document: RuleNode, *, keep_order: bool) -> RuleNode:
    """The alpha view: the order and numbering that give the smallest text."""
    candidates = (_renumbered(order) for order in _orders(document, keep_order))
    return min(candidates, key=RuleNode.dump)


def _orders(node: RuleNode, keep_order: bool) -> list[RuleNode]:
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


def _arrangements(node: RuleNode, keep_order: bool) -> list[list[int]]:
    kids = node.kids
    if len(kids) == 1 or node.label in ("document", "constraints", "transform"):
        return [list(range(len(kids)))]
    looks = [_renumbered(kid).dump() for kid in kids]  # names do not count
    if keep_order and node.label != "any":
        free = sorted((i for i in range(len(kids)) if not _binds(kids[i])), key=looks.__getitem__)
        return [[*free, *(i for i in range(len(kids)) if _binds(kids[i]))]]
    order = sorted(range(len(kids)), key=looks.__getitem__)
    tied = [list(group) for _, group in itertools.groupby(order, key=looks.__getitem__)]
    if math.prod(math.factorial(len(group)) for group in tied) > MAX_ORDERS:
        return [order]
    permuted = itertools.product(*(itertools.permutations(group) for group in tied))
    return [[i for group in choice for i in group] for choice in permuted]


def _renumbered(node: RuleNode) -> RuleNode:
    """Rename metavariables to V1, V2 … by first use, in the order of the tree."""
    numbering = Numbering()

    def walk(node: RuleNode) -> RuleNode:
        label, text = node.label, node.text
        if named := _NAMED.match(label):
            label = f"{named.group(1)}:{numbering.name(named.group(2))}"
        if text is not None and label in _RENAMED:
            text = numbering.text(text)
        kids = [walk(kid) for kid in node.kids]
        if label in ("constraints", "transform"):
            kids.sort(key=lambda kid: kid.label)
        return RuleNode(label, node.weight, text, tuple(kids))

    return walk(node)
