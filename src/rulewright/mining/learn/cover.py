"""Find the few general rules that make a change of several files and several different parts.

Every file gives candidates, pairs of places give generalizations, and each candidate is tried on every
file. A greedy cover then takes what makes most of the change for its cost. Unchanged matching places are
no counter-examples, except in lines that the diff shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from rulewright import difftext, engine
from rulewright.actions.action import Action, Rule
from rulewright.engine import literals, places
from rulewright.engine.applier import ran
from rulewright.engine.parsing import span
from rulewright.languages import Language
from rulewright.mining import costs
from rulewright.mining.judge.confidence import CLAIM_BITS, CONFIDENT, MANY_PLACES, confidence, is_reckless
from rulewright.mining.judge.soundness import effect
from rulewright.mining.learn.generalize import anti_unify
from rulewright.mining.learn.grading import Tier, grade, measure
from rulewright.mining.learn.mine import EVALUATIONS_PER_SECOND, why_too_deep
from rulewright.mining.learn.pool import CandidatePool, SoundCandidate, rank
from rulewright.mining.learn.search import Budget, fill, with_assumptions
from rulewright.mining.propose.candidate import Candidate
from rulewright.mining.rules import callees
from rulewright.mining.rules.reading import new_text, old_text, standalone_names, words_of
from rulewright.mining.text.align import Edit, variants
from rulewright.mining.text.tree import Tree

MAX_SEARCHED: Final = 12
"""Most files that are searched for candidates; the others are only used to test them."""
PER_HUNK: Final = 3
"""Candidates of a file that are kept for each hunk, and as many for those that cover most hunks."""
MAX_CANDIDATES: Final = 240
ROUNDS: Final = 2
"""Rounds of search; each learns from what the rules of those before it left undone."""
MAX_NEW_LINES: Final = 3
"""Most lines that a rule may add beyond those that it removes."""
SEVERAL_LINES: Final = 8.0
"""Points for a rule about several lines: small rules are clearer."""


@dataclass(frozen=True)
class ChangedFile:
    """A file before and after a change, with the lines of `pre` (from 1) that a diff shows unchanged."""

    pre: str
    post: str
    seen: frozenset[int] = frozenset()


@dataclass(frozen=True)
class GradedRule:
    """A chosen rule with its tier."""

    rule: Rule
    tier: Tier
    reason: str
    candidate: Candidate
    """The candidate that it was made from."""


Part = tuple[int, int]
"""A hunk: number of the file, number in its edit variant."""


@dataclass
class _FileView:
    """A file in one edit variant, with its candidates if it was searched."""

    edit: Edit
    kept: CandidatePool | None = None

    @property
    def all(self) -> frozenset[int]:
        return frozenset(range(len(self.edit.hunks)))


@dataclass
class _Choice:
    """A candidate that does nothing wrong, with what it does in all files."""

    candidate: Candidate
    parts: frozenset[Part]
    texts: frozenset[str]
    """The distinct texts that it changes."""
    n_places: int
    """Number of all places that it changes."""

    @property
    def price(self) -> float:
        lines = SEVERAL_LINES if _is_of_several_lines(self.candidate) else 0.0
        names = costs.OF_THIS_FILE if _is_of_this_file(self.candidate) else 0.0
        return self.candidate.cost + costs.STEP + lines + names


def _is_of_several_lines(candidate: Candidate) -> bool:
    return "\n" in old_text(candidate.rule)


def _is_of_this_file(candidate: Candidate) -> bool:
    """Whether a rule keeps a variable of its file by name, or spells out what a variable of its own is."""
    tree, old, new = candidate.anchor.tree, old_text(candidate.rule), new_text(candidate.rule)
    kept = standalone_names(old) & standalone_names(new)
    holes = candidate.lifted.holes if candidate.lifted is not None else ()
    return any(map(tree.has_local, kept)) or any(
        tree.text[hole.start : hole.end] in words_of(old) for hole in holes
    )


def covering_rules(texts: Sequence[ChangedFile], language: Language, budget_s: float) -> list[GradedRule]:
    """The rules in order; they may leave a part of the change undone."""
    found: list[GradedRule] = []
    left = list(texts)
    for _ in range(ROUNDS):
        more = _round(left, language, budget_s)
        known = {str(one.rule) for one in found}
        more = [one for one in more if str(one.rule) not in known]
        if not more:
            break
        found += more
        action = Action(language, tuple(one.rule for one in more), mode="rule")
        changed = (set(difftext.changed_lines(one.pre, one.post, old_side=True)) for one in left)
        made = [
            (one, places.after(action, one.pre, places.where(lines)))
            for one, lines in zip(left, changed, strict=True)
        ]
        left = [replace(one, pre=text, seen=frozenset()) for one, text in made if text != one.post]
    return found


def _round(texts: Sequence[ChangedFile], language: Language, budget_s: float) -> list[GradedRule]:
    """One round of search, cover and grading over all files."""
    views: list[_FileView] = []
    pool: dict[str, Candidate] = {}
    for text in texts:
        before, after = Tree(text.pre, language), Tree(text.post, language)
        # The ranges of `pre` that the diff shows unchanged.
        ends = [0, *accumulate(map(len, difftext.lines(text.pre)))]
        shown = tuple((ends[n - 1], ends[n]) for n in range(1, len(ends)) if n in text.seen)
        readings = [] if why_too_deep(before, after) else list(variants(before, after, False, shown))
        readings = [one for one in readings if one.is_workable]
        if not readings:
            continue
        view = _covered_view(readings, pool)
        if view is None:
            learn = sum(one.kept is not None for one in views) < MAX_SEARCHED
            view = _searched_view(readings, before, budget_s) if learn else _FileView(readings[0])
            pool |= {one.key: one for one in _best(view)}
        views.append(view)
    pool |= _generalizations(views, len(pool))
    choices = [one for one in (_choice(candidate, views) for candidate in pool.values()) if one is not None]
    return [general for one in _greedy(choices, views) for general in _graded(one, views, language)]


def _covered_view(readings: Sequence[Edit], pool: dict[str, Candidate]) -> _FileView | None:
    """The first edit variant that the general candidates so far cover; `None` if there is none."""
    for edit in readings:
        left = set(range(len(edit.hunks)))
        for candidate in pool.values():
            wanted = literals.needs(candidate.rule["rule"], edit.pre.language)
            if candidate.generalizes and literals.may_match(edit.pre.text, wanted):
                done = effect(edit, candidate)
                left -= done.hunks if done is not None and done.is_sound else frozenset()
            if not left:
                return _FileView(edit)
    return None


def _searched_view(readings: Sequence[Edit], before: Tree, budget_s: float) -> _FileView:
    """The edit variant, searched, of which general candidates cover most; of equal ones, by small rules."""
    work = Budget(budget_s * EVALUATIONS_PER_SECOND, per_call=before.work)
    best: tuple[tuple[float, bool], _FileView] | None = None
    for edit in readings:
        view = _FileView(edit, fill(edit, work))
        general = _general(view)
        covered = frozenset[int]().union(*(f.hunks for f in general))
        missed = len(view.all - covered) / len(view.all)
        alone = (f.candidate for f in general if f.hunks == view.all)
        is_long = all(one.shape == "sequence" or _is_of_several_lines(one) for one in alone)
        if best is None or (missed, is_long) < best[0]:
            best = (missed, is_long), view
        if not missed and not edit.joins_lines:
            break
    assert best is not None
    return best[1]


def _spells_out(candidate: Candidate) -> bool:
    """Whether a rule adds so many lines that it is text of this file rather than a rule."""
    rule = candidate.rule
    return new_text(rule).count("\n") - old_text(rule).count("\n") > MAX_NEW_LINES


def _general(view: _FileView) -> list[SoundCandidate]:
    """The sound candidates of a file that generalize."""
    found = view.kept.sound if view.kept is not None else []
    return [f for f in found if f.candidate.generalizes and not _spells_out(f.candidate)]


def _best(view: _FileView) -> Iterator[Candidate]:
    """The candidates to try on other files: the cheapest for each hunk, and those that cover most hunks."""
    found = sorted(view.kept.sound if view.kept is not None else (), key=rank)
    found = [f for f in found if f.candidate.shape != "run" and not _spells_out(f.candidate)]
    for number in view.all:
        mine = [f for f in found if number in f.hunks]
        for one in [f for f in mine if f.candidate.generalizes][:PER_HUNK] or mine[:1]:
            yield one.candidate
    for one in sorted(_general(view), key=lambda f: (-len(f.hunks), rank(f)))[:PER_HUNK]:
        yield one.candidate


def _generalizations(views: Sequence[_FileView], n_known: int) -> dict[str, Candidate]:
    """Generalizations of two places of the change, in one file or in two."""
    pools = [view.kept for view in views if view.kept is not None]
    found: dict[str, Candidate] = {}
    for left in pools:
        for right in pools:
            for candidate in anti_unify([left], [right]):
                if len(found) + n_known >= MAX_CANDIDATES:
                    return found
                found[candidate.key] = candidate
    return found


def _choice(candidate: Candidate, views: Sequence[_FileView]) -> _Choice | None:
    """What a candidate does in all files; `None` if it does something wrong, or nothing."""
    parts: set[Part] = set()
    texts: set[str] = set()
    n_places = 0
    wanted = literals.needs(candidate.rule["rule"], views[0].edit.pre.language)
    for number, view in enumerate(views):
        if not literals.may_match(view.edit.pre.text, wanted):
            continue
        done = effect(view.edit, candidate)
        if done is not None and done.negatives:
            return None
        for hunk in done.hunks if done is not None else ():
            parts.add((number, hunk))
        for start, end in done.positives if done is not None else ():
            texts.add(view.edit.pre.text[start:end])
            n_places += 1
    return _Choice(candidate, frozenset(parts), frozenset(texts), n_places) if parts else None


def _greedy(choices: Sequence[_Choice], views: Sequence[_FileView]) -> list[_Choice]:
    """Choose what costs least for the hunks that it adds, until nothing adds any; drop the redundant."""
    left = {(number, hunk) for number, view in enumerate(views) for hunk in view.all}
    chosen: list[_Choice] = []
    while left:
        useful = [one for one in choices if one.parts & left]
        if not useful:
            break
        best = min(
            useful,
            key=lambda one: (one.price / len(one.parts & left), -one.candidate.bits, one.candidate.key),
        )
        chosen.append(best)
        left -= best.parts
    for one in sorted(chosen, key=lambda one: -one.price):
        others = [other.parts for other in chosen if other is not one]
        if one.parts <= frozenset[Part]().union(*others):
            chosen.remove(one)
    return chosen


def _graded(choice: _Choice, views: Sequence[_FileView], language: Language) -> list[GradedRule]:
    """A chosen candidate as the rules to use, with their tiers."""
    candidate = _with_assumptions(choice, views)
    tier, reason = _tier(candidate, choice, views, language)
    is_supported = _is_supported(candidate, choice)
    graded: list[GradedRule] = []
    for rule in _as_call_rules(candidate, choice, views, language):
        about_call, sure = replace(candidate, rule=dict(rule), shape="pattern"), confidence([rule])
        if tier == "reject":
            graded.append(GradedRule(rule, tier, reason, about_call))
        elif sure < CONFIDENT and not is_supported:
            why = f"too doubtful: {sure:.2f} likely to be right elsewhere"
            graded.append(GradedRule(rule, "literal", why, about_call))
        else:
            graded.append(GradedRule(rule, "train", "calls by their name and what it belongs to", about_call))
    return graded or [GradedRule(candidate.rule, tier, reason, candidate)]


def _with_assumptions(choice: _Choice, views: Sequence[_FileView]) -> Candidate:
    """The candidate with its assumptions, as long as it changes the same places."""
    candidate = choice.candidate
    own = next((view.edit for view in views if view.edit.pre is candidate.anchor.tree), None)
    done = effect(own, candidate) if own is not None else None
    if own is None or done is None:
        return candidate
    better = with_assumptions(own, SoundCandidate(candidate, done)).candidate
    again = _choice(better, views)
    return better if again is not None and again.parts == choice.parts else candidate


def _tier(
    candidate: Candidate, choice: _Choice, views: Sequence[_FileView], language: Language
) -> tuple[Tier, str]:
    """The tier of a candidate, by its text and by what it does to the changed files."""
    action = Action(language, (candidate.rule,), mode="rule")
    worst: tuple[Tier, str] = ("train", "")
    for number in sorted({number for number, _ in choice.parts}):
        outcome = engine.judge(action, views[number].edit.pre.text)
        figures = measure(action, [candidate], outcome, len(choice.texts), "", 0)
        tier, reason = grade([candidate], figures)
        if tier == "literal" and "doubtful" in reason and _is_supported(candidate, choice):
            n_agreeing = f"{len(choice.texts)} unlike" if len(choice.texts) > 1 else str(choice.n_places)
            tier, reason = "train", f"{n_agreeing} places agree"
        if tier == "reject" or worst[0] == "train":
            worst = tier, reason
    return worst


def _is_supported(candidate: Candidate, choice: _Choice) -> bool:
    """Whether two distinct places, or several equal ones, agree on a rule that is specific enough."""
    agree = len(choice.texts) > 1 or choice.n_places >= MANY_PLACES
    return agree and candidate.bits >= CLAIM_BITS and not is_reckless(candidate.rule)


def _as_call_rules(
    candidate: Candidate, choice: _Choice, views: Sequence[_FileView], language: Language
) -> tuple[Rule, ...]:
    """The rename of a bare name as rules about calls, if it changes nothing else; else none."""
    action = Action(language, (candidate.rule,), mode="rule")
    made: dict[str, Rule] = {}
    for number in sorted({number for number, _ in choice.parts}):
        tree = views[number].edit.pre
        done = effect(views[number].edit, candidate)
        spans = set(done.positives) if done is not None else set()
        applied = ran(candidate.rule, language, tree.text, tree.root.sg)
        found = [edit.node for edit in applied.edits if edit.node] if applied is not None else []
        nodes = [node for node in found if span(node) in spans]
        calls = callees.as_call_rules(action, tree.text, nodes)
        if calls is None:
            return ()
        made |= {str(rule): rule for rule in calls.rules}
    return tuple(made.values())
