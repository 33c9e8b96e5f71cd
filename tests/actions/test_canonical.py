"""The normal form: what does not count is gone, what counts stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rulewright.actions import Action, canonical


def _form(rule: dict[str, Any]) -> canonical.Document:
    return canonical.normal_form(Action("python", (rule,)))[0]


A = {"pattern": "foo($A)"}
SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"rule": A, "fix": "x"},
        {"rule": {"pattern": {"context": "foo($A)", "strictness": "smart"}}, "fix": "x"},
    ),
    ({"rule": A, "fix": "x"}, {"rule": {"all": [A]}, "fix": {"template": "x"}}),
    ({"rule": A, "fix": "x"}, {"rule": {"any": [{"all": [A]}]}, "fix": [{"template": "x", "title": "t"}]}),
    ({"rule": {**A, "kind": "call"}}, {"rule": {"all": [A, {"kind": "call"}]}}),
    ({"rule": {**A, "kind": "call"}}, {"rule": {"kind": "call", **A}}),
    ({"rule": {"kind": "call", "has": {**A, "stopBy": "neighbor"}}}, {"rule": {"kind": "call", "has": A}}),
    ({"rule": {"kind": "call", "nthChild": 1}}, {"rule": {"kind": "call", "nthChild": {"position": 1}}}),
    ({"rule": A, "utils": {}, "constraints": None}, {"rule": A}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_rewrite_has_one_form(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert _form(one) == _form(other)
    assert json.dumps(_form(one)) == json.dumps(_form(other))


DIFFERENT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"rule": A, "fix": "x"}, {"rule": A, "fix": "y"}),
    ({"rule": {"any": [A, {"kind": "call"}]}}, {"rule": {"all": [A, {"kind": "call"}]}}),
    ({"rule": {"kind": "call", "has": {**A, "stopBy": "end"}}}, {"rule": {"kind": "call", "has": A}}),
    ({"rule": {"pattern": {"context": "foo($A)", "strictness": "ast"}}}, {"rule": A}),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_counts_stays(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert _form(one) != _form(other)


def test_documents_are_a_sequence() -> None:
    one, two = {"rule": A, "fix": "x"}, {"rule": {"kind": "call"}, "fix": "y"}
    assert canonical.normal_form(Action("python", (one, two))) != canonical.normal_form(
        Action("python", (two, one))
    )
