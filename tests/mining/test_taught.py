"""What each edit of the catalog teaches when made by hand: the rules, how far they are trusted, and why.

`edit --like` writes where a rule is of tier `train`, and only lists the places of the others, so each
reason here decides whether a file is changed. After a change that is meant,
`pytest tests/mining/test_taught.py --write-golden` writes `tests/golden/taught` anew; read the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rulewright.errors import RulewrightError
from rulewright.languages import language_of_path
from rulewright.mining.by_hand.diffs import Change
from rulewright.mining.by_hand.learn import learn

CASES = Path(__file__).parent / "cases"


def taught(folder: Path) -> str:
    """The rules that one change teaches, and what no rule makes."""
    before, after = (next(folder.glob(f"{side}.*")) for side in ("before", "after"))
    pre, post = before.read_text("utf-8"), after.read_text("utf-8")
    try:
        learned = learn([Change(Path(before.name), language_of_path(before), pre, post)], 2.0)
    except RulewrightError as error:
        return f"{folder.name}\n  {error}"
    lines = [folder.name]
    for rule in learned.rules:
        lines += [f"  {rule.tier}: {rule.reason}", f"    {rule.rule}"]
        lines += [f"    as {', '.join(sorted(rule.roles))}"] if rule.roles else []
    lines += [f"  by hand: {problem}" for problem in learned.problems]
    for names in learned.names.values():
        said = ("brings", names.imported), ("defines", names.defined)
        lines += [f"  {what} {', '.join(sorted(some))}" for what, some in said if some]
    return "\n".join(lines)


@pytest.mark.parametrize("shape", sorted(folder.name for folder in CASES.iterdir()))
def test_what_a_change_teaches(shape: str, same: Callable[[str, str], None]) -> None:
    folders = sorted(path.parent for path in (CASES / shape).rglob("rule.yml"))
    same(f"taught/{shape}.txt", "\n".join(map(taught, folders)) + "\n")
