"""Provenance: which data a model was trained on, and whether the files are still the same.

A manifest names each file with its SHA-256, the selected part, and a digest over the record ids in
training order. To check it, the mix is rebuilt and compared.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError

from rulewright import jsonl
from rulewright.data.mix import MixEntry, Policy, mix
from rulewright.digests import file_sha256
from rulewright.errors import RulewrightError, UsageError, problems_of

NAME = "data_manifest.json"


class MixedFiles(BaseModel):
    """Files of one entry of a mix, with their SHA-256."""

    files: dict[str, str]


class DataManifest(BaseModel):
    """What `Mix.manifest` wrote, as far as it is checked."""

    sources: list[MixedFiles]
    entries: list[MixEntry]
    seed: int
    limit: int | None
    policy: Policy
    ids_sha256: str


def check(path: Path) -> list[str]:
    """Say in what the data named by a manifest differ from it; empty: in nothing.

    Raises:
        UsageError: the manifest is absent or not one.
    """
    manifest = _read(path)
    differences = []
    for name, digest in (item for source in manifest.sources for item in source.files.items()):
        file = Path(name)
        if not file.exists():
            differences.append(f"{name}: no longer there")
        elif file_sha256(file) != digest:
            differences.append(f"{name}: has changed (SHA-256 differs)")
    if differences:
        return differences
    try:
        again = mix(manifest.entries, manifest.seed, manifest.limit, manifest.policy).manifest()
    except RulewrightError as error:
        return [error.message]
    if again["ids_sha256"] != manifest.ids_sha256:
        return ["the same files and options give another sequence of records"]
    return []


def _read(path: Path) -> DataManifest:
    hint = f"name a model's run/result.json, or its {NAME}"
    value = jsonl.read_object(path, hint)
    if isinstance(value.get("sources"), dict):
        value = value["sources"]  # a training run's result.json holds it there
    try:
        return DataManifest.model_validate(value)
    except ValidationError as error:
        raise UsageError(f"{path}: not a data manifest: {problems_of(error)}", hint) from error
