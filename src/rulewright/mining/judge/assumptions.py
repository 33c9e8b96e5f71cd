"""What a rule silently takes for granted of the places that it was learned from.

Parentheses that a fix adds answer to what stands inside or around them, a prefix glued
to a variable wants a string, a name that is declared is not every use of the word. Such
roles are added to a rule as constraints; they exclude no place that the rule did right.
Nothing is judged here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Any, Final

from rulewright import grammars
from rulewright.actions import visit
from rulewright.actions.visit import regex_escape
from rulewright.engine.kinds import names as names_of
from rulewright.mining.judge.confidence import is_bare_value
from rulewright.mining.judge.refine import Option, hole_parts, named_ancestor, with_options
from rulewright.mining.judge.soundness import matches_node, nodes_of
from rulewright.mining.propose.candidate import Candidate, Effect
from rulewright.mining.rules.reading import fix_around, old_text
from rulewright.mining.text.align import Edit, Mapped
from rulewright.mining.text.lift import hole_places
from rulewright.mining.text.snippets import of_kinds, selector_rule
from rulewright.mining.text.tree import Node

MAX_KINDS: Final = 3

_FORMAT: Final = re.compile(r"(?<!\w)[fF][rR]?[\"']")
_FORMATTED: Final = re.compile(r"\{\$([A-Z])(?=[!:}])")
_QUOTES: Final = re.compile(r"[\"'\\\n]")
"""What an expression within an f-string may not have, before Python 3.12."""
_PARENTHESES: Final = "parenthesized_expression"
_GLUED: Final = re.compile(r"(?<![\w$])[A-Za-z_]\w*\$([A-Z])(?![A-Z0-9_])")
_SPELLED: Final = re.compile(r"[\"'`][^\"'`\s${]*\$([A-Z])(?![A-Z0-9_])")
"""What becomes the text of a string: of a number that is right, of the name of a number not."""
_LINK: Final = re.compile(r"(\$[A-Z])(?:\.|\?\.|&\.|->|\?->)\w+(?:\([^()]*\))?$")
_LINKED: Final = re.compile(r"\$([A-Z])\.(\w+)(?=\.)")
_PAREN: Final = re.compile(r"(?<![\w\])$])\(\$([A-Z])\)")


def with_assumptions(edit: Edit, candidate: Candidate, done: Effect) -> Candidate | None:
    """The same rule, with the roles that it relies on spelled out; `None` if there are none."""
    good = nodes_of(edit.pre, done.positives, candidate.kind)
    if not good or len(good) < len(done.positives) or not isinstance(candidate.rule["fix"], str):
        return None
    options = [
        *_variables(edit, candidate, good),
        *_parent_kind(candidate, good),
        *_not_wrapped_already(edit, candidate),
        *_enclosing_name(edit, candidate, good),
        *_safe_unparenthesized(edit, candidate, good),
        *_next_link(candidate, good),
        *_not_assigned(edit, candidate, good),
        *_in_list(edit, candidate, good),
    ]
    options = [o for o in options if all(o.holds(node) for node in good)]
    apart = [option.rule for option in options if option.place == "not"]
    if len(apart) > 1:
        options = [o for o in options if o.place != "not"]
        options.append(Option("not", {"any": apart}, 0.0, _always))
    return with_options(candidate, options).priced_as(candidate) if options else None


def takes_lines_after(candidate: Candidate) -> bool:
    """Whether a deletion takes along the line ends between what goes and what follows."""
    others = (node for node in candidate.anchor.siblings_after() if node.size)
    after = next(others, None) if "precedes" in candidate.rule["rule"] else None
    return after is not None and "\n" in candidate.anchor.tree.text[candidate.anchor.end : after.start]


def only_first_sibling(edit: Edit, candidate: Candidate, done: Effect) -> Candidate | None:
    """A rule asked to match the first of its siblings only; `None` where it matched another."""
    good = nodes_of(edit.pre, done.positives, candidate.kind)
    if not good or any(before.named for node in good for before in node.siblings_before()):
        return None
    return with_options(candidate, [Option("nthChild", {"position": 1}, 0.0, _always)])


def _variables(edit: Edit, candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """Kinds of the variables that the fix puts into parentheses, behind a prefix, into quotes or an f-string.

    None that ends with the link that the fix puts behind it: there it stands already.
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
    linked = {
        name: link for name, link in _LINKED.findall(fix) if f"${name}." in old and f".{link}" not in old
    }
    for name in sorted(set(linked) - wanted - formatted - set(have)):
        yield Option(f"constraints.{name}", {"not": {"regex": rf"\.{linked[name]}$"}}, 0.0, _always)
    yield from _operands(edit, candidate, good, wanted | formatted | set(have) | set(linked))


def _operands(edit: Edit, candidate: Candidate, good: list[Node], known: set[str]) -> Iterator[Option]:
    """No loose expressions for the variables that move to where these would need parentheses.

    Where all that a lambda gives moves out of it: no block, nor what is in parentheses as objects are.
    """
    lifted = candidate.lifted
    mapped = _mapped(edit, candidate)
    if lifted is None or mapped is None or "type" in candidate.kind:
        return
    made = [(ref, edit.post.at(start, end)) for start, end, ref in hole_places(edit, mapped, lifted.holes)]
    there = set(names_of(edit.pre.language).kinds)
    for name in sorted({hole.name for hole in lifted.holes if not hole.multi} - known):
        held = [edit.pre.at(h.start, h.end)[0] for h in lifted.holes if h.name == name and not h.multi]
        came = [nodes[0] for ref, nodes in made if ref == f"${name}" and nodes]
        tight = max(map(_tightness, came), default=0)
        was, seen = max(map(_tightness, held)), {part.kind for part in hole_parts(good, candidate, name)}
        apart: list[str] = []
        if any(map(_is_body, held)) and not any(map(_is_body, came)):
            apart += grammars.BLOCKS if tight else (_PARENTHESES, *grammars.BLOCKS)
        if tight > was and not any(_is_declared(node) for node in held):
            apart += [kind for level in grammars.LOOSE[:tight] for kind in level]
        if apart := [kind for kind in apart if kind in there - seen]:
            yield Option(f"constraints.{name}", {"not": {"kind": ", ".join(apart)}}, 0.0, _always)


def _safe_unparenthesized(edit: Edit, candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """Not where what a match becomes would need parentheses that the match itself does without."""
    mapped = _mapped(edit, candidate)
    made = edit.post.at(*mapped[:2]) if mapped is not None else []
    was, now = (_looseness(kind) for kind in (candidate.kind, made[0].kind if made else ""))
    is_operand = was < len(grammars.LOOSE) or _is_link(candidate.kind)
    if now >= was or not is_operand:
        return
    tighter = {kind for level in grammars.LOOSE[now + 1 : was] for kind in level} - {"update_expression"}
    # A prefix stands before another one as it is.
    tighter -= grammars.PREFIXES if now >= _looseness("unary_expression") else frozenset()
    there = names_of(edit.pre.language).kinds
    owners = [kind for kind in there if kind in grammars.OWNERS or grammars.CALL.search(kind)]
    seen = {node.parent.kind for node in good if node.parent is not None}
    kinds = {kind for kind in there if kind in tighter} | {*(owners if was == len(grammars.LOOSE) else ())}
    if kinds - seen:
        yield Option("not", {"inside": {"kind": ", ".join(sorted(kinds - seen))}}, 0.0, _always)


def _not_assigned(edit: Edit, candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """Not where a member is assigned to that is read here, and becomes something else than a member."""
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
    """The list, where one item becomes several others."""
    mapped = _mapped(edit, candidate)
    parents = {node.parent.kind for node in good if node.parent is not None}
    stays = fix_around(old_text(candidate.rule), candidate.rule["fix"], "") is not None
    if "inside" in candidate.rule["rule"] or stays or mapped is None or len(parents) != 1:
        return
    [kind] = parents
    is_item = grammars.ARGUMENTS.search(kind) or grammars.BRACKETED.search(kind)
    if is_item and not edit.post.at(*mapped[:2]):
        yield Option("inside", {"kind": kind}, 0.0, _always)


def _is_link(kind: str) -> bool:
    """Whether a kind is a call, a member or an element of something."""
    return kind in grammars.OWNERS | grammars.INDEXED or grammars.CALL.search(kind) is not None


def _looseness(kind: str) -> int:
    """The level of `grammars.LOOSE` that a kind is of; their number for what holds together by itself."""
    return next((n for n, level in enumerate(grammars.LOOSE) if kind in level), len(grammars.LOOSE))


def _next_link(candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """The next link, where one of a chain goes (`$A.toList().size()` to `$A.size()`): that is why it can."""
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
    """The field and the name of the member that a node takes or calls; `None` where it does neither."""
    named = (child for child in node.children if child.field() in grammars.MEMBER_FIELDS)
    found = next(named, None)
    return (found.field(), found.tree.text_of(found)) if found is not None else None


def _mapped(edit: Edit, candidate: Candidate) -> Mapped | None:
    """What a candidate's anchor became."""
    became = edit.map_range(candidate.anchor.start, candidate.anchor.end)
    return next((mapped for mapped in became if mapped.hunks == candidate.hunks), None)


def _is_body(node: Node) -> bool:
    """Whether an expression is all that a lambda gives, where an object stands in parentheses."""
    parent = node.parent
    return parent is not None and parent.kind in grammars.LOOSE[0] and node.field() == "body"


def _is_declared(node: Node) -> bool:
    """Whether a node is a name that the code binds here, so that no expression stands for it."""
    above, field = node.parent.kind if node.parent is not None else "", node.field()
    return "parameter" in above or (
        field in grammars.DECLARED_FIELDS and (field != "left" or "assign" in above)
    )


def _tightness(node: Node) -> int:
    """How many levels of `grammars.LOOSE` need parentheses where a node stands."""
    parent = node.parent
    if parent is None:
        return 0
    of_something = parent.kind in grammars.MEMBERS | grammars.INDEXED or grammars.CALL.search(parent.kind)
    if of_something and node.slot == 0:
        return len(grammars.LOOSE)
    level = next((n for n, level in enumerate(grammars.LOOSE) if parent.kind in level), 0)
    return level + 1 if level else 0


def _not_wrapped_already(edit: Edit, candidate: Candidate) -> Iterator[Option]:
    """Not within what the fix puts around a match: there it was done already."""
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
    held = [inner]
    for up in inner.ancestors():
        if up.size > held[-1].size and mapped.start <= up.start and up.end <= mapped.end:
            held.append(up)
    *between, outer = held[1:] or [inner]
    if outer is inner or (outer.start, outer.end) != mapped[:2] or outer.kind in grammars.ROOTS:
        return
    pattern = visit.VARIABLE.sub(lambda found: "$$$" if found.group().startswith("$$$") else "$_", around)
    relation = selector_rule(pattern, outer.kind, edit.pre.language) or {"kind": outer.kind}
    for node in reversed(between):
        relation = {"kind": node.kind, "inside": relation}
    yield Option("not", {"inside": relation}, 0.0, _always)


def _parent_kind(candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """The parent's kind where the fix adds parentheses around all, or where a name plays a role."""
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
    # A name that its kind does not tell from other names.
    told = "identifier" in candidate.kind and "regex" not in matcher
    if candidate.is_token and (candidate.kind == "identifier" or told):
        fields = {node.field() for node in good}
        if len(fields) == 1 and fields <= grammars.ROLE_FIELDS and "import" not in kind:
            yield Option("inside", {"kind": kind, "field": next(iter(fields))}, 0.0, _always)


def _enclosing_name(edit: Edit, candidate: Candidate, good: list[Node]) -> Iterator[Option]:
    """The name of what holds a value: alone it says nothing of why it changes, or what comes beside it."""
    if "inside" in candidate.rule["rule"] or candidate.shape != "lexical":
        return
    old, new = old_text(candidate.rule), candidate.rule["fix"]
    # A number that stays what it is, written in another way, says enough by itself.
    same_number = bool(re.search(r"\d", old)) and re.findall(r"\d", old) == re.findall(r"\d", new)
    is_value = is_bare_value(candidate.rule) and not same_number
    # A value that stays and gets another one beside it, in a list that others may have too.
    beside = fix_around(old, new, "") if grammars.VALUE.search(candidate.kind) else None
    brings_item = beside is not None and "," in (beside.strip()[:1], beside.strip()[-1:])
    if is_value or brings_item:
        for up in good[0].ancestors():
            named = next((o for o in named_ancestor(edit.pre, good, up) if all(map(o.holds, good))), None)
            if named is not None:
                yield replace(named, rule=_without_owner(named.rule), cost=0.0)
                return


def _without_owner(named: dict[str, Any]) -> dict[str, Any]:
    """A demand for the name of a call, whatever it is called on."""
    regex = named["has"]["regex"]
    name = re.search(r"\w+(?=\$$)", regex)
    if named["has"]["field"] != "function" or name is None or regex == f"^{name[0]}$":
        return named
    return {**named, "has": {**named["has"], "regex": rf"\b{name[0]}$"}}


def _is_parenthesized(text: str) -> bool:
    """Whether one pair of parentheses holds the whole text.

    >>> _wrapped("($A in $B)"), _wrapped("(f)(x)"), _wrapped("f(x)")
    (True, False, False)
    """
    depths = accumulate((sign == "(") - (sign == ")") for sign in text)
    closed = next((place for place, depth in enumerate(depths) if not depth), -1)
    return text.startswith("(") and closed == len(text) - 1


def _always(_: Node) -> bool:
    return True
