"""Lift one changed place to a pattern and a fix with metavariables.

The unchanged parts below an anchor become variables, top down; the fix is the text that the anchor
became, with the variables where these parts went. Invariant: filling the variables of `Lifted` with
what they stood for gives back the anchor's text and the text that it became.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from rulewright import grammars
from rulewright.difftext import dedent
from rulewright.mining import costs
from rulewright.mining.text.align import Edit, Mapped
from rulewright.mining.text.tree import OPENERS, Node, Tree

NAMES: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CLOSERS: Final = ")]}>"
VARIABLE_LIKE: Final = re.compile(r"\$[A-Z_$]")


@dataclass(frozen=True)
class Policy:
    """What may become a variable."""

    literal_names: bool = True
    """Callees, attributes, types, imported and constant names stay as they are."""
    leaves: bool = True
    """Whether single tokens may become variables at all."""
    lists: bool = True
    """Whether runs in lists become `$$$X`."""

    @property
    def cost(self) -> float:
        """Points that a rule of this policy costs more."""
        return (0.0 if self.literal_names else costs.ALL_NAMES_OPEN) + (
            0.0 if self.leaves else costs.NO_LEAVES
        )


GENERAL: Final = Policy()
MAXIMAL: Final = Policy(literal_names=False)
PLAIN: Final = Policy(lists=False)
TIGHT: Final = Policy(leaves=False)
POLICIES: Final = (GENERAL, PLAIN, MAXIMAL, TIGHT)


class Hole(NamedTuple):
    """A part of the anchor that a variable stands for."""

    start: int
    end: int
    name: str
    multi: bool
    moved: bool

    @property
    def ref(self) -> str:
        return ("$$$" if self.multi else "$") + self.name


@dataclass(frozen=True)
class Lifted:
    """Patterns of one or more neighboring anchors, and their common fix, as text."""

    anchors: tuple[Node, ...]
    patterns: tuple[str, ...]
    fix: str
    holes: tuple[Hole, ...]
    hunks: frozenset[int]

    @property
    def pattern(self) -> str:
        """The first anchor's, which is the only one unless this is a run of siblings."""
        return self.patterns[0]


def lift(
    edit: Edit,
    anchors: Sequence[Node],
    mapped: Mapped,
    policy: Policy,
    names: frozenset[str],
    forbidden: frozenset[int] = frozenset(),
    only: frozenset[int] | None = None,
) -> Lifted | None:
    """Lift one anchor, or neighboring ones that change together.

    Args:
        edit: the edit that the anchors belong to.
        anchors: a node of `edit.pre`, or siblings in a row; unchanged siblings become variables whole.
        mapped: what they became, from the start of the first to the end of the last.
        policy: what may become a variable.
        names: names that stay literal (imported ones).
        forbidden: indices of nodes that must not be variables.
        only: indices of the nodes that become variables, changed or not; overrides the policy.

    Returns:
        `None` where a fix cannot express the text: it holds `$UPPER`, or a line left of the anchor.
    """
    lifter = _Lifter(edit, mapped, policy, names, forbidden)
    spans: list[_Span] = []
    for anchor in anchors:
        if len(anchors) > 1 and anchor.named and not edit.touches(anchor.start, anchor.end):
            spans.append(_Span(anchor.start, anchor.end, False, False))
        else:
            spans += lifter.below(anchor) if only is None else lifter.chosen(anchor, only)
    is_import = grammars.IMPORT.search(anchors[0].kind)
    if only is None and not is_import and (hidden := lifter.hides_names(spans) - forbidden):
        return lift(edit, anchors, mapped, policy, names, forbidden | hidden)
    holes = _name_holes(edit.pre, spans, lifter.fresh)
    places = hole_places(edit, mapped, holes)
    taken = [(hole.start, hole.end, hole.ref) for hole in holes]
    if _looks_like_variable(edit.post.text, mapped.start, mapped.end, places):
        return None
    if any(_looks_like_variable(edit.pre.text, anchor.start, anchor.end, taken) for anchor in anchors):
        return None
    fix = _substitute(edit.post.text, mapped.start, mapped.end, places)
    # The indent is that of the node that the rule matches: a sign before it is reached by expansion.
    matched = next((anchor for anchor in anchors if anchor.named), anchors[0])
    indent = leading_spaces(edit.pre, matched.start)
    shifted = dedent(fix, indent)
    if shifted is None:
        return None
    patterns = [_substitute(edit.pre.text, a.start, a.end, taken) for a in anchors]
    straight = tuple(dedent(pattern, indent) or pattern for pattern in patterns)
    return Lifted(tuple(anchors), straight, shifted, tuple(holes), mapped.hunks)


def leading_spaces(tree: Tree, position: int) -> str:
    """The spaces (tabs do not count for ast-grep) that begin the line of a position."""
    indent = tree.line_indent(position)
    return indent[: len(indent) - len(indent.lstrip(" "))]


class _Span(NamedTuple):
    start: int
    end: int
    multi: bool
    moved: bool


def _is_plain_name(node: Node) -> bool:
    """Whether a node is the name of a value: not of a member, a type or what is called."""
    is_name = not node.children and grammars.NAME.search(node.kind) and node.kind not in grammars.MEMBER_NAMES
    return bool(is_name) and node.role() not in grammars.CALLEE_FIELDS and node.role() != "field"


def _lies_in(node: Node, outer: Node) -> bool:
    return outer.start <= node.start and node.end <= outer.end


class _Lifter:
    """Chooses the parts below an anchor that become variables."""

    def __init__(
        self, edit: Edit, mapped: Mapped, policy: Policy, names: frozenset[str], forbidden: frozenset[int]
    ) -> None:
        self.edit, self.policy, self.names, self.forbidden = edit, policy, names, forbidden
        self.tree = edit.pre
        self.fresh = edit.inserted_texts(mapped.hunks)
        self.hunks = [edit.hunks[i] for i in sorted(mapped.hunks)]
        self.brought = [edit.post.text[h.b0 : h.b1] for h in self.hunks]
        self.twice = edit.repeated_removals(mapped.hunks)
        new = [node for i in mapped.hunks for node in edit.inserted_nodes[i]]
        self.used = {edit.post.text_of(node) for node in new if _is_plain_name(node)}
        """The names of values that the new text uses."""

    def below(self, node: Node) -> Iterator[_Span]:
        """The parts below a node that the policy lets become variables."""
        listed = self.policy.lists and grammars.LIST.search(node.kind)
        moved_list = self._moved_list(node) if listed else None
        if moved_list is not None:
            yield moved_list
            return
        runs = self._runs(node) if listed else []
        skip_to = -1
        for child in node.children:
            if child.slot < skip_to:
                continue
            run = next((r for r in runs if r[0].slot == child.slot), None)
            if run is not None:
                skip_to = run[1].slot + 1
                yield _Span(run[0].start, run[1].end, self._stays_listed(*run), False)
            elif child.is_comment or not child.size:
                continue
            elif not self.edit.touches(child.start, child.end):
                if self._may_vary(child):
                    yield _Span(child.start, child.end, False, False)
                elif child.children:
                    yield from self.below(child)
            elif child.named and self._is_moved(child):
                yield _Span(child.start, child.end, False, True)
            elif child.children:
                yield from self.below(child)

    def hides_names(self, spans: Sequence[_Span]) -> frozenset[int]:
        """The nodes to be variables that hold a name which the new text uses and no variable stands for."""
        missing = self.used - {self.tree.text[s.start : s.end] for s in spans if not s.multi}
        hidden: set[int] = set()
        for span in (one for one in spans if not one.moved and missing):
            nodes = self.tree.siblings_spanning(span.start, span.end)
            above = nodes[0].parent if nodes else None
            if span.multi and (above is None or not grammars.ARGUMENTS.search(above.kind)):
                continue
            for node in nodes:
                names = {self.tree.text_of(leaf) for leaf in node.leaves() if _is_plain_name(leaf)}
                if names & missing:
                    hidden |= {one.index for one in self.tree.at(node.start, node.end)}
        return frozenset(hidden)

    def _moved_list(self, node: Node) -> _Span | None:
        """The items of a removed list, where the new text has them in a row again."""
        items = [child for child in node.children if child.named]
        if len(items) < 2 or any(item.is_comment for item in items):
            return None
        start, end = items[0].start, items[-1].end
        if not any(h.a0 <= start and end <= h.a1 for h in self.hunks):
            return None
        text = self.tree.text[start:end]
        if any(node.index in self.forbidden for node in items) or not any(text in b for b in self.brought):
            return None
        return _Span(start, end, True, True)

    def chosen(self, node: Node, only: frozenset[int]) -> Iterator[_Span]:
        """Exactly these nodes; neighbors in a list become one part."""
        run: list[Node] = []
        listed = grammars.LIST.search(node.kind) is not None
        for child in [*node.children, None]:
            separator = child is not None and not child.named and self.tree.text_of(child) == ","
            if child is not None and listed and (child.index in only or (run and separator)):
                run.append(child)
                continue
            while run and not run[-1].named:
                run.pop()
            if run:
                touched = self.edit.touches(run[0].start, run[-1].end)
                listed_again = touched or self._stays_listed(run[0], run[-1])
                yield _Span(run[0].start, run[-1].end, listed_again, touched)
                run = []
            if child is None:
                continue
            if child.index in only:
                yield _Span(child.start, child.end, False, self.edit.touches(child.start, child.end))
            elif child.children:
                yield from self.chosen(child, only)

    def _is_moved(self, node: Node) -> bool:
        """Whether a changed node may be a variable: the new text has it again, or it may be dropped."""
        text = self.tree.text_of(node)
        brackets = node.children and text[0] in OPENERS and text[-1] in CLOSERS
        # A value that is all of the new text says what the change is about: it stays literal.
        a_value = grammars.BRACKETED.search(node.kind) and text not in map(str.strip, self.brought)
        if node.index in self.forbidden or (brackets and not a_value):
            return False
        if "string" in node.kind and len(text) > 2 and any(text in new for new in self.brought):
            return self._may_vary(node)
        return (text in self.fresh or self._may_drop(node, text)) and self._may_vary(node)

    def _may_drop(self, node: Node, text: str) -> bool:
        """Whether a removed part may be any other one: a body, or a name that the removed code binds."""
        if not any(h.a0 <= node.start and node.end <= h.a1 for h in self.hunks):
            return False
        if grammars.BODY.search(node.kind):
            # If the body uses a name from its header, that use stays literal.
            heads = self._names_outside(node)
            return self._is_headed(node) and not any(self._is_bound(leaf, heads) for leaf in node.leaves())
        return self._is_bound(node, self.twice)

    def _is_headed(self, body: Node) -> bool:
        """Whether the removed code names something outside of bodies; in `else: pass` only the body does."""
        hunk = next(h for h in self.hunks if h.a0 <= body.start and body.end <= h.a1)
        inner = [n for n in self.tree.within(hunk.a0, hunk.a1) if grammars.BODY.search(n.kind)]
        names = (n for n in self.tree.within(hunk.a0, hunk.a1) if grammars.NAME.search(n.kind))
        return any(not any(_lies_in(name, body_node) for body_node in inner) for name in names)

    def _is_bound(self, node: Node, names: frozenset[str]) -> bool:
        """Whether a node is one of the names that the removed code uses twice or more."""
        return grammars.NAME.search(node.kind) is not None and self.tree.text_of(node) in names

    def _names_outside(self, body: Node) -> frozenset[str]:
        """The names, used twice or more, that stand outside a body and inside no other one."""
        found: set[str] = set()
        for hunk in self.hunks if self.twice else ():
            for node in self.tree.within(hunk.a0, hunk.a1):
                text = self.tree.text_of(node)
                if text in self.twice and text not in found and not _lies_in(node, body):
                    bodies = (up for up in node.ancestors() if grammars.BODY.search(up.kind))
                    if all(_lies_in(body, up) for up in bodies):
                        found.add(text)
        return frozenset(found)

    def _runs(self, node: Node) -> list[tuple[Node, Node]]:
        """First and last of runs of unchanged list items; separators and comments may lie between."""
        items = [c for c in node.children if c.named and not c.is_comment]
        runs: list[tuple[Node, Node]] = []
        current: list[Node] = []
        for child in [*node.children, None]:
            if (
                child is not None
                and child.index not in self.forbidden
                and not (_is_plain_name(child) and self.tree.text_of(child) in self.used)
                and not self.edit.touches(child.start, child.end)
                and (child.named or self.tree.text_of(child) in {",", ";", "\n"})
            ):
                if current or (child.named and not child.is_comment):
                    current.append(child)
                continue
            while current and (current[-1].is_comment or not current[-1].named):
                current.pop()
            n_named = sum(c.named and not c.is_comment for c in current)
            # The number of statements around a change does not matter, so a single one counts as a run.
            fewest = 1 if grammars.STATEMENTS.search(node.kind) or len(items) == 1 else 2
            if n_named >= fewest:
                runs.append((current[0], current[-1]))
            current = []
        return runs

    def _stays_listed(self, first: Node, last: Node) -> bool:
        """Whether unchanged items stand in a list in the new text too; others than one fit nowhere else."""
        if first.index != last.index:
            return True
        start = self.edit.position_after(first.start)
        there = self.edit.post.at(start, start + first.size)
        return any(node.parent is not None and grammars.LIST.search(node.parent.kind) for node in there)

    def _may_vary(self, node: Node) -> bool:
        """Whether a node may be a variable, by its kind, its text and the policy."""
        if not node.named or node.index in self.forbidden or node.kind == grammars.ERROR:
            return False
        if node.kind in grammars.SUFFIXES:
            return False
        text = self.tree.text_of(node)
        if grammars.MODIFIER.search(node.kind):
            return False
        listed = grammars.LIST.search(node.kind) and not grammars.BRACKETED.search(node.kind)
        if text[0] in OPENERS and node.children and listed:
            before = self.tree.text[node.start - 1 : node.start]
            if not before.isspace():
                return False
        if node.parent is not None and "string" in node.parent.kind:
            return False
        if not node.children and not self.policy.leaves:
            return False
        if node.children and text[0].isspace():  # it begins with a line end that the pattern needs
            return False
        return not (self.policy.literal_names and self._names_subject(node, text))

    def _names_subject(self, node: Node, text: str) -> bool:
        """Whether a node names what the code does, rather than a value that it works on."""
        if not grammars.NAME.search(node.kind):
            if text in grammars.CONSTANTS:
                return True
            callee = node.parent is not None and node.role() in grammars.CALLEE_FIELDS
            return callee or node.kind in grammars.FIXED_NAMES
        # A lower-case name that is an argument by itself is a value like others.
        handed = node.parent is not None and grammars.ARGUMENTS.search(node.parent.kind) is not None
        is_argument = handed and text[:1].islower()
        if text in grammars.CONSTANTS or (text in self.names and not is_argument):
            return True
        if node.parent is not None and grammars.CLASS.search(node.parent.kind) and node.field() == "name":
            return not _changes_bases_of(self.edit, node)
        if node.kind in grammars.MEMBER_NAMES:
            return True
        if text[:1].isupper() and not text.isupper():
            return True
        field = node.role()
        if field == "name":
            parent = node.parent.kind if node.parent else ""
            return "declarator" not in parent and "parameter" not in parent
        return field in grammars.NAME_FIELDS


def _changes_bases_of(edit: Edit, name: Node) -> bool:
    """Whether only the base classes of a class change: then its name does not matter."""
    parent = name.parent
    bases = (
        [c for c in parent.children if c.field() == "superclasses" or "heritage" in c.kind] if parent else []
    )
    return any(edit.touches(c.start, c.end) for c in bases) and not any(
        edit.touches(c.start, c.end) for c in name.siblings_after() if c not in bases
    )


def _name_holes(tree: Tree, spans: list[_Span], fresh: frozenset[str]) -> list[Hole]:
    """Name the variables: equal parts get one name, but not numbers and strings that may agree by chance."""
    names: dict[tuple[str, bool, int | None], str] = {}
    holes: list[Hole] = []
    for span in spans:
        text = tree.text[span.start : span.end]
        chance = (
            not span.moved
            and text not in fresh
            and any(grammars.VALUE.search(node.kind) for node in tree.at(span.start, span.end))
        )
        key = (text, span.multi, span.start if chance else None)
        if key not in names:
            serial = len(names)
            names[key] = NAMES[serial] if serial < 26 else f"V{serial}"
        holes.append(Hole(span.start, span.end, names[key], span.multi, span.moved))
    return holes


def hole_places(edit: Edit, mapped: Mapped, holes: Sequence[Hole]) -> list[tuple[int, int, str]]:
    """Where the variables stand in the new text: by mapped position, then by equal text."""
    places: list[tuple[int, int, str]] = []
    texts: dict[str, str] = {}
    for hole in holes:
        if not hole.multi:
            texts.setdefault(edit.pre.text[hole.start : hole.end], hole.ref)
        if not hole.moved:
            start = edit.position_after(hole.start)
            places.append((start, start + hole.end - hole.start, hole.ref))
    for i in sorted(mapped.hunks):
        rows = [row for hole in holes if hole.multi and hole.moved for row in _list_places(edit, i, hole)]
        places += rows
        taken = max((end for _, end, _ in rows), default=-1)
        for node in edit.inserted_nodes[i]:
            if node.start < taken or not node.named or node.is_comment or not node.size:
                continue
            text = edit.post.text_of(node)
            ref = texts.get(text)
            if ref is not None:
                places.append((node.start, node.end, ref))
                taken = node.end
            elif "string" in node.kind:
                suffix = next((t for t in texts if len(t) > 2 and t[-1] in "\"'`" and text.endswith(t)), None)
                if suffix is not None:
                    places.append((node.end - len(suffix), node.end, texts[suffix]))
                    taken = node.end
    return sorted(places)


def _list_places(edit: Edit, number: int, hole: Hole) -> Iterator[tuple[int, int, str]]:
    """Where the items of a list stand in a row in the new text of a hunk."""
    hunk, text = edit.hunks[number], edit.pre.text[hole.start : hole.end]
    start = edit.post.text.find(text, hunk.b0, hunk.b1)
    if start >= 0 and edit.post.siblings_spanning(start, start + len(text)):
        yield start, start + len(text), hole.ref


def _substitute(text: str, start: int, end: int, places: list[tuple[int, int, str]]) -> str:
    """A range of a text with the variables at their places; overlapping places are left out."""
    parts: list[str] = []
    at = start
    for s, e, ref in sorted(places):
        if s < at or e > end:
            continue
        parts += [text[at:s], ref]
        at = e
    parts.append(text[at:end])
    return "".join(parts)


def _looks_like_variable(text: str, start: int, end: int, places: list[tuple[int, int, str]]) -> bool:
    """Whether ast-grep would take literal text of a template for a variable."""
    bare = _substitute(text, start, end, [(s, e, "\0") for s, e, _ in places])
    if VARIABLE_LIKE.search(bare):
        return True
    whole = _substitute(text, start, end, [(s, e, f"{ref}\0") for s, e, ref in places])
    return re.search(r"\$[A-Z_][A-Z0-9_]*\0[A-Z0-9_]", whole) is not None or "$\0" in bare
