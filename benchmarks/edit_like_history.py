r"""Are the places that `edit --like` is sure of what a person changed there, and does it find them?

    python benchmarks/edit_like_history.py CLONE [CLONE …] --suffix .py --commits 25 --half unread

For commits (not merges, drawn by hash) in which three or more files of a suffix change by a dozen lines
or fewer and share a changed word: rules are learned from one file, and their sure places are written to the
others as they were before the commit. A place is right if its lines stand in the person's version, broken
into lines in any way; imports are left out or may stand anywhere, since people sort them. It is counted
wrong where the person did otherwise, or left it for another commit: the share is a lower bound.

Found: of the parts of the other files where the person took and brought the very words that they took and
brought in some part of the first file, how many the sure places make, and how many all places make.
`--half read` are the commits whose wrong places may be looked at, `unread` those that only count.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from rulewright import console, difftext
from rulewright.codemod.choose import with_places
from rulewright.codemod.offer import Offer, offer_learned
from rulewright.codemod.work import JudgedFile, JudgeOptions, Work, work_on
from rulewright.commands.like import BUDGET_S
from rulewright.data.drafts import Drop
from rulewright.data.sources import git
from rulewright.engine.name_use import dense
from rulewright.errors import RulewrightError
from rulewright.grammars import import_line
from rulewright.languages import Language, language_of_path
from rulewright.mining.by_hand import changeset
from rulewright.mining.by_hand.learn import learn
from rulewright.mining.rules import imports
from rulewright.stats import estimate
from rulewright.verdict import Place

MOST_LINES: Final = 12
"""Lines that a commit may take from a file, and bring to it."""
FILES: Final = (3, 40)
MOST_CHARS: Final = 60_000
HALVES: Final = ("read", "unread")


class Made(NamedTuple):
    """Lines that a rule wrote, and whether the person made the same of them."""

    old: str
    new: str
    right: bool


class Sides(NamedTuple):
    """A file before and after a commit."""

    pre: str
    post: str


class Done(NamedTuple):
    """What the rules of a commit's first file do to the others.

    Args:
        sure: the places that would be written.
        possible: the places that come on top where every place is changed.
        alike: the parts that the person changed as in the first file: "sure", "possible" or "missed".
        rules: as text, for a reader.
    """

    sure: list[Made]
    possible: list[Made]
    alike: list[str]
    rules: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clones", type=Path, nargs="+")
    parser.add_argument("--suffix", default=".py")
    parser.add_argument("--commits", type=int, default=25)
    parser.add_argument("--half", choices=["read", "unread", "all"], default="all")
    parser.add_argument("--show", action="store_true", help="print what was not as the person made it")
    given = parser.parse_args()
    rows: list[tuple[str, list[tuple[str, Done]]]] = []
    for clone in given.clones:
        drawn = islice(changes(clone, given.suffix, given.half), given.commits)
        done = [(commit, elsewhere(files, given.suffix)) for commit, files in drawn]
        rows.append((git.name_of(clone), done))
        for commit, one in done if given.show else ():
            show(commit, one)
    if len(rows) > 1:
        rows.append(("all", [pair for _, done in rows for pair in done]))
    head = ["history", "commits", "sure in", "any in", "sure places", "% right [95 %]", "possible", "% right",
            "alike parts", "% sure", "% found"]  # fmt: skip
    console.emit(console.table(head, [row(name, done) for name, done in rows]))
    return 0


def row(name: str, done: Sequence[tuple[str, Done]]) -> list[str]:
    """The figures of a history, clustered by commit."""
    sure = [(commit, float(place.right)) for commit, one in done for place in one.sure]
    possible = [(commit, float(place.right)) for commit, one in done for place in one.possible]
    alike = [(commit, state) for commit, one in done for state in one.alike]
    return [
        name, str(len(done)), str(sum(bool(one.sure) for _, one in done)),
        str(sum(bool(one.sure or one.possible) for _, one in done)),
        str(len(sure)), share(sure), str(len(possible)), share(possible), str(len(alike)),
        share([(commit, float(state == "sure")) for commit, state in alike]),
        share([(commit, float(state != "missed")) for commit, state in alike]),
    ]  # fmt: skip


def show(commit: str, done: Done) -> None:
    """Print what was written otherwise than the person did, with the rules."""
    wrong = [place for place in done.sure if not place.right]
    for rule in done.rules if wrong else ():
        console.say(f"{commit[:10]} {rule}")
    for place in wrong:
        console.say(f"{commit[:10]} {place.old!r}  →  {place.new!r}")


def share(found: Sequence[tuple[str, float]]) -> str:
    """A share of right ones, clustered by commit."""
    if not found:
        return "–"
    value = estimate([one for _, one in found], [commit for commit, _ in found])
    ends = (
        "" if value.low is None or value.high is None else f" [{100 * value.low:.0f}, {100 * value.high:.0f}]"
    )
    return f"{100 * value.value:.0f}{ends}"


def changes(clone: Path, suffix: str, half: str = "all") -> Iterator[tuple[str, list[Sides]]]:
    """Commits worth asking about, in the order of their hashes, with their files."""
    rows = [row for row in git.commits(clone) if FILES[0] <= row["n_files"] <= FILES[1]]
    rows = [row for row in rows if half in ("all", HALVES[order(row["commit"])[-1] % 2])]
    for row in sorted(rows, key=lambda row: order(row["commit"])):
        blobs = git.reader_of(str(clone))
        files: list[Sides] = []
        for file in row["files"]:
            if file["status"] == "M" and file["path"].endswith(suffix):
                pre, post = blobs.read(file["old_blob"]), blobs.read(file["new_blob"])
                if not isinstance(pre, Drop) and not isinstance(post, Drop) and is_small(pre, post):
                    files.append(Sides(pre, post))
        words = [changed_words(file) for file in files]
        if len(files) >= FILES[0] and sum(bool(words[0] & one) for one in words[1:]) >= FILES[0] - 1:
            yield row["commit"], files


def order(commit: str) -> bytes:
    """Where a commit comes in the draw; the last bit says in which half it is."""
    return hashlib.sha256(commit.encode()).digest()


def is_small(pre: str, post: str) -> bool:
    """Whether a change takes something away, and no more than a person reads at a glance."""
    if len(pre) > MOST_CHARS:
        return False
    parts = difftext.changed(pre.splitlines(), post.splitlines())
    gone, come = sum(a1 - a0 for a0, a1, _, _ in parts), sum(b1 - b0 for _, _, b0, b1 in parts)
    return 0 < gone <= MOST_LINES and come <= MOST_LINES


def changed_words(file: Sides) -> set[str]:
    """Words that go or come in a file."""
    old, new = file.pre.splitlines(), file.post.splitlines()
    found: set[str] = set()
    for a0, a1, b0, b1 in difftext.changed(old, new):
        found |= words_of(old[a0:a1]) ^ words_of(new[b0:b1])
    return found


def words_of(lines: Sequence[str]) -> set[str]:
    return set(re.findall(r"\w{4,}", "\n".join(lines)))


def elsewhere(files: Sequence[Sides], suffix: str) -> Done:
    """What the rules of the first file do to the others."""
    first, *others = files
    done = Done([], [], [], [])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pair = folder / f"before{suffix}", folder / f"after{suffix}"
        for path, text in zip(pair, first, strict=True):
            path.write_text(text)
        (folder / "others").mkdir()
        paths = {folder / "others" / f"{number}{suffix}": other for number, other in enumerate(others)}
        for path, other in paths.items():
            path.write_text(other.pre)
        found = changeset.read(str(pair[0]), [pair[1], folder / "others"])
        texts = dict[Path, tuple[str, str]]()
        with suppress(RulewrightError):
            learned = learn(found.changes, BUDGET_S)
            done.rules.extend(f"{one.tier} ({one.reason}) {one.rule}" for one in learned.rules)
            work = work_on(found.paths, learned.documents, JudgeOptions(listed=True))
            offer = offer_learned(work, learned)
            for one in work.good:
                texts[one.path] = after(one, work, offer), after(one, work)
        for path, other in paths.items():
            sure, every = texts.get(path, (other.pre, other.pre))
            done.sure.extend(places(other, sure, suffix))
            had = {(place.old, place.new) for place in done.sure}
            more = places(other, every, suffix)
            done.possible.extend(place for place in more if (place.old, place.new) not in had)
            done.alike.extend(alike(first, other, (sure, every), suffix))
    return done


def after(one: JudgedFile, work: Work, offer: Offer | None = None) -> str:
    """A file with the sure places of an offer, or with every place; as it was, where that is not good."""

    def keep(place: Place) -> str | None:
        return place.new if offer is None or not offer.doubt_about(one, place) else None

    made = with_places(one, work, keep)
    before, _ = one.texts()
    _, text = made.texts()
    return text if made.good and text is not None else before


def alike(first: Sides, other: Sides, made: tuple[str, str], suffix: str) -> Iterator[str]:
    """Which places make the parts of a file that the person changed as some part of the first one."""
    language = language_of_path(Path(f"x{suffix}"))
    known = {words for words, _, _ in parts_of(first, language)}
    left = [missing(text, other.post, language) for text in made]
    for words, b0, b1 in parts_of(other, language):
        if words in known:
            misses = [any(max(b0, d0) < min(b1, d1) or (b0 <= d0 <= b1 and b0 <= d1 <= b1)
                          or d0 <= b0 <= b1 <= d1 for d0, d1 in one) for one in left]  # fmt: skip
            yield "sure" if not misses[0] else "possible" if not misses[1] else "missed"


def parts_of(sides: Sides, language: Language) -> Iterator[tuple[tuple[frozenset[str], ...], int, int]]:
    """The parts of a change: the words that go and come, and the lines after it."""
    old, new = (imports.code_lines(text, language) for text in sides)
    for a0, a1, b0, b1 in difftext.changed(old, new):
        gone, come = (
            frozenset(re.findall(r"\w+|[^\w\s]", "\n".join(lines))) for lines in (old[a0:a1], new[b0:b1])
        )
        if gone != come:
            yield (gone - come, come - gone), b0, b1


def missing(made: str, wanted: str, language: Language) -> list[tuple[int, int]]:
    """The lines of the person's version where a text is another."""
    sides = imports.code_lines(made, language), imports.code_lines(wanted, language)
    return [(d0, d1) for _, _, d0, d1 in difftext.changed(*sides)]


def places(file: Sides, now: str, suffix: str) -> Iterator[Made]:
    """Each place that was written, against the person's version; where imports stand is left out."""
    language = language_of_path(Path(f"x{suffix}"))
    old, new, wanted = (imports.code_lines(text, language) for text in (file.pre, now, file.post))
    is_import = import_line(language).match
    imported = {line.strip() for line in wanted if is_import(line)}
    other = {
        line
        for a0, a1, b0, b1 in difftext.changed(wanted, new)
        if joined(wanted[a0:a1]) != joined(new[b0:b1])
        for line in range(b0, b1)
        if new[line].strip() not in imported
    }
    for a0, a1, b0, b1 in difftext.changed(old, new):
        gone = all(line not in wanted for line in old[a0:a1] if line.strip())
        right = not other & set(range(b0, b1)) if b1 > b0 else gone
        yield Made(" ".join(old[a0:a1]).strip(), " ".join(new[b0:b1]).strip(), right)


def joined(lines: Sequence[str]) -> str:
    """Lines as one text however they are broken: without blanks, and the comma before a closing bracket."""
    return re.sub(r",(?=[)\]}])", "", dense("\n".join(lines)))


if __name__ == "__main__":
    raise SystemExit(main())
