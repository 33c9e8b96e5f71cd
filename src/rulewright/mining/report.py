"""The report of a mining run: the rules by support, each with examples and a diff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rulewright.actions.action import Action
from rulewright.actions.codec import render_rules
from rulewright.difftext import unified
from rulewright.mining.learn.corpus import Result, Shared

MAX_RULES: Final = 60
MAX_DIFF_LINES: Final = 24


def page(
    name: str, results: Sequence[Result], shared: Sequence[Shared], texts: Mapping[str, tuple[str, str, str]]
) -> str:
    """The report as Markdown; `texts` has instruction, pre and post of the edits in `shown`."""
    tiers = Counter(result["tier"] for result in results)
    lines = [f"# Rules mined from {name}", "", f"{len(results):,} edits: "]
    lines[-1] += ", ".join(f"{tiers[tier]:,} {tier}" for tier in ("train", "literal", "reject"))
    reasons = Counter(result["reason"] for result in results if not result["rules"])
    if reasons:
        lines += ["", "Nothing found: " + "; ".join(f"{why} {n:,}" for why, n in reasons.most_common(8))]
    lines += ["", f"## Changes made more than once ({len(shared):,} rules)"]
    for one in shared[:MAX_RULES]:
        lines += ["", f"### {one.signature} ({one.language}, {one.support} edits)", ""]
        lines += ["```yaml", render_rules(one.action()).rstrip(), "```"]
        lines += _examples(one.ids, texts)
    if not shared:
        lines += ["", "None."]
    once = _once(results)
    lines += ["", f"## Changes made once, by places changed ({len(once):,} of tier `train`)"]
    for result in once[:MAX_RULES]:
        action = Action(result["language"], tuple(result["rules"]), mode="rule")
        lines += ["", f"### {result['id']} ({result['language']}, {result['figures']['sites']} places)", ""]
        lines += ["```yaml", render_rules(action).rstrip(), "```"]
        lines += _examples((result["id"],), texts)
    return "\n".join(lines) + "\n"


def shown(results: Sequence[Result], shared: Sequence[Shared]) -> set[str]:
    """Ids of the edits that `page` shows."""
    several = {i for one in shared[:MAX_RULES] for i in one.ids[:2]}
    return several | {result["id"] for result in _once(results)[:MAX_RULES]}


def _once(results: Sequence[Result]) -> list[Result]:
    """Those of tier `train`, by places changed."""
    trained = (result for result in results if result["tier"] == "train")
    return sorted(trained, key=lambda result: (-result["figures"]["sites"], result["id"]))


def _examples(ids: Sequence[str], texts: Mapping[str, tuple[str, str, str]]) -> list[str]:
    lines: list[str] = []
    for name in ids[:2]:
        instruction, pre, post = texts[name]
        lines += ["", f"`{name}`" + (f": {instruction}" if instruction else ""), ""]
        lines += ["```diff", *diff(pre, post), "```"]
    return lines


def diff(pre: str, post: str, limit: int = MAX_DIFF_LINES) -> list[str]:
    """The changed lines with one line around, cut to `limit`."""
    lines = unified(pre, post)
    return lines if len(lines) <= limit else [*lines[:limit], f"… {len(lines) - limit} more lines"]


def summary(results: Sequence[Result], shared: Sequence[Shared]) -> dict[str, Any]:
    """Counts for machines."""
    found = [r for r in results if r["rules"]]
    return {
        "edits": len(results),
        "found": len(found),
        "one_rule": sum(len(r["rules"]) == 1 for r in found),
        "tiers": dict(sorted(Counter(r["tier"] for r in results).items())),
        "reasons": dict(Counter(r["reason"] for r in results if not r["rules"]).most_common()),
        "shared_rules": len(shared),
        "shared": [
            {
                "rule": s.rule,
                "language": s.language,
                "signature": s.signature,
                "support": s.support,
                "ids": s.ids,
            }
            for s in shared
        ],
    }
