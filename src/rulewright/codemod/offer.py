"""List the places that rules would change in files, and how sure each one is. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rulewright import difftext
from rulewright.actions import render_rules
from rulewright.actions.rule_file import Document
from rulewright.codemod.choose import drop_failing_places
from rulewright.codemod.work import JudgedFile, Work, action_for
from rulewright.mining.by_hand.doubts import misplaced
from rulewright.mining.by_hand.learned import PART_OF_LARGER, LearnedRules
from rulewright.mining.text.tree import Tree
from rulewright.verdict import Place

ListedFile = tuple[JudgedFile, list[Place], list[str]]
"""A file, its places, and the doubt about each: empty if it is sure."""


@dataclass
class Offer:
    """The places that rules would change, and how sure each is.

    Args:
        work: the judged files.
        doubt: why a place is not sure; empty if it is.
        hides: whether a place is left out of the list.
        warnings: what the person should know about the rule itself.
        facts: further fields for the last line of `--json`.
    """

    work: Work
    doubt: Callable[[Path, Place], str]
    hides: Callable[[Path, Place], bool] = lambda path, place: False
    warnings: Sequence[str] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def listing(self) -> list[ListedFile]:
        """The places of every file that may be written."""
        listed: list[ListedFile] = []
        for one in self.work.good:
            found = [place for place in self.work.places(one) if not self.hides(one.path, place)]
            listed.append((one, found, [self.doubt_about(one, place) for place in found]))
        return listed

    def doubt_about(self, one: JudgedFile, place: Place) -> str:
        """Why a place of a file is not sure; empty if it is."""
        if one.outcome.detail and "\n" in place.old:
            return one.outcome.detail
        return self.doubt(one.path, one.numbered(place))


def offer_learned(work: Work, learned: LearnedRules) -> Offer:
    """The places of the rules learned from a change, with the doubts that follow from the change.

    Places where the rules lose code or break the syntax do not affect the other places of their file.
    """
    failing = drop_failing_places(work)
    files = {one.path: _FileDoubts.of(one, work, learned, failing) for one in work.good}

    def doubt(path: Path, place: Place) -> str:
        if (path, place) in failing:
            return failing[path, place]
        return files[path].doubt(place) if path in files else learned.doubt(path, place)

    return Offer(work, doubt, learned.is_excluded)


@dataclass(frozen=True)
class _FileDoubts:
    """The doubts about the places of one file.

    Args:
        path: of the file.
        learned: the rules.
        places: the doubt about each place by itself.
        whole: why no place of the file is sure: after the change a name would be missing, or misused.
        sure_words: words that sure places outside of imports remove or add.
        unsure_words: words that places which are not sure remove, or no other adds, with the doubt.
    """

    path: Path
    learned: LearnedRules
    places: dict[Place, str]
    whole: str
    sure_words: frozenset[str]
    unsure_words: dict[str, str]

    @classmethod
    def of(
        cls, one: JudgedFile, work: Work, learned: LearnedRules, failing: Mapping[tuple[Path, Place], str]
    ) -> _FileDoubts:
        language = action_for(one.found, work.documents).language
        before, after = one.texts()
        tree = Tree(before, language)
        whole = learned.misused_name(tree, after or "")
        if name := learned.missing_name(tree, after or ""):
            whole = f"nothing in the file imports or defines `{name}`, which comes in"
        lines = difftext.rows(before)
        doubts: dict[Place, str] = {}
        for place in (one.numbered(place) for place in work.places(one)):
            doubts[place] = failing.get((one.path, place)) or learned.doubt(one.path, place, lines)

        def sure() -> list[Place]:
            return [place for place, why in doubts.items() if not why]

        doubts |= learned.against_definitions(sure(), tree)
        doubts |= misplaced(sure(), tree)
        incomplete = learned.incomplete(sure(), tree)
        doubts |= dict.fromkeys(incomplete, PART_OF_LARGER)
        doubts |= learned.doubted_imports(doubts, lines, language)
        uses = [(place, why) for place, why in doubts.items() if not place.in_import]
        words = frozenset(word for place, why in uses if not why for word in place.gone + place.come)
        unsure = {word: why for place, why in uses if why for word in place.come if word not in words}
        unsure |= {word: why for place, why in uses if why for word in place.gone}
        return cls(one.path, learned, doubts, whole, words, unsure)

    def doubt(self, place: Place) -> str:
        """The doubt about a place; an import is as sure as its uses in the file, and no surer."""
        uses = self.unsure_words if place.in_import else {}
        own = "" if self._follows_sure_uses(place) else self._own_doubt(place)
        words = (*place.gone, *place.come)
        return own or self.whole or next((uses[word] for word in words if word in uses), "")

    def _own_doubt(self, place: Place) -> str:
        # If another place stays unchanged, a rule may match a place that was not there before.
        known = self.places.get(place)
        return known if known is not None else self.learned.doubt(self.path, place)

    def _follows_sure_uses(self, place: Place) -> bool:
        """Whether a place is an import that is trusted as its uses are, and these are sure."""
        words = {*place.gone, *place.come}
        is_following = place.in_import and self.learned.rules[place.rule].follows_uses
        return is_following and bool(words & self.sure_words) and not words & set(self.unsure_words)


def counts(listed: Sequence[ListedFile]) -> tuple[int, int]:
    """How many places are sure, and how many there are."""
    doubts = [why for _, _, doubts in listed for why in doubts]
    return sum(not why for why in doubts), len(doubts)


def rule_text(documents: Sequence[Document]) -> str:
    """Rules as one ast-grep rule file."""
    return "---\n".join(render_rules(one.action) for one in documents)
