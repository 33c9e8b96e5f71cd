"""What rules make of the change that they were learned from, compared with what the person made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rulewright import difftext
from rulewright.actions.action import Action, Rule
from rulewright.actions.suggest import quoted
from rulewright.engine import places
from rulewright.languages import Language
from rulewright.mining.by_hand.diffs import Change
from rulewright.mining.rules import imports
from rulewright.mining.text.statement_lines import statement_lines
from rulewright.mining.text.tree import Tree
from rulewright.verdict import Place


class Replay(NamedTuple):
    """What came of rules that were applied to the chosen places of a file before its change."""

    text: str
    places: list[Place]
    used: frozenset[int]
    """Numbers of the rules that changed anything; of all rules where they failed."""


def replay(action: Action, change: Change, chosen: Callable[[Place], bool]) -> Replay:
    """Apply rules to the chosen places of a file before its change; a failure leaves the text as it was."""
    made: list[Place] = []

    def keep(place: Place) -> str | None:
        if not chosen(place):
            return None
        made.append(place)
        return place.new

    done = places.change(action, change.pre, keep)
    if not done.steps or done.failure is not None:
        return Replay(change.pre, made, frozenset(range(len(action.rules))))
    used = (number for number, step in enumerate(done.steps) if step.after != step.source)
    return Replay(done.steps[-1].after, made, frozenset(used))


def places_of(action: Action, changes: Sequence[Change]) -> tuple[list[Place], list[Place]]:
    """The places of rules in the changed files: those that were changed, and those that were left alone."""
    made: list[Place] = []
    left: list[Place] = []
    for change in changes:
        for place in places.of(action, change.pre):
            (made if place.touches(change.changed) else left).append(place)
    return made, left


# The parts of a change that rules do not make


class Missing:
    """Counts the parts of a change that rules do not make; imports count by what they bind.

    A file is not made anew where only rules are left out that did nothing there. So all rules that are
    given must come in one order.
    """

    def __init__(self, changes: Sequence[Change], language: Language) -> None:
        self._language = language
        self._runs: list[tuple[Change, list[_Run]]] = [(change, []) for change in changes]

    def __call__(self, rules: Sequence[Rule]) -> int:
        return sum(self._n_missing(rules, change, runs) for change, runs in self._runs)

    def _n_missing(self, rules: Sequence[Rule], change: Change, runs: list[_Run]) -> int:
        names = [str(rule) for rule in rules]
        given = frozenset(names)
        for run in runs:
            if run.used <= given <= run.given:
                return run.n_missing
        done = _with_imports(Action(self._language, tuple(rules), mode="rule"), change, by_binding=True)
        n_missing = len(_missing_from(done.text, change, by_binding=True))
        runs.append(_Run(given, frozenset(names[n] for n in done.used), n_missing))
        return n_missing


class _Run(NamedTuple):
    """Rules that were run on a file, which of them did anything, and how many parts they do not make."""

    given: frozenset[str]
    used: frozenset[str]
    n_missing: int


def missing_parts(action: Action | None, change: Change, by_binding: bool) -> list[str]:
    """The parts of a change that rules do not make, `FILE:LINE: old → new`.

    With `by_binding`, imports are compared by what they bind, not by where they stand.
    """
    text = _with_imports(action, change, by_binding).text if action is not None else change.pre
    return _missing_from(text, change, by_binding)


def _with_imports(action: Action, change: Change, by_binding: bool) -> Replay:
    """Apply rules where the person changed something, with `by_binding` to every import as well."""
    return replay(
        action, change, lambda place: place.touches(change.changed) or (by_binding and place.in_import)
    )


def _missing_from(text: str, change: Change, by_binding: bool) -> list[str]:
    if text == change.post:
        return []
    language = change.language
    old, new, start = (
        imports.code_lines(one, language) if by_binding else difftext.rows(one)
        for one in (text, change.post, change.pre)
    )
    ranges = difftext.changed(start, old)
    numbers = imports.code_numbers(change.pre, language)
    lines = []
    for a0, a1, b0, b1 in difftext.changed(old, new):
        line = difftext.old_line(a0, ranges)
        at = numbers[line] if by_binding and line < len(numbers) else line
        lines.append(f"{change.path}:{at + 1}: {_short(old[a0:a1])}  →  {_short(new[b0:b1])}")
    if by_binding:
        got, wanted = imports.bindings(text, language), imports.bindings(change.post, language)
        lines += [
            f"{change.path}: the import of `{one.name}` from {one.module} stays"
            for one in got
            if one not in wanted
        ]
        lines += [
            f"{change.path}: no import of `{one.name}` from {one.module}" for one in wanted if one not in got
        ]
    return lines


def _short(lines: Sequence[str]) -> str:
    text = " ".join(lines).strip()
    return quoted(text) if text else "(nothing)"


# Which rules make which lines


def completing_rules(action: Action, change: Change) -> set[int]:
    """The rules that make a place of a change, or a part of one, with all that changes together right."""
    made, wrong = places_and_wrong_lines(action, change, with_imports=True)
    wrong = with_their_parts(wrong, change)
    right = [place for place in made if not place.touches(wrong)]
    # Where a name is used tells more than that it is imported.
    used = {place.rule for place in made if not place.in_import}
    return {place.rule for place in right if not place.in_import or place.rule not in used}


def partners(action: Action, change: Change) -> dict[int, set[frozenset[int]]]:
    """By rule, the sets of others with which it makes a statement right; an empty set: it does so alone."""
    made, wrong = places_and_wrong_lines(action, change)
    found: dict[int, set[frozenset[int]]] = {}
    for place, rules in rules_around(made, change.tree).items():
        if not place.touches(wrong):
            found.setdefault(place.rule, set()).add(rules - {place.rule})
    for rule in [rule for rule, sets in found.items() if frozenset() not in sets]:
        mine, amiss = places_and_wrong_lines(action, change, rule)
        if any(not one.touches(amiss) for one in mine):
            found[rule].add(frozenset())
    return found


def rules_around(found: Sequence[Place], tree: Tree) -> dict[Place, frozenset[int]]:
    """The rules that change the statements of each place of a file, its own included."""
    rules_at: dict[int, set[int]] = {}
    for place in found:
        for line in place.lines:
            rules_at.setdefault(line, set()).add(place.rule)
    around = statement_lines(tree.root.sg, rules_at.keys())
    return {
        place: frozenset().union(*(rules_at.get(other, ()) for line in place.lines for other in around[line]))
        for place in found
    }


def places_and_wrong_lines(
    action: Action, change: Change, rule: int | None = None, with_imports: bool = False
) -> tuple[list[Place], set[int]]:
    """The changed places that rules, or one of them, make, and the lines that do not come out right.

    Lines are those before the change, from 1.
    """
    done = replay(
        action,
        change,
        lambda place: (
            place.touches(change.changed)
            and rule in (None, place.rule)
            and (with_imports or not place.in_import)
        ),
    )
    pre, post, now = (difftext.rows(text) for text in (change.pre, change.post, done.text))
    ranges = difftext.changed(pre, now)
    others = difftext.changed(now, post)
    wrong = {difftext.old_line(line, ranges) + 1 for a0, a1, _, _ in others for line in range(a0, a1)}
    # Where only new lines are missing, the lines in whose place the person wrote them are wrong.
    missing = {line for a0, a1, b0, b1 in others if a0 == a1 for line in range(b0, b1) if post[line].strip()}
    lacking = (part.old for part in change.parts if missing & part.new)
    return done.places, wrong.union(*lacking)


def with_their_parts(lines: set[int], change: Change) -> set[int]:
    """Lines with all lines of the parts of the change that they stand in."""
    return lines.union(*(part.old for part in change.parts if part.old & lines))
