"""Read the claims in a file: records, steps or rows with an action and its expected result."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rulewright import jsonl
from rulewright.engine import Engine, Request
from rulewright.languages import Language, normalize_language
from rulewright.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Claim:
    """A line of the file: the action it claims, or why it claims none."""

    line: int
    name: str
    action: str
    pre: str
    post: str | None
    language: Language
    skip: str = ""
    """`no action`, `rejected step`: nothing is claimed."""
    problem: str = ""
    """The line cannot be read at all; it fails."""

    @property
    def is_checked(self) -> bool:
        return not self.skip and not self.problem


def judged(path: Path, limit: int, engine: Engine) -> Iterator[tuple[Claim, Outcome]]:
    """Each claim of a file, in order, with the outcome of its action; `ok` if it has none."""
    waiting: deque[Claim] = deque()

    def requests() -> Iterator[Request]:
        for line in islice(jsonl.read_lines(path), limit or None):
            broken = line.value is None
            claim = _broken(line.number, line.problem) if broken else _claim(line.number, line.value or {})
            waiting.append(claim)
            if claim.is_checked:
                yield Request(claim.action, claim.pre, claim.language, claim.post)

    for outcome in engine.judge_many(requests()):
        while not waiting[0].is_checked:
            yield waiting.popleft(), Outcome(Verdict.OK)
        yield waiting.popleft(), outcome
    for claim in waiting:
        yield claim, Outcome(Verdict.OK)


def _broken(line: int, problem: str, name: str = "") -> Claim:
    return Claim(line, name, "", "", None, "other", problem=problem)


def _claim(line: int, row: dict[str, Any]) -> Claim:
    metadata: dict[str, Any] = row["metadata"] if isinstance(row.get("metadata"), dict) else {}
    if "pre_code" in row and "teacher" in row:
        teacher, env = row["teacher"], row.get("env")
        name = f"{row.get('task_id', '')}/{row.get('step', 0)}"
        if not isinstance(teacher, dict) or not isinstance(env, dict):
            return _broken(line, "`teacher` and `env` of a trajectory step must be objects", name)
        pre, post, action = row["pre_code"], env.get("post_code"), teacher.get("action")
        skip = "" if env.get("verdict") == "ok" else "rejected step"
    else:
        name = str(metadata.get("id") or row.get("id") or "")
        pre, post = row.get("pre"), row.get("post")
        action = metadata.get("action") or row.get("action")
        skip = "" if action else "no action"
    if skip:
        return Claim(line, name, "", "", None, "other", skip=skip)
    given = str(row.get("language", ""))
    language = normalize_language(given)
    if not isinstance(pre, str) or not isinstance(post, str):
        return _broken(line, "the code before and after must be text", name)
    text = action if isinstance(action, str) else json.dumps(action, ensure_ascii=False)
    return Claim(line, name, text, pre, post, language)
