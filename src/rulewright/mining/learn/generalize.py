"""Generalize several edits that share a change into rules that fit as many of them as possible.

Candidates come from every example and from pairs of examples (what two anchors share stays, what
differs becomes a variable); each is tried on every example. Invariant: a rule with support n reproduces
n of the examples, wholly or in part, and changes none of the others wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, permutations
from typing import Any, Final, Literal

from rulewright import engine, grammars
from rulewright.actions.action import Action
from rulewright.difftext import common_ends
from rulewright.languages import Language
from rulewright.mining import costs
from rulewright.mining.judge import assumptions
from rulewright.mining.judge.confidence import CLAIM_BITS, is_reckless
from rulewright.mining.judge.soundness import effect
from rulewright.mining.learn.grading import local_names
from rulewright.mining.learn.mine import EVALUATIONS_PER_SECOND, why_refused
from rulewright.mining.learn.pool import CandidatePool, SoundCandidate, rank
from rulewright.mining.learn.search import MAX_RULES, Budget, fill, imported_names, with_assumptions
from rulewright.mining.propose import proposals
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.propose.smaller_rewrites import smaller_rewrites
from rulewright.mining.text.align import Edit, variants
from rulewright.mining.text.lift import MAXIMAL, lift
from rulewright.mining.text.snippets import is_wrapped, selector_rule
from rulewright.mining.text.tree import Node, Tree

Fate = Literal["exact", "partial", "silent", "wrong"]

_GOOD_FATES: Final[tuple[Fate, ...]] = ("exact", "partial", "silent")
KEPT_PER_EXAMPLE: Final = 12
MAX_EXAMPLES: Final = 24
MAX_PAIRS: Final = 80
MAX_ALONE: Final = 6
MAX_AROUND: Final = 4
"""Changes that have rules of their own, and nodes around each, that are compared with other places."""


@dataclass(frozen=True)
class Example:
    """One edit of a group."""

    pre: str
    post: str
    language: Language
    id: str = ""


class PreparedExample:
    """An example with the sound candidates of each of its edit variants."""

    def __init__(self, example: Example, budget_s: float = 2.0) -> None:
        self.example = example
        self.pools: list[CandidatePool] = []
        if not why_refused(example.pre, example.post, example.language):
            pre, post = Tree(example.pre, example.language), Tree(example.post, example.language)
            work = Budget(budget_s * EVALUATIONS_PER_SECOND, per_call=pre.work)
            for edit in variants(pre, post):
                if edit.is_workable:
                    self.pools.append(fill(edit, work))

    @cached_property
    def best(self) -> list[Candidate]:
        """The general candidates that cover most hunks, each also in forms that rewrite less."""
        found: dict[str, tuple[SoundCandidate, Edit]] = {}
        for pool in self.pools:
            for one in filter(None, (_as_shown(pool.edit, one) for one in pool.sound)):
                found.setdefault(one.candidate.key, (one, pool.edit))
        general = [(one, edit) for one, edit in found.values() if one.candidate.generalizes]
        best = sorted(general, key=lambda pair: (-len(pair[0].hunks), rank(pair[0])))[:KEPT_PER_EXAMPLE]
        best = [(with_assumptions(edit, one), edit) for one, edit in best]
        sparing = [other for one, edit in best for other in smaller_rewrites(edit, one.candidate)]
        return [one.candidate for one, _ in best] + sparing

    def fate(self, candidate: Candidate) -> Fate:
        """What a rule does to this example."""
        fates: list[Fate] = []
        for pool in self.pools:
            done = effect(pool.edit, candidate)
            if done is None or not (done.hunks or done.negatives):
                fates.append("silent")
            elif done.negatives:
                fates.append("wrong")
            else:
                fates.append("exact" if len(done.hunks) == len(pool.edit.hunks) else "partial")
        for word in _GOOD_FATES:
            if word in fates:
                return word
        return "wrong" if fates else "silent"


def _as_shown(edit: Edit, found: SoundCandidate) -> SoundCandidate | None:
    """A candidate held to what its one example shows; `None` if it is right there by accident.

    A name is matched in its role: the same word may be another name in the next example. A deletion may
    remove the gap after it only where nothing stands before it.
    """
    candidate = found.candidate
    if candidate.is_token:
        return with_assumptions(edit, found)
    if candidate.shape != "delete" or not assumptions.takes_lines_after(candidate):
        return found
    first = assumptions.only_first_sibling(edit, candidate, found.effect)
    return SoundCandidate(first, found.effect) if first is not None else None


@dataclass(frozen=True)
class General:
    """A rule for a group of edits, with the examples that it reproduces."""

    candidate: Candidate
    exact: tuple[int, ...]
    """Examples that it reproduces, by their place in the group."""
    partial: tuple[int, ...]

    @property
    def support(self) -> int:
        return len(self.exact) + len(self.partial)

    @property
    def claims(self) -> bool:
        """Whether it claims to hold beyond its examples: two agree on it, and it is specific enough."""
        is_specific = self.candidate.bits >= CLAIM_BITS
        return is_specific and self.support >= 2 and not self.reckless

    @cached_property
    def reckless(self) -> bool:
        """Whether it is likely wrong elsewhere even if two examples agree on it."""
        return is_reckless(self.candidate.rule) or bool(local_names(self.candidate)[1])

    @property
    def suffices(self) -> bool:
        """Whether it makes the whole change of at least two examples, and a part of none."""
        return self.claims and not self.partial

    @property
    def rank(self) -> tuple[float, ...]:
        evidence = len(self.exact) + 0.5 * len(self.partial)
        return (-evidence, self.candidate.cost)

    def action(self, language: Language) -> Action:
        return Action(language, (self.candidate.rule,), mode="rule")


def mine_many(examples: Sequence[Example]) -> list[General]:
    """Generalize edits that share a change.

    Args:
        examples: of one language; at most `MAX_EXAMPLES` are used.

    Returns:
        Rules that no example contradicts, those with most support first. An example that no shared
        rule covers has its own rule, if one was found.
    """
    return generalize([PreparedExample(example) for example in examples[:MAX_EXAMPLES]])


def generalize(group: Sequence[PreparedExample]) -> list[General]:
    """`mine_many` for prepared examples."""
    candidates: dict[str, Candidate] = {}
    pairs = islice(permutations(group, 2), MAX_PAIRS)
    common = (one for left, right in pairs for one in anti_unify(left.pools, right.pools))
    for candidate in (*(candidate for one in group for candidate in one.best), *common):
        known = candidates.setdefault(candidate.key, candidate)
        if candidate.cost < known.cost:
            candidates[candidate.key] = candidate
    rules: list[General] = []
    for candidate in candidates.values():
        fates = [prepared.fate(candidate) for prepared in group]
        if "wrong" in fates:
            continue
        rule = General(
            candidate,
            tuple(i for i, fate in enumerate(fates) if fate == "exact"),
            tuple(i for i, fate in enumerate(fates) if fate == "partial"),
        )
        if rule.support:
            rules.append(rule)
    # Drop rules whose examples are all covered by better ones.
    ranked = sorted(rules, key=lambda r: (r.rank, r.candidate.key))
    kept: list[General] = []
    covered: set[int] = set()
    for rule in ranked:
        mine = {*rule.exact, *rule.partial}
        if not mine <= covered:
            kept.append(rule)
            covered |= mine
    return kept


def claim(rules: Sequence[General], group: Sequence[PreparedExample]) -> Action | None:
    """The action that a group claims to hold for other examples; `None` if it abstains.

    The rules that several examples support, in order, if they reproduce every example of the group in
    which they change anything.
    """
    if not group:
        return None
    language = group[0].example.language
    for chosen in ([r for r in rules if r.claims], [r for r in rules if r.suffices]):
        while chosen:
            action = Action(language, tuple(r.candidate.rule for r in chosen[:MAX_RULES]), mode="rule")
            made = ((engine.apply(action, one.example.pre).post, one.example) for one in group)
            if all(post in (None, example.pre, example.post) for post, example in made):
                return action
            chosen = chosen[:-1]
    return None


def anti_unify(left: Sequence[CandidatePool], right: Sequence[CandidatePool]) -> Iterator[Candidate]:
    """The least general rules that make the change at a place of `left` and at one of `right`."""
    seen: set[tuple[int, int, int, int]] = set()
    for pool in left:
        for other in right:
            for one in _anchors(pool):
                for two in _anchors(other):
                    place = (one.start, one.end, two.start, two.end)
                    if one.kind != two.kind or place in seen:
                        continue
                    seen.add(place)
                    yield from _pair(pool.edit, one, other.edit, two)


def _anchors(pool: CandidatePool) -> list[Node]:
    """The anchors of the best candidates, a few, and the smallest nodes around changes of one rule each."""
    nodes: dict[int, Node] = {}
    for found in sorted(pool.sound, key=lambda f: (-len(f.hunks), rank(f))):
        if found.candidate.shape in ("pattern", "lexical", "literal") and found.candidate.anchor.children:
            nodes.setdefault(found.candidate.anchor.index, found.candidate.anchor)
    shared = frozenset[int]().union(*(f.hunks for f in pool.sound if _is_shared(f)))
    alone = [number for number in range(len(pool.edit.hunks)) if number not in shared]
    around = (proposals.anchors(pool.edit, number)[:MAX_AROUND] for number in alone[:MAX_ALONE])
    more = {node.index: node for few in around for node in few if node.children}
    return list({**dict(list(nodes.items())[:4]), **more}.values())


def _is_shared(found: SoundCandidate) -> bool:
    """Whether a small general rule makes several changes of its text."""
    return len(found.hunks) > 1 and found.candidate.generalizes and found.candidate.is_short


def _pair(edit: Edit, one: Node, other: Edit, two: Node) -> Iterator[Candidate]:
    """Patterns for two anchors, with variables where these differ."""
    only: set[int] = set()
    if not _differ(edit.pre, one, other.pre, two, only) or not only:
        return
    names = imported_names(edit.pre)
    for mapped in edit.map_range(one.start, one.end):
        if not mapped.hunks:
            continue
        lifted = lift(edit, [one], mapped, MAXIMAL, names, frozenset(), frozenset(only))
        if lifted is None:
            continue
        matcher = selector_rule(lifted.pattern, one.kind, edit.pre.language)
        if matcher is None:
            continue
        rule: dict[str, Any] = {"rule": matcher, "fix": lifted.fix}
        wrapped = costs.WRAPPED if is_wrapped(matcher) else 0.0
        candidate = Candidate(rule, "pattern", one, one.kind, mapped.hunks, wrapped, lifted)
        yield candidate
        yield from smaller_rewrites(edit, candidate)


def _differ(a_tree: Tree, a: Node, b_tree: Tree, b: Node, only: set[int]) -> bool:
    """Collect in `only` the smallest nodes below `a` that differ from `b`; `False` if `a` itself does."""
    if a.size == b.size and a_tree.text_of(a) == b_tree.text_of(b):
        return True
    if a.kind != b.kind or not b.children:
        return False
    kids_a = [c for c in a.children if c.size]
    kids_b = [c for c in b.children if c.size]
    if len(kids_a) == len(kids_b):
        for x, y in zip(kids_a, kids_b, strict=True):
            if not _differ(a_tree, x, b_tree, y, only):
                if not x.named or not y.named or x.is_comment:
                    return False
                only.add(x.index)
        return True
    if not grammars.LIST.search(a.kind):
        return False
    # Lists of different length: equal ends stay, the middle becomes one variable.
    lead, tail = common_ends([a_tree.text_of(n) for n in kids_a], [b_tree.text_of(n) for n in kids_b])
    middle = [n for n in kids_a[lead : len(kids_a) - tail] if n.named]
    if not middle:
        return False
    only.update(n.index for n in middle)
    return True
