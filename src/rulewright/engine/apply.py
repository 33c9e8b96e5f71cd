"""Apply an action to a text: rule after rule, each exactly as `ast-grep scan -U`.

One tidy step follows each rule unless `exact`. Runs in this process, so use it for trusted actions only;
`Engine` runs a model's actions safely.
"""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

from ast_grep_py import SgNode

from rulewright import grammars
from rulewright.actions.action import Action
from rulewright.difftext import common_ends, splice
from rulewright.engine import applier, cli, literals, tidy
from rulewright.engine.applier import MatchEdit
from rulewright.engine.parsing import ParsedCode, parse, span
from rulewright.engine.rules import CompiledRule, compile_rule
from rulewright.verdict import Outcome, RuleFailed, Verdict

PARTED_CHARS: Final = 2_000
"""Characters from which it pays to parse the changed statements of a text alone."""
_OF_STATEMENTS: Final = frozenset({*grammars.BLOCKS, "statement_list", "statements", "body_statement"})

_REST: Final = re.compile(r"[^\S\n]*(?:\n|\Z)")
"""Nothing more on the line."""


class Parts(NamedTuple):
    """The statements of a text that a rule changed, by themselves.

    Args:
        root: of the tree of their new texts, which has no faults.
        spans: where the text of each edit stands there.
    """

    root: SgNode
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Step:
    """What one rule did: the text before it and the edits it made."""

    rule: CompiledRule
    source: str
    edits: tuple[MatchEdit, ...]
    nodes: tuple[SgNode | None, ...]
    """The matched node of each edit; `None` where only the command line found it."""
    after: str
    n_found: int
    tidied: bool

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
        source = self.source
        if len(source) < PARTED_CHARS or self.before.broken:
            return None
        wholes: list[_Statement] = []
        for edit, node in zip(self.edits, self.nodes, strict=True):
            if wholes and wholes[-1].holds(edit):
                continue
            whole = _statement(source, node, edit)
            if whole is None:
                return None
            while wholes and whole.start <= wholes[-1].start:
                wholes.pop()
            wholes.append(whole)
        edits = deque(self.edits)
        spans: list[tuple[int, int]] = []
        texts: list[str] = []
        size = 0
        for whole in wholes:
            # A statement of Python keeps the indentation that its later lines go by.
            head = f"if 1:\n{whole.indent}" if self.rule.language == "python" and whole.indent else ""
            shift = size + len(head) - whole.start
            inside = []
            while edits and whole.holds(edits[0]):
                edit = edits.popleft()
                inside.append((edit.start - whole.start, edit.end - whole.start, edit.text))
                spans.append((edit.start + shift, edit.start + shift + len(edit.text)))
                shift += len(edit.text) - (edit.end - edit.start)
            text = splice(source[whole.start : whole.end], inside)
            if text[-1:] != source[whole.end - 1]:
                return None
            texts.append(head + text)
            size += len(texts[-1]) + 1
        if 2 * size > len(source):
            return None
        after = parse("\n".join([*texts, ""]), self.rule.language)
        found = [one for one in after.root.children() if one.is_named()]
        for at, (one, text) in enumerate(zip(found, texts)):
            body = one.field("consequence") if text.startswith("if 1:\n") else None
            inner = body.children() if body is not None else [one]
            found[at] = inner[0] if len(inner) == 1 else one
        same = [one.kind() for one in found] == [whole.kind for whole in wholes]
        return Parts(after.root, tuple(spans)) if same and not after.broken else None


class _Statement(NamedTuple):
    """Where a statement that has its lines for itself stands in a text."""

    start: int
    end: int
    kind: str
    indent: str

    def holds(self, edit: MatchEdit) -> bool:
        return self.start <= edit.start and edit.end <= self.end


def _statement(source: str, node: SgNode | None, edit: MatchEdit) -> _Statement | None:
    """The smallest one about a match that holds its edit."""
    above = [node, *node.ancestors()] if node is not None else []
    for one, parent in pairwise(above):
        # The last of a block of Rust may be a value.
        is_statement = parent.kind() in _OF_STATEMENTS and not one.kind().endswith("_expression")
        if is_statement or parent is above[-1]:
            start, end = span(one)
            indent = source[source.rfind("\n", 0, start) + 1 : start]
            ends = source[end - 1] == "\n" or _REST.match(source, end) is not None
            whole = _Statement(start, end, one.kind(), indent)
            if not indent.strip() and ends and whole.holds(edit):
                return whole
    return None


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


def trace(action: Action, code: str, *, exact: bool = False, choose: Chooser | None = None) -> Trace:
    """Apply an action and keep what each rule did, or what `choose` leaves of it."""
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
    for number, rule in enumerate(action.rules):
        where = f"document {number + 1}: " if many else ""
        try:
            step = _step(compile_rule(rule, action.language), text, action.id_of(number), exact)
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
    chosen = [
        (edit._replace(text=text), node)
        for edit, node, text in zip(step.edits, step.nodes, texts, strict=True)
        if text is not None
    ]
    edits = tuple(edit for edit, _ in chosen)
    after, tidied = written(step.source, edits), False
    if not exact:
        after, tidied = _tidied(after, edits, "", _without_padding(step.source, edits))
    return replace(step, edits=edits, nodes=tuple(node for _, node in chosen), after=after, tidied=tidied)


def _without_padding(source: str, edits: Sequence[MatchEdit]) -> frozenset[MatchEdit]:
    """The edits over text without padded lines: which of these were there before cannot be told."""
    return frozenset(edit for edit in edits if not tidy.holds_padding(source[edit.start : edit.end]))


def _step(rule: CompiledRule, source: str, rule_id: str, exact: bool) -> Step:
    if not literals.may_match(source, rule.needs):
        return Step(rule, source, (), (), source, 0, False)
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
    edits = tuple(match.edit for match in done.matches)
    text, tidied = (done.text, False) if exact else _tidied(done.text, edits, mark)
    if mark:  # nobody else may see it: an edit may be written alone
        edits = tuple(edit._replace(text=edit.text.replace(mark, "")) for edit in edits)
    nodes = tuple(match.node for match in done.matches)
    return Step(rule, parsed.source, edits, nodes, text, done.n_found, tidied)


def _step_by_cli(rule: CompiledRule, parsed: ParsedCode, rule_id: str, exact: bool, mark: str) -> Step:
    source = parsed.source
    found = cli.scan(rule.source, rule.language, source, rule_id)
    applied: list[cli.CliEdit] = []
    done = 0
    for one in found.edits:
        if one.start >= done:
            applied.append(one)
            done = one.end
    edits = tuple(MatchEdit(one.start, one.end, one.text) for one in applied)
    if not rule.needs_cli:
        with contextlib.suppress(applier.NotPorted):
            here = applier.run_rule(rule, source, parsed.root, rule_id)
            if tuple(match.edit for match in here.matches) == edits:
                return _step_here(rule, parsed, rule_id, exact, mark)
    text = written(source, edits)
    tidied = False
    if not exact:
        text, tidied = _tidied(text, edits, "", _without_padding(source, edits))
    # The nodes that our own tree has where the command line matched.
    known: dict[tuple[int, int], SgNode] = {}
    for node in applier.find_all(parsed.root, rule.core.config):
        known.setdefault(span(node), node)
    nodes = tuple(known.get((edit.match_start, edit.match_end)) for edit in applied)
    return Step(rule, source, edits, nodes, text, found.n_matches, tidied)


def written(source: str, edits: Sequence[MatchEdit]) -> str:
    """A text with edits made, before any tidying."""
    return splice(source, ((edit.start, edit.end, edit.text) for edit in edits))


def spans_after(edits: Sequence[MatchEdit]) -> list[tuple[int, int]]:
    """Spans of the text of each edit after all edits are made."""
    spans: list[tuple[int, int]] = []
    shift = 0
    for edit in edits:
        spans.append((edit.start + shift, edit.start + shift + len(edit.text)))
        shift += len(edit.text) - (edit.end - edit.start)
    return spans


def _tidied(
    text: str, edits: tuple[MatchEdit, ...], mark: str, only: frozenset[MatchEdit] | None = None
) -> tuple[str, bool]:
    spans = [
        place for edit, place in zip(edits, spans_after(edits), strict=True) if only is None or edit in only
    ]
    return tidy.tidy(text, spans, mark)


def outcome_of(done: Trace, code: str) -> Outcome:
    """Sum a trace up, before any judgment beyond what `scan` itself shows."""
    if done.failure is not None:
        return done.failure
    steps = done.steps
    post = steps[-1].after if steps else code
    counts = tuple(len(step.edits) for step in steps)
    states = tuple(step.after for step in steps)
    replaced = [(step.source[e.start : e.end], e.text) for step in steps for e in step.edits]
    verdict, detail = Verdict.OK, ""
    if not any(step.n_found for step in steps):
        verdict, detail = Verdict.NO_MATCH, "no rule matched anything"
    elif not any(counts):
        verdict, detail = Verdict.NO_CHANGE, "the rule has no `fix`"
    elif post == code:
        verdict, detail = Verdict.NO_CHANGE, "the fix gives back what it matched"
    return Outcome(
        verdict,
        detail,
        post,
        n_rules=len(steps),
        # Edits that give another text than the one that they replace.
        n_matches=sum(old != new for old, new in replaced),
        matches_per_rule=counts,
        states=states,
        tidied=any(step.tidied for step in steps),
        bytes_touched=sum(_touched(old, new) for old, new in replaced),
    )


def _touched(old: str, new: str) -> int:
    """Bytes that an edit removed or wrote, whichever is more, without what it left alone."""
    lead, tail = common_ends(old, new)
    return max(len(text[lead : len(text) - tail].encode("utf-8")) for text in (old, new))
