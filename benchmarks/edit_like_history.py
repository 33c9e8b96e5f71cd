r"""Are the places that `edit --like` is sure of what a person changed there?

    python benchmarks/edit_like_history.py CLONE [CLONE …] --suffix .py --commits 25

For commits (not merges, drawn by hash) in which three or more files of a suffix change by a dozen lines
or fewer and share a changed word: rules are learned from one file, and their sure places are written to the
others as they were before the commit. A place is right if its lines stand in the person's version; imports
are left out, since people sort them. It is counted wrong where the person did otherwise, or left it for
another commit: the share is a lower bound.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rulewright import console, difftext
from rulewright.data.drafts import Drop
from rulewright.data.sources import git
from rulewright.languages import language_of_path
from rulewright.mining import imports
from rulewright.stats import estimate

MOST_LINES: Final = 12
"""Lines that a commit may take from a file, and bring to it."""
FILES: Final = (3, 40)
MOST_CHARS: Final = 60_000


class Place(NamedTuple):
    """Lines that a rule wrote, and whether the person made the same of them."""

    old: str
    new: str
    right: bool


class Sides(NamedTuple):
    """A file before and after a commit."""

    pre: str
    post: str


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clones", type=Path, nargs="+")
    parser.add_argument("--suffix", default=".py")
    parser.add_argument("--commits", type=int, default=25)
    parser.add_argument("--show", action="store_true", help="print what was not as the person made it")
    given = parser.parse_args()
    lines = []
    all_values: list[float] = []
    all_groups: list[str] = []
    for clone in given.clones:
        values: list[float] = []
        groups: list[str] = []
        n = silent = 0
        for commit, files in changes(clone, given.suffix):
            if n == given.commits:
                break
            n += 1
            found = list(written(files, given.suffix))
            silent += not found
            values += [float(place.right) for place in found]
            groups += [commit] * len(found)
            for place in found if given.show else ():
                if not place.right:
                    console.say(f"{commit[:10]} {place.old!r}  →  {place.new!r}")
        lines.append([git.name_of(clone), str(n), str(n - silent), str(len(values)), share(values, groups)])
        all_values += values
        all_groups += groups
    if len(given.clones) > 1:
        lines.append(["all", "", "", str(len(all_values)), share(all_values, all_groups)])
    console.emit(console.table(["history", "commits", "written in", "places", "% right [95 %]"], lines))
    return 0


def share(values: Sequence[float], groups: Sequence[str]) -> str:
    """The share of right places, clustered by commit."""
    if not values:
        return "–"
    found = estimate(values, groups)
    ends = (
        "" if found.low is None or found.high is None else f" [{100 * found.low:.0f}, {100 * found.high:.0f}]"
    )
    return f"{100 * found.value:.0f}{ends}"


def changes(clone: Path, suffix: str) -> Iterator[tuple[str, list[Sides]]]:
    """Commits worth asking about, in the order of their hashes, with their files."""
    rows = [row for row in git.commits(clone) if FILES[0] <= row["n_files"] <= FILES[1]]
    for row in sorted(rows, key=lambda row: hashlib.sha256(row["commit"].encode()).digest()):
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


def written(files: Sequence[Sides], suffix: str) -> Iterator[Place]:
    """What the sure places of the first file's rules did to the other files."""
    first, *others = files
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / f"before{suffix}").write_text(first.pre)
        (folder / f"after{suffix}").write_text(first.post)
        (folder / "others").mkdir()
        paths = [folder / "others" / f"{number}{suffix}" for number in range(len(others))]
        for path, other in zip(paths, others, strict=True):
            path.write_text(other.pre)
        command = ["edit", "--like", f"before{suffix}", f"after{suffix}", "others", "--write"]
        subprocess.run(
            [sys.executable, "-m", "rulewright", *command], cwd=folder, check=False, capture_output=True
        )
        for path, other in zip(paths, others, strict=True):
            yield from places(other, path.read_text(), suffix)


def places(file: Sides, now: str, suffix: str) -> Iterator[Place]:
    """Each place that was written, against the person's version; where imports stand is left out."""
    language = language_of_path(Path(f"x{suffix}"))
    old, new, wanted = (imports.body(text, language) for text in (file.pre, now, file.post))
    other = {line for _, _, b0, b1 in difftext.changed(wanted, new) for line in range(b0, b1)}
    for a0, a1, b0, b1 in difftext.changed(old, new):
        gone = all(line not in wanted for line in old[a0:a1] if line.strip())
        right = not other & set(range(b0, b1)) if b1 > b0 else gone
        yield Place(" ".join(old[a0:a1]).strip(), " ".join(new[b0:b1]).strip(), right)


if __name__ == "__main__":
    raise SystemExit(main())
