"""Whether a rule changes the old text as the edit did, place by place.

Every replacement is looked up in the position map: it makes hunks (positive), changes nothing that the
edit did not (harmless), or is wrong (negative). Whether a mined rule is right is decided by
`engine.judge`, not here.
"""

from __future__ import annotations

from typing import Final, cast

from ast_grep_py import Config

from rulewright.engine.applier import ran
from rulewright.engine.parsing import span
from rulewright.mining.propose.candidate import Candidate, Effect
from rulewright.mining.text.align import Edit
from rulewright.mining.text.tree import Node, Tree

MAX_NEGATIVES: Final = 60
"""A rule with more wrong places is not narrowed, so no more of them are counted."""


def effect(edit: Edit, candidate: Candidate) -> Effect | None:
    """What a candidate does to `edit.pre`, compared with the edit; `None` if ast-grep refuses the rule."""
    applied = ran(candidate.rule, edit.pre.language, edit.pre.text, edit.pre.root.sg)
    if applied is None:
        return None
    hunks: frozenset[int] = frozenset()
    positives: list[tuple[int, int]] = []
    negatives: list[tuple[int, int]] = []
    for change in applied.edits:
        assert change.node is not None
        place = span(change.node)
        became = edit.map_range(change.start, change.end)
        made = next(
            (m.hunks for m in became if is_same_text(change.text, edit.post.text[m.start : m.end])), None
        )
        if made is None:
            if edit.may_change(change.start, change.end):
                continue
            negatives.append(place)
            if len(negatives) > MAX_NEGATIVES:
                break
        elif made:
            hunks |= made
            positives.append(place)
    return Effect(hunks, tuple(positives), tuple(negatives), applied.text)


def matches_node(tree: Tree, candidate: Candidate, start: int, end: int) -> bool:
    """Whether a candidate matches the node with this range of a text."""
    rule = {key: candidate.rule[key] for key in ("rule", "constraints") if key in candidate.rule}
    found = tree.root.sg.find_all(cast(Config, rule))
    return any(span(node) == (start, end) for node in found)


def is_same_text(made: str, wanted: str) -> bool:
    """Whether texts are equal, except for spaces in blank lines (the tidy step removes them)."""
    if made == wanted:
        return True
    if "\n" not in made or made.count("\n") != wanted.count("\n"):
        return False
    pairs = zip(made.split("\n"), wanted.split("\n"), strict=True)
    return all(a == b or (not b and not a.strip()) for a, b in pairs)


def nodes_of(tree: Tree, spans: tuple[tuple[int, int], ...], kind: str) -> list[Node]:
    """The nodes of a tree at the spans of matches, of the matched kind where there is one."""
    found: list[Node] = []
    for start, end in spans:
        here = tree.at(start, end)
        fit = [node for node in here if node.kind == kind] or here
        if fit:
            found.append(fit[-1])
    return found
