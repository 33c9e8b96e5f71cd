"""Apply an action to a text: rule after rule, each exactly as `ast-grep scan -U`.

One tidy step follows each rule unless `exact`. Runs in this process, so use it for trusted actions only;
`Engine` runs a model's actions safely.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from ast_grep_py import SgNode

from rulewright.actions.action import Action
from rulewright.difftext import common_ends, splice
from rulewright.engine import applier, changed_statements, cli, literals, tidy
from rulewright.engine.applier import MatchEdit
from rulewright.engine.parsing import ParsedCode, parse, span
from rulewright.engine.rules import CompiledRule, compile_rule
from rulewright.verdict import Outcome, RuleFailed, Verdict


class Parts(NamedTuple):
    """The statements of a text that a rule changed, by themselves.

    Args:
        root: of the tree of their new texts, which has no faults.
        spans: where the text of each edit stands there.
    """

    root: SgNode
    spans: tuple[tuple[int, int], ...]


class RuleEffect(NamedTuple):
    """What a rule did: the texts that it replaced and their new ones, its matches, and the text after it."""

    replaced: Sequence[tuple[str, str]]
    n_found: int
    after: str
    tidied: bool = False


@dataclass(frozen=True)
class Step:
    """What one rule did: the text before it and the edits it made."""

    rule: CompiledRule
    source: str
    edits: tuple[MatchEdit, ...]
    after: str
    n_found: int
    tidied: bool = False

    @property
    def effect(self) -> RuleEffect:
        """What it came to."""
        replaced = [(self.source[edit.start : edit.end], edit.text) for edit in self.edits]
        return RuleEffect(replaced, self.n_found, self.after, self.tidied)

    @property
    def before(self) -> ParsedCode:
        """The parsed text before the rule; where nothing matched, nobody has needed it so far."""
        return parse(self.source, self.rule.language)

    @cached_property
    def parts(self) -> Parts | None:
        """The changed statements of a text without faults, if they parse by themselves as before.

        Then the whole text after the rule (before any tidying) has no faults either, and need not be
        parsed. `None`: that cannot be told so.
        """
        source, language = self.source, self.rule.language
        if len(source) < changed_statements.PARTED_CHARS or self.before.broken:
            return None
        holes = changed_statements.changed(source, self.edits)
        if holes is None:
            return None
        alone = changed_statements.parse_alone(holes, language, len(source) // 2)
        if alone is None:
            return None
        spans: list[tuple[int, int]] = []
        edits = deque(self.edits)
        for hole, start in zip(holes, alone.starts, strict=True):
            shift = start - hole.start
            while edits and hole.holds(edits[0].start, edits[0].end):
                edit = edits.popleft()
                spans.append((edit.start + shift, edit.start + shift + len(edit.text)))
                shift += len(edit.text) - (edit.end - edit.start)
        return Parts(alone.tree.root, tuple(spans))


@dataclass(frozen=True)
class Trace:
    """Everything that applying an action showed, for judging it."""

    steps: tuple[Step, ...] = ()
    failure: Outcome | None = None


def apply(action: Action, code: str, *, exact: bool = False) -> Outcome:
    """Apply an action to a text.

    Args:
        action: rules, applied one after another.
        code: UTF-8 encodable text of the action's language.
        exact: leave out the tidy step: the bare result of `ast-grep scan -U`.

    Returns:
        `ok` with the new text, or `no_match`, `no_change`, `bad_rule`, `crashed`,
        `timeout`.
    """
    return outcome_of(trace(action, code, exact=exact), code)


Chooser = Callable[[int, Step], Step]
"""Takes the number of a rule and what it did; gives what of that shall stand (`partly`)."""


class Barred(Exception):
    """A rule may match that must not be tried."""


def trace(
    action: Action,
    code: str,
    *,
    exact: bool = False,
    choose: Chooser | None = None,
    barred: Container[int] = (),
) -> Trace:
    """Apply an action and keep what each rule did, or what `choose` leaves of it.

    Raises:
        Barred: a rule may match whose number is `barred`.
    """
    if action.language == "other":
        why = "ast-grep rules need one of our languages, got `other`"
        return Trace(failure=Outcome(Verdict.BAD_ACTION, why))
    try:
        code.encode("utf-8")
    except UnicodeEncodeError:
        return Trace(failure=Outcome(Verdict.INFRA, "the code is not valid Unicode (a lone surrogate)"))
    steps: list[Step] = []
    text = code
    many = len(action.rules) > 1
    for number, given in enumerate(action.rules):
        where = f"document {number + 1}: " if many else ""
        try:
            rule = compile_rule(given, action.language)
            if number in barred and literals.may_match(text, rule.needs):
                raise Barred
            step = _step(rule, text, action.id_of(number), exact)
        except RuleFailed as error:
            return Trace(tuple(steps), Outcome(error.verdict, where + str(error)))
        step = choose(number, step) if choose is not None else step
        steps.append(step)
        text = step.after
    return Trace(tuple(steps))


def partly(step: Step, texts: Sequence[str | None], *, exact: bool) -> Step:
    """Keep some edits of a step only.

    `texts` has for each edit the text to write, its own or another; `None` leaves the place alone.
    """
    if all(text == edit.text for text, edit in zip(texts, step.edits, strict=True)):
        return step
    pairs = zip(step.edits, texts, strict=True)
    edits = tuple(edit._replace(text=text) for edit, text in pairs if text is not None)
    after, tidied = _tidied(splice(step.source, edits), edits, exact, source=step.source)
    return replace(step, edits=edits, after=after, tidied=tidied)


def _step(rule: CompiledRule, source: str, rule_id: str, exact: bool) -> Step:
    if not literals.may_match(source, rule.needs):
        return Step(rule, source, (), source, 0)
    parsed = parse(source, rule.language)
    mark = "" if exact or not parsed.padded else tidy.mark_for(source, str(rule.source))
    if rule.needs_cli or (parsed.broken and source):
        return _step_by_cli(rule, parsed, rule_id, exact, mark)
    try:
        return _step_here(rule, parsed, rule_id, exact, mark)
    except applier.NotPorted:
        return _step_by_cli(rule, parsed, rule_id, exact, mark)


def _step_here(rule: CompiledRule, parsed: ParsedCode, rule_id: str, exact: bool, mark: str) -> Step:
    done = applier.run_rule(rule, parsed.source, parsed.root, rule_id, mark)
    edits = done.edits
    text, tidied = _tidied(done.text, edits, exact, mark)
    if mark:  # nobody else may see it: an edit may be written alone
        edits = tuple(edit._replace(text=edit.text.replace(mark, "")) for edit in edits)
    return Step(rule, parsed.source, edits, text, done.n_found, tidied)


def _step_by_cli(rule: CompiledRule, parsed: ParsedCode, rule_id: str, exact: bool, mark: str) -> Step:
    source = parsed.source
    found = cli.scan(rule.source, rule.language, source, rule_id)
    applied: list[cli.CliEdit] = []
    done = 0
    for one in found.edits:
        if one.start >= done:
            applied.append(one)
            done = one.end
    if not rule.needs_cli:
        with contextlib.suppress(applier.NotPorted):
            here = applier.run_rule(rule, source, parsed.root, rule_id)
            if [edit[:3] for edit in here.edits] == [one[:3] for one in applied]:
                return _step_here(rule, parsed, rule_id, exact, mark)
    # The nodes that our own tree has where the command line matched.
    known: dict[tuple[int, int], SgNode] = {}
    for node in applier.find_all(parsed.root, rule.core.config):
        known.setdefault(span(node), node)
    edits = tuple(MatchEdit(*one[:3], known.get((one.match_start, one.match_end))) for one in applied)
    text, tidied = _tidied(splice(source, edits), edits, exact, source=source)
    return Step(rule, source, edits, text, found.n_matches, tidied)


def spans_after(edits: Sequence[MatchEdit]) -> list[tuple[int, int]]:
    """Spans of the text of each edit after all edits are made."""
    spans: list[tuple[int, int]] = []
    shift = 0
    for edit in edits:
        spans.append((edit.start + shift, edit.start + shift + len(edit.text)))
        shift += len(edit.text) - (edit.end - edit.start)
    return spans


def _tidied(
    text: str, edits: Sequence[MatchEdit], exact: bool, mark: str = "", source: str = ""
) -> tuple[str, bool]:
    """A text after edits, tidied unless `exact`, and whether that changed it.

    Without marks, padded lines of the `source` cannot be told from new ones: edits over some are left.
    """
    if exact:
        return text, False
    spans = [
        place
        for edit, place in zip(edits, spans_after(edits), strict=True)
        if not tidy.holds_padding(source[edit.start : edit.end])
    ]
    return tidy.tidy(text, spans, mark)


def outcome_of(done: Trace, code: str) -> Outcome:
    """Sum a trace up, before any judgment beyond what `scan` itself shows."""
    return done.failure if done.failure is not None else sum_up([step.effect for step in done.steps], code)


def sum_up(effects: Sequence[RuleEffect], code: str) -> Outcome:
    """What rules came to that were applied one after another, before any judgment."""
    post = effects[-1].after if effects else code
    counts = tuple(len(one.replaced) for one in effects)
    replaced = [pair for one in effects for pair in one.replaced]
    verdict, detail = Verdict.OK, ""
    if not any(one.n_found for one in effects):
        verdict, detail = Verdict.NO_MATCH, "no rule matched anything"
    elif not any(counts):
        verdict, detail = Verdict.NO_CHANGE, "the rule has no `fix`"
    elif post == code:
        verdict, detail = Verdict.NO_CHANGE, "the fix gives back what it matched"
    return Outcome(
        verdict,
        detail,
        post,
        n_rules=len(effects),
        # Edits that give another text than the one that they replace.
        n_matches=sum(old != new for old, new in replaced),
        matches_per_rule=counts,
        states=tuple(one.after for one in effects),
        tidied=any(one.tidied for one in effects),
        bytes_touched=sum(_touched(old, new) for old, new in replaced),
    )


def _touched(old: str, new: str) -> int:
    """Bytes that an edit removed or wrote, whichever is more, without what it left alone."""
    lead, tail = common_ends(old, new)
    return max(len(text[lead : len(text) - tail].encode("utf-8")) for text in (old, new))
