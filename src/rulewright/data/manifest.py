"""Provenance: which data a model was trained on, and whether the files are still the same.

A manifest names each file with its SHA-256, the selected part, and a digest over the record ids in
training order. To check it, the mix is rebuilt and compared.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rulewright import jsonl
from rulewright.data.mix import MixEntry, mix
from rulewright.digests import file_sha256
from rulewright.errors import RulewrightError, UsageError

NAME = "data_manifest.json"


def check(path: Path) -> list[str]:
    """Say in what the data named by a manifest differ from it; empty: in nothing.

    Raises:
        UsageError: the manifest is absent or not one.
    """
    value = _read(path)
    differences = []
    for source in value["sources"]:
        for name, digest in source["files"].items():
            file = Path(name)
            if not file.exists():
                differences.append(f"{name}: no longer there")
            elif file_sha256(file) != digest:
                differences.append(f"{name}: has changed (SHA-256 differs)")
    if differences:
        return differences
    entries = [MixEntry.model_validate(entry) for entry in value["entries"]]
    try:
        again = mix(entries, value["seed"], value["limit"], value["policy"]).manifest()
    except RulewrightError as error:
        return [error.message]
    if again["ids_sha256"] != value["ids_sha256"]:
        differences.append("the same files and options give another sequence of records")
    return differences


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(jsonl.require_file(path).read_bytes())
        if isinstance(value["sources"], dict):
            value = value["sources"]  # a training run's result.json holds it there
        if not isinstance(value["sources"], list) or not isinstance(value["ids_sha256"], str):
            raise TypeError("no sources")
        if lacking := {"entries", "seed", "limit", "policy"} - value.keys():
            raise TypeError(f"no {', '.join(sorted(lacking))}")
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: not a data manifest ({type(error).__name__}: {error})",
            f"name a model's run/result.json, or its {NAME}",
        ) from error
    found: dict[str, Any] = value
    return found
