"""What the lines of a file claim of their actions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rulewright.data.claims import judged
from rulewright.engine import Engine


def test_a_claim_is_named_by_its_step_or_its_record(tmp_path: Path) -> None:
    rejected = {"pre_code": "a\n", "teacher": {}, "env": {"verdict": "no_match"}}
    rows: dict[str, dict[str, Any]] = {
        "t/2": {**rejected, "task_id": "t", "step": 2}, "t/0": {**rejected, "task_id": "t"}, "/0": rejected,
        "m": {"metadata": {"id": "m"}, "id": "i"}, "i": {"metadata": "x", "id": "i"}, "": {},
    }  # fmt: skip
    path = tmp_path / "claims.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows.values()) + "[]\n")
    with Engine() as engine:
        found = [claim for claim, _ in judged(path, 0, engine)]
        assert [claim.name for claim, _ in judged(path, 3, engine)] == ["t/2", "t/0", "/0"]
    assert [(claim.name, claim.skip) for claim in found[:-1]] == [
        (name, "rejected step" if "/" in name else "no action") for name in rows
    ]
    assert (found[-1].line, found[-1].name, found[-1].is_checked) == (7, "", False) and found[-1].problem


@pytest.mark.parametrize(
    ("row", "problem", "action"),
    [
        ({"pre": "a\n", "post": None, "action": "x"}, "must be text", ""),
        ({"pre": 1, "post": "a\n", "action": "x"}, "must be text", ""),
        ({"pre": "a\n", "post": "b\n", "action": {"é": 1}}, "", '{"é": 1}'),
        ({"pre": "a\n", "post": "b\n", "action": "x", "metadata": {"action": "y"}}, "", "y"),
        ({"pre_code": "a\n", "teacher": [], "env": {}}, "must be objects", ""),
        ({"pre_code": "a\n", "teacher": {}, "env": None}, "must be objects", ""),
        ({"pre_code": "a\n", "teacher": {"action": "x"}, "env": {"verdict": "ok", "post_code": "b\n"}},
         "", "x"),
        # A column of another kind of line does not make it one.
        ({"pre_code": "c\n", "pre": "a\n", "post": "b\n", "action": "x"}, "", "x"),
    ],
)  # fmt: skip
def test_what_a_line_claims(row: dict[str, Any], problem: str, action: str, tmp_path: Path) -> None:
    path = tmp_path / "claims.jsonl"
    path.write_text(json.dumps({"language": "Python", **row}) + "\n")
    with Engine() as engine:
        [(claim, _)] = judged(path, 0, engine)
    assert problem in claim.problem and bool(problem) == bool(claim.problem)
    assert (claim.action, claim.is_checked) == (action, not problem)
    assert problem or (claim.pre, claim.post, claim.language) == ("a\n", "b\n", "python")
