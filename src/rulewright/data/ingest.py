"""Ingest a source of raw edits: inputs → shards → records.

Invariant: the output depends on the inputs, the configuration and the other ingested sources, never on
the number of workers, the engine or interruptions. Shards are only added; `publish` decides for all
sources together which records are duplicates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from rulewright import console, jsonl
from rulewright.data import files, hub, index, inputs, pipeline, publish, readers, store
from rulewright.data.decontaminate import EvaluationIndex
from rulewright.data.index import Ingested
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import SOURCES, Source, smellycode
from rulewright.data.splits import Fractions
from rulewright.digests import file_sha256
from rulewright.errors import UsageError, did_you_mean
from rulewright.languages import LANGUAGES, normalize_language
from rulewright.locks import Lock
from rulewright.replacing import PREFIX, clear
from rulewright.runs import RunDir
from rulewright.workers import ordered_map

_COLUMNS: Final = (
    "instruction", "pre", "post", "language", "license", "path", "group", "commit", "repo", "action",
)  # fmt: skip


@dataclass(frozen=True)
class IngestPlan:
    """A source whose inputs and options were checked."""

    config: IngestConfig
    """As it was given."""
    source: Source
    options: IngestConfig
    """With what the source decides filled in."""
    inputs: inputs.Inputs
    against: Mapping[str, str]
    """Evaluation sets to keep clear of, with their SHA-256."""
    evaluation: EvaluationIndex | None

    @property
    def name(self) -> str:
        return self.options.name

    def claim(self) -> RunDir:
        """The run directory of the source."""
        stamps = {**self.inputs.stamps(), **self.against}
        out, folder = self.config.out, index.folder_of(self.config.out, self.name)
        return RunDir.open(folder, self.config, stamps, lambda: index.clear(out, self.name))

    def is_done(self, folder: RunDir) -> bool:
        """Whether there is nothing left to do."""
        return folder.done and store.metadata_path(self.config.out, self.name).exists()


def plan(config: IngestConfig) -> IngestPlan:
    """Check all that can be checked before any work; fetch from the hub where no input is named.

    Raises:
        UsageError: an option is impossible, or an input is absent or not what it should be.
    """
    source = _checked(config)
    Fractions(*config.fractions).checked()
    options = config.model_copy(
        update={
            "name": config.name or source.name,
            "license": config.license or source.license,
            "message_filter": config.message_filter or source.message_filter,
            # A published layout has a column of instructions.
            "fallback_instruction": "" if source.layouts else config.fallback_instruction,
            "window": (source.name == "git") if config.window is None else config.window,
        }
    )
    given, revision = config.input, ""
    if not given:
        if not source.hub:
            raise UsageError(
                f"{source.name}: no input is named", "give --input PATH (files, folders or globs)"
            )
        fetched = hub.fetch(source, config.revision, config.hub_languages, config.raw)
        console.decided("input", f"{source.hub}@{fetched.revision}", "no --input was given")
        given, revision = tuple(map(str, fetched.paths)), fetched.revision
    found = inputs.find(source, given, options, revision)
    against = _against(config, source)
    evaluation = EvaluationIndex.build([Path(path) for path in against]) if against else None
    return IngestPlan(config, source, options, found, against, evaluation)


def run(plan: IngestPlan, folder: RunDir) -> None:
    """Make the shards, then the files of all sources that change by them."""
    made = None if folder.done else _ingested(plan, folder)
    with Lock.take(plan.config.out / ".index", wait=True):
        newest = made or index.read(folder.path)
        if made is not None:
            last = max((one.order for one in index.others(plan.config.out, plan.name)), default=0)
            newest = made.model_copy(update={"order": last + 1})
        publish.publish(plan.config.out, newest)
        folder.finish(newest.model_dump(mode="json"))


def _ingested(plan: IngestPlan, folder: RunDir) -> Ingested:
    """Make every shard that is not there yet."""
    config, work = plan.config, folder.path
    saved = work / "against.npz" if plan.evaluation is not None else None
    if saved is not None and plan.evaluation is not None and not saved.exists():
        plan.evaluation.save(saved)
    clear((work / "shards").glob(f"{PREFIX}*"))
    job = pipeline.IngestJob(plan.options, work, saved)
    n_units = n_kept = 0
    with console.progress(f"ingest {plan.name}") as bar:
        tasks = ((unit, job) for unit in plan.inputs.units())
        for shard in ordered_map(pipeline.make_shard, tasks, config.workers, engine=config.engine):
            n_units, n_kept = n_units + 1, n_kept + shard.n_kept
            bar.advance(shard.n_rows, kept=n_kept)
    if plan.source.tasks_only:
        path = config.out / "tasks" / f"{plan.name}.jsonl"
        rows = (item.value for unit in plan.inputs.units() for item in readers.items(unit))
        tasks_of = (smellycode.tasks(row) for row in rows if isinstance(row, dict))
        n = jsonl.write(path, chain.from_iterable(tasks_of))
        console.say(f"{n:,} tasks for a teacher: {path}")
    return Ingested(
        name=plan.name,
        source=plan.source.name,
        order=0,
        n_units=n_units,
        n_records=n_kept,
        near_threshold=config.near_threshold,
        whole_rejects=config.rejects == "rows",
        facts=dataclasses.replace(
            plan.inputs.facts(),
            license=plan.options.license or "per row",
            against=dict(plan.against),
            notes=[plan.source.note] if plan.source.note else [],
        ),
    )


def _checked(config: IngestConfig) -> Source:
    """The source, once what the types of the options cannot tell is checked: names, columns, a language."""
    if config.source not in SOURCES:
        near = did_you_mean(config.source, SOURCES)
        raise UsageError(f"no source '{config.source}'{near}", f"one of {', '.join(SOURCES)}")
    source = SOURCES[config.source]
    if source.evaluation_only and config.name not in ("", source.name):
        raise UsageError(
            f"{source.name}: is for evaluation only and cannot be renamed",
            "leave out --name: the name keeps it out of every training split",
        )
    if config.name in SOURCES and config.name != source.name and SOURCES[config.name].evaluation_only:
        raise UsageError(f"--name {config.name}: is the name of an evaluation set", "choose another name")
    if config.name in ("summary", "synth") or config.name.startswith("mined_"):
        raise UsageError(
            f"--name {config.name}: is what `stats`, `synth` or `mine` calls its own", "choose another name"
        )
    for pair in config.columns:
        ours, equals, theirs = pair.partition("=")
        if not equals or not theirs or ours not in _COLUMNS:
            near = did_you_mean(ours, _COLUMNS)
            raise UsageError(
                f"--columns {pair}: expected OURS=THEIRS{near}", f"OURS is one of {', '.join(_COLUMNS)}"
            )
    try:
        config.fallback_instruction.format(name="", words="")
    except (KeyError, IndexError, ValueError) as error:
        raise UsageError(
            f"--fallback-instruction {config.fallback_instruction!r}: {type(error).__name__}: {error}",
            "only {name} and {words} can stand in it; other braces are doubled",
        ) from error
    if config.language and normalize_language(config.language) == "other":
        known = [name for name in LANGUAGES if name != "other"]
        near = did_you_mean(config.language.lower(), known)
        raise UsageError(
            f"--language {config.language}: not a supported language{near}", f"one of {', '.join(known)}"
        )
    return source


def _against(config: IngestConfig, source: Source) -> dict[str, str]:
    """Evaluation sets to keep clear of, with their SHA-256."""
    if source.evaluation_only:
        return {}
    paths = files.find(config.against) if config.against else []
    known = [store.split_path(config.out, "test", name) for name in sorted(store.EVALUATION_ONLY)]
    for path in known:
        if path.exists() and path not in paths:
            console.decided("against", path, "an evaluation set that was ingested")
            paths.append(path)
    return {str(path): file_sha256(path) for path in paths}
