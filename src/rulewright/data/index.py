"""Index of the ingested sources: their shards, which never change.

`OUT/.index/NAME` is the run directory of `rulewright ingest`: its configuration, its shards, and
`result.json`, written last, with the facts that the source's metadata needs.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from rulewright.data import store
from rulewright.data.sources import SOURCES
from rulewright.errors import RulewrightError, problems_of

MADE_BY: Final = "ingest"


@dataclass(frozen=True)
class Facts:
    """What is known of the inputs, for the metadata."""

    version: str
    license: str
    downloaded_at: datetime
    inputs: dict[str, str]
    against: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Ingested(BaseModel):
    """A source with complete shards; the content of its `result.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Of its files."""
    source: str
    """The kind of its rows, a key of `SOURCES`."""
    order: int
    """Sources are counted as they come; of two equally good copies that of the earlier is kept."""
    n_units: int
    n_records: int
    """In all shards, copies too."""
    near_threshold: float
    whole_rejects: bool
    facts: Facts

    @property
    def is_compared(self) -> bool:
        """Whether the source is deduplicated; evaluation sets are not."""
        return not SOURCES[self.source].evaluation_only


def folder_of(out: Path, name: str) -> Path:
    return out / ".index" / name


def read(folder: Path) -> Ingested:
    """What a finished run found.

    Raises:
        RulewrightError: it is damaged, or of another version.
    """
    path = folder / "result.json"
    try:
        return Ingested.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RulewrightError(
            f"{path}: cannot be used: {problems_of(error)}", f"ingest {folder.name} again with --overwrite"
        ) from error


def others(out: Path, name: str) -> list[Ingested]:
    """The finished sources but one, in order of coming.

    Raises:
        RulewrightError: a source has files here, but not all of its shards.
    """
    paths = (out / ".index").glob("*/result.json")
    known = [read(path.parent) for path in paths if path.parent.name != name]
    for other in sorted(set(store.sources_in(out)) - {one.name for one in known} - {name}):
        metadata = store.read_metadata(out, other)
        if metadata is not None and metadata.made_by == MADE_BY and other not in store.EVALUATION_ONLY:
            raise RulewrightError(
                f"{folder_of(out, other)}: the index of the source {other} is missing or unfinished, "
                "so copies of its records cannot be found",
                f"ingest {other} again with --resume or --overwrite, or remove its files",
            )
    return sorted(known, key=lambda one: one.order)


def published_mark(out: Path, name: str) -> Path:
    return folder_of(out, name) / "published"


def clear(out: Path, name: str) -> None:
    """Remove the shards of a source, and the metadata that makes its files count."""
    store.metadata_path(out, name).unlink(missing_ok=True)
    published_mark(out, name).unlink(missing_ok=True)
    shutil.rmtree(folder_of(out, name) / "shards", ignore_errors=True)
    (folder_of(out, name) / "against.npz").unlink(missing_ok=True)
