"""Sources → shards of candidate records, by worker processes; survives being killed.

Invariant: a shard file depends only on its source files, the options and the seed,
never on how many workers there are or which ran it; it appears when complete.
"""

from __future__ import annotations

import itertools
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from rulewright import console, jsonl
from rulewright.actions import render_action
from rulewright.data.drafts import Drop
from rulewright.data.schemas import NormalizedRecord, RecordMetadata, Sibling, Split, record_id
from rulewright.data.splits import Fractions, split_of, uniform
from rulewright.engine.parsing import parse
from rulewright.grammars import GRAMMARS
from rulewright.languages import Language
from rulewright.synth import instances, sources, templates, windows
from rulewright.synth.grammar import of_kind
from rulewright.synth.make import MadeEdit, Maker
from rulewright.synth.settings import SynthConfig
from rulewright.synth.siblings import renamed
from rulewright.synth.sources import SourceFile
from rulewright.synth.speech import Speech
from rulewright.synth.windows import WindowLimits
from rulewright.workers import ordered_map

SOURCE: Final = "synth"
SHARD_BYTES: Final = 400_000
_WAVE: Final = 4
_MAX_NAMES: Final = 400


@dataclass(frozen=True)
class Batch:
    """A few files that one worker turns into one file of candidates."""

    number: int
    files: tuple[SourceFile, ...]

    def path(self, folder: Path) -> Path:
        return folder / f"{self.number:05}.jsonl"


def plan(files: Sequence[SourceFile], seed: int) -> list[Batch]:
    """Cut the files, shuffled by hash, into shards of about equal size.

    Any first few shards are then a fair sample of the sources.
    """
    shards: list[Batch] = []
    batch: list[SourceFile] = []
    size = 0
    for file in sorted(files, key=lambda file: uniform(f"{seed} {file.name}")):
        batch.append(file)
        size += min(file.path.stat().st_size, sources.MAX_FILE_BYTES)
        if size >= SHARD_BYTES:
            shards.append(Batch(len(shards), tuple(batch)))
            batch, size = [], 0
    if batch:
        shards.append(Batch(len(shards), tuple(batch)))
    return shards


def make_all(
    shards: Sequence[Batch],
    folder: Path,
    config: SynthConfig,
    most: int,
    enough: Callable[[Counter[str]], bool],
) -> list[Path]:
    """Make every shard that is not there yet; give the paths of those that count.

    Args:
        shards: in order.
        folder: where their files go.
        config: what decides their content.
        most: edits of one template in one shard; 0: no bound.
        enough: given the candidates by template after each wave of shards; true ends it.
    """
    paths: list[Path] = []
    made: Counter[str] = Counter()
    results = ordered_map(make_one, [(shard, folder, config, most) for shard in shards], config.workers)
    with console.progress("synth: shards", len(shards)) as bar, closing(results):
        for shard, counts in zip(shards, results, strict=True):
            made.update(counts)
            paths.append(shard.path(folder))
            bar.advance(records=f"{made.total():,}")
            if len(paths) % _WAVE == 0 and enough(made):
                break
    return paths


def make_one(task: tuple[Batch, Path, SynthConfig, int]) -> dict[str, int]:
    """Write the candidates of one shard, unless they are there; count edits by first template.

    The last line is not a record: it counts what was made and dropped.
    """
    shard, folder, config, most = task
    path = shard.path(folder)
    if path.exists():
        return dict(last_line(path)["made"])
    rows: dict[str, dict[str, Any]] = {}
    dropped: Counter[str] = Counter()
    makers: dict[Language, Maker] = {}
    for file in shard.files:
        text = sources.read(file)
        if isinstance(text, Drop):
            dropped[f"file: {text.reason}"] += 1
            continue
        if file.language not in makers:
            makers[file.language] = _maker(file.language, config, most)
        for row in _records(file, text, makers[file.language], config):
            rows.setdefault(row["metadata"]["id"], row)
    for maker in makers.values():
        dropped.update(maker.dropped)
    edits = [row["metadata"]["provenance"] for row in rows.values() if "negative" not in row["tags"]]
    made = dict(sorted(Counter(edit["templates"][0] for edit in edits).items()))
    jsonl.write(path, [*rows.values(), {"made": made, "dropped": dict(sorted(dropped.items()))}])
    return made


def last_line(path: Path) -> dict[str, Any]:
    """What the last line of a shard says of it."""
    with path.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - 65_536))
        value: dict[str, Any] = json.loads(stream.read().rstrip(b"\n").rpartition(b"\n")[2])
    return value


def _maker(language: Language, config: SynthConfig, most: int) -> Maker:
    chosen = [
        template
        for template in _templates(config.packaged, config.templates)
        if template.language == language and (not config.families or template.family in config.families)
    ]
    families = [
        name
        for name in instances.FAMILIES
        if config.packaged
        and (name in config.families or (not config.families and name not in instances.WHEN_NAMED))
        and (language == "python" or name not in instances.PYTHON_ONLY)
    ]
    speech = Speech(config.wording, config.phrasings)
    return Maker(language, chosen, families, config.shapes, speech, config.per_window, most)


def family_names(config: SynthConfig) -> list[str]:
    static = {template.family for template in _templates(config.packaged, config.templates)}
    return sorted(static | (set(instances.FAMILIES) if config.packaged else set()))


@lru_cache(maxsize=4)
def _templates(with_packaged: bool, files: tuple[Path, ...]) -> tuple[templates.Codemod, ...]:
    found = {template.name: template for template in (templates.packaged() if with_packaged else ())}
    for file in files:
        found |= {template.name: template for template in templates.load(file)}
    return tuple(found[name] for name in sorted(found))


def _records(file: SourceFile, text: str, maker: Maker, config: SynthConfig) -> Iterator[dict[str, Any]]:
    split = split_of(file.group)
    limits = WindowLimits(config.max_chars, config.max_tokens)
    identifier = GRAMMARS[file.language].identifier
    found = {node.text() for node in of_kind(parse(text, file.language).root, identifier)}
    names = sorted(name for name in found if 1 < len(name) <= 24)
    rng = random.Random(f"{config.seed} {file.name}")
    if len(names) > _MAX_NAMES:
        names = sorted(rng.sample(names, _MAX_NAMES))

    asked: Counter[tuple[str, bool]] = Counter()

    def is_open(template: str, negative: bool = False) -> bool:
        return not 0 < config.per_file_cap <= asked[template, negative]

    def usable(template: str) -> bool:
        return held_out(template, config.held_out_rate) in (None, split) and is_open(template)

    for kind in config.window:
        cuts = windows.cut(text, file.language, kind, limits, rng)
        if config.per_file_cap:  # otherwise a file's first lines would be asked about, and never its last
            rng.shuffle(cuts)
        for window in cuts:
            for edit in maker.edits(window.text, names, rng, usable):
                questions = [(name, edit.shape == "negative") for name in edit.sources]
                if not all(is_open(*question) for question in questions):
                    maker.dropped["asked of its file often enough"] += 1
                elif limits.fit(edit.pre) and len(edit.instruction) <= limits.max_chars * 2:
                    asked.update(questions)
                    copy = None
                    if config.siblings and edit.shape != "negative":
                        # Drawn for itself, so that it changes nothing else.
                        own = random.Random(f"{config.seed} {edit.pre}")
                        copy = renamed(edit.action, edit.pre, edit.post, names, own)
                    yield _record(edit, file, window, kind, config, copy)
                else:
                    maker.dropped["pre too long"] += 1


@lru_cache(maxsize=4096)  # asked for each template at each window
def held_out(template: str, rate: float) -> Split | None:
    """The split that a whole template is kept for; `None` for most, which any code may meet.

    Args:
        template: its name, or that of a family of instance edits.
        rate: share of the names that are kept. What a lower rate keeps from training, a higher one does too.
    """
    split = split_of(f"template:{template}", fractions=Fractions(1 - rate, rate / 2, rate / 2))
    return None if split == "train" else split


def held_group(template: str, split: Split) -> str:
    """The group of a held-out template's records: a name that falls into the split, as groups do by hash."""
    names = (f"template:{template}{'' if not number else f'#{number}'}" for number in itertools.count())
    return next(name for name in names if split_of(name) == split)


def _record(
    edit: MadeEdit,
    file: SourceFile,
    window: windows.Cut,
    kind: str,
    config: SynthConfig,
    copy: Sibling | None,
) -> dict[str, Any]:
    held = [(name, kept) for name in edit.sources if (kept := held_out(name, config.held_out_rate))]
    metadata = RecordMetadata(
        id=record_id(edit.instruction, edit.pre, edit.post, file.language),
        source=SOURCE,
        license=file.license,
        group=held_group(*held[0]) if held else file.group,
        path=file.name,
        action=render_action(edit.action, "yaml"),
        provenance={
            "templates": list(edit.sources),
            "family": edit.family,
            "shape": edit.shape,
            "window": kind,
            "line": window.line,
            "sites": edit.sites,
            "candidates": edit.candidates,
            "phrasing": edit.phrasing,
            "seed": config.seed,
        },
        siblings=(copy,) if copy else None,
    )
    tags = ["synth", edit.shape, f"window:{kind}", f"family:{edit.family}"]
    tags.append("instance" if edit.instance else "constant")
    if held:
        tags.append("held-out-template")
    if edit.candidates > edit.sites > 0:
        tags.append("partial")
    record = NormalizedRecord(
        instruction=edit.instruction, pre=edit.pre, post=edit.post, language=file.language,
        tags=tags, metadata=metadata,
    )  # fmt: skip
    return {**record.model_dump(exclude_none=True), "split": split_of(file.group)}
