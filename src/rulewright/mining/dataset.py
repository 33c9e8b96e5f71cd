"""`rulewright mine`: from inputs to records, report and rule pack; resumes after a kill.

Invariant: a record's action, applied by the engine, gives its `post` exactly. Results are
appended to a work file as they come; the data set's metadata is written last.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rulewright import __version__, console, engine, folders, jsonl
from rulewright.actions.action import Action
from rulewright.actions.codec import render_action
from rulewright.data import store
from rulewright.data.schemas import NormalizedRecord, RecordMetadata, Split, record_id
from rulewright.data.splits import split_of
from rulewright.engine import export
from rulewright.errors import UsageError
from rulewright.mining import inputs, report
from rulewright.mining.inputs import EditRow
from rulewright.mining.judge import background
from rulewright.mining.learn import corpus, grading
from rulewright.mining.learn.corpus import Result, Shared
from rulewright.mining.learn.siblings import Siblings
from rulewright.mining.settings import MineConfig
from rulewright.runs import RunDir
from rulewright.verdict import Verdict

FALLBACK: Final = "Apply the `{}` fix to this code."


@dataclass(frozen=True)
class MinePlan:
    """A mining run whose inputs exist."""

    config: MineConfig
    source: inputs.Stream
    name: str
    """Of the report and the run."""

    def claim(self) -> RunDir:
        """The run directory, with the results so far."""
        stamps = {**self.source.stamps(), "rulewright": __version__}
        return RunDir.open(self.config.out / ".runs" / f"mine-{self.name}", self.config, stamps)


def plan(config: MineConfig) -> MinePlan:
    """Find the inputs that a configuration names.

    Raises:
        UsageError: there are none, or one is not there or holds no edits; or the report or the rule pack
            could not be written.
        RulewrightError: there is no ast-grep to verify rules with.
    """
    if not config.inputs:
        raise UsageError("nothing to mine", "name data/processed, a .jsonl file, or a git repository")
    engine.check_version()
    for folder in filter(None, (config.report, config.export)):
        folders.require_writable(folder)
    source = inputs.Stream(config.inputs, config.max_lines, config.limit, config.name)
    return MinePlan(config, source, config.name or source.name)


def run(plan: MinePlan, folder: RunDir) -> None:
    """Mine, write records and report; the summary is the run's result."""
    config, source = plan.config, plan.source
    known = corpus.known_files(source, config.n_known, config.seed)
    results = _mined(config, source, known, folder)
    by_id = {result["id"]: result for result in results}
    shared = corpus.share(lambda: source, by_id, config.budget_s, config.workers)
    together = _apply_shared(by_id, shared, known)
    spool = folder.path / "records"
    written = _write(config, source, by_id, together, spool)
    wanted = report.shown(results, shared)
    texts = {e.id: (e.instruction, e.pre, e.post) for e in source if e.id in wanted}
    jsonl.write_text(config.report / f"{plan.name}.md", report.page(plan.name, results, shared, texts))
    summary = report.summary(results, shared)
    summary |= {"excluded": dict(source.excluded), "written": written}
    if config.export is not None:
        summary["exported"] = _export(config.export, source, results, shared)
    jsonl.write_json(config.report / f"{plan.name}.json", summary)
    folder.finish(summary)
    shutil.rmtree(spool)
    (folder.path / "rows.jsonl").unlink()


def _mined(config: MineConfig, source: inputs.Stream, known: corpus.Known, folder: RunDir) -> list[Result]:
    """Results in the order of the edits; those of an interrupted run are kept."""
    done: list[Result] = folder.rows()
    ids = {result["id"] for result in done}
    # A commit that was interrupted is mined again, whole: its files share rules.
    owed = (change for change in corpus.changes(source) if not all(edit.id in ids for edit in change))
    if done:
        console.decided("resume", f"{len(done):,} edits are mined already", str(folder.path))
    found = sum(bool(r["rules"]) for r in done)
    with folder.appender(sync=False) as appender, console.progress("mine") as bar:
        for result in corpus.mine_stream(owed, known, config.budget_s, config.workers, config.engine):
            if result["id"] in ids:
                continue
            appender.append(result)
            done.append(result)
            found += bool(result["rules"])
            bar.advance(found=found)
    return done


def _apply_shared(
    results: Mapping[str, Result], shared: Sequence[Shared], known: corpus.Known
) -> dict[str, tuple[str, ...]]:
    """Give each edit that a shared rule reproduces exactly that rule, with its figures.

    Returns:
        by edit id, the edits that have its rule.
    """
    together: dict[str, tuple[str, ...]] = {}
    for one in sorted(shared, key=lambda s: s.support):
        if corpus.n_elsewhere(one, known) > background.TOO_MANY * one.support:
            continue
        figures = grading.told_by_text(one.action(), [one.rule]) | {"support": one.support}
        for name in one.exact_ids:
            result = results[name]
            if len(result["rules"]) > 1 or result["tier"] == "reject":
                continue
            result |= {"rules": [one.rule], "tier": "train", "reason": f"shared by {one.support} edits"}
            together[name] = one.exact_ids
            result["shapes"] = ["pattern"] if "$" in json.dumps(one.rule["rule"]) else ["lexical"]
            result["figures"] |= figures
    return together


def _write(
    config: MineConfig,
    source: inputs.Stream,
    results: Mapping[str, Result],
    together: Mapping[str, Sequence[str]],
    spool: Path,
) -> dict[str, dict[str, int]]:
    """Write records by source, each to the split of its input.

    The inputs are read once: records wait in a file per source, since there may be thousands.
    """
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir()
    dropped: dict[str, Counter[str]] = defaultdict(Counter)
    splits: dict[str, Split] = {}
    siblings = Siblings(source, together)
    for slug, record in _records(config, source, results, siblings, dropped, splits):
        with (spool / f"{slug}.jsonl").open("a", encoding="utf-8") as file:
            file.write(record.model_dump_json() + "\n")
    written: dict[str, dict[str, int]] = {}
    for path in sorted(spool.iterdir()):
        slug = path.stem
        with path.open(encoding="utf-8") as lines:
            metadata = store.write_dataset(
                map(NormalizedRecord.model_validate_json, lines), config.out, f"mined_{slug}",
                dropped=dropped[slug], inputs=source.files,
                split=lambda one: splits.get(one.metadata.id) or split_of(one.metadata.group),
                notes=["every action was applied by the engine and gives `post` exactly"],
            )  # fmt: skip
        written[f"mined_{slug}"] = dict(metadata.splits)
    return written


def _records(
    config: MineConfig, source: inputs.Stream, results: Mapping[str, Result], siblings: Siblings,
    dropped: Mapping[str, Counter[str]], splits: dict[str, Split],
) -> Iterator[tuple[str, NormalizedRecord]]:  # fmt: skip
    """Records, each with its source; edits that give none are counted by reason."""
    n_literal: Counter[str] = Counter()
    # How many literal records each source may have beside its general ones.
    share = config.literal_share
    general = Counter(_slug(edit.source) for edit in source if results[edit.id]["tier"] == "train")
    room = {slug: int(share / (1 - share) * n) for slug, n in general.items()} if share < 1 else None
    for edit in source:
        slug, result = _slug(edit.source), results[edit.id]
        if not result["rules"]:
            dropped[slug][result["reason"].split(" (")[0]] += 1
        elif result["tier"] not in config.tiers:
            dropped[slug][f"tier {result['tier']}"] += 1
        elif result["tier"] == "literal" and room is not None and room.get(slug, 0) <= n_literal[slug]:
            dropped[slug]["literal share"] += 1
        else:
            record = _record(edit, result, slug, siblings)
            if record is None:
                dropped[slug]["not reproduced"] += 1
                continue
            n_literal[slug] += result["tier"] == "literal"
            if edit.split:
                splits[record.metadata.id] = edit.split
            yield slug, record


def _record(edit: EditRow, result: Result, slug: str, siblings: Siblings) -> NormalizedRecord | None:
    action = Action(edit.language, tuple(result["rules"]), mode="yaml")
    made = engine.judge(action, edit.pre, edit.post)
    if made.post != edit.post or {Verdict.LOSSY, Verdict.DEGENERATE} & made.flags:
        return None
    named = re.sub(r"\W+", "-", re.split("[/:]", edit.group)[-1]).strip("-")
    instruction = edit.instruction or FALLBACK.format(named or edit.source)
    overlap = result["figures"]["instruction_overlap"]
    tags = ["mined", f"tier:{result['tier']}", *sorted({f"shape:{shape}" for shape in result["shapes"]})]
    if len(result["rules"]) > 1:
        tags.append("multi-step")
    if not edit.instruction:
        tags.append("instruction_fallback")
    elif not overlap:
        tags.append("instruction:no-overlap")
    extra: dict[str, Any] = dict(edit.extra)
    if edit.path:
        extra["path"] = edit.path
    if len(made.states) > 1:
        extra["states"] = list(made.states[:-1])
    provenance = {
        "miner": __version__, "of": edit.id, "tier": result["tier"], "reason": result["reason"],
        **result["figures"],
    }  # fmt: skip
    metadata = RecordMetadata(
        id=record_id(instruction, edit.pre, edit.post, edit.language), source=f"mined_{slug}",
        license=edit.license, group=edit.whole, action=render_action(action),
        provenance=provenance, **siblings.of(edit, action), **extra,
    )  # fmt: skip
    return NormalizedRecord(
        instruction=instruction,
        pre=edit.pre,
        post=edit.post,
        language=edit.language,
        tags=tags,
        metadata=metadata,
    )


def _slug(source: str) -> str:
    """A source as part of a file name.

    >>> _slug("commit:golang/tools")
    'commit-golang-tools'
    """
    return re.sub(r"[^a-z0-9_]+", "-", source.lower().removeprefix("mined_")).strip("-") or "edits"


def _export(folder: Path, source: inputs.Stream, results: Sequence[Result], shared: Sequence[Shared]) -> int:
    """Write the shared and the `train` rules, each once, as an ast-grep rule pack with its tests."""
    chosen: dict[str, tuple[Action, str, str]] = {}
    for one in shared:
        if one.exact_ids:
            chosen.setdefault(one.action().rules_json(), (one.action(), one.exact_ids[0], one.signature))
    for result in results:
        if result["tier"] == "train":
            action = Action(result["language"], tuple(result["rules"]), mode="rule")
            chosen.setdefault(action.rules_json(), (action, result["id"], ""))
    wanted = {name for _, name, _ in chosen.values()}
    texts = {edit.id: edit for edit in source if edit.id in wanted}
    return export.export(
        (
            export.PackRule(
                f"mined-{number:04d}", action, [texts[name].pre], words or texts[name].instruction
            )
            for number, (action, name, words) in enumerate(chosen.values(), 1)
        ),
        folder,
    )
