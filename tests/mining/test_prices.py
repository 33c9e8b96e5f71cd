"""What the miner weighs for each edit of the catalog: its cheapest rules, what they cost, ask and promise.

A price decides which rule the user gets. `tests/golden/prices` holds them, so that a number that
changes shows over the whole catalog what it makes dearer and what it puts first. After a change that is
meant, `pytest tests/mining/test_prices.py --write-golden` writes them anew; read the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from rulewright.languages import language_of_path
from rulewright.mining.judge.confidence import confidence
from rulewright.mining.learn.pool import rank
from rulewright.mining.learn.search import Budget, fill
from rulewright.mining.text.align import variants
from rulewright.mining.text.tree import Tree

CASES = Path(__file__).parent / "cases"
SHAPES = sorted(folder.name for folder in CASES.iterdir())
SHOWN = 4


def weighed(folder: Path) -> str:
    """The cheapest rules for an edit: points, bits, how likely right elsewhere, hunks, and the rule."""
    before, after = (next(folder.glob(f"{side}.*")) for side in ("before", "after"))
    language = language_of_path(before)
    pre, post = Tree(before.read_text("utf-8"), language), Tree(after.read_text("utf-8"), language)
    lines = [folder.name]
    for edit in variants(pre, post):
        if not edit.is_workable:
            continue
        lines.append(f"  {len(edit.hunks)} hunks, +{edit.cost:.2f}")
        for found in islice(sorted(fill(edit, Budget(1200)).sound, key=rank), SHOWN):
            one = found.candidate
            numbers = f"{one.cost:6.2f} {one.bits:5.1f} {confidence([one.rule]):.2f}"
            lines.append(f"  {numbers} {one.shape:8} {sorted(found.hunks)} {one.key[:200]}")
    return "\n".join(lines)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_weighed_for_an_edit(shape: str, same: Callable[[str, str], None]) -> None:
    folders = sorted(path.parent for path in (CASES / shape).rglob("rule.yml"))
    same(f"prices/{shape}.txt", "\n".join(map(weighed, folders)) + "\n")
