"""Change only some places of a file: those that the user chooses, or those that do no harm."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from rulewright.codemod.work import JudgedFile, Work, action_for
from rulewright.engine import places
from rulewright.engine.judge import judge_trace
from rulewright.errors import UsageError
from rulewright.verdict import Outcome, Place, Verdict

MAX_TRIED: Final = 40
"""In a file that fails, up to so many places are tried one by one."""


def with_places(one: JudgedFile, work: Work, keep: places.Keep, exact: bool = False) -> JudgedFile:
    """The file with only some places changed."""
    before, _ = one.texts()
    done = places.change(action_for(one.found, work.documents), before, keep, exact=exact)
    if done.failure is None and not any(step.edits for step in done.steps):
        return one.with_outcome(Outcome(Verdict.NO_CHANGE, "no place was chosen"), before, work.spool)
    return one.with_outcome(judge_trace(done, before, None), before, work.spool)


def drop_failing_places(work: Work) -> dict[tuple[Path, Place], str]:
    """In files that fail, leave the harmful places unchanged; returns these with the reasons."""
    found: dict[tuple[Path, Place], str] = {}
    for number, one in enumerate(work.judged):
        if one.good or one.idle or not one.outcome.unsound or one.texts()[1] is None:
            continue
        all_places = work.places(one)
        if not 1 < len(all_places) <= MAX_TRIED:
            continue
        bad: dict[Place, str] = {}
        for place in all_places:
            alone = with_places(one, work, _only({place}))
            if not alone.good and not alone.idle:
                bad[place] = alone.outcome.detail
        rest = with_places(one, work, _only({*all_places} - {*bad}))
        if rest.good and rest.changes:
            work.judged[number] = rest
            found |= {(one.path, one.numbered(place)): why for place, why in bad.items()}
    return found


def _only(chosen: Collection[Place]) -> places.Keep:
    return lambda place: place.new if place in chosen else None


def narrow(work: Work, chooser: Chooser, exact: bool = False) -> None:
    """Change in every file only the places that the user chooses.

    Raises:
        UsageError: the rules were applied in one pass, whose places cannot be told apart.
    """
    if exact and any(len(one.found.documents) > 1 for one in work.judged):
        raise UsageError(
            "--exact with several rules is one pass of ast-grep's", "leave --only or --exact out"
        )
    for number, one in enumerate(work.judged):
        if not one.idle and one.texts()[1] is not None:
            work.judged[number] = with_places(one, work, chooser.keep(one.path), exact)


class Chooser:
    """The choice of places: by `--only FILE:LINE`, or by asking for each.

    Args:
        only: `FILE:LINE` texts; empty: every place.
        ask: asks the user for the new text of a place, `None` to leave it; if absent, nobody is asked.
    """

    def __init__(self, only: Sequence[str], ask: Callable[[Path, Place], str | None] | None = None) -> None:
        self._only: list[tuple[Path, int]] = []
        for text in only:
            name, _, line = text.rpartition(":")
            if not name or not line.isdecimal():
                raise UsageError(f"--only {text}: expected FILE:LINE", "name a place as it is listed")
            self._only.append((Path(name), int(line)))
        self._met: set[tuple[Path, int]] = set()
        self._ask = ask

    @property
    def active(self) -> bool:
        return bool(self._only) or self._ask is not None

    def keep(self, path: Path) -> places.Keep:
        """The choice for one file."""
        whole = os.path.normpath(path.absolute())
        mine = [one for one in self._only if os.path.normpath(one[0].absolute()) == whole]

        def choose(place: Place) -> str | None:
            near = [one for one in mine if place.line <= one[1] <= place.last_line]
            self._met.update(near)
            if self._only and not near:
                return None
            return place.new if self._ask is None else self._ask(path, place)

        return choose

    def unmatched(self) -> list[str]:
        """The `--only` texts that match no place of the rules."""
        return [f"{path}:{line}" for path, line in self._only if (path, line) not in self._met]
