"""Read edits to mine: from JSONL with `pre` and `post`, processed records, and git repositories.

A row that is no edit is counted with its reason; nothing is guessed from content.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from rulewright import console, jsonl
from rulewright.data.schemas import SPLITS, Split, record_id
from rulewright.data.splits import split_of
from rulewright.difftext import unix
from rulewright.digests import text_number
from rulewright.errors import UsageError
from rulewright.languages import Language, language_of_path, normalize_language

FIRST_ROWS: Final = 20
"""Rows that are checked to see whether a file holds edits."""
_NAMED_AT_MOST: Final = 5


@dataclass(frozen=True)
class EditRow:
    """One edit, as input of the miner and its evaluation."""

    id: str
    source: str
    """Repository or data set; background files come from the same one."""
    language: Language
    instruction: str
    pre: str
    post: str
    group: str = ""
    """Edits that share a change (of a fixer), or that must be in one split (of a repository)."""
    path: str = ""
    license: str = "unknown"
    split: Split | Literal[""] = ""
    """Split of the processed file that it comes from (`…/train/…`); else empty."""
    alone: bool = True
    """Whether it may be mined by itself; else only together with other files of its commit."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def whole(self) -> str:
        """What must be in one split: the group, or the source."""
        return self.group or self.source

    @property
    def belongs_to(self) -> Split:
        """The split of its record."""
        return self.split or split_of(self.whole)


class Stream:
    """The edits of files, folders and git repositories; may be iterated several times.

    `excluded` counts the rows that are no edits, by reason, in the last complete iteration.
    """

    def __init__(
        self, given: Sequence[str | Path], max_lines: int = 0, limit: int = 0, name: str = ""
    ) -> None:
        from rulewright.data.sources.git import is_repository, require_repository

        self.repositories = [require_repository(Path(g)) for g in given if is_repository(Path(g))]
        self.files = [file for g in given if not is_repository(Path(g)) for file in _files(Path(g))]
        self.excluded: Counter[str] = Counter()
        self.places: list[tuple[str, str]] = []
        """`file:line` and reason of each excluded row."""
        self._max_lines, self._limit, self._default = max_lines, limit, name
        first = Path(given[0])
        self.name = re.sub(r"[^\w.-]+", "-", first.resolve().name.removesuffix(".jsonl"))

    def stamps(self) -> dict[str, str]:
        """Stamps that tell whether an input has changed: digests of files, heads of repositories."""
        from rulewright.data.sources import git
        from rulewright.digests import file_sha256

        heads = {str(repository): git.head_of(repository) for repository in self.repositories}
        return {str(file): file_sha256(file) for file in self.files} | heads

    def __iter__(self) -> Iterator[EditRow]:
        self.excluded.clear()
        self.places.clear()
        seen: Counter[str] = Counter()
        count = 0
        for edit in self._all():
            if self._max_lines and changed_lines(edit.pre, edit.post) > self._max_lines:
                self.excluded["too many changed lines"] += 1
                continue
            seen[edit.id] += 1
            if seen[edit.id] > 1:
                edit = replace(edit, id=f"{edit.id}#{seen[edit.id]}")
            count += 1
            yield edit
            if self._limit and count >= self._limit:
                return

    def _all(self) -> Iterator[EditRow]:
        for file in self.files:
            for line in jsonl.read_lines(file):
                row = line.value
                problem = "not JSON" if row is None else _problem(row)
                if row is None or problem:
                    self._exclude(f"{file}:{line.number}", problem)
                else:
                    yield _edit(row, file.parent.name, self._default)
        for repository in self.repositories:
            yield from self._commits(repository)

    def _commits(self, repository: Path) -> Iterator[EditRow]:
        """The files of each small commit, newest first."""
        from rulewright.data.drafts import Drop
        from rulewright.data.settings import IngestConfig
        from rulewright.data.sources import git, kinds

        name, license = git.name_of(repository), git.license_at(repository) or "unknown"
        config = IngestConfig(source="git")
        for row in git.commits(repository):
            row |= {"repository": str(repository), "repo": name, "license": license}
            for draft in git.normalize(row, config, every=True):
                if isinstance(draft, Drop):
                    self._exclude(f"{repository}@{row['commit'][:12]}", draft.reason)
                    continue
                pre, post = unix(draft.pre), unix(draft.post)
                found = {"pre": pre, "post": post, "path": draft.path, "instruction": draft.instruction,
                         "source": f"git:{name or repository.resolve().name}", "license": license,
                         "group": name or repository.resolve().name,
                         "id": f"{row['commit'][:12]}:{draft.path}", "commit": row["commit"],
                         "alone": kinds.UNLIKE not in draft.tags}  # fmt: skip
                problem = _problem(found)
                if problem:
                    self._exclude(f"{repository}@{row['commit'][:12]}", problem)
                else:
                    yield _edit(found, "", self._default)

    def _exclude(self, place: str, problem: str) -> None:
        self.excluded[problem] += 1
        self.places.append((place, problem))


def changed_lines(pre: str, post: str) -> int:
    """Lines that are on one side only, counted as a bag: the larger of removed and added."""
    old, new = Counter(pre.split("\n")), Counter(post.split("\n"))
    return max((old - new).total(), (new - old).total())


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder", "check the path")
    if path.is_file():
        _require_edits(path)
        return [path]
    found: list[Path] = []
    others: list[UsageError] = []
    for file in sorted(path.rglob("*.jsonl")):
        if file.name.startswith(("mined_", ".")) or "rejects" in file.parts:
            continue
        try:
            _require_edits(file)
            found.append(file)
        except UsageError as error:
            others.append(error)
    if not found:
        hint = "name a file or folder with pre/post rows"
        raise others[0] if others else UsageError(f"{path}: no .jsonl file in the folder", hint)
    console.say_all(console.few_lines([f"left out: {error.message}" for error in others], _NAMED_AT_MOST))
    return found


def _require_edits(path: Path) -> None:
    """Refuse a file that holds no edits, and say what it is and how to make edits of it.

    Raises:
        UsageError: it is no JSON Lines, or none of its first rows has an old and a new side.
    """
    from rulewright.data import files

    jsonl.require_file(path)
    if language_of_path(path.name) != "other":
        hint = "to learn from a change by hand: `rulewright edit --like OLD NEW`, or mine --from-diff"
        raise UsageError(f"{path}: is code, not edits of code", hint)
    lacking = {"pre", "post"} - set(files.columns_of(path))
    other = {".parquet": "is parquet", ".json": "is one JSON text, not one object a line"}.get(
        path.suffix, ""
    )
    if not lacking and not other:
        # A column of that name may hold numbers, or lists.
        rows = [line.value for line in islice(jsonl.read_lines(path), FIRST_ROWS)]
        sides = ([(row or {}).get(key) for key in ("pre", "post")] for row in rows)
        if rows and not any(all(isinstance(side, str) for side in pair) for pair in sides):
            other = "`pre` and `post` are no texts in its first rows"
    if lacking or other:
        found = f"has no {' and no '.join(f'`{name}`' for name in sorted(lacking))}" if lacking else other
        what = files.rows_of_another_kind(files.columns_of(path))
        raise UsageError(
            f"{path}: {found}" + (f": it {what[0]}" if what else ""),
            what[1]
            if what
            else f"`rulewright ingest jsonl --input {path}` turns it into records; mine those",
        )


def _problem(row: Mapping[str, Any]) -> str:
    for key in ("pre", "post"):
        if not isinstance(row.get(key), str):
            return f"no text `{key}`"
    if row["pre"] == row["post"]:
        return "identical sides"
    if not row["pre"].strip():
        return "empty pre"
    if _language(row) == "other":
        return "unknown language"
    return ""


def _language(row: Mapping[str, Any]) -> Language:
    given = row.get("language") or row.get("lang")
    if isinstance(given, str):
        return normalize_language(given)
    return language_of_path(str(row.get("path") or row.get("path_or_id") or ""))


def _split(name: str) -> Split | Literal[""]:
    """The split of that name; empty where there is none."""
    return next((split for split in SPLITS if split == name), "")


def _edit(row: Mapping[str, Any], folder: str, default_source: str) -> EditRow:
    raw = row.get("metadata")
    meta: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
    language = _language(row)
    instruction = row.get("instruction")
    instruction = instruction if isinstance(instruction, str) and instruction != "None" else ""
    pre, post = unix(row["pre"]), unix(row["post"])

    def pick(key: str, default: str = "") -> str:
        value = row.get(key) or meta.get(key)
        return value if isinstance(value, str) else default

    return EditRow(
        id=pick("id") or record_id(instruction, pre, post, language),
        source=pick("source") or pick("repo") or default_source or "unknown",
        language=language,
        instruction=instruction,
        pre=pre,
        post=post,
        group=pick("group"),
        path=pick("path"),
        license=pick("license", "unknown"),
        split=_split(folder) or _split(pick("split")),
        alone=row.get("alone") is not False,
        extra={key: meta[key] for key in ("commit", "repo") if key in meta}
        or {key: row[key] for key in ("commit", "repo") if isinstance(row.get(key), str)},
    )


def order(seed: int, *parts: str) -> int:
    """A number for drawing at random, the same on every machine."""
    return text_number("\0".join((str(seed), *parts)))
