"""Search the rules of one edit: one that covers every hunk, else a short ordered sequence.

Every chosen rule is applied to the text that the rules before it left, so the
intermediate states are real. Work is counted in rule evaluations, not in seconds:
the same edit gives the same rules on any machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Final

from rulewright import engine
from rulewright.actions.action import Action
from rulewright.languages import Language
from rulewright.mining.candidate import ENOUGH_BITS, Candidate
from rulewright.mining.judge import refine, roles
from rulewright.mining.judge.soundness import Effect, effect
from rulewright.mining.propose import proposals, several
from rulewright.mining.text.align import Edit, variants
from rulewright.mining.text.tree import Tree

MAX_RULES: Final = 5
MAX_TRIES: Final = 4
GOOD_COST: Final = 4.0
TELLING_COST: Final = 1.6
"""A rule with variables at this cost: literal ones are not tried beside it."""
REPLACED_GAIN: Final = 0.6
"""For a telling expression that is mostly replaced: more around it would only narrow the rule."""
NAMELESS_COST: Final = 1.0
"""For arguments without their call; from 1.0 on larger anchors are tried as well."""
_ARGUMENTS: Final = re.compile(r"argument|parameter")
TELLING_BITS: Final = 8.0
"""From here on a rule needs nothing around it."""
AROUND_COST: Final = 1.5
"""For a pattern that only adds to a smaller one what stands around it."""
SATISFIED_COST: Final = 3.0
"""One general rule at this cost: other readings of the edit are not tried."""


@dataclass
class Work:
    """A budget of rule evaluations, each weighed by the size of the text."""

    left: float
    spent: float = 0.0
    per_call: float = 1.0

    def take(self) -> bool:
        if self.spent >= self.left:
            return False
        self.spent += self.per_call
        return True


@dataclass(frozen=True)
class Found:
    """A candidate that is sound on its text, with what it did there."""

    candidate: Candidate
    effect: Effect

    @property
    def hunks(self) -> frozenset[int]:
        return self.effect.hunks


@dataclass
class Pool:
    """The sound candidates for one reading of an edit."""

    edit: Edit
    said: frozenset[str] = frozenset()
    """Names that the instruction quotes: they stay literal."""
    found: list[Found] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    places: proposals.Places = field(default_factory=set)
    """Anchors (with the hunks that they hold) that have a sound pattern already."""

    def has_general(self, cost: float = 99.0) -> bool:
        """Whether a rule that generalises, at most at this cost, covers every hunk."""
        every = len(self.edit.hunks)
        return any(
            len(f.hunks) == every
            and f.candidate.generalises
            and f.candidate.n_vars
            and f.candidate.cost <= cost
            for f in self.found
        )

    def lifts(self, candidate: Candidate) -> bool:
        """Whether a pattern that keeps the names stands at a candidate's anchor already."""
        return any(
            f.candidate.shape == "pattern"
            and f.candidate.anchor is candidate.anchor
            and f.candidate.hunks == candidate.hunks
            and f.candidate.extra_cost < 1.0
            for f in self.found
        )

    def full(self) -> list[Found]:
        """Those that cover every hunk, best first."""
        every = len(self.edit.hunks)
        full = [f for f in self.found if len(f.hunks) == every]
        narrow = [f for f in full if _stands_alone(f.candidate)]
        wide = {f.candidate.key for f in full if any(_adds_nothing(f, g) for g in narrow)}
        return sorted(
            full, key=lambda f: (f.candidate.cost + AROUND_COST * (f.candidate.key in wide), rank(f))
        )


def _adds_nothing(wide: Found, narrow: Found) -> bool:
    """Whether a pattern says all that a smaller one says, and what stands around it besides."""
    if wide.candidate.shape not in ("pattern", "lexical"):
        return False
    outer, inner = wide.candidate.anchor, narrow.candidate.anchor
    inside = outer.start <= inner.start and inner.end <= outer.end and outer.size > inner.size
    return inside and narrow.candidate.words <= wide.candidate.words


def _stands_alone(candidate: Candidate) -> bool:
    """Whether what a rule matches says enough without what is around it.

    A single token does not, nor does an argument: what it means its call says.
    """
    if candidate.is_token or candidate.adds or not candidate.generalises:
        return False
    near = (candidate.anchor, candidate.anchor.parent)
    named = not any(node is not None and _ARGUMENTS.search(node.kind) for node in near)
    return named and candidate.bits >= TELLING_BITS


def rank(found: Found) -> tuple[float, str]:
    return found.candidate.cost, found.candidate.key


def fill(edit: Edit, work: Work, said: frozenset[str] = frozenset()) -> Pool:
    """Judge candidates for every hunk until each has a sound one or the work is done."""
    pool = Pool(edit, said)
    names = imported_names(edit.pre) | said
    solved: dict[int, float] = {}
    for number in range(len(edit.hunks)):
        if solved.get(number, 99.0) <= GOOD_COST and number:
            continue
        enough = partial(_enough, pool, solved, number)
        for candidate in proposals.for_hunk(edit, number, names, pool.places, enough):
            if candidate.key in pool.seen:
                continue
            if not _promising(candidate, pool, solved, number):
                continue
            candidate = _weighed(edit, candidate)
            pool.seen.add(candidate.key)
            if not work.take():
                return pool
            done = effect(edit, candidate)
            if done is None:
                continue
            if done.negatives and done.hunks:
                for better in refine.refinements(edit, candidate, done):
                    if not work.take():
                        return pool
                    again = effect(edit, better)
                    if again is not None and again.sound:
                        _keep(pool, Found(better, again), solved)
                        break
            elif done.sound:
                _keep(pool, Found(candidate, done), solved)
    _join(pool, work, several.renamed)
    if len(edit.hunks) > 1 and not any(_is_compact(f.candidate) for f in pool.full()):
        _join(pool, work, several.combined)
    return pool


def _join(
    pool: Pool, work: Work, join: Callable[[Edit, list[tuple[Candidate, Effect]]], Iterator[Candidate]]
) -> None:
    """Add the first sound rule that does what several of the found ones do."""
    for candidate in join(pool.edit, [(f.candidate, f.effect) for f in pool.found]):
        together = effect(pool.edit, candidate) if work.take() else None
        if together is not None and together.sound:
            pool.found.append(Found(candidate, together))
            return


def _weighed(edit: Edit, candidate: Candidate) -> Candidate:
    """Like a telling expression that is mostly replaced, dislike arguments without their call."""
    if candidate.kind in ("argument_list", "arguments"):
        return replace(candidate, extra_cost=candidate.extra_cost + NAMELESS_COST)
    if candidate.shape != "lexical" or candidate.is_token or candidate.bits < ENOUGH_BITS:
        return candidate
    changed = sum(edit.hunks[i].a1 - edit.hunks[i].a0 for i in candidate.hunks)
    if 2 * changed < candidate.anchor.size:
        return candidate
    return replace(candidate, extra_cost=candidate.extra_cost - REPLACED_GAIN)


def _enough(pool: Pool, solved: dict[int, float], number: int) -> bool:
    """Whether literal rules and runs for a hunk are not worth trying any more."""
    return pool.has_general(TELLING_COST) or (number > 0 and solved.get(number, 99.0) <= GOOD_COST)


def _keep(pool: Pool, found: Found, solved: dict[int, float]) -> None:
    pool.found.append(found)
    if found.candidate.shape == "pattern" and found.hunks >= found.candidate.hunks:
        pool.places.add((found.candidate.anchor.index, found.candidate.hunks))
        if found.candidate.bits >= ENOUGH_BITS and found.candidate.extra_cost < 1.0:
            pool.places.add((proposals.ANYWHERE, found.candidate.hunks))
    for number in found.hunks if found.candidate.is_short else ():
        solved[number] = min(solved.get(number, 99.0), found.candidate.cost)


def _promising(candidate: Candidate, pool: Pool, solved: dict[int, float], number: int) -> bool:
    """Whether a candidate could still be chosen: cheaper, or wider, than what there is."""
    if candidate.shape == "lexical":
        return candidate.is_token or not pool.lifts(candidate)
    if candidate.generalises:
        return True
    if candidate.shape == "run" and pool.has_general():
        return False
    best = min((f.candidate.cost for f in pool.full()), default=99.0)
    if best < candidate.cost:
        return False
    return len(candidate.hunks) > 1 or solved.get(number, 99.0) > candidate.cost


@lru_cache(maxsize=64)
def _import_pattern(language: Language) -> re.Pattern[str]:
    words = {"python": r"^\s*(?:from|import)\b.*", "go": r'^\s*(?:import\b.*|(?:\w+\s+)?"[\w./-]+")$'}
    default = r"^\s*(?:import\b.*|export\b.*\bfrom\b.*|.*\brequire\(.*|use\b.*|#include.*)"
    return re.compile(words.get(language, default), re.MULTILINE)


def imported_names(tree: Tree) -> frozenset[str]:
    """Names that the import lines mention: they say what the code is about."""
    names: set[str] = set()
    for line in _import_pattern(tree.language).findall(tree.text):
        names.update(re.findall(r"[A-Za-z_]\w*", line.split(";")[0]))
    return frozenset(names)


@dataclass(frozen=True)
class Plan:
    """Rules in order with the text after each."""

    steps: tuple[Found, ...]
    states: tuple[str, ...]
    """The text after each rule."""
    reading_cost: float = 0.0

    @property
    def cost(self) -> float:
        return self.reading_cost + sum(step.candidate.cost for step in self.steps)


def solve(
    pre: Tree, post: Tree, work: Work, strict: bool = True, said: frozenset[str] = frozenset()
) -> Plan | None:
    """The best plan over all readings of an edit; `None` where there is none within `MAX_RULES`."""
    best: Plan | None = None
    for edit in variants(pre, post, strict):
        if not edit.is_workable:
            continue
        pool = fill(edit, work, said)
        plan = _single(pool, strict)
        if plan is None and strict:
            plan = _cover(pool, work)
        if plan is None:
            continue
        plan = replace(plan, reading_cost=edit.cost)
        if best is None or (len(plan.steps), plan.cost) < (len(best.steps), best.cost):
            best = plan
        if len(best.steps) == 1 and best.cost <= SATISFIED_COST and _says_all(best.steps[0].candidate):
            break
    return best


def _single(pool: Pool, strict: bool) -> Plan | None:
    """The best rule that covers every hunk and, tidied, gives `post` exactly."""
    edit = pool.edit
    for raw in pool.full()[:MAX_TRIES]:
        found = guarded(edit, raw)
        if not strict:
            return Plan((found,), (found.effect.text,))
        made = engine.apply(Action(edit.pre.language, (found.candidate.rule,)), edit.pre.text).post
        if made == edit.post.text:
            return Plan((found,), (made,))
    return None


def guarded(edit: Edit, found: Found) -> Found:
    """A sound rule with the roles that it relies on, as long as it does the same here."""
    better = roles.guarded(edit, found.candidate, found.effect)
    done = effect(edit, better) if better is not None else None
    if better is None or done is None or done.positives != found.effect.positives or not done.sound:
        return found
    return Found(better, done)


def _says_all(candidate: Candidate) -> bool:
    """Whether no other reading of the edit is likely to give a better rule."""
    return candidate.generalises and (candidate.n_vars > 0 or candidate.is_token)


def _cover(pool: Pool, work: Work) -> Plan | None:
    """Greedy: the rule with most new hunks first, then the next on the text it left."""
    edit, carried = pool.edit, pool
    steps: list[Found] = []
    states: list[str] = []
    while len(steps) < MAX_RULES:
        choices = sorted(_choices(carried, MAX_RULES - len(steps)), key=lambda f: (-_worth(f), rank(f)))
        if not choices:
            return None
        step = guarded(edit, choices[0])
        steps.append(step)
        text = engine.apply(Action(edit.pre.language, (step.candidate.rule,)), edit.pre.text).post
        if text is None:
            return None
        states.append(text)
        if text == edit.post.text:
            return Plan(tuple(steps), tuple(states))
        edit = _rest(edit, text)
        if not edit.hunks:
            return None
        carried = _again(edit, carried, work)
    return None


def _choices(pool: Pool, n_steps: int) -> list[Found]:
    """The compact rules that generalise, where so many of them are enough; else all."""
    compact = [f for f in pool.found if _is_compact(f.candidate)]
    left = frozenset(range(len(pool.edit.hunks)))
    for _ in range(n_steps):
        best = max(compact, key=lambda f: (len(f.hunks & left), -f.candidate.cost), default=None)
        left -= best.hunks if best is not None else frozenset()
    return pool.found if left else compact


def _is_compact(candidate: Candidate) -> bool:
    return candidate.generalises and candidate.is_short


def _worth(found: Found) -> float:
    return len(found.hunks) - 0.02 * found.candidate.cost


def _rest(edit: Edit, text: str) -> Edit:
    """The edit that is left after a step that gave this text."""
    left = Tree(text, edit.pre.language)
    return min(variants(left, edit.post), key=lambda e: (len(e.hunks), e.hunks))


def _again(edit: Edit, pool: Pool, work: Work) -> Pool:
    """Judge the earlier candidates on the new text; search anew for hunks that lost theirs."""
    fresh = Pool(edit, pool.said)
    covered: set[int] = set()
    for found in sorted(pool.found, key=rank):
        if not work.take():
            return fresh
        done = effect(edit, found.candidate)
        if done is not None and done.sound:
            fresh.found.append(Found(found.candidate, done))
            covered |= done.hunks
    if len(covered) < len(edit.hunks):
        more = fill(edit, work, pool.said)
        fresh.found += [
            f for f in more.found if f.candidate.key not in {g.candidate.key for g in fresh.found}
        ]
    return fresh
