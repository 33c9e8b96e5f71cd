"""The configurations of all evaluations: which model, how it samples, where the run is stored."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal, Self

import tyro
from pydantic import Field

from rulewright.config import AsJson, CommandConfig, Name
from rulewright.data.mix import MixEntry
from rulewright.data.schemas import NormalizedRecord
from rulewright.errors import UsageError
from rulewright.generation.open import AskingConfig, GeneratorConfig
from rulewright.synth.kinds import HOLD_OUT_RATE

# How fast an answer comes does not change which answer it is.
_OPERATIONAL: Final = frozenset(
    {"batch_size", "concurrency", "timeout_s", "max_retries", "max_wait_s", "api_key_env", "device"}
)


class EvalConfig(AskingConfig):
    """Fields that all model evaluations share."""

    models: list[str] = Field(default_factory=list)
    """Several models, the baseline first: each gets its own run folder, NAME_MODEL; ends with their
    comparison."""
    name: Name = ""
    """Name of the run; empty: built from the benchmark and the model."""
    out: Path | None = None
    """Run folder; default runs/eval/NAME."""
    n: int = Field(default=1, ge=1)
    """Samples per task."""
    limit: int = Field(default=0, ge=0)
    """Maximum number of tasks, chosen by hash; 0: all."""
    batch_size: int = Field(default=0, ge=0)
    """Sequences at once for a local checkpoint; 0: 16, or the best number for a CPU."""
    rescore: bool = False
    """Score the saved answers again, without the model."""
    resume: bool = True
    """Show a finished run instead of refusing it. An interrupted run continues without this option."""
    overwrite: bool = False
    """Replace the contents of the run folder."""

    def generator_config(self) -> GeneratorConfig:
        return super().generator_config().having(batch_size=self.batch_size)

    def each(self) -> list[Self]:
        """One configuration per model: itself, or one for each of `--models`.

        Raises:
            UsageError: a model is named twice, or beside `--models`.
        """
        if not self.models:
            return [self]
        if self.model or len(set(self.models)) < len(self.models):
            raise UsageError(
                "give every model once with --models, and do not use --model",
                "e.g. --models models/base/smollm2 models/sft_stage1_astgrep models/srl_stage2",
            )
        paths = [Path(model) for model in self.models]
        tails = [path.name for path in paths]
        if len(set(tails)) < len(tails):
            tails = ["_".join(path.parts[-2:]).strip("/") for path in paths]
        if len(set(tails)) < len(tails):
            raise UsageError(f"--models: two are called {tails[0]}", "run them one by one, with --name")
        return [
            self.model_copy(
                update={
                    "models": [],
                    "model": model,
                    "name": f"{self.name}_{tail}" if self.name or tail != path.name else "",
                    "out": self.out / tail if self.out is not None else None,
                }
            )
            for model, path, tail in zip(self.models, paths, tails, strict=True)
        ]

    def run_folder(self, benchmark: str) -> Path:
        """`--out`, or `runs/eval/<name>`."""
        if self.out is not None:
            return self.out
        return Path("runs/eval") / (self.name or self.default_name(benchmark))

    def default_name(self, benchmark: str) -> str:
        spec = self.generator_config()
        tail = Path(spec.model).name or re.sub(r"\W+", "-", spec.base_url) or "none"
        return f"{benchmark}_{tail}"

    def is_free(self, key: str) -> bool:
        section, _, name = key.rpartition(".")
        if section == "generator":
            return name in _OPERATIONAL
        return key in ("rescore", "batch_size") or super().is_free(key)


class RecordsConfig(EvalConfig):
    """What evaluations on held-out records share: which records."""

    input: list[str] = Field(default_factory=lambda: ["data/processed/test"])
    """Record files, folders (their *.jsonl) or globs."""
    tags: list[str] = Field(default_factory=list)
    """Only records with all of these tags, e.g. held-out-template for kinds of edits never trained on."""
    without_tags: list[str] = Field(default_factory=list)
    """Only records without any of these tags."""
    per_group: int = Field(default=0, ge=0)
    """Maximum number of tasks of one group (package, template), chosen by hash before `--limit`; 0: all.
    If a few groups have most tasks, the clustered intervals become wide."""

    def leaves_out(self, record: NormalizedRecord) -> str | None:
        """Why a record is not selected; `None` if it is."""
        entry = MixEntry(path="", tags=tuple(self.tags), without_tags=tuple(self.without_tags))
        return None if entry.takes(record) else "other_tags"


class EditsConfig(RecordsConfig):
    """Held-out edits: instruction and code in, whole edited code out."""


class ActionsConfig(RecordsConfig):
    """Held-out actions: instruction and code in, ast-grep rules out, applied and compared."""

    after: Path | None = None
    """Run folder of first tries: tasks that failed there are asked again with the verdict; the others
    keep their result."""
    with_action: bool = True
    """Only records with a verified action."""
    deadline_s: float = Field(default=5.0, gt=0)
    """CPU seconds for applying one action."""
    workers: int = Field(default=1, ge=1)
    """Processes that apply actions."""

    def leaves_out(self, record: NormalizedRecord) -> str | None:
        if self.with_action and record.metadata.action is None:
            return "no_action"
        return super().leaves_out(record)


class CanItEditConfig(EvalConfig):
    """CanItEdit; the defaults are the benchmark's own: 20 samples at temperature 0.2, top-p 0.95."""

    input: Path | None = None
    """Parquet or JSONL with the benchmark's columns; empty: from the hub."""
    track: Literal["text", "actions"] = "text"
    """The model writes the whole program, or ast-grep rules."""
    prompt: Literal["auto", "chat", "base", "ours"] = "auto"
    """Prompt of the text track: chat and base are the official ones, ours is that of Stage 0; auto: chat,
    but ours for checkpoints of the compact style."""
    kinds: Literal["both", "descriptive", "lazy"] = "both"
    """Which instructions."""
    gold: Literal["", "after", "before"] = ""
    """Self-check without a model: the reference solutions (all should pass) or the inputs (all should
    fail)."""
    n: int = Field(default=20, ge=1)
    """Samples per task."""
    temperature: float = Field(default=0.2, ge=0)
    """0: greedy."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Nucleus sampling."""
    max_new_tokens: int = Field(default=3072, ge=1)
    """Maximum length of an answer, in tokens."""
    coverage: bool = True
    """Measure ExcessCode of passing programs (needs the coverage package)."""
    sandbox: Literal["auto", "bubblewrap", "landlock", "unsafe"] = "auto"
    """Sandbox tier for the programs; auto: the strongest that works here."""
    python: str = ""
    """Interpreter with the benchmark's libraries (3.10 or 3.11); empty: this one."""
    workers: int = Field(default=1, ge=1)
    """Sandbox workers; some tests measure wall time, so keep 1 on a busy machine."""
    wall_s: float = Field(default=15.0, gt=0, le=86_400)
    """Wall-clock seconds for one program; the benchmark uses 15."""
    revision: str = "main"
    """Hub revision of the data."""


class RefactorConfig(EvalConfig):
    """Aider's refactor-benchmark: a method becomes a top-level function."""

    input: Path = Path("refactor-benchmark")
    """The benchmark's folder, downloaded beforehand."""
    track: Literal["text", "actions"] = "actions"
    """The model writes the whole file, or ast-grep rules."""
    max_chars: int = Field(default=0, ge=0)
    """Skip files longer than this; 0: skip none."""
    max_new_tokens: int = Field(default=4096, ge=1)
    """Maximum length of an answer, in tokens."""
    deadline_s: float = Field(default=10.0, gt=0)
    """CPU seconds for applying one action."""


class MiningConfig(CommandConfig):
    """The rule miner on pre/post sets."""

    data: tyro.conf.Positional[tuple[Path, ...]]
    """Files or folders of edits."""
    name: Name = "mining"
    """Name of the run."""
    out: Path | None = None
    """Run folder; default runs/eval/NAME."""
    limit: int = Field(default=0, ge=0)
    """Maximum number of edits, drawn by hash; groups may be divided. 0: all."""
    budget_s: float = Field(default=2.0, gt=0)
    """Nominal seconds per edit (counted in rule evaluations)."""
    n_background: int = Field(default=100, ge=0)
    """Files of the same source and language in which over-match is counted."""
    n_known: int = Field(default=40, ge=0)
    """Number of other files of the source that the miner sees when it grades a rule."""
    seed: int = 0
    """Random seed of the draws and of the resampling."""
    workers: int = Field(default=1, ge=1)
    """Processes."""
    resume: bool = True
    """Show a finished run instead of refusing it. An interrupted run continues without this option."""
    overwrite: bool = False
    """Replace the contents of the run folder."""
    json_output: AsJson = False
    """Print the result as JSON on stdout."""


class RulesConfig(EvalConfig):
    """RuleBench: rules from examples or a sentence, tried on other code."""

    out: Path | None = None
    """Run folder; default runs/bench/NAME."""
    input: list[Path] = Field(default_factory=list)
    """Files of edits with `pre`, `post`, `source` and `group` (the fixer); empty: held-out templates."""
    track: Literal["examples", "sentence", "both"] = "examples"
    """What the model sees: example edits, the sentence (items without one are skipped), or both."""
    miner: bool = False
    """Let the rule miner answer instead of a model."""
    trained_on: list[Path] = Field(default_factory=list)
    """Training records; items of the same rules, and items whose text overlaps, are skipped and counted."""
    hold_out_rate: float = Field(default=HOLD_OUT_RATE, gt=0, lt=1)
    """Share of templates that training never saw; at most the value used with `synth`."""
    n_background: int = Field(default=40, ge=0)
    """Number of texts of other rules in which matches of an answer are counted."""
    deadline_s: float = Field(default=5.0, gt=0)
    """CPU seconds for applying one action."""
    workers: int = Field(default=1, ge=1)
    """Processes that apply actions."""

    def run_folder(self, benchmark: str) -> Path:
        name = self.name or (benchmark if self.miner else self.default_name(benchmark))
        return self.out or Path("runs/bench") / name
