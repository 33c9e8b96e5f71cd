"""The configurations of all evaluations: which model, how it samples, where the run is stored."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal, Self

import tyro
from pydantic import Field

from rulewright.config import AsJson, CommandConfig
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
    """Several models, the one to compare with first: each has its run folder, NAME_MODEL; ends with
    their comparison."""
    name: str = ""
    """Name of the run; empty: after the benchmark and the model."""
    out: Path | None = None
    """Run folder; default runs/eval/NAME."""
    n: int = Field(default=1, ge=1)
    """Samples per task."""
    limit: int = Field(default=0, ge=0)
    """At most so many tasks, chosen by hash; 0: all."""
    batch_size: int = Field(default=0, ge=0)
    """Local checkpoint: sequences at once; 0: 16, or what a CPU does best."""
    rescore: bool = False
    """Score the saved answers again; the model is not asked."""
    resume: bool = True
    """Show a finished run instead of refusing it; an interrupted one continues by itself."""
    overwrite: bool = False
    """Replace what is in the run folder."""

    def generator_config(self) -> GeneratorConfig:
        return super().generator_config().having(batch_size=self.batch_size)

    def each(self) -> list[Self]:
        """One configuration a model: itself, or one for each of `--models`.

        Raises:
            UsageError: a model is named twice, or beside `--models`.
        """
        if not self.models:
            return [self]
        if self.model or len(set(self.models)) < len(self.models):
            raise UsageError(
                "--models names every model once, and --model none",
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
    """Only records that carry all of these tags, e.g. held-out-template: edits never trained on."""
    without_tags: list[str] = Field(default_factory=list)
    """No record that carries one of these tags."""
    per_group: int = Field(default=0, ge=0)
    """At most so many of one group (a package, a template), chosen by hash before `--limit`; 0: all.
    Intervals are clustered by group: those of a few large ones mostly ask how often these are drawn."""

    def leaves_out(self, record: NormalizedRecord) -> str | None:
        """Why a record is none of those asked for; `None` where it is one."""
        entry = MixEntry(path="", tags=tuple(self.tags), without_tags=tuple(self.without_tags))
        return None if entry.takes(record) else "other_tags"


class EditsConfig(RecordsConfig):
    """Held-out edits: instruction and code in, whole edited code out."""


class ActionsConfig(RecordsConfig):
    """Held-out actions: instruction and code in, ast-grep rules out, applied and compared."""

    after: Path | None = None
    """Run folder of first tries: what failed there is asked again, told the verdict; the rest counts too."""
    with_action: bool = True
    """Only records with a verified action: those that a rule can do."""
    deadline_s: float = Field(default=5.0, gt=0)
    """Longest time that applying one action may take."""
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
    """Text track: chat and base are the official prompts; ours is that of Stage 0; auto: chat, and ours
    for a checkpoint of the compact style."""
    kinds: Literal["both", "descriptive", "lazy"] = "both"
    """Which instructions."""
    gold: Literal["", "after", "before"] = ""
    """Self-check without a model: the reference (should all pass) or the input (should all fail)."""
    n: int = Field(default=20, ge=1)
    """Samples per task."""
    temperature: float = Field(default=0.2, ge=0)
    """0: greedy."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Nucleus sampling."""
    max_new_tokens: int = Field(default=3072, ge=1)
    """Longest answer, in tokens."""
    coverage: bool = True
    """Measure ExcessCode of passing programs (needs the coverage package)."""
    sandbox: str = "auto"
    """Tier that programs run in; auto takes the strongest that works here."""
    python: str = ""
    """Interpreter with the benchmark's libraries (3.10 or 3.11); empty: this one."""
    workers: int = Field(default=1, ge=1)
    """Sandbox workers; asserts on wall time need quiet."""
    wall_s: float = Field(default=15.0, gt=0)
    """Longest run of one program; the benchmark's is 15."""
    revision: str = "main"
    """Hub revision of the data."""


class RefactorConfig(EvalConfig):
    """Aider's refactor-benchmark: a method becomes a top-level function."""

    input: Path = Path("refactor-benchmark")
    """The benchmark's folder, downloaded beforehand."""
    track: Literal["text", "actions"] = "actions"
    """The model writes the whole file, or ast-grep rules."""
    max_chars: int = Field(default=0, ge=0)
    """Leave out longer files; 0: none."""
    max_new_tokens: int = Field(default=4096, ge=1)
    """Longest answer, in tokens."""
    deadline_s: float = Field(default=10.0, gt=0)
    """Longest time that applying one action may take."""


class MiningConfig(CommandConfig):
    """The rule miner on pre/post sets."""

    data: tyro.conf.Positional[tuple[Path, ...]]
    """Files or folders of edits."""
    name: str = "mining"
    """Name of the run."""
    out: Path | None = None
    """Run folder; default runs/eval/NAME."""
    limit: int = Field(default=0, ge=0)
    """At most so many edits, drawn by hash; whole groups are not kept together. 0: all."""
    budget_s: float = Field(default=2.0, gt=0)
    """Nominal seconds per edit (counted in rule evaluations)."""
    n_background: int = Field(default=100, ge=0)
    """Files of the same source and language in which over-match is counted."""
    n_known: int = Field(default=40, ge=0)
    """Other files of the source that the miner may look at when it grades a rule."""
    seed: int = 0
    """Of the draws and of the resampling."""
    workers: int = Field(default=1, ge=1)
    """Processes."""
    resume: bool = True
    """Show a finished run instead of refusing it; an interrupted one continues by itself."""
    overwrite: bool = False
    """Replace what is in the run folder."""
    json_output: AsJson = False
    """Result as JSON on stdout."""


class RulesConfig(EvalConfig):
    """RuleBench: rules from examples or a sentence, tried on other code."""

    input: list[Path] = Field(default_factory=list)
    """Files of edits with `pre`, `post`, `source` and `group` (the fixer); empty: held-out templates."""
    track: Literal["examples", "sentence", "both"] = "examples"
    """What is told: example edits, the sentence (items without one are left out), or both."""
    miner: bool = False
    """The rule miner answers, instead of a model."""
    trained_on: list[Path] = Field(default_factory=list)
    """Training records; items of their rules, and items that overlap them, are left out and counted."""
    hold_out_rate: float = Field(default=HOLD_OUT_RATE, gt=0, lt=1)
    """Share of the templates that training never saw; no higher than that of `synth`."""
    n_background: int = Field(default=40, ge=0)
    """Texts of other rules in which it is counted how often an answer fires."""
    deadline_s: float = Field(default=5.0, gt=0)
    """Longest time that applying one action may take."""
    workers: int = Field(default=1, ge=1)
    """Processes that apply actions."""

    def run_folder(self, benchmark: str) -> Path:
        name = self.name or (benchmark if self.miner else self.default_name(benchmark))
        return self.out or Path("runs/bench") / name
