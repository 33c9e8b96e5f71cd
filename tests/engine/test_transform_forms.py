"""Transforms are read in their object and their string form, and what is none is refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright.engine.transforms import Rewrite, Transform, read_transforms
from rulewright.verdict import RuleFailed


@pytest.mark.parametrize(
    ("value", "step"),
    [
        ({"replace": {"source": "$A", "replace": "x", "by": "y"}}, Transform("A", False)),
        ("replace($A, replace=x, by=y)", Transform("A", False)),
        ("substring($$$ARGS, startChar=1, endChar=-1)", Transform("ARGS", True)),
        ({"convert": {"source": "$$NAME", "toCase": "snakeCase"}}, Transform("NAME", False)),
        (
            {"rewrite": {"source": "$A", "rewriters": ["a"], "joinBy": ", "}},
            Rewrite("A", False, ("a",), ", "),
        ),
        ("rewrite($$$B, rewriters=[a, b], joinBy=', ')", Rewrite("B", True, ("a", "b"), ", ")),
        ("rewrite($A, rewriters=[a])", Rewrite("A", False, ("a",), None)),
        ("replace($A, replace='a, b', by=\"c=d\")", Transform("A", False)),
    ],
)
def test_both_forms(value: Any, step: Transform) -> None:
    assert read_transforms({"NEW": value}, "") == {"NEW": step}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (1, "expected one of substring, replace, convert, rewrite"),
        ({"replace": {"source": "$A"}, "convert": {}}, "expected one of"),
        ({"replce": {"source": "$A"}}, "no transform `replce`; did you mean `replace`?"),
        ({"replace": {}}, "`replace` needs a text `source`"),
        ({"replace": {"source": "A"}}, "must be a named variable such as $A, got `A`"),
        ({"replace": {"source": "$_A"}}, "must be a named variable"),
        ({"replace": {"source": "$$$_"}}, "must be a named variable"),
        ({"rewrite": {"source": "$A"}}, "`rewrite` needs a list `rewriters`"),
        ({"rewrite": {"source": "$A", "rewriters": [1]}}, "`rewrite` needs a list `rewriters`"),
        ({"rewrite": {"source": "$A", "rewriters": ["a"], "joinBy": 1}}, "`joinBy` must be text"),
        ("replace", "expected e.g. replace($A, replace=x, by=y)"),
        ("replace($A, x)", "expected name=value, got `x`"),
        ("replace($A, by='x)", "lacks its closing '"),
    ],
)
def test_what_is_no_transform_is_refused_in_words(value: Any, says: str) -> None:
    with pytest.raises(RuleFailed) as raised:
        read_transforms({"NEW": value}, "rewriter `a`: ")
    assert str(raised.value).startswith("rewriter `a`: transform `NEW`: ")
    assert says in str(raised.value)
