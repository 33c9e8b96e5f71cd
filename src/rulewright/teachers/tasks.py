"""Tasks for teachers: from records or a hand-written manifest to one type.

A manifest row is a `NormalizedRecord`, or an object with `instruction`, `pre` (or `pre_code`),
`language`, and where known `task_id`, `post` (or `target`), `tests`, `group`, `source`. A bad row is
counted with its reason; it is not an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rulewright import jsonl
from rulewright.data.schemas import SPLITS, CodeElsewhere, record_id
from rulewright.data.splits import draw
from rulewright.errors import RulewrightError, by_reason
from rulewright.languages import Language, normalize_language


@dataclass(frozen=True)
class TeacherTask:
    task_id: str
    instruction: str
    pre: str
    language: Language
    target: str | None = None
    """The wanted code, where known."""
    tests: str | None = None
    """A test program that passes on wanted code, where there is one."""
    action: str | None = None
    """A verified action that a record came with."""
    tier: str = ""
    """The miner's word on that action, where it was mined (docs/reference/mining.md)."""
    group: str = ""
    source: str = "manifest"
    elsewhere: CodeElsewhere = field(default_factory=CodeElsewhere)
    """The same change on other code, and code that must stay; never shown to a teacher."""
    split: str = ""
    """Of the processed file it came from (`…/train/…`); empty elsewhere."""


def parse_task(row: Mapping[str, Any]) -> TeacherTask | str:
    """Read one row; return the reason if it is not a task."""
    metadata = row["metadata"] if isinstance(row.get("metadata"), dict) else {}
    known: Mapping[str, Any] = {**row, **metadata}
    instruction, pre = row.get("instruction"), row.get("pre", row.get("pre_code"))
    target = row.get("post", row.get("target"))
    if not isinstance(instruction, str) or not instruction.strip():
        return "no_instruction"
    if not isinstance(pre, str) or not pre.strip():
        return "no_code"
    language = normalize_language(str(row.get("language", "")))
    if language == "other":
        return "unknown_language"
    if target is not None and (not isinstance(target, str) or target == pre):
        return "no_edit"
    try:
        elsewhere = CodeElsewhere.model_validate(known)
    except ValidationError:
        return "bad_siblings"
    said = known.get("provenance")
    provenance: Mapping[str, Any] = said if isinstance(said, dict) else {}
    given = metadata.get("id") or row.get("task_id") or row.get("id")
    task_id = str(given or record_id(instruction, pre, target or "", language))
    return TeacherTask(
        task_id=task_id,
        instruction=instruction,
        pre=pre.replace("\r\n", "\n"),
        language=language,
        target=target.replace("\r\n", "\n") if target is not None else None,
        tests=_text(known.get("tests")),
        action=_text(known.get("action")),
        tier=_text(provenance.get("tier")) or "",
        group=str(known.get("group") or task_id),
        source=str(known.get("source") or "manifest"),
        elsewhere=elsewhere,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def read_tasks(
    paths: Sequence[Path], rejected: Counter[str], limit: int = 0, seed: int = 0
) -> Iterator[TeacherTask]:
    """Yield the tasks of several manifests, each once; count what is not a task by reason.

    Args:
        paths: the manifests.
        rejected: gets the counts.
        limit: at most so many of each manifest, chosen by hash; 0: all.
        seed: of the choice.

    Raises:
        RulewrightError: a manifest breaks off, or has no task; `UsageError` where one is absent.
    """
    seen: set[str] = set()
    for path in paths:
        tasks = draw(_of_one(path, rejected, seen), limit, lambda task: f"{seed} {task.task_id}")
        yield from tasks
        if not tasks:
            reasons = by_reason(rejected, 3) or "it is empty"
            raise RulewrightError(
                f"{path}: no task in it ({reasons})",
                "each line needs instruction, pre and language (see `rulewright teacher run --help`)",
            )


def _of_one(path: Path, rejected: Counter[str], seen: set[str]) -> Iterator[TeacherTask]:
    split = path.parent.name if path.parent.name in SPLITS else ""
    for line in jsonl.read_lines(path):
        task = parse_task(line.value) if line.value is not None else line.reason
        if isinstance(task, str):
            rejected[task] += 1
        elif task.task_id in seen:
            rejected["repeated_id"] += 1
        else:
            seen.add(task.task_id)
            yield replace(task, split=split)
