"""The configuration of `ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import tyro
from pydantic import Field

from rulewright.config import Name, StageConfig
from rulewright.data import licenses
from rulewright.data.messages import Filter
from rulewright.data.splits import SALT
from rulewright.workers import WhereToRun


class IngestConfig(StageConfig):
    """Options of `rulewright ingest`."""

    source: tyro.conf.Positional[str]
    """commitpackft, editpackft, oce, canitedit, smellycode, agentpack, marv, nextcoder, git, rules, fixtures
    or jsonl."""
    input: tuple[str, ...] = ()
    """Files, folders, globs (.jsonl, .jsonl.gz, .json, .parquet); repositories for `git`; packs, rule
    files and .jsonl for `rules`; clones and folders for `fixtures`. Default: the hub."""
    out: Path = Path("data/processed")
    """Output folder: {train,dev,test}/NAME.jsonl, NAME.metadata.json and rejects/NAME.jsonl."""
    name: Name = ""
    """Name of the output files and of `metadata.source`; default: SOURCE."""
    columns: tuple[str, ...] = ()
    """For `jsonl`: OURS=THEIRS, e.g. pre=old_code post=new_code instruction=title."""
    license: str = ""
    """License of rows without a license."""
    language: str = ""
    """For `jsonl`: the language of rows without one, if their path does not tell it."""
    allow_licenses: tuple[str, ...] = licenses.PERMISSIVE
    """Allowed licenses of rows (SPDX ids in lower case)."""
    against: tuple[str, ...] = ()
    """Evaluation sets; rows that overlap them are dropped. OUT/test/canitedit.jsonl is added if it
    exists."""
    message_filter: Filter | None = None
    """How strict to be with commit messages; default: relaxed for `git`, off elsewhere."""
    group_by: Literal["repository", "path"] = "repository"
    """The group of a row that names none: all records of a group go to one split."""
    window: bool | None = None
    """Cut files larger than `max_window_chars` to the function that was edited; default: for `git` only."""
    max_window_chars: int = Field(default=4_000, ge=1)
    """Maximum size of each side of a window, in characters."""
    max_chars: int = Field(default=50_000, ge=1)
    """Maximum size of each side of a record, in characters."""
    near_threshold: float = Field(default=0.7, gt=0)
    """Jaccard similarity from which two edits count as duplicates; above 1: exact duplicates only."""
    fractions: tuple[float, float, float] = (0.90, 0.05, 0.05)
    """Shares of the groups in train, dev and test."""
    salt: str = SALT
    """Salt of the hash that assigns splits; another salt gives other splits."""
    rejects: Literal["rows", "reasons"] = "rows"
    """What to save of a rejected row: the whole row, or only place and reason."""
    fallback_instruction: str = "Apply the `{name}` fix to this code."
    """Instruction of `jsonl` rows without one; {name} and {words} stand for the fixer's name. Empty: drop
    them."""
    clones: str = ""
    """For `agentpack`: folder of local clones, as OWNER/NAME."""
    hub_languages: tuple[str, ...] = ("python", "javascript", "java", "typescript", "go", "c++", "rust")
    """Which configurations of commitpackft to fetch from the hub."""
    raw: Path = Path("data/raw")
    """Where files from the hub are kept."""
    revision: str = "main"
    """Revision on the hub; the commit it resolves to is recorded."""
    engine: WhereToRun = "local"
    """Where the work runs; the result does not depend on it."""

    @property
    def mapping(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for pair in self.columns)

    def is_free(self, key: str) -> bool:
        """Where the files of the hub are kept does not matter either."""
        return key == "raw" or super().is_free(key)
