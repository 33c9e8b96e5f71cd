"""Turn a source of raw edits into clean, deduplicated, decontaminated, split records.

SOURCE is commitpackft, editpackft, oce, canitedit (evaluation only), smellycode, agentpack,
marv, git (any local repository), rules (ast-grep rule packs, rule files with tests, catalogs) or
jsonl (any JSONL or parquet with an old and a new side; an `action` column is executed and kept).
Rows that are not used are counted by reason and kept in OUT/rejects/NAME.jsonl.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import tyro
from pydantic import Field

from rulewright import console, jsonl
from rulewright.config import CommandConfig, did_you_mean
from rulewright.data import licenses
from rulewright.data.messages import Filter
from rulewright.data.splits import SALT
from rulewright.errors import UsageError
from rulewright.languages import LANGUAGES, normalize_language
from rulewright.locks import Lock
from rulewright.runs import file_sha256
from rulewright.workers import WhereToRun, ordered_map

if TYPE_CHECKING:
    from rulewright.data import pipeline
    from rulewright.data.decontaminate import EvaluationIndex
    from rulewright.data.inputs import Inputs
    from rulewright.data.sources import Options, Source

_NOT_IDENTITY: Final = frozenset({"resume", "overwrite", "json_output", "workers", "engine", "out", "raw"})
_COLUMNS: Final = (
    "instruction", "pre", "post", "language", "license", "path", "group", "commit", "repo", "action",
)  # fmt: skip


class Config(CommandConfig):
    """Options of `rulewright ingest`."""

    source: Annotated[str, tyro.conf.Positional]
    """commitpackft, editpackft, oce, canitedit, smellycode, agentpack, marv, git, rules or jsonl."""
    input: tuple[str, ...] = ()
    """Files, folders, globs (.jsonl, .jsonl.gz, .json, .parquet); repositories for `git`; packs, rule
    files and .jsonl for `rules`. None: the hub."""
    out: Path = Path("data/processed")
    """Folder that gets {train,dev,test}/NAME.jsonl, NAME.metadata.json and rejects/NAME.jsonl."""
    name: str = ""
    """Name of the output files and of `metadata.source`; default: SOURCE."""
    columns: tuple[str, ...] = ()
    """For `jsonl`: OURS=THEIRS, e.g. pre=old_code post=new_code instruction=title."""
    license: str = ""
    """License of rows that state none."""
    language: str = ""
    """For `jsonl`: the language of rows that state none, and whose path tells none."""
    allow_licenses: tuple[str, ...] = licenses.PERMISSIVE
    """Licenses (SPDX ids in lower case) whose rows are used."""
    against: tuple[str, ...] = ()
    """Evaluation sets; what overlaps them is dropped. OUT/test/canitedit.jsonl is added where it exists."""
    message_filter: Filter | None = None
    """How strict to be with commit messages; default: relaxed for `git`, off elsewhere."""
    group_by: Literal["repository", "path"] = "repository"
    """What must not straddle splits, where a row names no group of its own."""
    window: bool | None = None
    """Cut files larger than `max_window_chars` to the function that was edited; default: for `git` only."""
    max_window_chars: int = Field(default=4_000, ge=1)
    """Bound on each side of a window, in characters."""
    max_chars: int = Field(default=50_000, ge=1)
    """Bound on each side of a record, in characters."""
    near_threshold: float = Field(default=0.7, gt=0)
    """Jaccard similarity from which two edits are near copies; above 1: exact copies only."""
    fractions: tuple[float, float, float] = (0.90, 0.05, 0.05)
    """Shares of the groups in train, dev and test."""
    salt: str = SALT
    """Another salt gives another partition into splits."""
    rejects: Literal["rows", "reasons"] = "rows"
    """What is kept of a row that is not used: the whole row, or only place and reason."""
    fallback_instruction: str = "Apply the `{name}` fix to this code."
    """For `jsonl` rows without an instruction; {name} or {words} is the fixer's. Empty: drop them."""
    clones: str = ""
    """For `agentpack`: folder of local clones, as OWNER/NAME."""
    hub_languages: tuple[str, ...] = ("python", "javascript", "java", "typescript", "go", "c++", "rust")
    """Which configurations of commitpackft to fetch from the hub."""
    raw: Path = Path("data/raw")
    """Where files from the hub are kept."""
    revision: str = "main"
    """Revision on the hub; the commit it resolves to is recorded."""
    workers: int = Field(default=0, ge=0)
    """Processes; 0: one per core. The result does not depend on it."""
    engine: WhereToRun = "local"
    """Where the work runs; the result does not depend on it."""
    resume: bool = False
    """Continue an interrupted run of the same configuration."""
    overwrite: bool = False
    """Replace what an earlier run of this name wrote."""
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print the metadata as one JSON line."""


def run(config: Config) -> int:
    """Ingest one source."""
    from rulewright.data import ingest, inputs, pipeline
    from rulewright.data.decontaminate import EvaluationIndex
    from rulewright.data.splits import Fractions

    started = time.monotonic()
    source = _source(config)
    name = config.name or source.name
    options = _options(config, source, name)
    Fractions(*config.fractions).checked()
    given, revision = _fetched(config, source)
    found = inputs.find(source, given, options, revision)
    against = _against(config, source)
    index = EvaluationIndex.build([Path(path) for path in against]) if against else None
    identity = {**_identity(config), "inputs": found.stamps(), "against": against}
    with Lock.take(ingest.begun(config.out, name)):
        work = ingest.open_work(config.out, name, identity, config.resume, config.overwrite)
        if work is None:
            console.say(f"{name}: already done, nothing to do")
            return _report(config, source, name, None)
        job = _job(config, source, name, options, work, index)
        n_units = n_kept = 0
        with console.progress(f"ingest {name}") as bar:
            tasks = ((unit, job) for unit in found.units())
            workers = config.workers or os.cpu_count() or 1
            for shard in ordered_map(pipeline.make_shard, tasks, workers, engine=config.engine):
                n_units, n_kept = n_units + 1, n_kept + shard.n_kept
                bar.advance(shard.n_rows, kept=n_kept)
        if source.tasks_only:
            _write_tasks(config, found, name)
        facts = dataclasses.replace(
            found.facts(), license=config.license or source.license or "per row", against=against,
            notes=[source.note] if source.note else [],
        )  # fmt: skip
        # Choosing takes copies out of other sources' files: one run at a time.
        with Lock.take(config.out / ".index", wait=True):
            ingest.finish(job, config.out, n_units, facts, config.near_threshold)
        ingest.close_work(config.out, name)
        return _report(config, source, name, time.monotonic() - started)


def _source(config: Config) -> Source:
    from rulewright.data.sources import SOURCES

    if config.source not in SOURCES:
        near = did_you_mean(config.source, SOURCES)
        raise UsageError(f"no source '{config.source}'{near}", f"one of {', '.join(SOURCES)}")
    source = SOURCES[config.source]
    if source.evaluation_only and config.name not in ("", source.name):
        raise UsageError(
            f"{source.name}: is for evaluation only and cannot be given another name",
            "leave out --name: by its name it is kept out of every training split",
        )
    if config.name in SOURCES and config.name != source.name and SOURCES[config.name].evaluation_only:
        raise UsageError(f"--name {config.name}: is the name of an evaluation set", "choose another name")
    if not re.fullmatch(r"(\w[\w.-]*)?", config.name):
        raise UsageError(
            f"--name {config.name}: expected letters, digits, '.', '-', '_', and none of '.-' first",
            "choose another name",
        )
    return source


def _options(config: Config, source: Source, name: str) -> Options:
    from rulewright.data.sources import Options

    columns = {}
    for pair in config.columns:
        ours, equals, theirs = pair.partition("=")
        if not equals or not theirs or ours not in _COLUMNS:
            near = did_you_mean(ours, _COLUMNS)
            raise UsageError(
                f"--columns {pair}: expected OURS=THEIRS{near}", f"OURS is one of {', '.join(_COLUMNS)}"
            )
        columns[ours] = theirs
    try:
        config.fallback_instruction.format(name="", words="")
    except (KeyError, IndexError, ValueError) as error:
        raise UsageError(
            f"--fallback-instruction {config.fallback_instruction!r}: {type(error).__name__}: {error}",
            "only {name} and {words} can stand in it; other braces are doubled",
        ) from error
    return Options(
        name=name,
        columns=columns,
        license=config.license or source.license,
        language=_language(config),
        message_filter=config.message_filter or source.message_filter,
        group_by=config.group_by,
        window=(source.name == "git") if config.window is None else config.window,
        max_window_chars=config.max_window_chars,
        fallback_instruction=config.fallback_instruction,
        clones=config.clones,
    )


def _language(config: Config) -> str:
    if config.language and normalize_language(config.language) == "other":
        ours = [name for name in LANGUAGES if name != "other"]
        near = did_you_mean(config.language.lower(), ours)
        raise UsageError(
            f"--language {config.language}: no language of ours{near}", f"one of {', '.join(ours)}"
        )
    return config.language


def _fetched(config: Config, source: Source) -> tuple[tuple[str, ...], str]:
    """The inputs given, or the files of the hub and the revision they are of."""
    if config.input:
        return config.input, ""
    if not source.hub:
        raise UsageError(f"{source.name}: no input is named", "give --input PATH (files, folders or globs)")
    from rulewright.data import hub

    fetched = hub.fetch(source, config.revision, config.hub_languages, config.raw)
    console.decided("input", f"{source.hub}@{fetched.revision}", "no --input was given")
    return tuple(str(path) for path in fetched.paths), fetched.revision


def _against(config: Config, source: Source) -> dict[str, str]:
    """Evaluation sets to keep clear of, with their SHA-256."""
    from rulewright.data import files, store

    if source.evaluation_only:
        return {}
    paths = files.find(config.against) if config.against else []
    known = [store.split_path(config.out, "test", name) for name in sorted(store.EVALUATION_ONLY)]
    for path in known:
        if path.exists() and path not in paths:
            console.decided("against", path, "an evaluation set that was ingested")
            paths.append(path)
    return {str(path): file_sha256(path) for path in paths}


def _identity(config: Config) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(config.model_dump_json())
    return {key: value for key, value in values.items() if key not in _NOT_IDENTITY}


def _job(
    config: Config, source: Source, name: str, options: Options, work: Path, index: EvaluationIndex | None
) -> pipeline.IngestJob:
    from rulewright.data import clean, pipeline
    from rulewright.data.splits import Fractions

    saved = work / "against.npz"
    if index is not None and not saved.exists():
        index.save(saved)
    return pipeline.IngestJob(
        source=source.name,
        name=name,
        options=options,
        rules=clean.Rules(allow_licenses=config.allow_licenses, max_chars=config.max_chars),
        work=str(work),
        fractions=Fractions(*config.fractions),
        salt=config.salt,
        against=str(saved) if index is not None else "",
        whole_rejects=config.rejects == "rows",
    )


def _write_tasks(config: Config, found: Inputs, name: str) -> None:
    from rulewright.data import readers
    from rulewright.data.sources import smellycode

    path = config.out / "tasks" / f"{name}.jsonl"
    rows = (item.value for unit in found.units() for item in readers.items(unit))
    n = jsonl.write(path, (task for row in rows if isinstance(row, dict) for task in smellycode.tasks(row)))
    console.say(f"{n:,} tasks for a teacher: {path}")


def _report(config: Config, source: Source, name: str, seconds: float | None) -> int:
    from rulewright.data import store

    metadata = store.read_metadata(config.out, name)
    assert metadata is not None
    if config.json_output:
        console.emit_json(metadata.model_dump(mode="json"))
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    console.say(f"{name}: {metadata.rows_in:,} rows in, {metadata.num_records:,} records out{took}")
    console.summary("splits", metadata.splits)
    if metadata.dropped:
        console.summary(f"dropped (see {store.rejects_path(config.out, name)})", metadata.dropped)
    if metadata.flagged:
        console.summary("kept, but marked", metadata.flagged)
    for note in metadata.notes:
        console.say(f"note: {note}")
    if metadata.num_records and not source.evaluation_only:
        lacking = [split for split in ("dev", "test") if not metadata.splits.get(split)]
        if lacking:
            console.say(
                f"note: no record in {' or '.join(lacking)}: groups are few; "
                "--group-by path makes more of them, --fractions larger shares"
            )
    if source.evaluation_only:
        _name_unchecked(config, name)
    return 0


def _name_unchecked(config: Config, name: str) -> None:
    from rulewright.data import store

    path = str(store.split_path(config.out, "test", name))
    others = [other for other in store.sources_in(config.out) if other not in store.EVALUATION_ONLY]
    unchecked = [o for o in others if (m := store.read_metadata(config.out, o)) and path not in m.against]
    if unchecked:
        console.say(f"note: not yet checked against {name}: {', '.join(unchecked)}; ingest them again")
