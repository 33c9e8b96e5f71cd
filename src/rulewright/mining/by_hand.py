"""One change made by hand → the rule, and what else it would change.

`rulewright mine --from-diff FILE PATH…`, `rulewright edit --like FILE PATH…`. Nothing is
written without `write`, nor where the rule would lose code or break the syntax.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rulewright import console, engine, jsonl
from rulewright.actions.action import Action
from rulewright.actions.codec import render_rules
from rulewright.engine.apply import trace
from rulewright.errors import RulewrightError, UsageError
from rulewright.languages import Language, language_of_path
from rulewright.mining import diffs, report
from rulewright.mining.learn.mined import Mined, learn_from
from rulewright.replacing import Change, read_text, replace_all
from rulewright.verdict import Verdict

SKIPPED: Final = frozenset(
    {".git", "node_modules", ".venv", "venv", "__pycache__", "dist", "build", "target"}
)
MAX_BYTES: Final = 1_000_000
UNSAFE: Final = frozenset({Verdict.LOSSY, Verdict.SYNTAX_ERROR})


def learn(diff: str, paths: Sequence[str], write: bool, as_json: bool, budget_s: float) -> int:
    """Mine the diff, show the rule and its other matches; change them if asked to."""
    raw = sys.stdin.buffer.read() if diff == "-" else jsonl.require_file(Path(diff)).read_bytes()
    name = "standard input" if diff == "-" else diff
    changes = diffs.read(raw.decode("utf-8", "replace"), Path(), name)
    action, mined = _rule(changes, budget_s)
    if not as_json:
        console.emit(render_rules(action).rstrip())
        console.say(f"tier: {mined.tier} ({mined.reason})")
    found = list(_others(action, paths or [str(change.path) for change in changes]))
    for path, line, old, new in found:
        if as_json:
            console.emit_json({"path": str(path), "line": line, "old": old, "new": new})
        else:
            console.emit(f"{path}:{line}: {_one_line(old)}  →  {_one_line(new)}")
    if as_json:
        rules = {"language": action.language, "rules": list(action.rules)}
        console.emit_json({"action": rules, "tier": mined.tier, "matches": len(found)})
    files = sorted({path for path, *_ in found})
    hint = "" if write or not found else "; --write changes them"
    console.say(f"{len(found)} other places in {len(files)} files{hint}")
    if write:
        _change(files, action)
    return 0


def _rule(changes: Sequence[diffs.Change], budget_s: float) -> tuple[Action, Mined]:
    problems = []
    for change in changes:
        mined = learn_from(change.pre, change.post, change.language, budget_s)
        if mined.action is not None:
            return mined.action, mined
        problems.append(f"{change.path}: {mined.reason}")
    raise RulewrightError("no rule found: " + "; ".join(problems), "make the change smaller, in one place")


def _others(action: Action, paths: Sequence[str]) -> Iterator[tuple[Path, int, str, str]]:
    for path in _files(paths, action.language):
        try:
            text = read_text(path)
        except UsageError as error:
            console.say(f"skipped: {error.message}")
            continue
        for step in trace(action, text).steps:
            for edit in step.edits:
                before = step.before.source
                old = before[edit.start : edit.end]
                if old != edit.text:
                    yield path, before.count("\n", 0, edit.start) + 1, old, edit.text


def _files(paths: Sequence[str], language: Language) -> Iterator[Path]:
    for given in paths:
        path = Path(given)
        if not path.exists():
            raise UsageError(f"{given}: no such file or folder", "name files or folders of code")
        if path.is_file():
            yield path
            continue
        for folder, names, files in os.walk(path):
            names[:] = sorted(set(names) - SKIPPED)
            for name in sorted(files):
                file = Path(folder) / name
                if language_of_path(file) == language and file.stat().st_size <= MAX_BYTES:
                    yield file


def _change(files: Sequence[Path], action: Action) -> None:
    changes = []
    for path in files:
        text = read_text(path)
        outcome = engine.judge(action, text)
        if outcome.flags & UNSAFE:
            console.say(f"{path}: left alone ({outcome.verdict}: {console.clean(outcome.detail)})")
        elif outcome.post is not None and outcome.post != text:
            changes.append(Change(path, text, outcome.post))
    replace_all(changes)
    for path, before, after in changes:
        console.say(f"changed {path}")
        for line in report.diff(before, after):
            console.say(f"  {line}")


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 70 else flat[:67] + "…"
