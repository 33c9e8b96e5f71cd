"""The whole of `synth`: sources → shards of candidates → the data set. A killed run goes on by itself."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rulewright import __version__, console, jsonl
from rulewright.data import store
from rulewright.data.schemas import NormalizedRecord
from rulewright.digests import file_sha256
from rulewright.engine import check_version
from rulewright.errors import UsageError, did_you_mean
from rulewright.runs import RunDir
from rulewright.synth import collect, shards, sources, speech, templates, windows
from rulewright.synth.diversity import Diversity
from rulewright.synth.settings import SynthConfig
from rulewright.synth.shards import SOURCE
from rulewright.synth.siblings import Pool
from rulewright.synth.sources import SourceFile

PER_EDIT: Final = 2
"""How often one edit may occur, each time in other words."""


@dataclass(frozen=True)
class SynthPlan:
    """What is made of which files."""

    config: SynthConfig
    files: Sequence[SourceFile]
    version: str
    """Digest of what decides the bytes."""

    @property
    def folder(self) -> Path:
        return self.config.out / ".runs" / SOURCE

    @property
    def made(self) -> Path:
        """Where the shards wait for the data set."""
        return self.folder / "shards"

    def claim(self) -> RunDir:
        inputs = {"templates and sources": self.version}
        return RunDir.open(
            self.folder, self.config, inputs, lambda: shutil.rmtree(self.made, ignore_errors=True)
        )


def plan(config: SynthConfig) -> SynthPlan:
    """Find the sources.

    Raises:
        UsageError: there is no such family, synth does not support a language, or no source file.
        RulewrightError: there is no ast-grep to verify them with.
    """
    if wrong := [name for name in config.languages if name not in windows.LANGUAGES]:
        raise UsageError(
            f"--languages: synth does not support {', '.join(wrong)} here",
            f"it can be: {', '.join(windows.LANGUAGES)}",
        )
    # The name of a family that there is none of would silently give nothing.
    known = shards.family_names(config) if config.families else []
    if wrong_families := [name for name in config.families if name not in known]:
        raise UsageError(
            "\n".join(
                f"--families: no family '{name}'{did_you_mean(name, known)}" for name in wrong_families
            ),
            f"known: {', '.join(known)}",
        )
    files = sources.find(
        config.source_dir or (sources.standard_library(),), config.languages, config.group_by, config.license
    )
    if not files:
        raise UsageError(
            f"no source file of {', '.join(config.languages)} found", "name folders of code with --source-dir"
        )
    check_version()
    return SynthPlan(config, files, _fingerprint(config, files))


def run(plan: SynthPlan, folder: RunDir) -> None:
    config, made = plan.config, plan.made
    batches = shards.plan(plan.files, config.seed)
    # The cap that will hold when `limit` is reached; `limit` where there is none.
    most = min(config.limit, collect.cap(config.max_template_share, config.limit))
    # Spread over the shards, with room for those that have few.
    per_shard = max(4, 3 * most // len(batches)) if most < config.limit else 0
    groups = {file.group for file in plan.files}
    console.decided("sources", f"{len(plan.files):,} files", f"groups: {len(groups):,}")

    def enough(counts: Counter[str]) -> bool:
        # Duplicates take their part: make a third more than is wanted.
        usable = sum(min(n, most) for n in counts.values()) if most < config.limit else counts.total()
        return config.limit > 0 and usable >= config.limit * 4 // 3

    paths = shards.make_all(batches, made, config, per_shard, enough)
    folder.finish(_write(paths, config, plan.version))
    shutil.rmtree(made)


def _write(paths: Sequence[Path], config: SynthConfig, version: str) -> dict[str, Any]:
    """Write the data set and its diversity report; give the summary.

    Raises:
        RulewrightError: not one record was made.
    """
    candidates, dropped = collect.scan(paths)
    edits = [candidate for candidate in candidates if candidate.shape != "negative"]
    nothing = [candidate for candidate in candidates if candidate.shape == "negative"]
    choice = collect.choose(edits, config.max_template_share, PER_EDIT, config.limit)
    idle = collect.choose(nothing, config.max_template_share, 1, config.limit)
    console.decided("most records a template", choice.cap or "no bound", choice.cap_reason)
    pool = Pool(collect.rows(paths, choice.kept), collect.rows(paths, idle.kept)) if config.siblings else None
    diversity = Diversity()
    metadata = store.write_dataset(
        _records(collect.rows(paths, choice.kept), diversity, pool, config.siblings),
        config.out,
        SOURCE,
        version=version,
        rows_in=len(edits),
        dropped=choice.dropped,
        notes=["code before each edit is degraded by machine; code after it is real"],
    )
    rows = map(_plain, collect.rows(paths, idle.kept))
    n_negatives = jsonl.write(config.negatives, rows) if idle.kept else 0
    summary = {
        "num_records": metadata.num_records,
        "splits": metadata.splits,
        "languages": metadata.languages,
        "dropped": metadata.dropped,
        "refused_while_making": dict(dropped.most_common()),
        "negatives": n_negatives,
        "most_per_template": choice.cap,
        "diversity": diversity.summary(),
    }
    jsonl.write_json(config.out / f"{SOURCE}.diversity.json", summary)
    console.say(diversity.page(metadata.splits, n_negatives))
    return summary


def _records(
    rows: Iterable[dict[str, Any]], diversity: Diversity, pool: Pool | None, siblings: int
) -> Iterator[NormalizedRecord]:
    for row in rows:
        if pool is not None:
            row["metadata"] |= {"siblings": None} | pool.known(row, siblings)
        row = _plain(row)
        diversity.add(row)
        yield NormalizedRecord.model_validate(row)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """The record without what only the choice needed."""
    return {key: value for key, value in row.items() if key != "split"}


def _fingerprint(config: SynthConfig, files: Sequence[SourceFile]) -> str:
    """One digest of what decides the bytes: options, templates given, and the sources."""
    digest = hashlib.sha256(__version__.encode())
    if config.packaged:
        digest.update(repr((templates.packaged(), speech.instance_words())).encode())
    values = config.model_dump(mode="json")
    options = {key: value for key, value in values.items() if not config.is_free(key)}
    digest.update(json.dumps(options, sort_keys=True).encode())
    for path in config.templates:
        digest.update(file_sha256(path).encode())
    for file in files:
        try:
            content = file.path.read_bytes()
        except OSError:
            continue  # `sources.read` refuses it, which is counted
        digest.update(f"{file.name}\0{file.group}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return f"sha256:{digest.hexdigest()[:16]}"
