"""SmellyCode: files with named code smells and no refactored version.

The two folders differ by comments that name the smells, so a row is no edit: every row is
dropped as `no_fixed_version`. `tasks` gives what the set is good for: code with the smells
it has, for a teacher or for GRPO.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rulewright.data.drafts import Draft, Drop
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row
from rulewright.languages import language_of_path

_HEADERS: Final = frozenset({".h", ".hh", ".hpp"})
_TASK: Final = "Refactor this code to remove the smell `{smell}` in `{where}`, keeping its behavior: {why}"


def normalize(row: Row, config: IngestConfig) -> Sequence[Draft | Drop]:
    """Never a draft: a task, noted by the pipeline (`tasks`), and the drop that says so."""
    return [Drop("no_fixed_version", "has smells and no refactored version: a task, not an edit")]


def rows_of(root: Path) -> Iterator[dict[str, Any]]:
    """Yield the files of a checkout with the smells that its table names for them.

    The table names a class: its smells belong to one file, that of the class (`_home`).
    """
    paths = [
        path
        for path in sorted(root.glob("*/SmellyUnannotated/**/*"))
        if path.is_file() and language_of_path(path) != "other"
    ]
    codes = {path: path.read_text(encoding="utf-8", errors="replace") for path in paths}
    smells: dict[Path, list[dict[str, str]]] = {}
    for line in _table(root / "Analysis" / "GroundTruthLevel" / "GroundTruth.csv"):
        language, name = line["Language"].strip().lower(), line["Class"].strip()
        folder = {path: codes[path] for path in paths if path.relative_to(root).parts[0].lower() == language}
        home = _home(folder, name)
        if home is not None:
            smells.setdefault(home, []).append(
                {
                    "smell": line["Code Smell"], "category": line["Category"],
                    "method": line["Method"], "description": line["Type"],
                }
            )  # fmt: skip
    for path in paths:
        relative = path.relative_to(root).as_posix()
        yield {"path": relative, "code": codes[path], "smells": smells.get(path, [])}


def _table(path: Path) -> Iterator[dict[str, str]]:
    """The lines of the table of smells; its header, which it repeats in the middle, is skipped."""
    if path.exists():
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from (line for line in csv.DictReader(stream) if line["Language"] != "Language")


def _home(codes: Mapping[Path, str], name: str) -> Path | None:
    """The file that a class belongs to: the one of its name, or else one that declares it.

    Of a header and its implementation it is the implementation.
    """
    named = [path for path in codes if path.stem.lower() == name.lower()]
    declares = re.compile(rf"\bclass\s+{re.escape(name)}\b")
    found = named or [path for path, code in codes.items() if declares.search(code)]
    return min(found, key=lambda path: (path.suffix in _HEADERS, path), default=None)


def tasks(row: Row) -> list[dict[str, Any]]:
    """What a teacher can be asked about a file: one task per smell, in the teacher's manifest form."""
    path = str(row.get("path_or_id") or row.get("path") or "")
    code = str(row.get("pre") or row.get("code") or "")
    smells = row.get("smells")
    found = smells if isinstance(smells, list) else []
    name = re.sub(r"\W+", "-", path).strip("-").lower()
    return [
        {
            "task_id": f"smellycode-{name}-{i + 1}",
            "instruction": _TASK.format(
                smell=smell.get("smell", ""),
                where=smell.get("method") or "the file",
                why=smell.get("description") or smell.get("category", ""),
            ),
            "pre_code": code,
            "language": language_of_path(path),
            "tags": ["smell", f"smell:{smell.get('smell', '')}"],
            "metadata": {"source": "smellycode", "license": "mit", "group": "smellycode", "path": path},
        }
        for i, smell in enumerate(s for s in found if isinstance(s, Mapping))
    ]
