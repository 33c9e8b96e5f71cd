"""Narrow a rule that also changes places that the edit did not change.

Options come from what the right places have in common (a variable's kind or text, the parent, an
enclosing name, neighbors); each has a cost and excludes some of the wrong places.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rulewright import grammars
from rulewright.actions.visit import regex_escape
from rulewright.mining import costs
from rulewright.mining.judge.soundness import MAX_NEGATIVES, nodes_of
from rulewright.mining.propose.candidate import Candidate, Effect
from rulewright.mining.text.align import Edit
from rulewright.mining.text.lift import Hole
from rulewright.mining.text.snippets import of_kinds
from rulewright.mining.text.tree import Node, Tree


@dataclass(frozen=True)
class Option:
    """One more demand of a rule: its text, its cost, and which nodes meet it."""

    place: str
    """`constraints.X`, or the key of the matcher that it adds (`inside`, `follows`, …)."""
    rule: dict[str, Any]
    cost: float
    holds: Callable[[Node], bool]


def refinements(edit: Edit, candidate: Candidate, done: Effect) -> Iterator[Candidate]:
    """Narrower versions of a candidate, cheapest first."""
    if len(done.negatives) > MAX_NEGATIVES:
        return
    tree = edit.pre
    good = nodes_of(tree, done.positives, candidate.kind)
    bad = nodes_of(tree, done.negatives, candidate.kind)
    if not good or not bad:
        return
    options = [*_variables(tree, good, candidate), *_around(tree, good, good[0]), *_neighbors(tree, good[0])]
    options = [o for o in options if all(o.holds(n) for n in good)]
    scored = [(o, frozenset(i for i, n in enumerate(bad) if not o.holds(n))) for o in options]
    scored = sorted((s for s in scored if s[1]), key=lambda s: (s[0].cost, s[0].place, str(s[0].rule)))
    tried = 0
    for option, excluded in scored:
        if len(excluded) == len(bad):
            yield with_options(candidate, [option])
            tried += 1
            if tried >= 3:
                break
    chosen: list[Option] = []
    left = frozenset(range(len(bad)))
    while left:
        rest = [(o, e & left) for o, e in scored if e & left and all(o.place != c.place for c in chosen)]
        if not rest:
            return
        option, excluded = max(rest, key=lambda s: (len(s[1]) / s[0].cost, s[0].place))
        chosen.append(option)
        left -= excluded
    if len(chosen) > 1:
        yield with_options(candidate, chosen)


def with_options(candidate: Candidate, options: list[Option]) -> Candidate:
    """The candidate with more demands, at their cost."""
    rule = dict(candidate.rule)
    matcher = dict(rule["rule"])
    for option in options:
        if option.place.startswith("constraints."):
            name = option.place.split(".", 1)[1]
            rule["constraints"] = {**rule.get("constraints", {}), name: option.rule}
        elif option.place in matcher:
            matcher = {"all": [matcher, {option.place: option.rule}]}
        else:
            matcher[option.place] = option.rule
    rule["rule"] = matcher
    order = ("rule", "constraints", "transform", "fix")
    extra = candidate.extra_cost + sum(o.cost for o in options)
    return replace(candidate, rule={k: rule[k] for k in order if k in rule}, extra_cost=extra)


def _variables(tree: Tree, good: list[Node], candidate: Candidate) -> Iterator[Option]:
    """Options for the kind or text of a variable."""
    for hole, path, parts in _holes(good, candidate):
        place, reached = f"constraints.{hole.name}", partial(follow, path=path)
        kinds = sorted({p.kind for p in parts})
        if len(kinds) <= 2:
            yield Option(place, of_kinds(kinds), costs.VARIABLE_KIND, _of_kind(reached, kinds))
        texts = sorted({tree.text_of(p) for p in parts})
        if len(texts) <= 4 and all(len(t) <= 40 and "\n" not in t for t in texts):
            either = "|".join(map(regex_escape, texts))
            regex = f"^({either})$" if len(texts) > 1 else f"^{either}$"
            cost = costs.VARIABLE_TEXT + costs.PER_CHAR * sum(map(len, texts))
            yield Option(place, {"regex": regex}, cost, _of_text(reached, texts, tree))


def hole_parts(good: list[Node], candidate: Candidate, name: str) -> list[Node]:
    """The nodes that a variable stands for at the places; empty where they cannot be found."""
    return next((parts for hole, _, parts in _holes(good, candidate) if hole.name == name), [])


def _holes(good: list[Node], candidate: Candidate) -> Iterator[tuple[Hole, tuple[int, ...], list[Node]]]:
    """A candidate's single-node variables, with their path below the anchor and their nodes at the places."""
    lifted = candidate.lifted
    if lifted is None:
        return
    anchor = candidate.anchor
    for hole in lifted.holes:
        if hole.multi or not anchor.start <= hole.start <= hole.end <= anchor.end:
            continue
        node = next((n for n in anchor.tree.at(hole.start, hole.end)), None)
        path = path_to(anchor, node) if node is not None else None
        if node is None or path is None:
            continue
        parts = [part for n in good if (part := follow(n, path)) is not None]
        if len(parts) == len(good):
            yield hole, path, parts


def _of_kind(reached: Callable[[Node], Node | None], kinds: Collection[str]) -> Callable[[Node], bool]:
    """A test whether what `reached` gives for a node has one of the kinds."""
    return lambda node: (part := reached(node)) is not None and part.kind in kinds


def _of_text(
    reached: Callable[[Node], Node | None], texts: Collection[str], tree: Tree
) -> Callable[[Node], bool]:
    """A test whether what `reached` gives for a node has one of the texts."""
    return lambda node: (part := reached(node)) is not None and tree.text_of(part) in texts


def path_to(top: Node, node: Node) -> tuple[int, ...] | None:
    """The child indices from one node down to another; `None` if that is not below it."""
    steps: list[int] = []
    current: Node | None = node
    while current is not None and current is not top:
        steps.append(current.slot)
        current = current.parent
    return tuple(reversed(steps)) if current is top else None


def follow(node: Node, path: tuple[int, ...]) -> Node | None:
    """The node below another one by child indices; `None` if it is not there."""
    for slot in path:
        if slot >= len(node.children):
            return None
        node = node.children[slot]
    return node


def _around(tree: Tree, good: list[Node], first: Node) -> Iterator[Option]:
    """Options for the parent and the ancestors."""
    if first.parent is not None and first.parent.parent is not None:
        kind, field = first.parent.kind, first.field()
        is_alike = _of_kind(lambda node: node.parent, {kind})
        yield Option("inside", {"kind": kind}, costs.PARENT_KIND, is_alike)
        if field:
            yield Option(
                "inside", {"kind": kind, "field": field}, costs.PARENT_FIELD,
                lambda node: is_alike(node) and node.field() == field,
            )  # fmt: skip
    for up in first.ancestors():
        if up.parent is None:
            break
        around = {"kind": up.kind, "stopBy": "end"}
        yield Option("inside", around, costs.ANCESTOR_KIND, _ancestor_test(up.kind))
        yield from named_ancestor(tree, good, up)
    here = {a.kind for n in good for a in n.ancestors()}
    for kind in grammars.APART:
        if kind not in here:
            rule = {"inside": {"kind": kind, "stopBy": "end"}}
            yield Option("not", rule, costs.NOT_INSIDE, _ancestor_test(kind, wanted=False))


def _ancestor_test(kind: str, wanted: bool = True) -> Callable[[Node], bool]:
    return lambda node: any(a.kind == kind for a in node.ancestors()) == wanted


def named_ancestor(tree: Tree, good: list[Node], up: Node) -> Iterator[Option]:
    """Options for an ancestor by its name: a function, class, call or pair."""
    for field in ("name", "function", "key", "left"):
        name_node = next((c for c in up.children if c.named and c.size <= 60 and c.field() == field), None)
        if name_node is None or any(name_node.start <= n.start and n.end <= name_node.end for n in good[:1]):
            continue
        text = tree.text_of(name_node)
        if "\n" in text:
            continue
        regex = f"^{regex_escape(text)}$"

        def holds(node: Node, kind: str = up.kind, field: str = field, text: str = text) -> bool:
            return any(
                a.kind == kind and any(c.field() == field and tree.text_of(c) == text for c in a.children)
                for a in node.ancestors()
            )

        rule = {"kind": up.kind, "has": {"field": field, "regex": regex}, "stopBy": "end"}
        yield Option("inside", rule, costs.ANCESTOR_NAME + costs.PER_CHAR * len(text), holds)


def _neighbors(tree: Tree, first: Node) -> Iterator[Option]:
    """Options for the sibling before and after."""
    for key in ("follows", "precedes"):
        near = partial(_beside, key=key)
        beside = near(first)
        if beside is None:
            continue
        kind, text = ({"kind": beside.kind} if beside.named else {}), tree.text_of(beside)
        if kind:
            yield Option(key, kind, costs.NEIGHBOR_KIND_ASKED, _of_kind(near, {beside.kind}))
        if len(text) <= 80 and "\n" not in text:
            rule = {"regex": f"^{regex_escape(text)}$"} | kind
            cost = costs.NEIGHBOR_TEXT + costs.PER_CHAR * len(text)
            yield Option(key, rule, cost, _of_text(near, {text}, tree))


def _beside(node: Node, key: str) -> Node | None:
    return next(iter(node.siblings_before() if key == "follows" else node.siblings_after()), None)
