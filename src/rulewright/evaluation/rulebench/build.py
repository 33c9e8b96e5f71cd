"""Build RuleBench from clones of public repositories: the tests of their fixers, pinned.

This project contains no text of other projects, only `pins.json`: for each repository the commit and the
SHA-256 of the rows, so that anyone who builds the rows again can verify them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from rulewright import jsonl
from rulewright.data import licenses
from rulewright.data.sources import fixtures
from rulewright.digests import text_sha256
from rulewright.errors import RulewrightError, UsageError, by_reason
from rulewright.evaluation.rulebench import items
from rulewright.mining.inputs import Stream

Json = dict[str, Any]


def rows_of(
    repository: Path, layouts: Sequence[str], allowed: Collection[str]
) -> tuple[list[Json], Counter[str]]:
    """The fixture rows of one clone, each text once, and how many were left out, by reason.

    Raises:
        UsageError: it is no folder, or holds no test of a layout that is known.
    """
    found: dict[tuple[str, str, str], Json] = {}
    left: Counter[str] = Counter()
    for row in fixtures.rows_of([repository], layouts):
        if "dropped" in row:
            left[row["dropped"]] += 1
        elif not licenses.allowed(row["license"], allowed):
            left["license"] += 1
        elif max(len(row["pre"]), len(row["post"])) > items.MAX_CHARS:
            left["long"] += 1
        elif (key := (row["group"], row["pre"], row["post"])) in found:
            left["duplicate"] += 1
        else:
            named = "\0".join(str(row[field]) for field in ("repo", "group", "pre", "post"))
            found[key] = {
                "id": text_sha256(named)[:20],
                "source": row["repo"],
                **{k: v for k, v in row.items() if k != "repo"},
            }
    if not found:
        why = by_reason(left) or "no file of a layout that is known"
        raise UsageError(
            f"{repository}: contains no usable fixture ({why})",
            f"layouts: {', '.join(fixtures.LAYOUTS)}; another license is allowed with --allow-licenses",
        )
    return list(found.values()), left


def pin(rows: Sequence[Json], left: Counter[str]) -> Json:
    """What tells the rows of one repository from others, and what is in them."""
    first = rows[0]
    lines = "".join(jsonl.dumps(row) + "\n" for row in rows)
    edits = [row for row in rows if row["pre"] != row["post"]]
    layouts = Counter(row["layout"] for row in rows)
    return {
        "repository": first["source"], "commit": first.get("commit", ""), "license": first["license"],
        "layouts": dict(sorted(layouts.items())), "edits": len(edits), "noops": len(rows) - len(edits),
        "fixers": len({row["group"].partition("#")[0] for row in edits}),
        "with_sentence": sum(bool(row["instruction"]) for row in edits),
        "left_out": dict(sorted(left.items())),
        "sha256": text_sha256(lines),
    }  # fmt: skip


def count_items(path: Path) -> tuple[int, int]:
    """Items that a file of rows gives, and the rules that they belong to."""
    made = items.items_of(Stream([path]), items.noops_of([path]))
    return len({item.id for item in made}), len({item.group for item in made})


def published() -> Iterator[Json]:
    """The pins of the repositories that docs/measurements.md reports."""
    text = resources.files(__package__).joinpath("pins.json").read_text(encoding="utf-8")
    yield from json.loads(text)["repositories"]


def pins_of(path: Path) -> list[Json]:
    """The pins in a file that `bench build` wrote.

    Raises:
        RulewrightError: it is not such a file; `UsageError` if it is missing.
    """
    hint = "name the pins.json beside the rows of an earlier `rulewright bench build`"
    found = jsonl.read_json(path, hint)
    if not isinstance(found, dict) or not isinstance(found.get("repositories"), list):
        raise RulewrightError(f"{path}: contains no pins (no list `repositories`)", hint)
    pins: list[Json] = found["repositories"]
    return pins


def compared(made: Json, pins: Sequence[Json]) -> str:
    """Compare rows with the pin of their repository, in words; empty if there is no pin.

    Raises:
        RulewrightError: at the pinned commit, but the rows differ.
    """
    wanted = next((one for one in pins if one["repository"] == made["repository"]), None)
    if wanted is None:
        return ""
    if wanted["commit"] != made["commit"]:
        return f"pinned is commit {wanted['commit'][:12]}, this is {made['commit'][:12]}"
    if wanted["sha256"] != made["sha256"]:
        raise RulewrightError(
            f"{made['repository']}: at the pinned commit, but the rows differ (expected "
            f"{wanted['sha256'][:12]}, got {made['sha256'][:12]})",
            "restore the work tree (`git status`), and use all layouts and the default licenses",
        )
    return "as pinned"
