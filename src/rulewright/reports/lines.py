"""Read lines of records, steps or rows for display: task, answer and outcome.

A line of a record or a trajectory says everything itself; a row of an evaluation says what was
answered, and its code and sentence are looked up in the data that the run's folder names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from rulewright import console, jsonl
from rulewright.actions import Action, Rejection, read_action
from rulewright.data.schemas import CodeElsewhere
from rulewright.digests import text_sha256
from rulewright.engine import Engine, Request
from rulewright.errors import RulewrightError, UsageError, few, problems_of
from rulewright.evaluation import compare, heldout, refactor
from rulewright.evaluation.canitedit import data as canitedit
from rulewright.evaluation.canitedit import protocol
from rulewright.evaluation.measures import BENCHMARKS, CANITEDIT, EDITS, MINING, REFACTOR, Row
from rulewright.generation.notes import as_style
from rulewright.languages import Language, normalize_language
from rulewright.mining.inputs import Stream
from rulewright.prompts import extract_edit
from rulewright.srl.elsewhere import TriedElsewhere, try_one
from rulewright.srl.reward_srl import gated, is_right, plain
from rulewright.state.trajectory import TrajectoryStep
from rulewright.verdict import INVALID, Outcome, Verdict

_IDLE: Final = INVALID | {Verdict.NO_MATCH, Verdict.NO_CHANGE, Verdict.INFRA}
"""Verdicts that say all of what came of an action: nothing."""
_WORDS: Final = frozenset(map(str, Verdict))
_OF_ITS_OWN: Final = frozenset({"task", "id", "text", "prompt_digest", "reasoning", "action"})
"""Fields of a row that have a place of their own."""
_HALF: Final = 0.5


@dataclass(frozen=True)
class TriedOn:
    """Another text that an answer is tried on: an example, a hidden sibling, code that must stay."""

    name: str
    pre: str
    wanted: str


@dataclass(frozen=True)
class Shown:
    """What a line holds, whatever kind of line it is."""

    kind: str
    instruction: str
    language: Language
    pre: str
    wanted: str | None
    answer: str
    """The raw answer or action text; empty where there is none."""
    said: Mapping[str, Any] = field(default_factory=dict)
    """What the file says of it."""
    reference: str = ""
    """The verified action that rewards compare with."""
    outcome: Outcome | None = None
    """What came of the answer, where the line itself says all of it."""
    right: bool | None = None
    """Whether the answer is right, where the file says so."""
    tried: tuple[TriedOn, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """The lines of one file or run, by what names the question; and how to read one."""

    name: str
    rows: Mapping[str, Row]
    read: Callable[[Row], Shown]


def read_item(row: Mapping[str, Any], place: str) -> Shown:
    """Tell what kind of line it is and take its parts.

    Raises:
        UsageError: it is none that says what was asked.
    """
    if "teacher" in row and "env" in row:
        _require(TrajectoryStep, row, place)
        env, teacher = row["env"], row["teacher"]
        answer = teacher.get("raw") or json.dumps(teacher.get("action") or "")
        ok = env["verdict"] == Verdict.OK
        return Shown(
            "trajectory step", row["instruction"], row["language"], row["pre_code"],
            env.get("post_code") if ok else row.get("target"), answer,
            {**row["provenance"], "verdict": env["verdict"], "detail": env["detail"]}, answer,
            right=ok and row["provenance"].get("solved") is not False, tried=_beside(row),
        )  # fmt: skip
    if "pre" in row and ("instruction" in row or "post" in row):
        _require(_Edit, row, place)
        metadata = row.get("metadata") or {}
        action = metadata.get("action") or row.get("action") or ""
        action = action if isinstance(action, str) else json.dumps(action, ensure_ascii=False)
        language = normalize_language(str(row.get("language", "")))
        return Shown(
            "record", row.get("instruction") or "", language, row["pre"], row.get("post"), action,
            {key: value for key, value in metadata.items() if key != "action"},
            action, tried=_beside(metadata),
        )  # fmt: skip
    raise UsageError(
        f"{place}: neither a record nor a trajectory step (keys: {few(sorted(row), 8)})",
        "show reads lines of data/processed/**.jsonl and trajectories/raw/**.jsonl; view reads runs, too",
    )


class _Edit(BaseModel):
    """What must be text in a line with code before and after."""

    instruction: str | None = None
    pre: str
    post: str | None = None
    metadata: dict[str, Any] | None = None


def _require(model: type[BaseModel], row: Mapping[str, Any], place: str) -> None:
    try:
        model.model_validate(row)
    except ValidationError as error:
        raise UsageError(f"{place}: {problems_of(error)}", "fix or remove the line") from error


def read_line(row: Mapping[str, Any], path: Path, number: int) -> Shown:
    """One line of a file of any kind; the question of a run's row is looked up."""
    benchmark = compare.benchmark_of(_json(path.parent / "result.json") or row)
    named = compare.named(dict(row), benchmark) if path.name == "rows.jsonl" else row
    if _is_row(named):
        return _rows_sheet(path.parent, benchmark, [dict(named)], ()).read(dict(named))
    return read_item(row, f"{path}:{number}")


def _beside(held: Mapping[str, Any]) -> tuple[TriedOn, ...]:
    """The siblings and negatives of a record or step."""
    try:
        pairs = CodeElsewhere.model_validate(held).held_out
    except ValidationError:
        return ()
    return tuple(
        TriedOn(f"sibling {n}" if pre != post else "must stay", pre, post)
        for n, (pre, post) in enumerate(pairs, 1)
    )


def judge(item: Shown, engine: Engine, answer: str | None = None) -> tuple[Outcome | None, Action | None]:
    """Execute an item's answer, or another one, on its code; `None` where there is no answer.

    A row whose answer is code has nothing to execute: what it says of itself stands.
    """
    if answer is not None or item.kind != "code":
        item = replace(item, answer=item.answer if answer is None else answer, outcome=None)
    return judge_all([item], engine)[0]


def judge_all(items: Sequence[Shown], engine: Engine) -> list[tuple[Outcome | None, Action | None]]:
    """What came of each item's answer, and its action; only what no file says is executed."""
    read = [read_action(item.answer, item.language) if item.answer.strip() else None for item in items]
    actions = [one if isinstance(one, Action) else None for one in read]
    asked = [
        Request(action, item.pre, item.language, item.wanted)
        for item, action in zip(items, actions)
        if action is not None and item.outcome is None
    ]
    judged = engine.judge_many(asked)
    found: list[tuple[Outcome | None, Action | None]] = []
    for item, one, action in zip(items, read, actions):
        if item.outcome is not None:
            found.append((item.outcome, action))
        elif isinstance(one, Rejection):
            found.append((Outcome(one.verdict, one.detail), None))
        else:
            found.append((next(judged) if action is not None else None, action))
    return found


def elsewhere(
    item: Shown, action: Action | None, outcome: Outcome | None, engine: Engine
) -> TriedElsewhere | None:
    """What an action does to the other texts of its item.

    `None` where it is not tried: there are none, or it is wrong on its own text already.
    """
    if action is None or outcome is None or not item.tried:
        return None
    if item.reference and not is_right(outcome, item.pre, [item.wanted or ""]):
        return None
    return try_one(engine, action, tuple((one.pre, one.wanted) for one in item.tried))


def rewards(
    item: Shown, action: Action | None, outcome: Outcome | None, tried: TriedElsewhere | None
) -> dict[str, dict[str, Any]]:
    """Reward by part of an action against the verified one; `tried` is what `elsewhere` found."""
    if outcome is None or not item.reference or item.wanted is None:
        return {}
    general = (tried.share if tried else 0.0) if item.tried else None
    reference = read_action(item.reference, item.language)
    if isinstance(reference, Rejection):
        return {}
    made = {
        "plain": plain(outcome, action, [reference]),
        "gated": gated(outcome, action, [reference], item.pre, [item.wanted], general),
    }
    return {name: {"value": reward.value, **reward.parts} for name, reward in made.items()}


def sheet_of(path: Path, data: Sequence[Path] = ()) -> Sheet:
    """Read a run's folder or a file of rows, records or trajectory steps.

    Args:
        path: the folder or file.
        data: where the questions of rows are; empty: where the run's configuration says.

    Raises:
        UsageError: nothing is there that we know.
    """
    if path.is_dir() or path.name == "rows.jsonl":
        run = compare.read_run(path if path.is_dir() else path.parent)
        return _rows_sheet(run.path, run.benchmark, run.rows, data)
    rows: list[dict[str, Any]] = []
    bad: list[RulewrightError] = []
    for line in jsonl.read_lines(path):
        try:
            row = line.object_of(path)
            if not _is_row(row):
                read_item(row, f"{path}:{line.number}")
            rows.append(row)
        except RulewrightError as error:
            bad.append(error)
    if not rows:
        hint = "name a run's folder, or a file with rows, records or steps"
        raise bad[0] if bad else UsageError(f"{path}: the file is empty", hint)
    if bad:
        console.say(f"{console.plural(len(bad), 'line')} left out: {bad[0].message}")
    if _is_row(rows[0]):
        return _rows_sheet(path.parent, compare.benchmark_of(rows[0]), rows, data, path.name)
    return Sheet(str(path), _by_name(rows), lambda row: read_item(row, str(path)))


def _is_row(row: Mapping[str, Any]) -> bool:
    return "task" in row and "verdict" in row


def _name(row: Mapping[str, Any]) -> str:
    """What names a line among others of its file; lines of two files with the same name are compared."""
    if "task_id" in row:
        said = row.get("provenance", {})
        return f"{row['task_id']} step {row.get('step', 0)} {said.get('sample', 0)}.{said.get('attempt', 0)}"
    if "task" in row:
        return f"{row['task']} {row['sample']}" if row.get("sample") else str(row["task"])
    return str((row.get("metadata") or {}).get("id") or row.get("id") or text_sha256(jsonl.dumps(row))[:12])


def _by_name(rows: Sequence[Row]) -> dict[str, Row]:
    """Rows by what names them; of several with one name the later ones get a number."""
    found: dict[str, Row] = {}
    seen: Counter[str] = Counter()
    for row in rows:
        name = _name(row)
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} #{seen[name]}"] = row
    return found


def _rows_sheet(
    folder: Path, benchmark: str, rows: Sequence[Row], data: Sequence[Path], file: str = ""
) -> Sheet:
    """Rows of a run with the questions of its data."""
    wanted = {str(row["task"]) for row in rows}
    config = _json(folder / "config.json")
    asked = _questions(folder, benchmark, config, [str(path) for path in data], wanted)
    style = as_style(_json(folder / "generator.json").get("style"))
    said = config.get("prompt", "auto")
    kind: protocol.PromptKind = said if said != "auto" else "ours" if style == "compact" else "chat"
    if missing := len(wanted - asked.keys()):
        console.say(
            f"{folder}: the records of {missing} of {len(wanted)} tasks are missing, so only their "
            "answers are shown; name the records with --data"
        )

    is_code = benchmark == EDITS.name or config.get("track") == "text"

    def code(row: Row, pre: str) -> str | None:
        if benchmark == CANITEDIT.name:
            return protocol.ours(kind, row["text"], pre, style).code
        return extract_edit(row["text"], pre, style)

    def read(row: Row) -> Shown:
        nothing = Shown("row", "", normalize_language(str(row.get("language", ""))), "", None, "")
        question = asked.get(str(row["task"]), nothing)
        said = {key: value for key, value in row.items() if key not in _OF_ITS_OWN}
        item = replace(
            question, kind="code" if is_code else "row", answer=row.get("text") or row.get("action") or "",
            said=said, right=_is_right(row, benchmark), reference="" if is_code else question.reference,
        )  # fmt: skip
        return replace(item, outcome=_outcome(row, item, code(row, item.pre) if is_code else None))

    name = str(folder / file) if file else str(folder)
    return Sheet(name, _by_name(rows), read)


def _outcome(row: Row, item: Shown, code: str | None) -> Outcome | None:
    """What a row alone says of an answer; `None` where it has to be executed to know."""
    word = row["verdict"]
    verdict = Verdict(word) if word in _WORDS else Verdict.OK
    flags = frozenset(Verdict(flag) for flag in row.get("flags", ()) if flag in _WORDS)
    made = Outcome(
        verdict, row.get("detail", ""), code, row.get("n_rules", 0), row.get("n_matches", 0), flags=flags
    )
    if item.kind == "code" or verdict in _IDLE or not item.pre:
        return made
    return replace(made, post=item.wanted) if row.get("success") == 1 else None


def _is_right(row: Row, benchmark: str) -> bool | None:
    """By the measure that decides in the benchmark."""
    value = BENCHMARKS[benchmark].decides.read(row) if benchmark in BENCHMARKS else None
    return None if value is None else value >= _HALF


def _questions(
    folder: Path, benchmark: str, config: Mapping[str, Any], data: Sequence[str], wanted: set[str]
) -> dict[str, Shown]:
    """The questions of a run, by task."""
    if (folder / "items.jsonl").is_file():
        return {
            row["id"]: _bench_item(row) for row in jsonl.read(folder / "items.jsonl") if row["id"] in wanted
        }
    dev = [entry["path"] for entry in config.get("dev") or () if isinstance(entry, dict)]
    given = data or config.get("input") or config.get("data") or dev
    paths = _here([given] if isinstance(given, str) else given, folder)
    if not paths:
        return {}
    if benchmark == CANITEDIT.name:
        return {
            f"{p.id}_{kind}": Shown("problem", p.instruction(kind), "python", p.before, p.after, "")
            for p in canitedit.load(paths[0])
            for kind in canitedit.KINDS
        }
    if benchmark == MINING.name:
        edits = Stream([str(path) for path in paths])
        return {
            e.id: Shown("edit", e.instruction, e.language, e.pre, e.post, "") for e in edits if e.id in wanted
        }
    if benchmark == REFACTOR.name:
        methods, _ = refactor.load(paths[0])
        return {m.name: Shown("problem", m.instruction, "python", m.code, None, "") for m in methods}
    found = {}
    for path in heldout.expand(paths):
        for line in jsonl.read_lines(path):
            row = line.value
            if row is not None and (name := _name(row)) in wanted and "pre" in row:
                found[name] = replace(read_item(row, f"{path}:{line.number}"), answer="")
    return found


def _bench_item(row: Row) -> Shown:
    """A RuleBench item: the code is that of the first example, the rest is tried, too."""
    pre, wanted = row["examples"][0]
    tried = [TriedOn(f"example {n}", *pair) for n, pair in enumerate(row["examples"], 1)]
    tried += [TriedOn(f"sibling {n}", *pair) for n, pair in enumerate(row["siblings"], 1)]
    tried += [TriedOn(f"must stay ({kind.replace('_', ' ')})", code, code) for kind, code in row["negatives"]]
    return Shown("item", row["instruction"], row["language"], pre, wanted, "", tried=tuple(tried))


def _here(names: Sequence[str], folder: Path) -> list[Path]:
    """Paths as a run's configuration has them, seen from here or from a folder above the run."""
    found = []
    for name in names:
        places = [Path(name), *(parent / name for parent in folder.resolve().parents)]
        found += [place for place in places if place.exists()][:1]
    return found


def _json(path: Path) -> dict[str, Any]:
    return jsonl.read_object(path, "run the evaluation again") if path.is_file() else {}
