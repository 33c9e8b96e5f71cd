"""Small, verified records for training tests: made here, from a few lines of code."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from rulewright.actions import render_action
from rulewright.actions.action import Action
from rulewright.data.schemas import NormalizedRecord, RecordMetadata, record_id

_NAMES = ("total", "items", "width", "reader", "payload", "offset", "color", "ticket")


def make_record(rng: random.Random, group: str) -> NormalizedRecord:
    """Rename one name to another, with the rule that does it."""
    old, new, other = rng.sample(_NAMES, 3)
    pre = f"{old} = load({other})\nprint({old}, {rng.randint(1, 99)})\n"
    post = pre.replace(old, new)
    instruction = f"Rename `{old}` to `{new}`."
    action = Action("python", ({"rule": {"pattern": old}, "fix": new},))
    metadata = RecordMetadata(
        id=record_id(instruction, pre, post, "python"),
        source="synth",
        license="mit",
        group=group,
        action=render_action(action),
        provenance={"family": "rename-identifier", "templates": ["rename"], "shape": "single"},
    )
    return NormalizedRecord(
        instruction=instruction, pre=pre, post=post, language="python", tags=["synth"], metadata=metadata
    )


@pytest.fixture
def records() -> list[NormalizedRecord]:
    rng = random.Random(7)
    found = {record.metadata.id: record for record in (make_record(rng, f"g{i}") for i in range(200))}
    return list(found.values())


@pytest.fixture
def data(tmp_path: Path, records: list[NormalizedRecord]) -> Callable[[str], str]:
    """Writes `train.jsonl` and `dev.jsonl`; gives the path of one by name."""
    parts = {"train": records[:-16], "dev": records[-16:]}
    for name, part in parts.items():
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(record.to_json() + "\n" for record in part), encoding="utf-8"
        )
    return lambda name: str(tmp_path / f"{name}.jsonl")
