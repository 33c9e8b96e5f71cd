"""Mine one edit: an action that reproduces it exactly, with its figures and its tier.

Invariant: the action of a `Mined` was judged by the engine and turns `pre` into `post`. That does not
make it a good rule: that is what the tier says (`grading`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rulewright import collector, engine
from rulewright.actions.action import Action
from rulewright.engine.apply import trace
from rulewright.languages import Language
from rulewright.mining.judge import background
from rulewright.mining.learn.grading import Figures, Tier, grade, measure, why_doubtful
from rulewright.mining.learn.search import Budget, Plan, solve
from rulewright.mining.propose.candidate import Shape
from rulewright.mining.rules import callees, guards
from rulewright.mining.text import snippets
from rulewright.mining.text.tree import Tree
from rulewright.verdict import Outcome

MAX_CHARS: Final = 150_000
MAX_DEPTH: Final = 300
EVALUATIONS_PER_SECOND: Final = 600.0
"""Nominal evaluations of a rule on 10 kB of text in a second of one core."""


@dataclass(frozen=True)
class Mined:
    """The outcome of mining one edit."""

    action: Action | None
    tier: Tier
    reason: str
    shapes: tuple[Shape, ...] = ()
    states: tuple[str, ...] = ()
    """The text after each rule."""
    figures: Figures = field(default_factory=Figures)


def no_rules(reason: str, work: int = 0) -> Mined:
    """The result without an action, with the reason."""
    return Mined(None, "reject", reason, figures=Figures(work=work))


def why_refused(pre: str, post: str, language: Language) -> str:
    """Why a pair of texts cannot be mined; empty if it can."""
    if pre == post:
        return "identical sides"
    if language not in snippets.WRAPPERS:
        return f"language not supported: {language}"
    if not pre.strip():
        return "empty pre: nothing to match"
    if len(pre) > MAX_CHARS or len(post) > MAX_CHARS:
        return f"longer than {MAX_CHARS} characters"
    if "\0" in pre or "\0" in post:
        return "binary"
    if "\r" in pre or "\r" in post:
        return "line ends other than \\n"
    try:
        pre.encode("utf-8")
        post.encode("utf-8")
    except UnicodeEncodeError:
        return "not Unicode text"
    return ""


@collector.paused()
def mine(
    pre: str,
    post: str,
    language: Language,
    budget_s: float = 2.0,
    instruction: str = "",
    known: Sequence[str] = (),
) -> Mined:
    r"""Find rules that turn `pre` into `post` exactly.

    Args:
        pre, post: the text before and after, line ends `\n`.
        language: of both.
        budget_s: nominal seconds, counted in rule evaluations: the result does not depend on the
            machine or its load.
        instruction: what the edit was said to do; names that it quotes stay literal.
        known: other files of the repository, in which the rules should find little.

    Returns:
        An action of one to five rules, verified by the engine, or a reason.
    """
    problem = why_refused(pre, post, language)
    if problem:
        return no_rules(problem)
    before, after = Tree(pre, language), Tree(post, language)
    if before.n_errors() > 20:
        return no_rules("pre does not parse")
    if problem := why_too_deep(before, after):
        return no_rules(problem)
    work = Budget(budget_s * EVALUATIONS_PER_SECOND, per_call=before.work)
    plan = solve(before, after, work, quoted=quoted_names(instruction))
    if plan is None:
        spent = work.is_spent
        return no_rules("deadline" if spent else "no short sequence of rules found", int(work.spent))
    return judged_plan(plan, pre, post, language, instruction, known, int(work.spent))


def why_too_deep(before: Tree, after: Tree) -> str:
    """Why trees are too deep to walk; empty if they are not."""
    is_deeper = before.is_deeper_than(MAX_DEPTH) or after.is_deeper_than(MAX_DEPTH)
    return f"nested more than {MAX_DEPTH} deep" if is_deeper else ""


def judged_plan(
    plan: Plan, pre: str, post: str, language: Language, instruction: str, known: Sequence[str], work: int
) -> Mined:
    """The action of a plan, judged by the engine and graded."""
    steps = [step.candidate for step in plan.steps]
    action, outcome = with_import_guards(
        Action(language, tuple(step.rule for step in steps), mode="rule"), pre, post
    )
    if outcome.post != post:
        return no_rules(f"not reproduced by the engine ({outcome.verdict}: {outcome.detail})", work)
    narrowed = _narrowed_to_use(action, pre)
    if narrowed != action and (narrowed_outcome := engine.judge(narrowed, pre, post)).post == post:
        action, outcome = narrowed, narrowed_outcome
    sites = sum(len(step.effect.positives) for step in plan.steps)
    figures = measure(action, steps, outcome, sites, instruction, work)
    if known:
        figures = replace(figures, matches_elsewhere=background.count(action, known))
    tier, reason = grade(steps, figures, len(known))
    if tier == "train" and (why := why_doubtful(action, steps, figures, pre, post, len(known))):
        tier, reason = "literal", why
    return Mined(action, tier, reason, tuple(s.shape for s in steps), outcome.states, figures)


def with_import_guards(action: Action, pre: str, post: str) -> tuple[Action, Outcome]:
    """An action with import guards, if it gives the same result with them, and what came of it."""
    rules = (
        tuple(guards.with_import_guards(action.rules, action.language))
        if len(action.rules) > 1
        else action.rules
    )
    if rules != action.rules:
        guarded = replace(action, rules=rules)
        outcome = engine.judge(guarded, pre, post)
        if outcome.post == post:
            return guarded, outcome
    return action, engine.judge(action, pre, post)


def _narrowed_to_use(action: Action, pre: str) -> Action:
    """A rename of a member of any value, narrowed to the use that the edit shows, if it can be."""
    if len(action.rules) > 1 or "inside" not in action.rules[0]["rule"]:
        return action
    edits = [edit for step in trace(action, pre).steps for edit in step.edits]
    nodes = [edit.node for edit in edits if edit.node is not None]
    return (callees.narrowed_to_use(action, nodes) if nodes else None) or action


_QUOTED: Final = re.compile(r"`([^`\n]+)`")
_NAMES: Final = re.compile(r"[A-Za-z_]\w+")


def quoted_names(instruction: str) -> frozenset[str]:
    """The names of two letters or more that an instruction puts between backticks.

    >>> sorted(quoted_names("Wrap calls of `out.strip` in `check(...)`, not `x`."))
    ['check', 'out', 'strip']
    """
    return frozenset(name for quoted in _QUOTED.findall(instruction) for name in _NAMES.findall(quoted))
