"""YAML 1.2 as our reader takes it."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulewright import yaml12

# JSON's surrogate escapes are no YAML, so text stands as it is; YAML folds its own line separators.
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"], exclude_characters="\ufeff"),
    max_size=12,
)
NUMBERS = st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_json_is_yaml(value: object) -> None:
    assert yaml12.load(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("Y", "Y"), ("'1'", "1"), ("1e-4", 1e-4), ("0o17", 15), ("0x1F", 31),
        ("017", 17), ("1_000", "1_000"), ("~", None), ("null", None), (".5", 0.5), ("-.inf", -math.inf),
        ("2001-01-01", "2001-01-01"), ("1:30", "1:30"), ("True", True), ("=", "="),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert yaml12.load(f"k: {text}") == {"k": value}


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ("a: 1\nb: 2\na: 3", "duplicate key 'a'", 3),
        ("x: &x {a: 1}\ny:\n  <<: *x", "merge keys", 3),
        ("a: 1\nb: [1, }", "expected node content", 2),
        ("? [a]\n: 1", "a key must be plain text", 1),
        ("a: 1\r@b", "cannot start any token", 2),
    ],
)
def test_what_is_refused_has_its_line(text: str, problem: str, line: int) -> None:
    with pytest.raises(yaml12.YamlError) as caught:
        yaml12.load(text)
    assert problem in str(caught.value)
    assert caught.value.line == line


def test_alias_bombs_stop_at_the_bound() -> None:
    levels = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi"):
        levels.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]")
    with pytest.raises(yaml12.YamlError, match="nodes"):
        yaml12.load("\n".join(levels))


def test_depth_and_size_are_bounded() -> None:
    with pytest.raises(yaml12.YamlError):
        yaml12.load("[" * 5000 + "]" * 5000)
    with pytest.raises(yaml12.YamlError, match="characters"):
        yaml12.load("a" * 20, yaml12.Bounds(max_chars=10))


def test_lines_of_keys() -> None:
    lines: dict[yaml12.Path, int] = {}
    yaml12.load("a: 1\nb:\n  - c: 2\n", lines=lines)
    assert lines == {("a",): 1, ("b",): 2, ("b", 0, "c"): 3}
