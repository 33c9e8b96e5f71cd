"""Find mistakes in a rule: its form, its own tests, its effect on code.

Every finding is a fact: ast-grep refuses the rule, its text contradicts itself, or the rule did something
wrong when it was executed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final, Literal, get_args

from rulewright.actions.action import Action
from rulewright.actions.suggest import did_you_mean, quoted
from rulewright.actions.visit import RELATIONS, VARIABLE, own, pattern_parts, required
from rulewright.engine import patterns
from rulewright.engine.apply import outcome_of, trace
from rulewright.engine.judge import judge
from rulewright.engine.nesting import nesting_of
from rulewright.engine.places import change
from rulewright.engine.rules import FIX_KEYS, compile_rule
from rulewright.languages import Language
from rulewright.verdict import RuleFailed, Verdict

Level = Literal["error", "warning", "note"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
"""The gravest first."""

KINDS: Final[dict[str, tuple[Level, str]]] = {
    "not-yaml": ("error", "The file is not YAML"),
    "refused": ("error", "The pinned ast-grep refuses the rule"),
    "duplicate-id": ("error", "Two rules have one id"),
    "matches-nothing": ("error", "No node can meet all parts of the rule"),
    "test-of-none": (
        "warning",
        "Tests are for an id that no rule has, so that `ast-grep test` passes over them",
    ),
    "test-missing": ("error", "An invalid case of the rule's tests is not found"),
    "test-noisy": ("error", "A valid case of the rule's tests is found"),
    "wrong-result": ("error", "The fix does not give the text that an example wants"),
    "syntax-error": ("error", "The fix breaks the syntax"),
    "lossy": ("warning", "The fix drops code that the rule does not name"),
    "degenerate": ("warning", "The fix replaces a whole file, or most of it, by a text of its own"),
    "no-rest": ("warning", "Applied again and again, the rule goes on changing its own result"),
    "no-effect": ("warning", "A part of the rule does nothing"),
    "broken-pattern": (
        "warning",
        "A pattern is no correct code, and the rule matched nothing that was shown to it",
    ),
    "fires-everywhere": ("warning", "The rule matches nearly everywhere"),
    "overlap": ("warning", "Two rules rewrite the same code to different texts"),
    "never-fires": ("note", "The rule matches nothing in the files that were looked at"),
    "not-checked": ("note", "The rule is for a language that is not checked here"),
}
"""What can be found: how grave it is, and what it means."""
MAX_PASSES: Final = 5
"""Passes over its own result in which a rule has to find less to change than ever before."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or to be known.

    Args:
        kind: a key of `KINDS`.
        detail: what exactly, in one line.
        where: a file and line of code, or a case, that shows it.
    """

    kind: str
    detail: str
    where: str = ""

    @property
    def level(self) -> Level:
        return KINDS[self.kind][0]


def form(action: Action) -> Iterator[Finding]:
    """What the rule's own text shows: refusals, and parts that exclude each other."""
    rule = action.rules[0]
    try:
        compile_rule(rule, action.language)
    except RuleFailed as error:
        yield Finding("refused", str(error))
        return
    if why := _unmeetable(rule, action.language):
        yield Finding("matches-nothing", why)
    # Parts that ast-grep takes and passes over.
    known = [str(one.get("id")) for one in rule.get("rewriters") or ()]
    for name, item in (rule.get("transform") or {}).items():
        options = item.get("rewrite") if isinstance(item, dict) else None
        for rewriter in options.get("rewriters", ()) if isinstance(options, dict) else ():
            if rewriter not in known:
                yield Finding("no-effect", f"transform `{name}`: there is no rewriter `{rewriter}`")
    fixes = rule.get("fix")
    for fix in fixes if isinstance(fixes, list) else [fixes]:
        for key in fix if isinstance(fix, dict) else ():
            if key not in FIX_KEYS:
                near = did_you_mean(key, FIX_KEYS)
                yield Finding("no-effect", f"unknown field `{key}` in `fix`{near}")


def _unmeetable(rule: Mapping[str, Any], language: Language) -> str:
    """Why no node can meet a rule; empty where some may."""
    utils = rule.get("utils") or {}
    if why := _excluded(rule["rule"], utils, language):
        return why
    # The patterns that each match has met.
    needed = (pattern_parts(part["pattern"])[0] for part in required(rule["rule"]) if "pattern" in part)
    bound = {name for text in needed for name in _ONE.findall(text)}
    for name, constraint in (rule.get("constraints") or {}).items():
        # ast-grep passes over the constraint of a variable that holds nothing, or several nodes.
        if name in bound and (why := _excluded(constraint, utils, language)):
            return f"constraint on `${name}`: {why}"
    return ""


_ONE: Final = re.compile(r"(?<!\$)\$([A-Z][A-Z0-9_]*)")
"""A variable that holds one node."""


def _excluded(
    rule: Mapping[str, Any], utils: Mapping[str, Any], language: Language, of: frozenset[str] | None = None
) -> str:
    """Why no node, or none of some kinds, can meet a rule object and those that stand in relation to it."""
    nested = nesting_of(language)
    kinds = _both(of, _kinds(rule, utils, language))
    if kinds == frozenset():
        return "its kinds and patterns exclude each other: no node has all of them"
    if group := nested.group_among(kinds):
        return f"no node has the kind `{group}`: it is the grammar's name for several kinds"
    for part in required(rule):
        if "nthChild" in part and not _has_position(part["nthChild"]):
            return f"`nthChild: {_position(part['nthChild'])}` is no position: they count from 1"
        # Each alternative may be impossible for a reason of its own; the first is told.
        each = [_excluded(one, utils, language, kinds) for one in part.get("any", ())]
        if each and all(each):
            return f"`any`: {each[0]}"
        for key in RELATIONS:
            if not isinstance(part.get(key), dict):
                continue
            if why := _excluded(part[key], utils, language):
                return f"`{key}`: {why}"
            other, field = _kinds(part[key], utils, language), part[key].get("field")
            far = part[key].get("stopBy", "neighbor") != "neighbor"
            why = nested.why_no_field(str(field), other if key == "inside" else kinds) if field else ""
            if why := why or nested.why_never(key, kinds, other, far):
                return f"`{key}`: {why}"
    return ""


def _position(value: Any) -> Any:
    return value.get("position") if isinstance(value, dict) else value


_STEPS: Final = re.compile(r"([+-]?\d*)n(?:([+-]\d+))?|([+-]?\d+)")


def _has_position(value: Any) -> bool:
    """Whether a position, `An+B` with n from 0 on, can be one of a child: 1 or more.

    >>> [_has_position(one) for one in (0, 1, "-n", "-n + 3", "2n", "odd", {"position": 0})]
    [False, True, False, True, True, True, False]
    """
    found = _STEPS.fullmatch("".join(str(_position(value)).split()))
    if found is None:
        return True
    step, offset, alone = found.groups()
    if alone is not None:
        return int(alone) >= 1
    return int(offset or 0) >= 1 or int(step + "1" if step in ("", "+", "-") else step) >= 1


def _kinds(rule: Mapping[str, Any], utils: Mapping[str, Any], language: Language, depth: int = 8) -> Any:
    """The node kinds that a rule can match; `None` where any, or where that cannot be told."""
    found: frozenset[str] | None = None
    for key, value in rule.items():
        part: frozenset[str] | None = None
        if key == "kind" and str(value).isidentifier():
            part = frozenset({str(value)})
        elif key == "pattern" and (kind := patterns.kind_of(value, language)) is not None:
            part = frozenset({kind})
        elif key == "all":
            for item in value:
                found = _both(found, _kinds(item, utils, language, depth))
        elif key == "any":
            each = [_kinds(item, utils, language, depth) for item in value]
            part = None if None in each else frozenset().union(*each)
        elif key == "matches" and isinstance(value, str) and value in utils and depth:
            part = _kinds(utils[value], utils, language, depth - 1)
        found = _both(found, part)
    return found


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return one if other is None else other
    return one & other


def finds(action: Action, code: str) -> bool:
    """Whether a rule matches anything in a text."""
    return any(step.n_found for step in trace(action, code).steps)


def tests(action: Action, valid: Sequence[str], invalid: Sequence[str]) -> Iterator[Finding]:
    """What the rule's tests say otherwise than the rule."""
    for number, code in enumerate(invalid, 1):
        if not finds(action, code):
            yield Finding("test-missing", f"invalid case {number} is not found: {quoted(code)}")
    for number, code in enumerate(valid, 1):
        if finds(action, code):
            yield Finding("test-noisy", f"valid case {number} is found: {quoted(code)}")


def snapshots(action: Action, fixed: Mapping[str, str | None]) -> Iterator[Finding]:
    """What `ast-grep test` has kept of a fix otherwise than the rule gives it.

    Args:
        action: one rule.
        fixed: by code, the code after its first match is replaced; `None` without a fix.
    """
    for code, kept in fixed.items():
        now = _first_fixed(action, code) if action.rules[0].get("fix", []) != [] else None
        if now != kept:
            said = f"the snapshot has {_told(kept)}, the rule gives {_told(now)}"
            yield Finding("wrong-result", said, f"snapshot of {quoted(code)}")


def _told(text: str | None) -> str:
    return "no fix" if text is None else quoted(text)


def _first_fixed(action: Action, code: str) -> str:
    """The code as `ast-grep test` keeps it, which replaces the first match and expands nothing."""
    [rule] = action.rules
    fix = rule["fix"][0] if isinstance(rule["fix"], list) else rule["fix"]
    bare = {**rule, "fix": fix["template"] if isinstance(fix, Mapping) else fix}
    places = count()
    done = change(
        replace(action, rules=(bare,)), code, lambda place: None if next(places) else place.new, exact=True
    )
    return done.steps[-1].after if done.steps else code


def effects(action: Action, code: str, where: str, whole_file: bool) -> Iterator[Finding]:
    """What the fix of one rule does to a text that it matches.

    Not a whole file but a case of a test may well be replaced as a whole.
    """
    outcome = judge(action, code)
    for flag, kind in (
        (Verdict.LOSSY, "lossy"),
        (Verdict.SYNTAX_ERROR, "syntax-error"),
        (Verdict.DEGENERATE, "degenerate"),
    ):
        if flag in outcome.flags and (whole_file or flag is not Verdict.DEGENERATE):
            yield Finding(kind, outcome.detail if outcome.verdict is flag else KINDS[kind][1].lower(), where)
    text = outcome.post
    if text is None or text == code:
        return
    left, fewest = MAX_PASSES, math.inf
    while left:
        done = trace(action, text)
        after, n_found = outcome_of(done, text).post, sum(step.n_found for step in done.steps)
        if after is None or after == text:
            return
        # A pass takes the outermost of nested matches: while there are fewer and fewer, it comes to rest.
        left, fewest = (left, n_found) if n_found < fewest else (left - 1, fewest)
        text = after
    yield Finding("no-rest", f"after {MAX_PASSES} passes it still changes what it wrote", where)


def broken(action: Action) -> Iterator[Finding]:
    """Patterns about the match itself that are no correct code."""
    rule = action.rules[0]
    for part in own(rule["rule"], rule.get("utils") or {}):
        if "pattern" not in part:
            continue
        text, selector = pattern_parts(part["pattern"])
        if not VARIABLE.fullmatch(text.strip()) and patterns.facts(text, selector, action.language).broken:
            yield Finding("broken-pattern", f"{quoted(text)}{patterns.fault(text)}")
