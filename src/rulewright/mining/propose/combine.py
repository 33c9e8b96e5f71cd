"""One word in nodes of several kinds: one rule for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rulewright import grammars
from rulewright.actions.visit import regex_escape
from rulewright.mining import costs
from rulewright.mining.propose.candidate import Candidate, Effect
from rulewright.mining.text.align import Edit
from rulewright.mining.text.snippets import of_kinds


def across_kinds(edit: Edit, found: Sequence[tuple[Candidate, Effect]]) -> Iterator[Candidate]:
    """Rules for one word in nodes of several kinds, from sound candidates with their effects.

    A type has one name everywhere, so a change of it in one kind of type name counts for both kinds.
    """
    words: dict[tuple[str, str], dict[str, tuple[Candidate, Effect]]] = {}
    for candidate, done in found:
        fix = candidate.rule["fix"]
        is_bare = set(candidate.rule["rule"]) <= {"kind", "pattern", "regex"}
        if candidate.is_token and isinstance(fix, str) and is_bare:
            by_kind = words.setdefault((edit.pre.text_of(candidate.anchor), fix), {})
            by_kind.setdefault(candidate.kind, (candidate, done))
    for (text, fix), by_kind in words.items():
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
