"""Whether a rule does on `pre` what the edit did, place by place.

Every replacement is looked up in the position map: it covers hunks (positive), leaves
as it is what the edit left as it is (harmless), or goes wrong (negative). The last
word on a mined rule is `engine.judge`, not this.
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
"""A rule that goes wrong in more places is not narrowed; no more of them are looked for."""


def effect(edit: Edit, candidate: Candidate) -> Effect | None:
    """What a candidate does to `edit.pre`, against the edit; `None` where ast-grep refuses the rule."""
    applied = ran(candidate.rule, edit.pre.language, edit.pre.text, edit.pre.root.sg)
    if applied is None:
        return None
    hunks: frozenset[int] = frozenset()
    positives: list[tuple[int, int]] = []
    negatives: list[tuple[int, int]] = []
    for node, change in applied.matches:
        place = span(node)
        became = edit.map_range(change.start, change.end)
        held = next(
            (m.hunks for m in became if is_same_text(change.text, edit.post.text[m.start : m.end])), None
        )
        if held is None:
            if edit.may_change(change.start, change.end):
                continue
            negatives.append(place)
            if len(negatives) > MAX_NEGATIVES:
                break
        elif held:
            hunks |= held
            positives.append(place)
    return Effect(hunks, tuple(positives), tuple(negatives), applied.text)


def matches_node(tree: Tree, candidate: Candidate, start: int, end: int) -> bool:
    """Whether a candidate matches the node that spans this range of a text."""
    rule = {key: candidate.rule[key] for key in ("rule", "constraints") if key in candidate.rule}
    found = tree.root.sg.find_all(cast(Config, rule))
    return any(span(node) == (start, end) for node in found)


def is_same_text(made: str, wanted: str) -> bool:
    """Equal, up to blank lines that the rewrite padded (the tidy step empties them)."""
    if made == wanted:
        return True
    if "\n" not in made or made.count("\n") != wanted.count("\n"):
        return False
    pairs = zip(made.split("\n"), wanted.split("\n"), strict=True)
    return all(a == b or (not b and not a.strip()) for a, b in pairs)


def nodes_of(tree: Tree, spans: tuple[tuple[int, int], ...], kind: str) -> list[Node]:
    """The matched nodes of ours, for their surroundings."""
    found: list[Node] = []
    for start, end in spans:
        here = tree.at(start, end)
        fit = [node for node in here if node.kind == kind] or here
        if fit:
            found.append(fit[-1])
    return found
