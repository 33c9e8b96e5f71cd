"""Findings about rules as SARIF 2.1.0, which code hosts and editors show."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rulewright import __version__
from rulewright.engine.audit import KINDS


def sarif(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The findings as SARIF 2.1.0, one result each, at the rule's own file."""
    kinds = sorted({row["kind"] for row in rows})
    rules = [
        {"id": kind, "shortDescription": {"text": meaning}, "defaultConfiguration": {"level": level}}
        for kind, (level, meaning) in ((kind, KINDS[kind]) for kind in kinds)
    ]
    results = [
        {
            "ruleId": row["kind"],
            "ruleIndex": kinds.index(row["kind"]),
            "level": row["level"],
            "message": {
                "text": f"{row['rule'] or 'the file'}: {row['detail']}"
                + (f" ({row['where']})" if row["where"] else "")
            },
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _uri(Path(row["path"]))},
                        "region": {"startLine": row["line"]},
                    }
                }
            ],
        }
        for row in rows
    ]
    driver = {"name": "rulewright", "version": __version__, "rules": rules}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _uri(path: Path) -> str:
    """Where a file is: below the folder where the command runs from there, else in full."""
    whole, here = Path(os.path.normpath(path.absolute())), Path.cwd()
    if whole.is_relative_to(here):
        return quote(os.fsencode(whole.relative_to(here)))
    return f"file://{quote(os.fsencode(whole))}"
