"""The engine equals `ast-grep scan -U` byte for byte: catalog, refusals, generated pairs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engine import differential, reference
from tests.engine.reference import Pair

from rulewright import yaml12
from rulewright.actions import Action, parse_action
from rulewright.engine import apply
from rulewright.languages import LANGUAGES, Language
from rulewright.verdict import Verdict

Count = Callable[[str], None]


def _report(result: differential.Comparison) -> str:
    shown = [
        f"{pair.language} {json.dumps(pair.rule, ensure_ascii=False)}\n--- engine\n{got}\n--- cli\n{want}"
        for pair, got, want in result.differences[:3]
    ]
    return f"{dict(result.counts)}\n" + "\n\n".join(shown)


def _check(result: differential.Comparison, count: Count, name: str) -> None:
    counts = result.counts
    languages = ", ".join(
        f"{key.removeprefix('language ')} {n}"
        for key, n in sorted(counts.items())
        if key.startswith("language ")
    )
    count(
        f"engine against ast-grep, {name}: {counts['compared']:,} compared, {counts['edits']:,} edits, "
        f"{counts['refusals checked']} refusals checked, {len(result.differences)} differences ({languages})"
    )
    assert not result.differences, _report(result)


def test_generated_pairs_in_every_language(samples: list[tuple[str, Language]], count: Count) -> None:
    assert {language for _, language in samples} == {*LANGUAGES} - {"other"}
    pairs = differential.generate(samples, 1300, seed=7)
    result = differential.compare(pairs, check_refused=40)
    assert all(result.counts[f"language {language}"] == 100 for _, language in samples)
    assert result.counts["compared"] > 800
    _check(result, count, "samples")


def test_generated_pairs_on_the_standard_library(count: Count) -> None:
    folder = Path(sys.modules["json"].__file__ or "").parents[1]
    names = ["fnmatch.py", "bisect.py", "copy.py", "sched.py", "colorsys.py", "reprlib.py", "json/scanner.py"]
    codes: list[tuple[str, Language]] = [((folder / name).read_text("utf-8"), "python") for name in names]
    result = differential.compare(differential.generate(codes, 200, seed=3), check_refused=5)
    _check(result, count, "standard library")


def test_thousands_of_generated_pairs_on_real_edits(
    shared: Path, samples: list[tuple[str, Language]], count: Count
) -> None:
    codes = list(samples)
    for name in ("commit_edits", "codemod_fixtures"):
        with (shared / "data" / f"{name}.jsonl").open(encoding="utf-8") as stream:
            rows = [json.loads(line) for line in stream]
        codes += [(row["pre"], row["language"]) for row in rows if len(row["pre"]) > 20]
    # Every third text a sample, so that C, Rust and tsx take part.
    mixed = [
        codes[len(samples) + i] if i % 3 else samples[i // 3 % len(samples)]
        for i in range(len(codes) - len(samples))
    ]
    result = differential.compare(differential.generate(mixed, 6000, seed=11), check_refused=200)
    _check(result, count, "real edits")


@pytest.mark.parametrize("fix", ["<p>$$$C</p>", "<p>\n  $$$C\n</p>", "<p>\n      $$$C\n</p>"])
@pytest.mark.parametrize("lead", ["", "  ", "    ", "      "])
def test_a_captured_text_may_begin_with_blanks(lead: str, fix: str) -> None:
    code = f"f(\n    <div>{lead}one\n      two\n        three</div>\n)\n"
    pair = Pair({"rule": {"pattern": "<div>$$$C</div>"}, "fix": fix}, "tsx", code, "r")
    assert apply(Action("tsx", (pair.rule,), ids=("r",)), code, exact=True).post == reference.scan_single(
        pair
    )


def test_the_rules_of_the_miners_cases(root: Path, count: Count) -> None:
    """Rules that this repository holds, on the text of their edit and on code that they leave alone."""
    compared = 0
    for path in sorted((root / "tests/mining/cases").rglob("rule.yml")):
        rules, _, valid = path.read_text("utf-8").rpartition("\n---\n")
        action = parse_action(rules + "\n")
        assert isinstance(action, Action), path
        before = next(path.parent.glob("before.*")).read_text("utf-8")
        for code in (before, *yaml12.load(valid)["valid"]):
            wanted: str | None = code
            for number, rule in enumerate(action.rules):
                assert wanted is not None, path
                wanted = reference.scan_single(Pair(rule, action.language, wanted, action.id_of(number)))
            assert apply(action, code, exact=True).post in (wanted, None if wanted == code else wanted), path
            compared += 1
    count(f"engine against ast-grep, cases of the miner: {compared} compared")
    assert compared >= 300


def test_catalog_of_public_rules(shared: Path, count: Count) -> None:
    compared = refused = 0
    for line in (shared / "data" / "astgrep_catalog.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if "rule_yaml" not in row:
            continue
        action = parse_action(row["rule_yaml"])
        if not isinstance(action, Action):
            refused += 1
            continue
        code = row["example_before"]
        wanted: str | None = code
        for number, rule in enumerate(action.rules):
            if wanted is not None:
                wanted = reference.scan_single(Pair(rule, action.language, wanted, action.id_of(number)))
        outcome = apply(action, code, exact=True)
        compared += 1
        if wanted is None:
            assert outcome.verdict is Verdict.BAD_RULE, row["id"]
        else:
            assert outcome.post == wanted, row["id"]
        if len(action.rules) == 1 and row.get("expected_after") and not row.get("rc"):
            assert outcome.post == row["expected_after"], row["id"]
    count(f"engine against ast-grep, catalog: {compared} compared, {refused} of other languages")
    assert compared >= 60


REFUSED = [
    ({"rule": {"regex": "x"}}, "node kinds"),
    ({"rule": {"pattern": "$A"}}, "complete code"),
    ({"rule": {"not": {"kind": "call"}}}, "node kinds"),
    ({"rule": {"pattern": "class $A"}}, "complete code"),
    ({"rule": {"kind": ":has(call)"}}, "node kinds"),
    ({"rule": {"pattern": {"context": "foo", "strictness": "template"}}}, "node kinds"),
    ({"rule": {"kind": "cal"}}, "`call`"),
    ({"rule": {"patern": "x"}}, "did you mean `pattern`"),
    ({"rule": {"kind": "call", "has": {"kind": "integer", "field": "functio"}}}, "functio"),
    ({"rule": {"kind": "call", "inside": {"patern": "x"}}}, "patern"),
    ({"rule": {"pattern": "a\nb"}}, "one node"),
    ({"rule": {"pattern": ""}}, "pattern"),
    ({"rule": {"kind": "call", "regex": "("}}, "regex"),
    ({"rule": {"kind": "call", "regex": "(?=x)"}}, "look-around"),
    ({"rule": {"pattern": "foo($A)"}, "fix": "bar($B)"}, "`$B`"),
    ({"rule": {"pattern": "foo($ARGS)"}, "fix": "bar($ARG)"}, "did you mean `ARGS`"),
    ({"rule": {"pattern": "foo($A)"}, "constraints": {"B": {"regex": "x"}}}, "`$B`"),
    ({"rule": {"pattern": "foo($A)"}, "transform": {"B": {"substring": {"source": "$C"}}}}, "`$C`"),
    ({"rule": {"pattern": "foo($A)"}, "transform": {"A": {"substring": {"source": "$A"}}}}, "cyclic"),
    ({"rule": {"matches": "u"}}, "`u`"),
    ({"rule": {"matches": "u"}, "utils": {"u": {"matches": "u"}}}, "cyclic"),
    ({"rule": {"pattern": "foo($A)"}, "fix": {"tmplate": "x"}}, "did you mean `template`"),
    ({"rule": {"pattern": "foo($A)"}, "rewriters": [{"id": "x", "rule": {"kind": "call"}}]}, "fix"),
    (
        {"rule": {"pattern": "foo($A)"},
         "transform": {"B": {"rewrite": {"source": "$A", "rewriters": ["y"]}}},
         "rewriters": [{"id": "x", "rule": {"kind": "call"}, "fix": "z"}], "fix": "$B"},
        "`y`",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "reason"), REFUSED, ids=[json.dumps(rule)[:60] for rule, _ in REFUSED])
def test_what_scan_refuses_is_refused_with_a_reason(rule: dict[str, object], reason: str) -> None:
    pair = Pair(rule, "python", "foo(x)\n", "r")
    assert reference.scan_single(pair) is None
    outcome = apply(Action("python", (rule,)), "foo(x)\n")
    assert outcome.verdict is Verdict.BAD_RULE
    assert reason in outcome.detail, outcome.detail


@pytest.mark.parametrize(
    ("language", "pattern", "taken"),
    [
        ("python", "?", True), ("python", "a ?", False), ("csharp", "name", True), ("csharp", "$A", False),
        ("csharp", {"context": "$A", "selector": "ERROR"}, True), ("php", "$A", False), ("php", "$a", True),
        ("ruby", "$a", True), ("ruby", "$A", False), ("kotlin", "$A", False), ("kotlin", "f($a)", True),
        ("kotlin", {"context": "fun f() { @A }", "selector": "modifiers"}, False),
        ("kotlin", {"context": "@A fun f() {}", "selector": "modifiers"}, True),
        ("kotlin", "f($A, $$$)", True), ("php", "$this->f($A)", True), ("ruby", "$$$A", False),
    ],
)  # fmt: skip
def test_a_pattern_that_is_one_token_or_holds_a_dollar_is_taken_as_scan_takes_it(
    language: Language, pattern: object, taken: bool
) -> None:
    """Of a syntax error ast-grep knows the kind where it is one token; `$` is a letter in some languages.

    Where the parser has to invent a token, the command line decides what it is.
    """
    pair = Pair({"rule": {"pattern": pattern}, "fix": "x"}, language, "name\n", "r")
    outcome = apply(Action(language, (pair.rule,)), pair.code, exact=True)
    assert (reference.scan_single(pair) is not None) == taken
    assert (outcome.verdict is not Verdict.BAD_RULE) == taken, outcome.detail


def test_the_document_at_fault_is_named() -> None:
    rules = ({"rule": {"pattern": "a"}, "fix": "b"}, {"rule": {"kind": "calll"}, "fix": "b"})
    outcome = apply(Action("python", rules), "a\n")
    assert outcome.verdict is Verdict.BAD_RULE
    assert outcome.detail.startswith("document 2: ")
