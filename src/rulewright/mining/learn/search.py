"""Search the rules of one edit: one rule for all hunks, or else a short sequence of rules.

For every hunk candidates are proposed, priced and tried; the sound ones go into a pool, and the plan is
the cheapest choice from it. Every chosen rule is applied to the text that the rules before it left. Work
is counted in rule evaluations, not in seconds, so an edit gives the same rules on any machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from rulewright import engine, grammars
from rulewright.actions.action import Action
from rulewright.mining import costs
from rulewright.mining.judge import assumptions, price, refine
from rulewright.mining.judge.soundness import effect
from rulewright.mining.learn.pool import CandidatePool, SoundCandidate, rank
from rulewright.mining.propose import combine, proposals, tokens
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.text.align import Edit, variants
from rulewright.mining.text.tree import Tree

MAX_RULES: Final = 5
MAX_TRIES: Final = 4


class BudgetSpent(Exception):
    """The budget is used up."""


@dataclass
class Budget:
    """Rule evaluations, each weighed by the size of the text."""

    total: float
    per_call: float = 1.0
    spent: float = 0.0

    def take(self) -> None:
        """Pay for one evaluation.

        Raises:
            BudgetSpent: nothing is left.
        """
        if self.is_spent:
            raise BudgetSpent
        self.spent += self.per_call

    @property
    def is_spent(self) -> bool:
        return self.spent >= self.total


def fill(edit: Edit, budget: Budget, quoted: frozenset[str] = frozenset()) -> CandidatePool:
    """Collect sound candidates for every hunk, until each has a good one or the budget is spent.

    Names that the instruction quotes (`quoted`) stay literal.
    """
    pool = CandidatePool(edit, quoted)
    names = imported_names(edit.pre) | quoted
    try:
        for number in range(len(edit.hunks)):
            if number and pool.is_solved(number):
                continue
            enough = partial(pool.is_enough, number)
            for candidate in proposals.for_hunk(edit, number, names, pool.places, enough):
                if pool.wants(candidate, number):
                    for priced in price.priced(edit, candidate, quoted):
                        pool.seen.add(priced.key)
                        found = _tried(edit, priced, budget)
                        if found is not None:
                            pool.add(found)
        # The first sound rule that does the work of several.
        for candidate in combine.across_kinds(edit, [(f.candidate, f.effect) for f in pool.sound]):
            budget.take()
            together = effect(edit, candidate)
            if together is not None and together.is_sound:
                pool.sound.append(SoundCandidate(candidate, together))
                break
    except BudgetSpent:
        pass
    return pool


def _tried(edit: Edit, candidate: Candidate, budget: Budget) -> SoundCandidate | None:
    """A candidate if it is sound, else the first sound one that narrows it; `None` if there is none."""
    budget.take()
    done = effect(edit, candidate)
    if done is None or not done.hunks:
        return None
    if done.is_sound:
        more = (
            tokens.common_affix(edit, candidate, done.positives) if candidate.shape == "transform" else None
        )
        again = effect(edit, more) if more is not None else None
        if more is not None and again is not None and again.positives == done.positives:
            return SoundCandidate(more, again)
        return SoundCandidate(candidate, done)
    for better in refine.refinements(edit, candidate, done):
        budget.take()
        again = effect(edit, better)
        if again is not None and again.is_sound:
            return SoundCandidate(better, again)
    return None


def imported_names(tree: Tree) -> frozenset[str]:
    """All names in import lines; they stay literal."""
    names: set[str] = set()
    for line in grammars.import_line(tree.language).findall(tree.text):
        names.update(re.findall(r"[A-Za-z_]\w*", line.split(";")[0]))
    return frozenset(names)


@dataclass(frozen=True)
class Plan:
    """Rules in order."""

    steps: tuple[SoundCandidate, ...]
    states: tuple[str, ...]
    """The text after each rule."""
    reading_cost: float

    @property
    def cost(self) -> float:
        rules = sum(step.candidate.cost for step in self.steps)
        repeats = not all(step.candidate.generalizes for step in self.steps)
        return self.reading_cost + rules + costs.STEP * (len(self.steps) - 1) + costs.LAST_RESORT * repeats


def solve(pre: Tree, post: Tree, budget: Budget, quoted: frozenset[str] = frozenset()) -> Plan | None:
    """The cheapest plan over all variants of an edit; `None` if none has at most `MAX_RULES` rules."""
    best: Plan | None = None
    for edit in variants(pre, post):
        if not edit.is_workable:
            continue
        plan = _plan(fill(edit, budget, quoted), budget)
        if plan is not None and (best is None or plan.cost < best.cost):
            best = plan
        if best is not None and best.cost <= costs.SATISFIED and len(best.steps) == 1:
            # Another variant is not likely to give a better rule, but one that reads lines apart may.
            step = best.steps[0].candidate
            if step.generalizes and (step.n_vars or step.is_token) and not edit.joins_lines:
                break
    return best


def _plan(pool: CandidatePool, budget: Budget) -> Plan | None:
    """One rule for all hunks, or several if that one would spell out what lies between them."""
    single = _single(pool)
    if single is not None and (len(pool.edit.hunks) == 1 or _is_compact(single.steps[0].candidate)):
        return single
    plans = [plan for plan in (single, _cover(pool, budget, _choices)) if plan is not None]
    return min(plans, key=lambda plan: plan.cost, default=None) or _cover(pool, budget, lambda k, _: k.sound)


def _single(pool: CandidatePool) -> Plan | None:
    """The best rule that covers every hunk and gives `post` exactly."""
    edit = pool.edit
    for raw in pool.full()[:MAX_TRIES]:
        found = with_assumptions(edit, raw)
        made = engine.apply(Action(edit.pre.language, (found.candidate.rule,)), edit.pre.text).post
        if made == edit.post.text:
            return Plan((found,), (made,), edit.cost)
    return None


def with_assumptions(edit: Edit, found: SoundCandidate, made: Edit | None = None) -> SoundCandidate:
    """A sound candidate with its assumptions, if it does the same with them.

    Args:
        edit: on which it is sound.
        found: the candidate.
        made: the edit that it was made from, if that is another one: only there its assumptions show.
    """
    shown = effect(made, found.candidate) if made is not None else found.effect
    better = assumptions.with_assumptions(made or edit, found.candidate, shown) if shown is not None else None
    done = effect(edit, better) if better is not None else None
    if better is None or done is None or done.positives != found.effect.positives or not done.is_sound:
        return found
    return SoundCandidate(better, done)


def _cover(
    pool: CandidatePool, budget: Budget, choices_of: Callable[[CandidatePool, int], list[SoundCandidate]]
) -> Plan | None:
    """A sequence of rules: the one for most hunks first, then the next on the text that it left."""
    edit, carried = pool.edit, pool
    read = {id(edit.pre): edit}
    steps: list[SoundCandidate] = []
    states: list[str] = []
    while len(steps) < MAX_RULES:
        choices = sorted(choices_of(carried, MAX_RULES - len(steps)), key=lambda f: (-len(f.hunks), rank(f)))
        if not choices:
            return None
        step = with_assumptions(edit, choices[0], read.get(id(choices[0].candidate.anchor.tree)))
        steps.append(step)
        text = engine.apply(Action(edit.pre.language, (step.candidate.rule,)), edit.pre.text).post
        if text is None:
            return None
        states.append(text)
        if text == edit.post.text:
            return Plan(tuple(steps), tuple(states), pool.edit.cost)
        # The rest of the edit after this step.
        left = Tree(text, edit.pre.language)
        edit = min(variants(left, edit.post), key=lambda e: (len(e.hunks), e.hunks))
        if not edit.hunks:
            return None
        carried = _carried_over(edit, carried, budget)
        read[id(edit.pre)] = edit
    return None


def _choices(pool: CandidatePool, n_steps: int) -> list[SoundCandidate]:
    """The compact general rules if `n_steps` of them are enough; else all general rules.

    The latter need not be enough: what the first one leaves may be simpler.
    """
    general = [f for f in pool.sound if f.candidate.generalizes]
    compact = [f for f in general if _is_compact(f.candidate)]
    left = frozenset(range(len(pool.edit.hunks)))
    for _ in range(n_steps):
        best = max(compact, key=lambda f: (len(f.hunks & left), -f.candidate.cost), default=None)
        left -= best.hunks if best is not None else frozenset()
    return general if left else compact


def _is_compact(candidate: Candidate) -> bool:
    return candidate.generalizes and candidate.is_short and candidate.shape != "sequence"


def _carried_over(edit: Edit, pool: CandidatePool, budget: Budget) -> CandidatePool:
    """The pool for the rest of an edit: earlier candidates that are still sound, or new ones."""
    fresh = CandidatePool(edit, pool.quoted)
    covered: set[int] = set()
    for found in sorted(pool.sound, key=rank):
        if budget.is_spent:
            return fresh
        budget.take()
        done = effect(edit, found.candidate)
        if done is not None and done.is_sound:
            fresh.sound.append(SoundCandidate(found.candidate, done))
            covered |= done.hunks
    if len(covered) < len(edit.hunks):
        more = fill(edit, budget, pool.quoted)
        fresh.sound += [
            f for f in more.sound if f.candidate.key not in {g.candidate.key for g in fresh.sound}
        ]
    return fresh
