"""A rule that finds its own result: what it is told to pass over, and where it cannot be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rulewright.actions.action import Action
from rulewright.engine import apply, places
from rulewright.languages import Language
from rulewright.mining.by_hand import idempotence
from rulewright.mining.by_hand.diffs import Change


def change(language: Language, pre: str, post: str) -> Change:
    return Change(Path("a"), language, pre, post, frozenset(range(1, pre.count("\n") + 1)))


def rule(old: str, new: str) -> dict[str, Any]:
    return {"rule": {"pattern": old}, "fix": new}


@pytest.mark.parametrize(
    ("language", "old", "new", "pre", "done"),
    [
        ("python", "f($$$A)", "f($$$A, key=1)", "f(a)\n", "f(a, key = 2)\nf(key=3)\n"),
        ("python", "f($$$A)", "f(First, $$$A)", "f(a)\n", "f(First, b)\n"),
        ("kotlin", "f($$$A)", "f($$$A, key = 1)", "f(a)\n", "f(a, key=2)\n"),
        ("ruby", "f($$$A)", "f($$$A, key: 1)", "f(a)\n", "f(a, key: 2)\n"),
        ("typescript", "f({ $$$A })", "f({ $$$A, key: 1 })", "f({ a: 2 })\n", "f({ key: 2, a: 1 })\n"),
        ("python", "f($A)", "f($A)\ng()", "f(a)\n", "f(b)\ng()\n"),
        ("javascript", "f($A);", "g();\nf($A);", "f(a);\n", "g();\nf(b);\n"),
    ],
)
def test_a_rule_passes_over_what_is_done(language: Language, old: str, new: str, pre: str, done: str) -> None:
    plain = rule(old, new)
    post = apply(Action(language, (plain,), mode="rule"), pre).post
    assert post is not None and apply(Action(language, (plain,), mode="rule"), post).post != post
    held = idempotence.idempotent(plain, [change(language, pre, post)], language)
    assert held is not None
    action = Action(language, (held,), mode="rule")
    assert apply(action, pre).post == post
    for text in (post, done):
        assert apply(action, text).post in (None, text)


def test_a_rule_is_not_run_again_for_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once where the file changed and once on what came of it: the rule itself, and as it is held back."""
    runs: list[str] = []

    def spied(module: Any, name: str) -> None:
        run = getattr(module, name)

        def spy(action: Action, *given: Any, **named: Any) -> Any:
            runs.append("held" if "not" in action.rules[0]["rule"] else "plain")
            return run(action, *given, **named)

        monkeypatch.setattr(module, name, spy)

    spied(places, "change")
    spied(idempotence, "trace")
    made = change("python", "f(a)\n", "f(a, key=1)\n")
    assert idempotence.idempotent(rule("f($$$A)", "f($$$A, key=1)"), [made], "python") is not None
    assert runs == ["plain", "plain", "held", "held"]


def test_a_rule_that_rests_stays_as_it_is() -> None:
    plain = rule("f($A)", "g($A)")
    assert idempotence.idempotent(plain, [change("python", "f(1)\n", "g(1)\n")], "python") is plain


@pytest.mark.parametrize(
    ("old", "new", "pre", "post"),
    [
        ("$A == $B", "$A == $B, note", "x(a == b)\n", "x(a == b, note)\n"),
        ("f($A)", "f($A)\ng()\nh()", "f(a)\n", "f(a)\ng()\nh()\n"),
        ("f($A)", "if x:\n    f($A)", "f(a)\n", "if x:\n    f(a)\n"),
    ],
)
def test_one_that_cannot_be_held_back_is_none(old: str, new: str, pre: str, post: str) -> None:
    assert idempotence.idempotent(rule(old, new), [change("python", pre, post)], "python") is None
