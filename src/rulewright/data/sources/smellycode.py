"""SmellyCode: files with named code smells and no refactored version (DATA.md 2.5).

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
from rulewright.data.sources import Options, Row
from rulewright.languages import language_of_path

_TASK: Final = "Refactor this code to remove the smell `{smell}` in `{where}`, keeping its behaviour: {why}"


def normalize(row: Row, options: Options) -> Sequence[Draft | Drop]:
    """Never a draft: a task, noted by the pipeline (`tasks`), and the drop that says so."""
    return [Drop("no_fixed_version", "has smells and no refactored version: a task, not an edit")]


def rows_of(root: Path) -> Iterator[dict[str, Any]]:
    """Yield the files of a checkout with the smells that its table names for them.

    The table repeats its header line in the middle; such lines are skipped.
    """
    table = root / "Analysis" / "GroundTruthLevel" / "GroundTruth.csv"
    smells: dict[tuple[str, str], list[dict[str, str]]] = {}
    if table.exists():
        with table.open(encoding="utf-8-sig", newline="") as stream:
            for line in csv.DictReader(stream):
                if line["Language"] == "Language":
                    continue
                key = (line["Language"].strip().lower(), line["Class"].strip().lower())
                smells.setdefault(key, []).append(
                    {
                        "smell": line["Code Smell"], "category": line["Category"],
                        "method": line["Method"], "description": line["Type"],
                    }
                )  # fmt: skip
    for path in sorted(root.glob("*/SmellyUnannotated/**/*")):
        if path.is_file() and language_of_path(path) != "other":
            relative = path.relative_to(root)
            yield {
                "path": relative.as_posix(),
                "code": path.read_text(encoding="utf-8", errors="replace"),
                "smells": smells.get((relative.parts[0].lower(), path.stem.lower()), []),
            }


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
