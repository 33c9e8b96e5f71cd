"""`edit --like` and `mine --from-diff`: do elsewhere what was changed by hand in some places."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rulewright import console
from rulewright.actions.rule_file import joined
from rulewright.codemod.offer import offer_learned, rule_text
from rulewright.codemod.work import JudgeOptions, Work, work_on
from rulewright.commands.offers import Wish, make, save
from rulewright.engine import places
from rulewright.engine.export import PackRule, export
from rulewright.errors import RulewrightError, few
from rulewright.mining.by_hand import changeset, diffs
from rulewright.mining.by_hand.changeset import ChangeSet
from rulewright.mining.by_hand.learn import learn
from rulewright.mining.by_hand.learned import LearnedRules

BUDGET_S = 2.0
LEFT_AT_MOST = 40
MAX_EXAMPLES = 20
"""Files of the repository that go into the tests of a rule pack."""


def like(
    change: str,
    paths: Sequence[Path],
    wish: Wish,
    kept: Path | None,
    *,
    staged: bool = False,
    budget_s: float = BUDGET_S,
    deadline_s: float = 10.0,
) -> int:
    """Learn the rules of a change, list what they do elsewhere, write what was asked for.

    Args:
        change: where the change is, as `changeset.read` takes it.
        paths: where to look.
        wish: what the person asked for.
        kept: a rule file, or a folder for a rule pack with tests.
        staged: take what is in git's index.
        budget_s: nominal seconds a file.
        deadline_s: processor seconds a file.
    """
    wish.check(stdin_taken=change == "-")
    diff = diffs.decoded(sys.stdin.buffer.read()) if change == "-" and not staged else ""
    found = changeset.read(change, paths, staged, diff)
    if not found.changes:
        return _nothing(found, wish)
    console.decided("change", found.description, console.plural(len(found.changes), "file"))
    learned = learn(found.changes, budget_s)
    work = work_on(found.paths, learned.documents, JudgeOptions(deadline_s=deadline_s, listed=True))
    useful = _useful(learned, work)
    rules = [learned.rules[number] for number in useful]
    if not wish.as_json:
        console.emit(rule_text([one.document for one in rules]).rstrip())
        for number, rule in enumerate(rules, 1):
            name = f"rule {number}: " if len(rules) > 1 else ""
            console.say(f"{name}tier: {rule.tier} ({rule.reason})")
    _save(kept, learned, useful, work)
    left = [*learned.problems, *found.skipped]
    facts = {
        "action": {
            "language": rules[0].document.action.language,
            "rules": [rule for one in rules for rule in one.document.action.rules],
        },
        "tier": learned.least_trusted.tier,
        "tiers": [rule.tier for rule in rules],
        "left_to_you": left,
    }
    code = make(replace(offer_learned(work, learned), facts=facts), wish)
    if left:
        console.say("no rule reproduces this part of the change; do it yourself:")
    for line in console.few_lines(left, LEFT_AT_MOST):
        console.say(f"  {line}")
    return code


def _nothing(found: ChangeSet, wish: Wish) -> int:
    """Say that there is nothing to do, which is no failure; a change of which nothing can be learned is.

    Raises:
        RulewrightError: files were changed, but none that a rule can be learned from.
    """
    if found.skipped:
        raise RulewrightError(
            f"{found.description}: no rule can be learned from it: {few(found.skipped, 3, '; ')}",
            "change a source file by hand, and name that change",
        )
    console.say(f"{found.description}: there is no change to learn from")
    if wish.as_json:
        console.emit_json({"matches": 0, "sure": 0, "written": []})
    return 0


def _useful(learned: LearnedRules, work: Work) -> list[int]:
    """The rules that change something: in the files of the change, or elsewhere."""
    fired: set[int] = set()
    for language in dict.fromkeys(one.action.language for one in learned.documents):
        numbers = [n for n, one in enumerate(learned.documents) if one.action.language == language]
        action = joined([learned.documents[n] for n in numbers])
        texts = [change.pre for change in learned.changes if change.language == language]
        for text in texts:
            fired |= {numbers[place.rule] for place in places.of(action, text)}
    for one in work.good:
        fired |= {one.found.documents[place.rule] for place in work.places(one)}
    return sorted(fired) or list(range(len(learned.rules)))


def _save(kept: Path | None, learned: LearnedRules, useful: Sequence[int], work: Work) -> None:
    """One rule file, or, into a folder, a rule pack with tests that the pinned `ast-grep test` passed."""
    documents = [learned.documents[number] for number in useful]
    if kept is None or kept.suffix in (".yml", ".yaml"):
        save(kept, documents)
        return
    examples = []
    for language in dict.fromkeys(one.action.language for one in documents):
        action = joined([one for one in documents if one.action.language == language])
        before = [change.pre for change in learned.changes if change.language == language]
        before += [one.texts()[0] for one in work.good if one.found.language == language][:MAX_EXAMPLES]
        examples.append(PackRule(f"learned-{language}", action, before, "learned from a change by hand"))
    rules = console.plural(export(examples, kept), "rule")
    console.say(f"{rules} with tests saved in {kept}: `ast-grep scan -c {kept / 'sgconfig.yml'}`")
