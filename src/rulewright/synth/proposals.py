"""Input and output of an instance edit: `Code` in, `Proposal` out.

A proposal is only a proposal; `make` verifies it by applying the rule.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ast_grep_py import SgNode

from rulewright.actions.action import Rule
from rulewright.difftext import splice
from rulewright.engine.parsing import parse, span
from rulewright.grammars import GRAMMARS, Grammar
from rulewright.languages import Language
from rulewright.synth.grammar import expression, of_kind


@dataclass(frozen=True)
class Code:
    """A window of real code, and the names used elsewhere in its file."""

    text: str
    language: Language
    names: Sequence[str]
    """Identifiers of the file, sorted."""

    @cached_property
    def root(self) -> SgNode:
        return parse(self.text, self.language).root

    @property
    def grammar(self) -> Grammar:
        return GRAMMARS[self.language]


@dataclass(frozen=True)
class Proposal:
    """A change someone could have asked for: before, rule, and the words' fillings."""

    pre: str
    rules: tuple[Rule, ...]
    slots: Mapping[str, str] = field(default_factory=dict)
    sites: int = 1
    candidates: int = 0
    """Places that could have been degraded; 0: no more than `sites`."""


Family = Callable[[Code, random.Random], Proposal | None]


def rule_of(pattern: object, fix: str) -> Rule:
    return {"rule": {"pattern": pattern}, "fix": fix}


def call_rule(code: Code, call: str, fix: str) -> Rule:
    """A rule for calls, given as code of the language."""
    return rule_of(expression(code.language, call, code.grammar.call), fix)


def member_rule(code: Code, member: str, fix: str) -> Rule:
    """A rule for attributes."""
    return rule_of(expression(code.language, member, code.grammar.member), fix)


def proposal(code: Code, edits: list[tuple[int, int, str]], rule: Rule, **slots: str) -> Proposal | None:
    if not edits:
        return None
    return Proposal(splice(code.text, edits), (rule,), slots, len(edits))


def calls_of(code: Code) -> list[SgNode]:
    return of_kind(code.root, code.grammar.call)


def callee_text(call: SgNode, code: Code) -> str:
    """`f` or `a.b.f` as written; empty for anything more complex."""
    if code.language == "java":
        named, owner = call.field("name"), call.field("object")
        text = (owner.text() + "." if owner else "") + (named.text() if named else "")
    else:
        callee = call.field(code.grammar.callee)
        text = callee.text() if callee else ""
    return text if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,2}", text) else ""


def pick_call(code: Code, rng: random.Random, dotted: bool | None = None) -> tuple[str, list[SgNode]] | None:
    """One called name and all its calls in the window."""
    by_name: dict[str, list[SgNode]] = {}
    for call in calls_of(code):
        name = callee_text(call, code)
        if name and name not in code.grammar.keywords and (dotted is None or ("." in name) == dotted):
            by_name.setdefault(name, []).append(call)
    if not by_name:
        return None
    name = rng.choice(sorted(by_name))
    return name, by_name[name]


def pick_apart(code: Code, rng: random.Random, dotted: bool | None = None) -> tuple[str, list[SgNode]] | None:
    """As `pick_call`; `None` where one of the calls lies inside another."""
    picked = pick_call(code, rng, dotted)
    return None if picked is None or nested(picked[1]) else picked


def nested(nodes: list[SgNode]) -> bool:
    """Whether one of the nodes lies inside another: rewriting takes the outermost only."""
    spans = sorted(map(span, nodes))
    return any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans))


def property_of(member: SgNode, code: Code) -> str:
    named = member.field(code.grammar.property)
    return named.text() if named is not None and re.fullmatch(r"[A-Za-z]\w+", named.text()) else ""


def is_callee(member: SgNode, code: Code) -> bool:
    parent = member.parent()
    return parent is not None and parent.kind() == code.grammar.call and span(parent)[0] == span(member)[0]
