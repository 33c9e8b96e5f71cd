"""Make verified training records from real code by running codemods backwards.

Real code is what should come out; a template's inverse makes what was there before; the
forward rule is the gold action. Every record was verified by applying its rule: it gives
exactly the real code. Without --source-dir the running Python's standard library is used.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic import Field

from rulewright import console
from rulewright.config import CommandConfig, did_you_mean
from rulewright.data.schemas import MAX_ELSEWHERE
from rulewright.errors import RulewrightError, UsageError
from rulewright.languages import Language
from rulewright.synth.kinds import SHAPES, GroupBy, Shape, WindowKind, Wording


class Config(CommandConfig):
    """`rulewright synth`."""

    source_dir: tuple[Path, ...] = ()
    """Folders (or files) of real code; default: the running Python's standard library."""
    languages: tuple[Language, ...] = ("python", "javascript", "typescript", "java", "go")
    """Languages of the files to use."""
    out: Path = Path("data/processed")
    """Where `{train,dev,test}/synth.jsonl` go."""
    negatives: Path = Path("data/negatives/synth.jsonl")
    """Where requests with nothing to do go (`pre` equals `post`): for over-match checks, not for training."""
    window: tuple[WindowKind, ...] = ("function",)
    """Pieces of files to edit: `statement` (1 to 6 lines), `function` (or class), `file`; one or several."""
    max_tokens: int = Field(default=700, ge=16)
    """Longest `pre` or `post`, in tokens (a tokenizer-free upper estimate)."""
    max_chars: int = Field(default=2_400, ge=40)
    """Longest `pre` or `post`, in characters."""
    families: tuple[str, ...] = ()
    """Only templates and edits of these families, e.g. `rename-identifier comparison`; empty: all."""
    shapes: tuple[Shape, ...] = SHAPES
    """Kinds of edits: `single`, `scoped` ("only in f"), `multi` (two or three rules), `negative`."""
    templates: tuple[Path, ...] = ()
    """Further templates, `.yaml` or `.jsonl` (see docs/guide/synth.md)."""
    packaged: bool = True
    """Use the templates and instance edits that come with rulewright."""
    wording: Wording = "rich"
    """`plain`: a phrasing as it stands; `rich`: sometimes with the reason or an example."""
    phrasings: int = Field(default=0, ge=0)
    """Use only the first so many phrasings of each template; 0: all."""
    per_window: int = Field(default=3, ge=1)
    """At most so many single edits from one piece of code."""
    per_template_cap: int = Field(default=0, ge=0)
    """At most so many records a template; 0: no absolute bound."""
    max_template_share: float = Field(default=0.015, gt=0, le=1)
    """At most this share of the records a template; 1: no bound."""
    per_file_cap: int = Field(default=4, ge=0)
    """At most so many records a template from one file: many windows of one file are one question; 0: all."""
    siblings: int = Field(default=2, ge=0, le=MAX_ELSEWHERE)
    """Code elsewhere kept with a record, to reward rules that hold there too: so many siblings (the same
    change on other code of its split, or on a copy with other names) and negatives; 0: none."""
    limit: int = Field(default=0, ge=0)
    """Stop when there are so many records (all splits together); 0: use every file."""
    hold_out_templates: bool = True
    """Keep some templates and families whole for dev or test, so that edits never trained on can be asked."""
    hold_out_rate: float = Field(default=0.1, gt=0, lt=1)
    """What share of them, by hash: half for dev, half for test."""
    group_by: GroupBy = "package"
    """What must not straddle splits: the `package` a file belongs to, or each `file` by itself."""
    license: str = ""
    """SPDX id of the sources; empty: from the nearest package.json, `psf-2.0` for the standard library."""
    seed: int = 0
    """The same seed and sources give the same bytes."""
    workers: int = Field(default=0, ge=0)
    """Processes; 0: one per core."""
    resume: bool = False
    """Confirm a finished run instead of refusing it; an interrupted one continues by itself."""
    overwrite: bool = False
    """Replace an earlier run."""
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print the summary as one JSON line on stdout."""

    def is_free(self, key: str) -> bool:
        """What the sources hold is compared, not where they lie."""
        return key in ("source_dir", "negatives") or super().is_free(key)


def run(config: Config) -> int:
    """Make the data set; give the exit code."""
    from rulewright.data import store
    from rulewright.runs import RunDir
    from rulewright.synth import shards, sources

    _require_families(config)
    files = sources.find(
        config.source_dir or (sources.standard_library(),), config.languages, config.group_by, config.license
    )
    if not files:
        raise UsageError(
            f"no source file of {', '.join(config.languages)} found", "name folders of code with --source-dir"
        )
    version = _fingerprint(config, files)
    folder = config.out / ".runs" / shards.SOURCE
    made = folder / "shards"
    run = RunDir.open(
        folder, config, {"templates and sources": version}, lambda: shutil.rmtree(made, ignore_errors=True)
    )
    done = store.read_metadata(config.out, shards.SOURCE)
    if run.done and done is not None:
        console.say(f"{config.out}: holds this very set already ({done.num_records:,} records)")
    else:
        run.finish(_make(config, files, version, made))
        shutil.rmtree(made)
    if config.json_output:
        console.emit_json(run.result())
    return 0


def _require_families(config: Config) -> None:
    """Refuse the name of a family that there is none of: it would silently give nothing."""
    from rulewright.synth.shards import family_names

    if not config.families:
        return
    known = family_names(config.packaged, tuple(str(path) for path in config.templates))
    wrong = [name for name in config.families if name not in known]
    if wrong:
        raise UsageError(
            "\n".join(f"--families: no family '{name}'{did_you_mean(name, known)}" for name in wrong),
            f"known: {', '.join(known)}",
        )


def _make(config: Config, files: list[Any], version: str, folder: Path) -> dict[str, Any]:
    """Make the shards that are not there yet, and of them the data set; give its summary."""
    from rulewright.synth import dataset, shards, windows

    plan = shards.plan(files, config.seed)
    most = _most_a_template(config)
    options = shards.SynthOptions(
        seed=config.seed,
        windows=config.window,
        limits=windows.WindowLimits(config.max_chars, config.max_tokens),
        shapes=config.shapes,
        families=config.families,
        template_files=tuple(map(str, config.templates)),
        packaged=config.packaged,
        wording=config.wording,
        phrasings=config.phrasings,
        per_window=config.per_window,
        hold_out_rate=config.hold_out_rate if config.hold_out_templates else 0.0,
        # Spread over the shards, with room for those that have few.
        most=max(4, 3 * most // len(plan)) if most < config.limit else 0,
        siblings=config.siblings,
        per_file=config.per_file_cap,
    )
    console.decided("sources", f"{len(files):,} files", f"groups: {len({f.group for f in files}):,}")

    def enough(made: Counter[str]) -> bool:
        # Duplicates take their part: make a third more than is wanted.
        return config.limit > 0 and sum(min(n, most) for n in made.values()) >= config.limit * 4 // 3

    paths = shards.make_all(plan, folder, options, config.workers, enough)
    return dataset.write(
        paths,
        config.out,
        config.negatives,
        version,
        config.per_template_cap,
        config.max_template_share,
        config.limit,
        config.siblings,
    )


def _most_a_template(config: Config) -> int:
    """The cap that will hold when `limit` is reached; `limit` where there is none."""
    bounds = [config.limit, int(config.max_template_share * config.limit)]
    return min(bounds + ([config.per_template_cap] if config.per_template_cap else []))


def _fingerprint(config: Config, files: list[Any]) -> str:
    """One digest of what decides the bytes: options, templates given, and the sources."""
    from rulewright import __version__
    from rulewright.runs import file_sha256
    from rulewright.synth import speech, templates

    digest = hashlib.sha256(__version__.encode())
    if config.packaged:
        digest.update(repr((templates.packaged(), speech.instance_words())).encode())
    values = json.loads(config.model_dump_json())
    options = {key: value for key, value in values.items() if not config.is_free(key)}
    digest.update(json.dumps(options, sort_keys=True).encode())
    for path in config.templates:
        digest.update(file_sha256(path).encode())
    for file in files:
        try:
            content = file.path.read_bytes()
        except OSError as error:
            raise RulewrightError(
                f"{file.path}: cannot be read ({error.strerror})", "fix its permissions"
            ) from error
        digest.update(f"{file.name}\0{file.group}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return f"sha256:{digest.hexdigest()[:16]}"
