"""Group a model's valid answers by what they do to the user's files, the best first.

Rules with the same result are one candidate, whatever their text. No file is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from rulewright import console
from rulewright.actions import Action
from rulewright.actions.rule_file import Document, documents_of
from rulewright.asking import Asked, Rounds, ask
from rulewright.codemod.instruction import InstructionWords
from rulewright.codemod.offer import ListedFile, Offer, rule_text
from rulewright.codemod.show import one_line_each
from rulewright.codemod.work import JudgeOptions, Work, work_on
from rulewright.engine import Engine, Request
from rulewright.errors import UsageError
from rulewright.generation.base import Generator
from rulewright.languages import language_of_path
from rulewright.verdict import Outcome, Place, Verdict

BROAD_LINES: Final = 5
"""One place in so many lines, or fewer, is nearly everywhere …"""
BROAD_PLACES: Final = 5
"""… if there are at least so many places."""


@dataclass
class OfferedRule:
    """A rule, what it does, and how many answers do the same."""

    documents: tuple[Document, ...]
    offer: Offer
    votes: int = 1
    listed: list[ListedFile] = field(default_factory=list)

    @property
    def places(self) -> list[tuple[Path, Place]]:
        return [(one.path, place) for one, found, _ in self.listed for place in found]

    @property
    def doubtful(self) -> int:
        """Places that are not sure."""
        return sum(bool(doubt) for _, _, doubts in self.listed for doubt in doubts)

    @property
    def over_broad(self) -> bool:
        """Whether it changes places nearly everywhere."""
        n_lines = sum(one.texts()[0].count("\n") + 1 for one, _, _ in self.listed)
        n = len(self.places)
        return n >= BROAD_PLACES and n * BROAD_LINES >= n_lines

    def differs(self, other: OfferedRule) -> list[str]:
        """How its effect differs from that of another candidate, in at most three lines."""
        mine, theirs = (
            {(str(path), place.line, *one_line_each(place.old, place.new)) for path, place in one.places}
            for one in (self, other)
        )
        mine_there, theirs_there = ({place[:3] for place in places} for places in (mine, theirs))
        ways = {
            "also changes": {place for place in mine if place[:3] not in theirs_there},
            "changes in another way": {place for place in mine - theirs if place[:3] in theirs_there},
            "does not change": {place for place in theirs if place[:3] not in mine_there},
        }
        lines = []
        for way, found in ways.items():
            if found:
                path, line, old, new = min(found)
                what = old if way == "does not change" else f"{old}  →  {new}"
                more = f" and {len(found) - 1} more" if len(found) > 1 else ""
                lines.append(f"{way} {path}:{line}: {what}{more}")
        return lines


class Trial:
    """Tries actions on all the files that the user named; each action is judged once.

    Args:
        paths: files and folders.
        words: the instruction, by which places are sure or not.
        judge_sample: judges an action on the file that the model saw.
        deadline_s: processor seconds a file.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        words: InstructionWords,
        judge_sample: Callable[[Action], Outcome],
        deadline_s: float,
    ) -> None:
        self._paths, self._words = list(paths), words
        self._options = JudgeOptions(deadline_s=deadline_s, listed=True)
        self._judge_sample = judge_sample
        self._works: dict[str, Work] = {}
        self._globs: list[str] = []

    def narrow(self, globs: Sequence[str]) -> None:
        """Look only at files that match one of the paths or globs; at all files if there are none."""
        self._globs = [glob.removeprefix("./") for glob in globs]

    def judge(self, action: Action) -> Outcome:
        """Judge an action on the file that the model saw, then on every file that was named."""
        outcome = self._judge_sample(action)
        if not outcome.ok:
            return outcome
        failed = self._worked(documents_of(action)).failed
        if failed and failed[0].outcome.verdict is not Verdict.TIMEOUT:
            first = failed[0].outcome
            return Outcome(first.verdict, f"in {failed[0].path.name}: {first.detail}", flags=first.flags)
        return outcome

    def candidates(self, asked: Asked) -> list[OfferedRule]:
        """The valid answers, grouped by effect, the best first."""
        groups: dict[frozenset[tuple[Path, str]], OfferedRule] = {}
        for action in (one.action for one in asked.good if one.action is not None):
            work = self._worked(documents_of(action))
            effect = frozenset((one.path, one.texts()[1] or "") for one in work.good)
            if effect in groups:
                groups[effect].votes += 1
            else:
                groups[effect] = self.candidate(documents_of(action), work)
        return sorted(groups.values(), key=lambda one: (one.over_broad, -one.votes, one.doubtful))

    def candidate(self, documents: tuple[Document, ...], work: Work | None = None) -> OfferedRule:
        """A rule, from the model or not, with its effect."""
        work = work or self._worked(documents)
        if self._globs:
            names = {one.path: one.path.as_posix().removeprefix("./") for one in work.judged}
            kept = {
                path
                for path, name in names.items()
                for glob in self._globs
                if fnmatch(name, glob) or fnmatch(path.name, glob) or name.startswith(glob.rstrip("/") + "/")
            }
            work = replace(work, judged=[one for one in work.judged if one.path in kept])
        offer = Offer(work, lambda path, place: self._words.doubt(place))
        return OfferedRule(documents, offer, listed=offer.listing())

    def _worked(self, documents: tuple[Document, ...]) -> Work:
        key = rule_text(documents)
        if key not in self._works:
            self._works[key] = work_on(self._paths, documents, self._options)
        return self._works[key]


def propose(
    generator: Generator, plan: Rounds, instruction: str, code: str, sample: Path, paths: Sequence[Path],
    deadline_s: float,
) -> tuple[Asked, Trial]:  # fmt: skip
    """Ask a model for a rule; each answer is judged on the sample and on every file that was named.

    Raises:
        UsageError: the file is of no language of ours.
        RulewrightError: the model cannot be asked.
    """
    language = language_of_path(sample)
    if language == "other":
        raise UsageError(f"{sample}: of no language that we know", "name a source file with --on")
    with Engine(workers=1, deadline_s=deadline_s) as engine:
        trial = Trial(
            paths,
            InstructionWords(instruction, code),
            lambda action: engine.judge(Request(action, code, language)),
            deadline_s,
        )
        return ask(generator, plan, instruction, code, language, trial.judge), trial


def why_none_holds(asked: Asked, sample: Path) -> str:
    """The reasons why answers are not valid, equal ones on one line."""
    alike = Counter(
        f"{one.outcome.verdict}: {console.clean(one.outcome.detail)}"
        for one in asked.tried
        if not one.outcome.ok
    )
    of = len(asked.tried)
    return "\n".join(f"{sample}: {n} of {of} answers: {why}" for why, n in alike.most_common())
