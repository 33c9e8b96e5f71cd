"""Explain why a rule matched nothing: the part that excludes the last nodes, and the closest node.

For users, and for models that get another try. It runs in process and is slow; judging does not call it.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rapidfuzz import fuzz

from rulewright.actions.action import Action, Rule
from rulewright.actions.suggest import quoted
from rulewright.actions.visit import RELATIONS, pattern_parts, texts
from rulewright.engine import applier, patterns, suppress
from rulewright.engine.apply import trace
from rulewright.engine.parsing import ParsedCode, parse
from rulewright.engine.rules import CompiledRule, compile_rule
from rulewright.verdict import RuleFailed

# Cheap and telling parts first; the relations come last, as in ast-grep itself.
_ORDER: Final = ("pattern", "kind", "matches", "regex", "nthChild", "range", "all", "any", "not", *RELATIONS)
_WORD: Final = re.compile(r"[^\W\d]\w{2,}")
MAX_NEAR: Final = 400
MAX_DEPTH: Final = 3
MAX_SHOWN: Final = 3
"""Alternatives of an `any` that are told one by one."""


def explain(action: Action, code: str) -> str:
    """Say why the first rule that matched nothing did not; empty where every rule matched."""
    done = trace(action, code)
    text = code
    for number, rule in enumerate(action.rules):
        if number < len(done.steps):
            step = done.steps[number]
            if step.n_found:
                text = step.after
                continue
        where = f"document {number + 1}: " if len(action.rules) > 1 else ""
        try:
            compiled = compile_rule(rule, action.language)
        except RuleFailed as error:
            return where + str(error)
        return where + _explain_rule(compiled, parse(text, action.language), action.id_of(number))
    return ""


def likeliest(rules: Sequence[Rule], codes: Sequence[str], most: int) -> list[int]:
    """Which of some texts to explain it by: those that hold the rules' words, or words like them.

    Args:
        rules: they match in none of them.
        codes: the texts.
        most: how many to give; their numbers, the likeliest first.

    >>> rule = {"rule": {"pattern": "asserEqual($A)"}, "fix": "ok($A)"}
    >>> likeliest([rule], ["f(1)", "assertEqual(1)", "equal(2)"], 1)
    [1]
    """
    wanted = {
        word
        for rule in rules
        for key, text in texts([rule["rule"], rule.get("constraints", {})])
        if key in ("pattern", "context", "regex")
        for word in _WORD.findall(re.sub(r"\$+\w+", " ", text))
    }
    held = [frozenset(_WORD.findall(code)) for code in codes]
    n_with = Counter(word for words in held for word in words)
    score = [0.0] * len(codes)
    for word in sorted(wanted):
        like = [word] if word in n_with else difflib.get_close_matches(word, n_with, n=MAX_SHOWN)
        for one in like:
            # What every text holds tells none from another.
            weight = math.log((1 + len(codes)) / n_with[one])
            score = [old + weight * (one in words) for old, words in zip(score, held, strict=True)]
    return sorted(range(len(codes)), key=lambda number: -score[number])[:most]


def _explain_rule(rule: CompiledRule, parsed: ParsedCode, rule_id: str) -> str:
    config = rule.core.config
    found = applier.find_all(parsed.root, config)
    if found:
        if suppress.MARK in parsed.source and not suppress.keep(found, parsed.root, rule_id):
            return f"all {len(found)} matches are suppressed by `{suppress.MARK}` comments"
        return f"{len(found)} matches in our tree, none on the command line: the code does not parse cleanly"
    loose = {key: value for key, value in config.items() if key not in ("constraints", "transform")}
    found = applier.find_all(parsed.root, loose)
    if found and config.get("constraints"):
        values = [(name, found[0].get_match(name)) for name in config["constraints"]]
        line = found[0].range().start.line + 1
        shown = [
            f": at line {line} ${name} is {quoted(one.text())}" for name, one in values if one is not None
        ]
        return "".join([f"the rule matches {_times(len(found))}, but `constraints` leave none", *shown[:1]])
    return _explain(config["rule"], rule, parsed)


def _explain(whole: Mapping[str, Any], rule: CompiledRule, parsed: ParsedCode, depth: int = 0) -> str:
    """Why no node matches a rule, or a rule inside it: the first part that leaves none."""
    config = rule.core.config
    context = {key: config[key] for key in ("utils",) if key in config}
    kept: dict[str, Any] = {}
    before = 0
    for key, value in _parts(whole):
        # A second part of the same key goes under `all`.
        more = {key: value} if key not in kept else {"all": [*kept.get("all", []), {key: value}]}
        trial = {**kept, **more}
        try:
            found = applier.find_all(parsed.root, {"rule": trial, **context})
        except RuntimeError:
            found = []  # ast-grep takes no such part alone
        if found:
            kept, before = trial, len(found)
            continue
        if not kept:
            return _explain_first(key, value, rule, parsed, depth)
        hint = _reach_hint(kept, key, value, context, parsed)
        below = (key for item in kept.get("all", []) for key in item)
        keys = list(dict.fromkeys([*(key for key in kept if key != "all"), *below]))
        said = " and ".join(f"`{key}`" for key in keys) + (" matches" if len(keys) == 1 else " match")
        return f"{said} {_times(before)}, but `{key}` leaves none{hint}"
    return "no node meets all parts of the rule at once"


def _parts(whole: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The parts of a rule, those of its `all` among them, cheap and telling ones first."""
    parts = [(key, whole[key]) for key in _ORDER if key in whole and key != "all"]
    for item in whole.get("all", []):
        parts += _parts(item)
    return sorted(parts, key=lambda part: _ORDER.index(part[0]))


def _reach_hint(
    kept: Mapping[str, Any], key: str, value: Any, context: Mapping[str, Any], parsed: ParsedCode
) -> str:
    """Without `stopBy: end` a relation looks at direct neighbors only: the commonest slip."""
    if key not in RELATIONS or not isinstance(value, dict) or value.get("stopBy") == "end":
        return ""
    wider = {**kept, key: {**value, "stopBy": "end"}}
    n = len(applier.find_all(parsed.root, {"rule": wider, **context}))
    return f"; with `stopBy: end` in it there would be {n}" if n else ""


def _explain_first(key: str, value: Any, rule: CompiledRule, parsed: ParsedCode, depth: int) -> str:
    if key == "any" and not value:
        return "`any` has no alternatives, and so matches nothing"
    if key == "any" and depth < MAX_DEPTH:
        reasons = [_explain(one, rule, parsed, depth + 1) for one in value[:MAX_SHOWN]]
        more = f"; and {len(value) - MAX_SHOWN} more" if len(value) > MAX_SHOWN else ""
        return f"none of the {len(value)} alternatives of `any` matches: {'; '.join(reasons)}{more}"
    if key == "matches" and depth < MAX_DEPTH and isinstance(value, str):
        inner = rule.core.config.get("utils", {}).get(value)
        if inner is not None:
            return f"util `{value}`: {_explain(inner, rule, parsed, depth + 1)}"
    if key == "kind":
        return f"the code has no node of kind `{value}`{_kinds_near(str(value), parsed)}"
    if key != "pattern":
        return f"`{key}` matches no node"
    text, selector = pattern_parts(value)
    facts = patterns.facts(text, selector, rule.language)
    shown = quoted(text)
    note = f"; the pattern{patterns.fault(text)}" if facts.broken else ""
    if facts.root_kind is None:
        return f"the pattern {shown} matches nothing{note}"
    nodes = parsed.root.find_all(kind=facts.root_kind)
    if not nodes:
        return f"the pattern {shown} is a `{facts.root_kind}`, and the code has none{note}"
    near = max(nodes[:MAX_NEAR], key=lambda node: fuzz.ratio(text, node.text()[: 2 * len(text) + 40]))
    line = near.range().start.line + 1
    return (
        f"the pattern {shown} matches none of the {len(nodes)} `{facts.root_kind}` nodes; "
        f"the nearest, at line {line}, is {quoted(near.text())}{note}"
    )


def _kinds_near(kind: str, parsed: ParsedCode) -> str:
    kinds: set[str] = set()
    stack = [parsed.root]
    while stack and len(kinds) < MAX_NEAR:
        node = stack.pop()
        if node.is_named():
            kinds.add(node.kind())
        stack += node.children()
    near = difflib.get_close_matches(kind, sorted(kinds), n=3, cutoff=0.5)
    return f" (it has {', '.join(f'`{one}`' for one in near)})" if near else ""


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"
