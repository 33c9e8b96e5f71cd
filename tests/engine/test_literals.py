"""What a file must hold for a rule to match: never a no where ast-grep matches."""

from __future__ import annotations

from typing import Any

import pytest
from tests.engine import differential

from rulewright.actions import Action
from rulewright.engine import apply, literals
from rulewright.languages import Language
from rulewright.verdict import Verdict


def test_no_match_is_ever_ruled_out(samples: list[tuple[str, Language]]) -> None:
    told = n_matched = 0
    for pair in differential.generate(samples, 900, seed=11):
        wanted = literals.needs(pair.rule["rule"], pair.language)
        told += wanted != literals.NOTHING
        outcome = apply(Action(pair.language, (pair.rule,), ids=("r",)), pair.code)
        if outcome.verdict in (Verdict.OK, Verdict.NO_CHANGE):
            n_matched += 1
            assert literals.may_match(pair.code, wanted), pair.rule
            assert literals.may_match(pair.code.encode(), wanted), pair.rule
    assert told > 200 and n_matched > 300


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ({"pattern": "os.getcwdu($$$A)"}, [{"os", "getcwdu"}]),
        ({"pattern": "$A == None"}, [{"None"}]),
        ({"kind": "identifier", "regex": r"^a\.b$"}, [{"a.b"}]),
        ({"kind": "identifier", "regex": "^(a|b)$"}, [set()]),
        ({"kind": "identifier", "regex": r"\bold\b"}, [set()]),
        ({"kind": "identifier", "regex": "(?i)old"}, [set()]),
        ({"any": [{"pattern": "f($A)"}, {"regex": "^gh$"}]}, [{"f"}, {"gh"}]),
        ({"any": [{"pattern": "f($A)"}, {"kind": "call"}]}, [{"f"}, set()]),
        ({"all": [{"pattern": "f($A)"}, {"not": {"pattern": "f(g)"}}]}, [{"f"}]),
        ({"pattern": "f($A)", "inside": {"pattern": "class B: $$$C", "stopBy": {"pattern": "d"}}},
         [{"f", "class", "B"}]),
        ({"pattern": {"context": "f(name=$A)", "selector": "keyword_argument"}}, [{"name"}]),
        ({"pattern": {"context": "f(1)", "strictness": "signature"}}, [set()]),
        ({"pattern": "f()  # told"}, [set()]),
        ({"pattern": "$A($B)"}, [set()]),
    ],
)  # fmt: skip
def test_what_a_rule_needs(rule: dict[str, Any], wanted: list[set[str]]) -> None:
    assert [set(one) for one in literals.needs(rule, "python")] == wanted


@pytest.mark.parametrize(("n", "told"), [(16, 16), (17, 1)])
def test_many_alternatives_rule_nothing_out(n: int, told: int) -> None:
    wanted = literals.needs({"any": [{"regex": f"^name{i}$"} for i in range(n)]}, "python")
    assert len(wanted) == told and (wanted == literals.NOTHING) is (n > 16)
