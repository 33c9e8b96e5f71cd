"""Places offered to the user: listed by how sure they are, changed only where that was said.

`--write` changes sure places; a possible one is changed when it is named (`--only FILE:LINE`)
or said yes to (`--interactive`), a file where a rule would lose code or break the syntax never.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rulewright import console, jsonl
from rulewright.actions.rule_file import Document
from rulewright.codemod.choose import Chooser, with_places
from rulewright.codemod.offer import ListedFile, Offer, counts, rule_text
from rulewright.codemod.show import diff, one_line_each
from rulewright.codemod.work import JudgedFile, action_for
from rulewright.codemod.write import drop_unwritable, write
from rulewright.commands.choosing import PlaceByPlace, pick, say_failed, say_left_out
from rulewright.engine.places import Keep
from rulewright.errors import UsageError
from rulewright.verdict import Place

LISTED_AT_MOST: Final = 200


@dataclass(frozen=True)
class Wish:
    """What the user asked for."""

    write: bool = False
    yes: bool = False
    only: tuple[str, ...] = ()
    interactive: bool = False
    as_json: bool = False
    instruction: str = ""
    """In words; of a change by hand, where it is."""
    html: Path | None = None
    """A page to look at the change."""

    def check(self, stdin_taken: bool = False) -> None:
        """Refuse, before anything is asked or learned, what excludes itself or names no place.

        Raises:
            UsageError: what is refused.
        """
        Chooser(self.only)
        if self.html is not None and self.html.is_dir():
            raise UsageError(f"--html {self.html}: is a folder", "name the page to write")
        if self.interactive and (self.as_json or stdin_taken):
            other = "--json" if self.as_json else "a diff on stdin"
            raise UsageError(f"--interactive and {other} exclude each other", "use only one of them")


def save(path: Path | None, documents: Sequence[Document]) -> None:
    """Write the rule file that was asked for, and say so."""
    if path is not None:
        jsonl.write_text(path, rule_text(documents))
        console.say(f"the rule is saved in {path}")


def make(offer: Offer, wish: Wish) -> int:
    """List the places, ask or do what was asked for; give the exit code of `finish`."""
    show(offer, wish)
    return finish(offer, wish)


def show(offer: Offer, wish: Wish) -> None:
    """List the places, and what was left out."""
    listed = offer.listing()
    rows = [(one.path, place, why) for one, found, doubts in listed for place, why in zip(found, doubts)]
    sure_ones, others = [row for row in rows if not row[2]], [row for row in rows if row[2]]
    for path, place, why in rows if wish.as_json else ():
        line = {"path": str(path), "line": place.line, "old": place.old, "new": place.new}
        console.emit_json({**line, "sure": not why, "why": why})
    for title, group in () if wish.as_json else (("sure", sure_ones), ("possible", others)):
        if group:
            console.say(f"{title}:")
        for path, place, why in group[:LISTED_AT_MOST]:
            note = f"   ({why})" if why else ""
            old, new = one_line_each(place.old, place.new)
            console.emit(f"{path}:{place.line}: {old}  →  {new}{note}")
        if len(group) > LISTED_AT_MOST:
            console.say(f"… and {len(group) - LISTED_AT_MOST} more")
    for warning in offer.warnings:
        console.say(f"warning: {console.clean(warning)}")
    say_failed(offer.work.failed, lambda one: f"not changed: {one.outcome.detail}")
    say_left_out(offer.work.walk)
    files = len({one.path for one, _, doubts in listed if doubts})
    sure, total = counts(listed)
    where = f"{console.plural(total, 'place')} in {console.plural(files, 'file')}"
    console.say(f"{where}: {sure} sure, {total - sure} possible")


def finish(offer: Offer, wish: Wish) -> int:
    """Ask, or do what was asked for.

    Gives 1 where writing was asked for and nothing, or not all that was named, was written.
    """
    listed = offer.listing()
    sure, total = counts(listed)
    if wish.html is not None:
        _write_page(wish.html, wish.instruction, offer, listed)
    chooser = Chooser(wish.only, PlaceByPlace() if wish.interactive else None)
    done = _carry_out(offer, wish, chooser, listed, sure)
    unmet = chooser.unmatched() if chooser.active else []
    for place in unmet:
        console.say(f"--only {place}: the rule has no place there")
    if wish.as_json:
        console.emit_json({**offer.facts, "matches": total, "sure": sure, "written": list(map(str, done))})
    wanted = (wish.write or wish.yes) and total > 0
    return 1 if unmet or (wanted and not done) else 0


def _write_page(out: Path, instruction: str, offer: Offer, listed: Sequence[ListedFile]) -> None:
    """One page with an item a file: the rule, what it does there, and how sure each place is."""
    from rulewright.reports.lines import Shown
    from rulewright.reports.view import Page, add_line

    page = Page(instruction, ["edit"], "sure")
    places_in = {one.path: (found, doubts) for one, found, doubts in listed}
    for one in offer.work.judged:
        if one.idle:
            continue
        found, doubts = places_in.get(one.path, ((), ()))
        sure = sum(not why for why in doubts)
        said = {
            "verdict": one.outcome.verdict if not one.good else "sure" if sure == len(doubts) else "possible",
            "detail": f"{console.plural(len(doubts), 'place')}, {sure} sure"
            if one.good
            else one.outcome.detail,
            **{f"line {place.line}": why or "sure" for place, why in zip(found, doubts)},
        }
        # A possible place is neither right nor wrong: that is for the person to say.
        right = (sure == len(doubts) or None) if one.good else False
        before, after = one.texts()
        item = Shown("file", "", one.found.language, before, None, "", said, right=right)
        outcome = replace(one.outcome, post=after)
        add_line(page, str(one.path), item, outcome, action_for(one.found, offer.work.documents))
    page.write(out)
    console.say(f"{out}: {console.plural(page.n, 'file')} to look at in a browser")


def _carry_out(
    offer: Offer, wish: Wish, chooser: Chooser, listed: Sequence[ListedFile], sure: int
) -> list[Path]:
    """Write what may be written; give the files."""
    total = sum(len(doubts) for _, _, doubts in listed)
    if not total:
        if wish.write or wish.yes:
            write(offer.work, [])
        return []
    writes = wish.write or wish.yes or wish.interactive
    if not writes and not wish.only and not wish.as_json and sure and on_terminal():
        writes = pick(f"write the {console.plural(sure, 'sure place')}? [y/n] ", "yn") == "y"
    if not writes:
        console.say(_how_to_write(sure, total))
        return []
    for path, why in drop_unwritable(offer.work):
        console.say(f"not changed: {path}: {why}")
    made = [with_places(one, offer.work, _keep(one, offer, chooser)) for one in offer.work.good]
    ready = [one for one in made if one.good and one.changes]
    say_failed(
        [one for one in made if not one.good and not one.idle],
        lambda one: f"not changed: {one.outcome.detail}",
    )
    refused = dict(write(offer.work, ready))
    for path, why in refused.items():
        console.say(f"not changed: {path}: {why}")
    ready = [one for one in ready if one.path not in refused]
    for one in ready:
        console.say(f"changed {one.path}")
        if not wish.as_json:
            console.say(diff(one, console.colored(sys.stderr)))
    if not ready:
        console.say(f"nothing was written: {_how_to_write(sure, total)}")
    return [one.path for one in ready]


def _keep(one: JudgedFile, offer: Offer, chooser: Chooser) -> Keep:
    """Sure places, or those that the person names."""
    path = one.path

    def keep(place: Place) -> str | None:
        if offer.hides(path, place):
            return None
        if chooser.active:
            return chooser.keep(path)(place)
        return place.new if not offer.doubt_about(one, place) else None

    return keep


def _how_to_write(sure: int, total: int) -> str:
    ways = [
        f"--write changes the {console.plural(sure, 'sure place')}"
        if sure
        else "no place is sure enough to be written unseen"
    ]
    if total > sure:
        ways.append("`--only FILE:LINE … --write` or `--interactive` changes possible ones")
    return "; ".join(ways)


def on_terminal() -> bool:
    """Whether the user can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()
