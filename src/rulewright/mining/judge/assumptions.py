"""Add to a rule what its fix silently assumes of the places that it was learned from.

Parentheses that a fix adds depend on what is inside or around them, a prefix before a variable needs a
string, a declared name is not every use of the word. Such assumptions become demands of the rule; they
exclude no place where the rule was right.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import Any, Final

from rulewright import grammars
from rulewright.actions import visit
from rulewright.actions.visit import regex_escape
from rulewright.engine.kinds import names as names_of
from rulewright.mining.judge.confidence import is_bare_value
from rulewright.mining.judge.refine import (
    Option,
    follow,
    hole_parts,
    named_ancestor,
    path_to,
    with_options,
)
from rulewright.mining.judge.soundness import matches_node, nodes_of
from rulewright.mining.propose.candidate import Candidate, Effect
from rulewright.mining.rules.reading import fix_around, old_text
from rulewright.mining.text.align import Edit, Mapped
from rulewright.mining.text.lift import Hole, hole_places
from rulewright.mining.text.snippets import of_kinds, selector_rule
from rulewright.mining.text.tree import OPENERS, Node

MAX_KINDS: Final = 3

_FORMAT: Final = re.compile(r"(?<!\w)[fF][rR]?[\"']")
_FORMATTED: Final = re.compile(r"\{\$([A-Z])(?=[!:}])")
_QUOTES: Final = re.compile(r"[\"'\\\n]")
"""What an expression in an f-string must not have, before Python 3.12."""
_PARENTHESES: Final = "parenthesized_expression"
_GLUED: Final = re.compile(r"(?<![\w$])[A-Za-z_]\w*\$([A-Z])(?![A-Z0-9_])")
_SPELLED: Final = re.compile(r"[\"'`][^\"'`\s${]*\$([A-Z])(?![A-Z0-9_])")
"""A variable that becomes text of a string: right for a number, wrong for the name of one."""
_LINK: Final = re.compile(r"(\$[A-Z])(?:\.|\?\.|&\.|->|\?->)\w+(?:\([^()]*\))?$")
_LINKED: Final = re.compile(r"\$([A-Z])\.(\w+)(?=\.)")
_FIRST_ITEM: Final = r"^[(\[{]\s*[^\s)\]}]"
_LAST_ITEM: Final = r"[^\s(\[{,]\s*[)\]}]$"
_GOES_LAST: Final = re.compile(r"^(\*|\.\.\.|&|\w+\s*[:=][^:=>])")
"""An argument after which none without a name may stand."""
_PAREN: Final = re.compile(r"(?<![\w\])$])\(\$([A-Z])\)")


def with_assumptions(edit: Edit, candidate: Candidate, done: Effect) -> Candidate | None:
    """The rule with its assumptions as demands, at the same cost; `None` if it has none."""
    good = nodes_of(edit.pre, done.positives, candidate.kind)
    if not good or len(good) < len(done.positives) or not isinstance(candidate.rule["fix"], str):
        return None
    options = [
        *_variables(edit, candidate, good),
        *_parent_kind(candidate, good),
        *_top_level(edit, candidate),
        *_not_wrapped_already(edit, candidate),
        *_enclosing_name(edit, candidate, good),
        *_safe_unparenthesized(edit, candidate, good),
        *_next_link(candidate, good),
        *_not_assigned(edit, candidate, good),
        *_in_list(edit, candidate, good),
        *_room_in_lists(edit, candidate, good),
    ]
    options = [o for o in options if all(o.holds(node) for node in good)]
    apart = [option.rule for option in options if option.place == "not"]
    if len(apart) > 1:
        options = [o for o in options if o.place != "not"]
        options.append(Option("not", {"any": apart}, 0.0, _always))
    return with_options(candidate, options).priced_as(candidate) if options else None


def takes_lines_after(candidate: Candidate) -> bool:
    """Whether a deletion also removes the line ends before the next node."""
    others = (node for node in candidate.anchor.siblings_after() if node.size)
    after = next(others, None) if "precedes" in candidate.rule["rule"] else None
    return after is not None and "\n" in candidate.anchor.tree.text[candidate.anchor.end : after.start]


def only_first_sibling(edit: Edit, candidate: Candidate, done: Effect) -> Candidate | None:
    """The rule held to the first of siblings; `None` if it matched another one."""
    good = nodes_of(edit.pre, done.positives, candidate.kind)
    if not good or any(before.named for node in good for before in node.siblings_before()):
        return None
    return with_options(candidate, [Option("nthChild", {"position": 1}, 0.0, _always)])


def _variables(edit: Edit, candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """Kinds of the variables that the fix puts into parentheses, after a prefix, into quotes or an f-string.

    A receiver that is a literal at several places is one: what its members are depends on what it is. Where
    the fix adds a link after a variable, the variable must not end with that link already.
    """
    fix = candidate.rule["fix"]
    old = str(candidate.rule["rule"].get("pattern", ""))
    wanted: set[str] = set()
    for sign in (_GLUED, _PAREN, _SPELLED):
        wanted |= set(sign.findall(fix)) - set(sign.findall(old))
    have = candidate.rule.get("constraints", {})
    for name in sorted(wanted - set(have)):
        parts = hole_parts(good, candidate, name)
        kinds = sorted({part.kind for part in parts})
        if 0 < len(kinds) <= MAX_KINDS:
            yield Option(f"constraints.{name}", of_kinds(kinds), 0.0, _always)
    formatted = set(_FORMATTED.findall(fix)) if _FORMAT.search(fix) and not _FORMAT.search(old) else set()
    for name in sorted(formatted - wanted - set(have)):
        texts = [part.sg.text() for part in hole_parts(good, candidate, name)]
        if texts and not any(map(_QUOTES.search, texts)):
            yield Option(f"constraints.{name}", {"not": {"regex": _QUOTES.pattern}}, 0.0, _always)
    for name in sorted({hole.name for hole in _receivers(edit, candidate)} - wanted - formatted - set(have)):
        parts = hole_parts(good, candidate, name)
        kinds = sorted({part.kind for part in parts})
        several = len({part.sg.text() for part in parts}) > 1
        if several and len(kinds) <= MAX_KINDS and all(map(grammars.VALUE.search, kinds)):
            wanted.add(name)
            yield Option(f"constraints.{name}", of_kinds(kinds), 0.0, _always)
    linked = {
        name: link for name, link in _LINKED.findall(fix) if f"${name}." in old and f".{link}" not in old
    }
    for name in sorted(set(linked) - wanted - formatted - set(have)):
        yield Option(f"constraints.{name}", {"not": {"regex": rf"\.{linked[name]}$"}}, 0.0, _always)
    yield from _operands(edit, candidate, good, wanted | formatted | set(have) | set(linked))


def _receivers(edit: Edit, candidate: Candidate) -> Iterator[Hole]:
    """The variables of which a member is taken."""
    for hole in candidate.lifted.holes if candidate.lifted is not None else ():
        nodes = [] if hole.multi else edit.pre.at(hole.start, hole.end)
        if any(node.field() in ("object", "receiver") or _is_owner(node) for node in nodes):
            yield hole


def _is_owner(node: Node) -> bool:
    return node.parent is not None and node.parent.kind in grammars.MEMBERS and node.slot == 0


def _operands(edit: Edit, candidate: Candidate, good: list[Node], known: set[str]) -> Iterator[Option]:
    """Exclude what binds loosely for variables that move to where it would need parentheses.

    If the body of a lambda moves out of it, exclude blocks and what stands in parentheses, as objects do.
    """
    lifted = candidate.lifted
    mapped = _mapped(edit, candidate)
    if lifted is None or mapped is None:
        return
    made = [(ref, edit.post.at(start, end)) for start, end, ref in hole_places(edit, mapped, lifted.holes)]
    there = set(names_of(edit.pre.language).kinds)
    for name in sorted({hole.name for hole in lifted.holes if not hole.multi} - known):
        old_nodes = [edit.pre.at(h.start, h.end)[0] for h in lifted.holes if h.name == name and not h.multi]
        new_nodes = [nodes[0] for ref, nodes in made if ref == f"${name}" and nodes]
        tight = max(map(_tightness, new_nodes), default=0)
        was, seen = max(map(_tightness, old_nodes)), {part.kind for part in hole_parts(good, candidate, name)}
        types = any(_is_type(node.parent.kind) for node in new_nodes if node.parent is not None)
        apart: list[str] = []
        if any(map(_is_body, old_nodes)) and not any(map(_is_body, new_nodes)):
            apart += grammars.BLOCKS if tight else (_PARENTHESES, *grammars.BLOCKS)
        if tight > was and not any(_is_declared(node) for node in old_nodes):
            apart += [kind for level in grammars.LOOSE[:tight] for kind in level if _is_type(kind) == types]
        if all(map(_is_argument, old_nodes)) and (apart or _leaves_arguments(old_nodes, new_nodes)):
            of_type = any("type" in node.parent.kind for node in old_nodes if node.parent is not None)
            apart += grammars.TYPE_SPREADS if of_type else grammars.SPREADS
        apart = [kind for kind in apart if kind in there - seen]
        wrong: list[dict[str, Any]] = [{"kind": ", ".join(apart)}] if apart else []
        if seen & (grammars.TYPE_WRAPPERS | grammars.WRAPPED_ARGUMENTS):
            named = [{"regex": _GOES_LAST.pattern}] if set(grammars.SPREADS) & set(apart) else []
            wrong = [*[{"has": one} for one in wrong], *named]
        if wrong:
            demand = {"any": wrong} if len(wrong) > 1 else wrong[0]
            yield Option(f"constraints.{name}", {"not": demand}, 0.0, _always)


def _is_argument(node: Node) -> bool:
    return node.parent is not None and grammars.ARGUMENTS.search(node.parent.kind) is not None


def _leaves_arguments(old_nodes: list[Node], new_nodes: list[Node]) -> bool:
    """Whether an argument stands among arguments no more, or gets others after it that it was not before."""
    if not all(_is_argument(node) or _is_declared(node) for node in new_nodes):
        return True
    before, after = (
        {one.sg.text() for node in nodes if _is_argument(node) for one in node.siblings_after() if one.named}
        for nodes in (old_nodes, new_nodes)
    )
    return not after <= before


def _safe_unparenthesized(edit: Edit, candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """Exclude parents in which the new code would need parentheses that the old code did not need."""
    mapped = _mapped(edit, candidate)
    became = edit.post.at(*mapped[:2]) if mapped is not None else []
    # Of nodes with one range, as of a list of one expression, that expression.
    made = min(became, key=lambda node: _looseness(node.kind), default=None)
    if made is None:
        return
    was, now = _looseness(candidate.kind), _looseness(made.kind)
    types = _is_type(made.kind)
    is_operand = was < len(grammars.LOOSE) or _is_link(candidate.kind) or types
    are_operations = {made.kind, candidate.kind} <= grammars.OPERATIONS
    is_looser = now < was or (are_operations and _least(made) < _least(candidate.anchor))
    if not is_operand or not is_looser:
        return
    tighter = {kind for level in grammars.LOOSE[now + 1 : was] for kind in level} - {"update_expression"}
    # A prefix operator needs no parentheses after another one.
    tighter -= grammars.PREFIXES if now >= _looseness("unary_expression") else frozenset()
    there = names_of(edit.pre.language).kinds
    owners = [
        kind
        for kind in there
        if kind in grammars.OWNERS | grammars.SUFFIXED_TYPES or grammars.CALL.search(kind)
    ]
    seen = {node.parent.kind for node in good if node.parent is not None}
    kinds = {kind for kind in there if kind in tighter} | {*(owners if was == len(grammars.LOOSE) else ())}
    kinds = {kind for kind in kinds if _is_type(kind) == types}
    if kinds - seen:
        yield Option("not", {"inside": {"kind": ", ".join(sorted(kinds - seen))}}, 0.0, _always)
    if now in grammars.LEVELS_OF_OPERATIONS and not types:
        yield from _safe_among_operators(made, now, there)


def _safe_among_operators(made: Node, level: int, there: Container[str]) -> Iterator[Option]:
    """Exclude operations of the level of the new code, except under an operator that holds less tightly."""
    looser = {one for one, (_, most) in grammars.OPERATORS.items() if most < _least(made)}
    looser |= grammars.ASSOCIATIVE & {_operator(made)}
    tighter = grammars.OPERATORS.keys() - looser
    for kind in (kind for kind in grammars.LOOSE[level] if kind in there and not _is_type(kind)):
        several = kind in grammars.OPERATIONS
        around: dict[str, Any] = {"kind": kind}
        if several and len(looser) < len(tighter):
            around |= {"not": _with_sign(looser)} if looser else {}
        elif several:
            around |= _with_sign(tighter)
        own = looser if several else frozenset[str]()
        yield Option("not", {"inside": around}, 0.0, partial(_is_apart, kind=kind, looser=own))


def _with_sign(signs: Iterable[str]) -> dict[str, Any]:
    """The matcher for an operation with one of these operators."""
    return {"has": {"regex": f"^({'|'.join(map(regex_escape, sorted(signs)))})$"}}


def _is_apart(node: Node, kind: str, looser: Container[str]) -> bool:
    """Whether a node is no operand of an operation of this kind, but for looser operators."""
    up = node.parent
    return up is None or up.kind != kind or _operator(up) in looser


def _least(operation: Node) -> int:
    """How tightly an operation holds at the least."""
    return grammars.OPERATORS.get(_operator(operation), (0, 0))[0]


def _operator(node: Node) -> str:
    """The operator of an operation."""
    return next((node.tree.text_of(child) for child in node.children if not child.named), "")


def _not_assigned(edit: Edit, candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """Exclude assignments to a member that becomes something else than a member."""
    mapped = _mapped(edit, candidate)
    made = edit.post.at(*mapped[:2]) if mapped is not None else []
    if candidate.kind not in grammars.OWNERS or any(node.kind == candidate.kind for node in made):
        return
    there = set(names_of(edit.pre.language).kinds)
    if kinds := sorted(grammars.ASSIGNMENTS & there):
        assigned = {"kind": ", ".join(kinds), "field": "left"}
        yield Option("not", {"inside": assigned}, 0.0, lambda node: not _is_assigned(node))


def _is_assigned(node: Node) -> bool:
    return node.parent is not None and node.parent.kind in grammars.ASSIGNMENTS and node.field() == "left"


def _in_list(edit: Edit, candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """The kind of the list where one item becomes several, or none."""
    mapped = _mapped(edit, candidate)
    parents = {node.parent.kind for node in good if node.parent is not None}
    stays = fix_around(old_text(candidate.rule), candidate.rule["fix"], "") is not None
    if "inside" in candidate.rule["rule"] or stays or mapped is None or len(parents) != 1:
        return
    [kind] = parents
    is_item = grammars.ARGUMENTS.search(kind) or grammars.BRACKETED.search(kind)
    if is_item and not edit.post.at(*mapped[:2]):
        yield Option("inside", {"kind": kind}, 0.0, _always)


def _room_in_lists(edit: Edit, candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """Exclude lists in which the item that the fix puts beside all others would have no place.

    An empty list, one that ends with a comma, and one with items that must come last (`*a`, `key=a`).
    """
    fix, old = candidate.rule["fix"], old_text(candidate.rule)
    for hole in candidate.lifted.holes if candidate.lifted is not None else ():
        name = re.escape(hole.ref)
        after, before = (
            re.search(sign, fix) if hole.multi and not re.search(sign, old) else None
            for sign in (rf"{name}\s*,\s*", rf",\s*{name}(?!\w)")
        )
        around = (node for node in edit.pre.covering(hole.start, hole.end) if _is_around(node, hole))
        the_list = next(around, None)
        path = path_to(candidate.anchor, the_list) if the_list is not None else None
        if not (after or before) or the_list is None or path is None:
            continue
        lists = [one for node in good if (one := follow(node, path)) is not None]
        wrong: list[dict[str, Any]] = [{"not": {"regex": _LAST_ITEM if after else _FIRST_ITEM}}]
        if after and grammars.ARGUMENTS.search(the_list.kind):
            seen = {item.kind for one in lists for item in one.children}
            there = set(names_of(edit.pre.language).kinds) - seen
            plain, named = grammars.LAST_ITEMS["argument" in the_list.kind]
            is_named = _GOES_LAST.match(fix[after.end() :]) is not None
            if last := [kind for kind in (named if is_named else plain) if kind in there]:
                wrong.append({"has": {"kind": ", ".join(last)}})
            if not is_named and (wrapped := sorted(seen & grammars.WRAPPED_ARGUMENTS)):
                wrong.append({"has": {**of_kinds(wrapped), "regex": _GOES_LAST.pattern}})
        demand: dict[str, Any] = {"any": wrong} if len(wrong) > 1 else wrong[0]
        for number in range(len(path), 0, -1):
            node = follow(candidate.anchor, path[:number])
            demand = {"has": {"kind": node.kind, **demand}} if node is not None else demand
        yield Option("not", demand, 0.0, _always)


def _is_around(node: Node, hole: Hole) -> bool:
    """Whether a node is a list between brackets that holds the items of a variable."""
    return node.start < hole.start and hole.end < node.end and node.sg.text()[0] in OPENERS


def _is_link(kind: str) -> bool:
    """Whether a kind is a call, a member or an element of something."""
    return kind in grammars.OWNERS | grammars.INDEXED or grammars.CALL.search(kind) is not None


def _is_type(kind: str) -> bool:
    return grammars.TYPE.search(kind) is not None


def _looseness(kind: str) -> int:
    """The level of a kind in `grammars.LOOSE`; the number of levels for what never needs parentheses."""
    return next((n for n, level in enumerate(grammars.LOOSE) if kind in level), len(grammars.LOOSE))


def _next_link(candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """The next link where one link of a chain is removed (`$A.toList().size()`): it makes that right."""
    link = _LINK.match(old_text(candidate.rule).strip())
    if link is None or link[1] != candidate.rule["fix"] or not grammars.CALL.search(candidate.kind):
        return
    users = [node.parent for node in good if node.parent is not None]
    if "inside" in candidate.rule["rule"] or len({(user.kind, _member(user)) for user in users}) != 1:
        return
    if not _is_link(users[0].kind):
        return
    field = good[0].field()
    user: dict[str, Any] = {"kind": users[0].kind} | ({"field": field} if field else {})
    if name := _member(users[0]):
        user["has"] = {"field": name[0], "regex": f"^{regex_escape(name[1])}$"}
    yield Option("inside", user, 0.0, _always)


def _member(node: Node) -> tuple[str, str] | None:
    """Field and name of the member that a node reads or calls; `None` if it does neither."""
    named = (child for child in node.children if child.field() in grammars.MEMBER_FIELDS)
    found = next(named, None)
    return (found.field(), found.tree.text_of(found)) if found is not None else None


def _mapped(edit: Edit, candidate: Candidate) -> Mapped | None:
    """The range that the anchor of a candidate became."""
    became = edit.map_range(candidate.anchor.start, candidate.anchor.end)
    return next((mapped for mapped in became if mapped.hunks == candidate.hunks), None)


def _is_body(node: Node) -> bool:
    """Whether an expression is the body of a lambda, where an object needs parentheses."""
    parent = node.parent
    return parent is not None and parent.kind in grammars.LOOSE[0] and node.field() == "body"


def _is_declared(node: Node) -> bool:
    """Whether a node is a name that the code declares here, so that it cannot be an expression."""
    above, field = node.parent.kind if node.parent is not None else "", node.field()
    return "parameter" in above or (
        field in grammars.DECLARED_FIELDS and (field != "left" or "assign" in above)
    )


def _tightness(node: Node) -> int:
    """How many levels of `grammars.LOOSE` would need parentheses in the place of a node."""
    parent = node.parent
    if parent is None:
        return 0
    links = grammars.MEMBERS | grammars.INDEXED | grammars.SUFFIXED_TYPES
    of_something = parent.kind in links or grammars.CALL.search(parent.kind)
    if of_something and node.slot == 0:
        return len(grammars.LOOSE)
    level = next((n for n, level in enumerate(grammars.LOOSE) if parent.kind in level), 0)
    # A type of several takes more of them.
    return level + (not _is_type(parent.kind)) if level else 0


def _not_wrapped_already(edit: Edit, candidate: Candidate) -> Iterator[Option]:
    """Exclude matches inside what the fix puts around them: the change was made there already."""
    old, anchor = old_text(candidate.rule), candidate.anchor
    around = fix_around(old, candidate.rule["fix"], "$_") if old else None
    mapped = _mapped(edit, candidate)
    start = edit.post.text.find(edit.pre.text_of(anchor), *mapped[:2]) if mapped is not None else -1
    if around is None or mapped is None or start < 0:
        return
    there = edit.post.at(start, start + anchor.size)
    inner = next((node for node in there if node.kind == anchor.kind), None)
    if inner is None or not matches_node(edit.post, candidate, inner.start, inner.end):
        return
    path = [inner]
    for up in inner.ancestors():
        if up.size > path[-1].size and mapped.start <= up.start and up.end <= mapped.end:
            path.append(up)
    *between, outer = path[1:] or [inner]
    if outer is inner or (outer.start, outer.end) != mapped[:2] or outer.kind in grammars.ROOTS:
        return
    pattern = visit.VARIABLE.sub(lambda found: "$$$" if found.group().startswith("$$$") else "$_", around)
    relation = selector_rule(pattern, outer.kind, edit.pre.language) or {"kind": outer.kind}
    for node in reversed(between):
        relation = {"kind": node.kind, "inside": relation}
    yield Option("not", {"inside": relation}, 0.0, _always)


def _parent_kind(candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """The kind of the parent where the fix adds parentheses around everything, or where a name has a role."""
    matcher, fix = candidate.rule["rule"], candidate.rule["fix"].strip()
    if "inside" in matcher:
        return
    parents = {node.parent.kind for node in good if node.parent is not None}
    if len(parents) != 1 or any(n.parent is None or n.parent.parent is None for n in good):
        return
    kind = next(iter(parents))
    if _is_parenthesized(fix) and not _is_parenthesized(old_text(candidate.rule).strip() or "()"):
        yield Option("inside", {"kind": kind}, 0.0, _always)
        return
    # Whether the kind does not tell the name from other names.
    told = "identifier" in candidate.kind and "regex" not in matcher
    if candidate.is_token and (candidate.kind == "identifier" or told):
        fields = {node.field() for node in good}
        if len(fields) == 1 and fields <= grammars.ROLE_FIELDS and "import" not in kind:
            yield Option("inside", {"kind": kind, "field": next(iter(fields))}, 0.0, _always)


def _top_level(edit: Edit, candidate: Candidate) -> Iterator[Option]:
    """The top level, where the fix makes a statement that may stand nowhere else."""
    language, mapped = edit.pre.language, _mapped(edit, candidate)
    only = grammars.TOP_LEVEL_ONLY.get(language, frozenset())
    if mapped is None or candidate.kind in only or "inside" in candidate.rule["rule"]:
        return
    if any(node.kind in only for node in edit.post.at(*mapped[:2])):
        yield Option("inside", {"kind": grammars.ROOT[language]}, 0.0, _always)


def _enclosing_name(edit: Edit, candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """The name of what holds a bare value that changes, or that gets another one beside it in a list."""
    if "inside" in candidate.rule["rule"] or candidate.shape != "lexical":
        return
    old, new = old_text(candidate.rule), candidate.rule["fix"]
    # The same number in another notation is specific by itself.
    same_number = bool(re.search(r"\d", old)) and re.findall(r"\d", old) == re.findall(r"\d", new)
    is_value = is_bare_value(candidate.rule) and not same_number
    # A value that gets another one beside it, in a list that other code may have too.
    addition = fix_around(old, new, "") if grammars.VALUE.search(candidate.kind) else None
    brings_item = addition is not None and "," in (addition.strip()[:1], addition.strip()[-1:])
    if is_value or brings_item:
        for up in good[0].ancestors():
            named = next((o for o in named_ancestor(edit.pre, good, up) if all(map(o.holds, good))), None)
            if named is not None:
                yield replace(named, rule=_without_owner(named.rule), cost=0.0)
                return


def _without_owner(named: dict[str, Any]) -> dict[str, Any]:
    """A demand for a call by its name, on any receiver."""
    regex = named["has"]["regex"]
    name = re.search(r"\w+(?=\$$)", regex)
    if named["has"]["field"] != "function" or name is None or regex == f"^{name[0]}$":
        return named
    return {**named, "has": {**named["has"], "regex": rf"\b{name[0]}$"}}


def _is_parenthesized(text: str) -> bool:
    """Whether one pair of parentheses encloses the whole text.

    >>> _is_parenthesized("($A in $B)"), _is_parenthesized("(f)(x)"), _is_parenthesized("f(x)")
    (True, False, False)
    """
    depths = accumulate((sign == "(") - (sign == ")") for sign in text)
    closed = next((place for place, depth in enumerate(depths) if not depth), -1)
    return text.startswith("(") and closed == len(text) - 1


def _always(_: Node) -> bool:
    return True
