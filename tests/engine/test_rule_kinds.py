"""ast-grep takes a rule only where it can tell the kinds of node that the rule can match."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.engine.rules import compile_rule
from rulewright.verdict import RuleFailed

KIND = {"kind": "call"}


@pytest.mark.parametrize(
    ("rule", "utils", "taken"),
    [
        ({"regex": "a"}, {}, False),
        ({"regex": "a", **KIND}, {}, True),
        ({"regex": "a", "all": [{"regex": "b"}, KIND]}, {}, True),
        ({"regex": "a", "any": [{"regex": "b"}, KIND]}, {}, False),
        ({"any": [{"pattern": "f($A)"}, KIND]}, {}, True),
        ({"matches": "u"}, {"u": KIND}, True),
        ({"matches": "u"}, {"u": {"regex": "a"}}, False),
        ({"regex": "a", "nthChild": {"position": 1, "ofRule": KIND}}, {}, True),
        ({"regex": "a", "nthChild": {"position": 1, "ofRule": {"regex": "b"}}}, {}, False),
        ({"regex": "a", "nthChild": 1}, {}, False),
        ({"pattern": {"context": "f($A)", "strictness": "template"}}, {}, False),
        ({"pattern": {"context": "f($A)", "strictness": "relaxed"}}, {}, True),
    ],
)
def test_a_rule_must_tell_the_kinds_that_it_can_match(
    rule: dict[str, Any], utils: dict[str, Any], taken: bool
) -> None:
    given = {"rule": rule, "fix": "x", **({"utils": utils} if utils else {})}
    if taken:
        compile_rule(given, "python")
    else:
        with pytest.raises(RuleFailed):
            compile_rule(given, "python")
