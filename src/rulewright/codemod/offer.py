"""List the places that rules would change in files, and how sure each one is. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rulewright import difftext
from rulewright.actions import render_rules
from rulewright.actions.rule_file import Document
from rulewright.codemod.choose import drop_failing_places
from rulewright.codemod.work import JudgedFile, Work, action_for
from rulewright.mining.by_hand.learned import PART_OF_LARGER, LearnedRules
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
    bad = drop_failing_places(work)
    lacking: dict[Path, str] = {}
    doubts: dict[tuple[Path, Place], str] = {}
    sure: dict[Path, set[str]] = {}
    unsure: dict[Path, dict[str, str]] = {}
    for one in work.good:
        language = action_for(one.found, work.documents).language
        before, after = one.texts()
        if name := learned.missing_name(before, after or "", language):
            lacking[one.path] = f"nothing in the file imports or defines `{name}`, which comes in"
        elif why := learned.misused_name(before, after or "", language):
            lacking[one.path] = why
        lines = difftext.rows(before)
        places = [one.numbered(place) for place in work.places(one)]
        whys = {
            place: bad.get((one.path, place)) or learned.doubt(one.path, place, lines) for place in places
        }
        whys |= dict.fromkeys(
            learned.incomplete([place for place in places if not whys[place]]), PART_OF_LARGER
        )
        whys |= learned.doubted_imports(whys, lines, language)
        doubts |= {(one.path, place): why for place, why in whys.items()}
        used = [(place, why) for place, why in whys.items() if not place.in_import]
        sure[one.path] = {word for place, why in used if not why for word in place.gone + place.come}
        unsure[one.path] = {word: why for place, why in used if why for word in place.gone}

    def own(path: Path, place: Place) -> str:
        """The doubt about a place by itself; an import is as sure as its uses in the file."""
        if place.in_import and learned.rules[place.rule].follows_uses and path in sure:
            words = {*place.gone, *place.come}
            if words & sure[path] and not words & set(unsure[path]):
                return ""
        # If another place stays unchanged, a rule may match a place that was not there before.
        return doubts[path, place] if (path, place) in doubts else learned.doubt(path, place)

    def doubt(path: Path, place: Place) -> str:
        """The doubt about a place; an import is no surer than the uses of what it binds."""
        if (path, place) in bad:
            return bad[path, place]
        uses = unsure[path] if place.in_import and path in unsure else {}
        why = own(path, place) or lacking.get(path, "")
        return why or next((uses[word] for word in place.gone if word in uses), "")

    return Offer(work, doubt, learned.is_excluded)


def counts(listed: Sequence[ListedFile]) -> tuple[int, int]:
    """How many places are sure, and how many there are."""
    doubts = [why for _, _, doubts in listed for why in doubts]
    return sum(not why for why in doubts), len(doubts)


def rule_text(documents: Sequence[Document]) -> str:
    """Rules as one ast-grep rule file."""
    return "---\n".join(render_rules(one.action) for one in documents)
