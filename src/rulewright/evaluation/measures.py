"""What each benchmark measures: the one table that eval, compare and report share.

Invariant: a benchmark that writes `result.json` stands in `BENCHMARKS`, with exactly one
measure that decides; the name of a measure here is its name in `result.json`, in tables
and for `compare --metric`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from rulewright.errors import RulewrightError
from rulewright.mining.propose.candidate import COMPACT_CHARS, LITERAL_SHAPES
from rulewright.verdict import INVALID, Verdict

Row = dict[str, Any]
Metric = Callable[[Row], float | None]
"""A row's value, or `None` where the row has none (it then does not count)."""
Unit = Literal["rate", "number"]


@dataclass(frozen=True)
class Measure:
    """One quantity of a row and how it is shown."""

    name: str
    read: Metric
    unit: Unit = "rate"
    """`rate`: in [0, 1], shown in percent. `number`: a count or ratio without an upper bound."""
    headline: bool = False
    """Shown whenever two runs are compared, and in the report."""


@dataclass(frozen=True)
class Measures:
    """What one benchmark measures; the first measure decides."""

    name: str
    all: tuple[Measure, ...]
    by: tuple[str, ...] = ()
    """Fields of the rows that `compare` breaks the difference down by."""
    estimates: str = "metrics"
    """Where `result.json` keeps the estimates."""

    @property
    def decides(self) -> Measure:
        return self.all[0]

    @property
    def headline(self) -> tuple[Measure, ...]:
        return tuple(measure for measure in self.all if measure.headline)

    def named(self, *names: str) -> list[Measure]:
        """The measures of these names, in the order of the table."""
        return [measure for measure in self.all if measure.name in names]

    def find(self, name: str) -> Measure | None:
        return next((measure for measure in self.all if measure.name == name), None)


def _field(name: str) -> Metric:
    return lambda row: row.get(name)


def valid(row: Row) -> float:
    """Whether the action could be executed."""
    return float(row.get("valid", row["verdict"] not in INVALID))


def _unless_infra(read: Metric) -> Metric:
    return lambda row: None if row["verdict"] == Verdict.INFRA else read(row)


def _of_passing(name: str) -> Metric:
    return lambda row: row.get(name) if row.get("passed") else None


def _success_if(test: Callable[[Row], bool], field: str, success: str = "success") -> Metric:
    """Success of rows that have a field, counted where the test holds."""
    return lambda row: None if field not in row else float(bool(row[success]) and test(row))


def _general(success: str) -> Metric:
    """Success by a rule that has a metavariable; rows of text edits have no rule."""
    return _success_if(lambda row: not row["literal"], "literal", success)


# Right on this code, but of no use elsewhere: a rule without any metavariable.
_LITERAL: Final = Measure("literal", _unless_infra(_field("literal")), headline=True)

_RULES: Final = Measure(
    "rules per task", lambda row: row.get("n_rules") if valid(row) else None, "number", headline=True
)

EDITS: Final = Measures(
    "edits",
    (
        Measure("exact", _field("exact"), headline=True),
        Measure("same_but_blanks", _field("same_but_blanks")),
        Measure("change_similarity", _field("change_similarity"), headline=True),
        Measure("changed_line_overlap", _field("changed_line_overlap"), headline=True),
        Measure("file_similarity", _field("file_similarity")),
        Measure("answered", lambda row: row["verdict"] != Verdict.NO_ACTION, headline=True),
    ),
    by=("family", "source"),
)
ACTIONS: Final = Measures(
    "actions",
    (
        Measure("success", _field("success"), headline=True),
        Measure("success_unflagged", _success_if(lambda row: not row.get("flags"), "success"), headline=True),
        Measure("valid", valid, headline=True),
        Measure("changed", _field("changed")),
        Measure("change_similarity", _field("change_similarity"), headline=True),
        _LITERAL,
        Measure("success_not_literal", _general("success"), headline=True),
        _RULES,
    ),
    by=("family",),
)
OF_TASK: Final = {"edit": EDITS, "action": ACTIONS}
"""By what a checkpoint was trained to write."""
CANITEDIT: Final = Measures(
    "canitedit",
    (
        Measure("pass@1", _unless_infra(_field("passed")), headline=True),
        Measure("official pass@1", _field("official_passed"), headline=True),
        Measure("valid", _unless_infra(valid), headline=True),
        _LITERAL,
        Measure("pass@1, not literal", _unless_infra(_general("passed")), headline=True),
        Measure(
            "ExcessCode", lambda row: row.get("excess") if row.get("official_passed") else None, headline=True
        ),
        _RULES,
        Measure("changed lines", _of_passing("changed_lines"), "number", headline=True),
        Measure("changed lines / reference", _of_passing("diff_ratio"), "number", headline=True),
    ),
    by=("kind", "change_kind", "in_place"),
)
REFACTOR: Final = Measures(
    "refactor",
    (
        Measure("passed", _field("passed"), headline=True),
        Measure("official", _field("official_passed"), headline=True),
        Measure("valid", valid, headline=True),
        _LITERAL,
        Measure("passed, not literal", _general("passed"), headline=True),
        _RULES,
        Measure("changed lines", _of_passing("changed_lines"), "number", headline=True),
    ),
)

RULES: Final = Measures(
    "rules",
    (
        # At least half of the siblings exact, and no negative broken.
        Measure("holds", _field("holds"), headline=True),
        Measure("siblings exact", _field("siblings"), headline=True),
        Measure("negatives kept", _field("negatives"), headline=True),
        Measure("over-match", _field("over_match"), headline=True),
        Measure("lossy", _field("lossy"), headline=True),
        Measure("size", _field("size"), "number", headline=True),
        Measure("valid", valid, headline=True),
        Measure("examples exact", _field("own")),
        _LITERAL,
        Measure("fires per 100 texts", _field("fires"), "number"),
        Measure("kept: no-op", _field("noop")),
        Measure("kept: other name", _field("other_name")),
        Measure("kept: shadowed", _field("shadowed")),
    ),
    by=("source", "language", "n_examples"),
)


def _is_general(row: Row) -> bool:
    return bool(row["n_rules"] == 1 and row["shapes"][0] not in LITERAL_SHAPES)


def _few(row: Row) -> bool:
    return bool(1 <= row["n_rules"] <= 5)


def _share(name: str, test: Callable[[Row], bool], headline: bool = False) -> Measure:
    return Measure(name, lambda row: float(test(row)), headline=headline)


MINING: Final = Measures(
    "mining",
    (
        Measure(
            "train_rate", lambda row: float(row["tier"] == "train") if "tier" in row else None, headline=True
        ),
        _share("up_to_5_rules_rate", _few, headline=True),
        _share(
            "general_rate",
            lambda row: _few(row) and not LITERAL_SHAPES & set(row["shapes"]),
            headline=True,
        ),
        _share("one_rule_rate", lambda row: row["n_rules"] == 1, headline=True),
        _share(
            "compact_rule_rate",
            lambda row: _is_general(row) and row["n_chars"] <= COMPACT_CHARS,
            headline=True,
        ),
        _share("metavariable_rate", lambda row: _is_general(row) and row["n_vars"] > 0),
        _share("literal_rate", lambda row: row["n_rules"] == 1 and not _is_general(row), headline=True),
        _share("strict_up_to_5_rules_rate", lambda row: _few(row) and row["strict"]),
        _share("strict_one_rule_rate", lambda row: row["n_rules"] == 1 and row["strict"]),
    ),
    by=("source",),
    estimates="estimates",
)

BENCHMARKS: Final[Mapping[str, Measures]] = {
    benchmark.name: benchmark for benchmark in (EDITS, ACTIONS, CANITEDIT, REFACTOR, MINING, RULES)
}


def group_of(row: Mapping[str, Any]) -> str:
    """What a mined edit shares with others that are not independent of it: its fixer, else itself."""
    return f"{row['source']}:{row['group'] or row['id']}"


def estimates_of(result: Mapping[str, Any], place: str) -> tuple[Measures, Mapping[str, Any]]:
    """The benchmark and the estimates of a `result.json`.

    Raises:
        RulewrightError: the benchmark is unknown, or its main measure is missing.
    """
    benchmark = BENCHMARKS.get(str(result.get("benchmark", "")))
    if benchmark is None:
        raise RulewrightError(
            f"{place}: unknown benchmark {result.get('benchmark')!r} (known: {', '.join(BENCHMARKS)})",
            "if an older version wrote it, run it again with --overwrite, or move the folder",
        )
    found = result.get(benchmark.estimates)
    if not isinstance(found, dict) or benchmark.decides.name not in found:
        names = ", ".join(map(str, found)) if isinstance(found, dict) else "nothing"
        raise RulewrightError(
            f"{place}: has no '{benchmark.decides.name}', the main measure of {benchmark.name} (it "
            f"has {names})",
            "if an older version wrote it, score the saved answers again with --rescore",
        )
    return benchmark, found
