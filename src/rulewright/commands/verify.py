"""Apply every record's action and check that it gives the wanted code.

FILE.jsonl holds records (`metadata.action`), trajectory steps, or rows with `action`,
`pre`, `post` and `language`. One verdict a line, then a summary by reason. Exit code 1 if
any record that claims an action fails.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from rulewright import console, jsonl
from rulewright.config import CommandConfig
from rulewright.errors import RulewrightError
from rulewright.languages import Language, normalize_language
from rulewright.verdict import Outcome, Verdict


class Config(CommandConfig):
    """Options of `rulewright verify`."""

    file: Annotated[Path, tyro.conf.Positional]
    """Records, trajectory steps or rows, one JSON object a line."""
    workers: int = 1
    """Processes; 0: one per core."""
    deadline_s: float = 5.0
    """Processor seconds per record."""
    limit: int | None = None
    """Only the first so many lines."""
    failures_only: bool = False
    """Leave out the lines of records that pass."""
    allow_other_version: bool = False
    """Judge with an ast-grep of another minor version."""
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False
    """One JSON line a record, then one with the summary."""


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


def run(config: Config) -> int:
    """Verify; print a verdict a line and the summary."""
    from rulewright.engine import Engine, Request

    counts: Counter[str] = Counter()
    failed = 0
    claims: list[Claim] = []

    def requests() -> Iterator[Request]:
        for claim in _claims(config.file, config.limit):
            claims.append(claim)
            if not claim.skip and not claim.problem:
                yield Request(claim.action, claim.pre, claim.language, claim.post)

    workers = config.workers or os.cpu_count() or 1
    with Engine(workers, config.deadline_s, allow_other_version=config.allow_other_version) as engine:
        outcomes = engine.judge_many(requests())
        for claim, outcome in _pair(claims, outcomes):
            reason = claim.skip or ("unreadable" if claim.problem else str(outcome.verdict))
            counts[reason] += 1
            bad = not claim.skip and (bool(claim.problem) or not outcome.ok)
            failed += bad
            if bad or not config.failures_only:
                _print(config, claim, reason, claim.problem or outcome.detail, outcome)
    if not claims:
        raise RulewrightError(f"{config.file}: the file is empty", "name a file with records, one a line")
    checked = sum(counts.values()) - sum(n for reason, n in counts.items() if reason in SKIPS)
    if config.json_output:
        console.emit_json({"summary": dict(counts), "checked": checked, "failed": failed})
    else:
        console.say(console.counted(f"{checked} claims checked, {failed} failed", dict(counts.most_common())))
    return 1 if failed else 0


SKIPS = frozenset({"no action", "rejected step"})
_NOTHING = Outcome(Verdict.OK)


def _pair(claims: list[Claim], outcomes: Iterator[Outcome]) -> Iterator[tuple[Claim, Outcome]]:
    """Give each claim its outcome, in the order of the file, as they come."""
    done = 0
    for outcome in outcomes:
        while claims[done].skip or claims[done].problem:
            yield claims[done], _NOTHING
            done += 1
        yield claims[done], outcome
        done += 1
        if done >= 4096:
            del claims[:done]
            done = 0
    for claim in claims[done:]:
        yield claim, _NOTHING


def _claims(path: Path, limit: int | None) -> Iterator[Claim]:
    for number, line in enumerate(jsonl.read_lines(path)):
        if limit is not None and number >= limit:
            return
        if line.value is None:
            yield _broken(line.number, line.problem)
        else:
            yield _claim(line.number, line.value)


def _broken(line: int, problem: str, name: str = "") -> Claim:
    return Claim(line, name, "", "", None, "other", problem=problem)


def _claim(line: int, row: dict[str, Any]) -> Claim:
    metadata: dict[str, Any] = row["metadata"] if isinstance(row.get("metadata"), dict) else {}
    if "pre_code" in row and isinstance(row.get("teacher"), dict):
        env = row.get("env") or {}
        name = f"{row.get('task_id', '')}/{row.get('step', 0)}"
        pre, post, action = row["pre_code"], env.get("post_code"), row["teacher"].get("action")
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


def _print(config: Config, claim: Claim, reason: str, detail: str, outcome: Outcome) -> None:
    if config.json_output:
        row: dict[str, Any] = {"line": claim.line, "id": claim.name, "verdict": reason, "detail": detail}
        if not claim.skip and not claim.problem:
            row |= {
                "n_rules": outcome.n_rules,
                "n_matches": outcome.n_matches,
                "flags": sorted(outcome.flags),
            }
        console.emit_json(row)
        return
    note = f": {console.clean(detail)}" if detail else ""
    console.emit(f"{config.file}:{claim.line} {claim.name} {reason}{note}")
