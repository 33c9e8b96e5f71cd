"""Combine several sound candidates into one rule.

One word in nodes of several kinds becomes one rule for all of them; many words become a lookup table.
Different changes in one construct (a named definition, a statement or an expression, never the whole
file) become a rule that matches the construct and changes its parts by rewriters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rulewright import grammars
from rulewright.actions.visit import regex_escape
from rulewright.mining import costs
from rulewright.mining.propose.candidate import Candidate, Effect
from rulewright.mining.propose.naming import by_name
from rulewright.mining.propose.tokens import replace_steps
from rulewright.mining.text.align import Edit
from rulewright.mining.text.snippets import of_kinds
from rulewright.mining.text.tree import Node

MAX_PARTS: Final = 4
MIN_WORDS: Final = 3
FEW_WORDS: Final = 5
"""Up to so many words a table costs more than one rule for each word."""
MAX_WORDS: Final = 40
MAX_PART_CHARS: Final = 300
MAX_RULE_CHARS: Final = 600
MAX_CONSTRUCT: Final = 30_000
MAX_UNNAMED: Final = 6_000
"""A larger construct must have a name."""
MAX_CONSTRUCTS: Final = 3
_PARTS: Final = ("rule", "constraints", "transform", "fix")
"""The keys of a rewriter, in order."""
WHOLE: Final = "W"
"""The variable for the construct; candidates that use it are left out."""


def across_kinds(edit: Edit, found: Sequence[tuple[Candidate, Effect]]) -> Iterator[Candidate]:
    """Rules for one word in nodes of several kinds, from sound candidates with their effects.

    A type has one name everywhere, so a change of it in one kind of type name counts for both kinds.
    """
    for (text, fix), by_kind in _words(edit, found).items():
        kinds = set(by_kind)
        if edit.pre.language in grammars.TYPED and text[:1].isupper() and kinds & grammars.TYPE_NAMES:
            kinds |= grammars.TYPE_NAMES
        if len(kinds) < 2:
            continue
        matcher = {**of_kinds(sorted(kinds)), "regex": f"^{regex_escape(text)}$"}
        hunks = frozenset[int]().union(*(done.hunks for _, done in by_kind.values()))
        first = next(candidate for candidate, _ in by_kind.values())
        rule = {"rule": matcher, "fix": fix}
        yield Candidate(rule, "lexical", first.anchor, first.kind, hunks, extra_cost=costs.SAME_NAME)


def lookup_table(edit: Edit, found: Sequence[tuple[Candidate, Effect]]) -> Iterator[Candidate]:
    """One rule for many words, each of which becomes another one: a table, as in hand-written codemods."""
    words = _words(edit, found)
    kinds = sorted({kind for by_kind in words.values() for kind in by_kind})
    for some in ([kinds] if len(kinds) > 1 else []) + [[kind] for kind in kinds]:
        pairs = {text: fix for (text, fix), by_kind in words.items() if set(some) & set(by_kind)}
        if not MIN_WORDS <= len(pairs) <= MAX_WORDS or set(pairs) & set(pairs.values()):
            continue
        steps = replace_steps([(f"^{regex_escape(text)}$", fix) for text, fix in pairs.items()])
        either = "|".join(map(regex_escape, pairs))
        matcher = {**of_kinds(some), "pattern": "$T", "regex": f"^({either})$"}
        parts = [one for key, by_kind in words.items() if key[0] in pairs for one in by_kind.values()]
        hunks = frozenset[int]().union(*(done.hunks for _, done in parts))
        first = parts[0][0]
        rule = {"rule": matcher, "transform": steps, "fix": "$NEW"}
        extra = len(pairs) * (costs.GOOD + costs.STEP) if len(pairs) <= FEW_WORDS else 0.0
        yield Candidate(rule, "table", first.anchor, first.kind, hunks, extra)


def _words(
    edit: Edit, found: Sequence[tuple[Candidate, Effect]]
) -> dict[tuple[str, str], dict[str, tuple[Candidate, Effect]]]:
    """The single-token candidates by old and new word, then by node kind."""
    words: dict[tuple[str, str], dict[str, tuple[Candidate, Effect]]] = {}
    for candidate, done in found:
        fix = candidate.rule["fix"]
        is_bare = set(candidate.rule["rule"]) <= {"kind", "pattern", "regex"}
        if candidate.is_token and isinstance(fix, str) and is_bare:
            by_kind = words.setdefault((edit.pre.text_of(candidate.anchor), fix), {})
            by_kind.setdefault(candidate.kind, (candidate, done))
    return words


def with_rewriters(edit: Edit, found: Sequence[tuple[Candidate, Effect]]) -> Iterator[Candidate]:
    """Rules with rewriters that do what several sound candidates do together; for two hunks or more."""
    parts = _cover(edit, found)
    if len(parts) < 2:
        return
    start = min(span[0] for _, done in parts for span in done.positives)
    end = max(span[1] for _, done in parts for span in done.positives)
    rewriters = [
        {"id": name, **{key: one.rule[key] for key in _PARTS if key in one.rule}}
        for name, (one, _) in zip("abcd", parts, strict=False)
    ]
    step = f"rewrite(${WHOLE}, rewriters=[{', '.join(part['id'] for part in rewriters)}])"
    for node, matchers in _constructs(edit, start, end):
        for matcher in matchers:
            if node.size > MAX_UNNAMED and "regex" in matcher:
                continue
            rule = {
                "rule": {**matcher, "pattern": f"${WHOLE}"}, "rewriters": rewriters,
                "transform": {"NEW": step}, "fix": "$NEW",
            }  # fmt: skip
            if len(json.dumps(rule, ensure_ascii=False)) <= MAX_RULE_CHARS:
                yield Candidate(rule, "rewrite", node, node.kind, frozenset(range(len(edit.hunks))))


def _cover(edit: Edit, found: Sequence[tuple[Candidate, Effect]]) -> list[tuple[Candidate, Effect]]:
    """A few short candidates that cover every hunk; empty if there are none."""
    fit = [
        (one, done)
        for one, done in found
        if one.generalizes
        and "rewriters" not in one.rule
        and len(one.key) <= MAX_PART_CHARS
        and f"${WHOLE}" not in one.key
    ]
    left = frozenset(range(len(edit.hunks)))
    chosen: list[tuple[Candidate, Effect]] = []
    while left:
        best = max(fit, key=lambda p: (len(p[1].hunks & left) - len(p[0].key) / 1000, p[0].key), default=None)
        if best is None or not best[1].hunks & left or len(chosen) == MAX_PARTS:
            return []
        chosen.append(best)
        left -= best[1].hunks
    return chosen


def _constructs(edit: Edit, start: int, end: int) -> Iterator[tuple[Node, list[dict[str, Any]]]]:
    """The smallest nodes around a range that have a name or a telling first line, with matchers for them."""
    count = 0
    for node in edit.pre.covering(start, end):
        if node.size > MAX_CONSTRUCT or count >= MAX_CONSTRUCTS:
            return
        if not node.named or node.kind in grammars.ROOTS or (node.start, node.end) == (start, end):
            continue
        matchers = list(by_name(edit.pre, node))
        if matchers and (count == 0 or "has" in matchers[0]):
            count += 1
            yield node, matchers
