"""The problems of CanItEdit, as its columns have them; nothing of their text is kept here.

The benchmark is for evaluation only. Its repository forbids training on it.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

from rulewright import jsonl
from rulewright.data import hub, readers
from rulewright.data.drafts import Drop
from rulewright.data.sources import SOURCES
from rulewright.errors import RulewrightError, UsageError

Kind = Literal["descriptive", "lazy"]
KINDS: Final[tuple[Kind, ...]] = ("descriptive", "lazy")
HUB_NAME: Final = SOURCES["canitedit"].hub
START_TESTS: Final = "### START TESTS ###"

KNOWN_DIGEST: Final = "9d3cd26166a9c11e"
"""First 16 hex digits of `digest` of the public copy that the facts were measured on."""

CHANGE_IN_PLACE: Final = frozenset(
    {2, 3, 6, 24, 41, 52, 59, 61, 70, 71, 72, 77, 80, 81, 89, 90, 91, 92, 100, 104, 105, 106, 114, 115,
     117, 119, 120}
)  # fmt: skip
"""Problems whose reference changes code in place (one reader): what rules are best at."""
TIMING: Final = frozenset({47, 55, 60})
"""Problems that assert on wall time: run again when they fail."""
BROKEN_IN_CONTAINER: Final = 78
"""Cannot pass in the official container; scores are given with and without it."""

_COLUMNS: Final = ("id", "name", "before", "after", "tests", "instruction_descriptive", "instruction_lazy")


@dataclass(frozen=True)
class Problem:
    """One program, two ways to ask for the same change, hidden tests."""

    id: int
    name: str
    before: str
    after: str
    tests: str
    instruction_descriptive: str
    instruction_lazy: str
    change_kind: str = ""

    def instruction(self, kind: Kind) -> str:
        return self.instruction_descriptive if kind == "descriptive" else self.instruction_lazy

    def modules(self) -> set[str]:
        """Top-level modules outside the standard library that its code imports."""
        found: set[str] = set()
        for text in (self.after, self.tests):
            found |= imported_modules(text)
        return {name for name in found if name not in sys.stdlib_module_names}


def imported_modules(text: str) -> set[str]:
    """Top-level names of absolute imports; empty where the text does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def load(source: Path | None, revision: str = "main") -> list[Problem]:
    """Read problems from a parquet or JSONL file, or from the hub; ascending by id.

    Raises:
        UsageError: no such file, or columns that are not the benchmark's.
        RulewrightError: a row that cannot be a problem: a benchmark is whole or not used.
    """
    if source is None:
        fetched = hub.fetch(SOURCES["canitedit"], revision)
        rows: Iterator[Mapping[str, Any]] = chain.from_iterable(map(_rows, fetched.paths))
        place = HUB_NAME
    else:
        rows, place = _rows(jsonl.require_file(source)), str(source)
    problems = [_problem(row, f"{place}, row {number}") for number, row in enumerate(rows, start=1)]
    if not problems:
        raise UsageError(f"{place}: contains no problem", "it should have 105")
    if len({problem.id for problem in problems}) != len(problems):
        raise RulewrightError(f"{place}: two problems have the same id", "is it the benchmark's own file?")
    return sorted(problems, key=lambda problem: problem.id)


def digest(problems: Sequence[Problem]) -> str:
    """SHA-256 over ascending ids of before, after and tests, each ended by NUL; 16 hex digits."""
    sha = hashlib.sha256()
    for problem in sorted(problems, key=lambda p: p.id):
        for part in (problem.before, problem.after, problem.tests):
            sha.update(part.encode() + b"\0")
    return sha.hexdigest()[:16]


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a file; one that is none ends it: a benchmark is whole or not used."""
    for item in chain.from_iterable(map(readers.items, readers.pieces(path))):
        if isinstance(item.value, Drop):
            raise RulewrightError(f"{item.place}: {item.value.detail}", "fetch it again")
        yield item.value


def _problem(row: Mapping[str, Any], place: str) -> Problem:
    missing = [name for name in _COLUMNS if name not in row]
    if missing:
        raise UsageError(
            f"{place}: no column {', '.join(missing)} (it has {', '.join(sorted(map(str, row)))[:200]})",
            f"name the file as {HUB_NAME} publishes it: the records of `ingest canitedit` keep other sources "
            "clear of the benchmark, and are not run"
            if "pre" in row and "metadata" in row
            else f"expected the columns of {HUB_NAME}",
        )
    texts = {name: row[name] for name in _COLUMNS[1:]}
    wrong = [name for name, value in texts.items() if not isinstance(value, str)]
    if wrong or not str(row["id"]).isdigit():
        raise RulewrightError(
            f"{place}: {', '.join(wrong) or 'id'} is not what the benchmark has there", "fetch it again"
        )
    taxonomy = row.get("taxonomy") or {}
    if isinstance(taxonomy, str):
        taxonomy = json.loads(taxonomy)
    return Problem(
        id=int(row["id"]),
        change_kind=str(taxonomy.get("change_kind") or ""),
        **texts,
    )
