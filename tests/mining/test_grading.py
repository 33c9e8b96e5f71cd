"""What makes a verified rule `train`, `literal` or `reject`: each bound, on both of its sides."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from rulewright.actions import Action
from rulewright.languages import Language
from rulewright.mining import mine
from rulewright.mining.judge import background
from rulewright.mining.judge.confidence import BIAS, CONFIDENT, WEIGHTS, confidence, drops_unnamed, properties
from rulewright.mining.learn.grading import MAX_VARS, Figures, grade, overlap
from rulewright.mining.learn.mine import quoted_names
from rulewright.mining.propose.candidate import SHORT_TOKENS, Candidate
from rulewright.mining.rules.reading import bits, new_text, old_text, text_bits
from rulewright.mining.text.tree import Tree

RULE: dict[str, Any] = {"rule": {"pattern": "os.getcwdu($A)"}, "fix": "os.getcwd($A)"}
ANCHOR = Tree("os.getcwdu(a)\n", "python").root
GOOD = Figures(n_rules=1, n_vars=1, bits=6.0, confidence=0.72, sites=1)


def step(rule: dict[str, Any] = RULE, **changes: Any) -> Candidate:
    return replace(Candidate(rule, "pattern", ANCHOR, "call", frozenset({0})), **changes)


def tier(figures: Figures = GOOD, n_known: int = 0, **changes: Any) -> str:
    return grade([step(**changes)], figures, n_known)[0]


@pytest.fixture(scope="module")
def documented(root: Path) -> str:
    text = (root / "docs/reference/mining.md").read_text(encoding="utf-8").replace("−", "-")
    return re.sub(r"(?<!\d)\.(?=\d)", "0.", text)


def test_the_model_is_the_one_that_the_docs_give(documented: str) -> None:
    _, model = documented.split("**Confidence**")
    words = {
        "gone": "of the removed words", "kept": "bits that stay", "new": "beyond the first",
        "odd spacing": "rule would copy", "brings an import": "added too", "several lines": "several lines",
        "deletes": "across a neighbor", "drops a variable": "dropped", "narrowed": "constraint or place",
    }  # fmt: skip
    assert words.keys() == WEIGHTS.keys()
    flat = " ".join(model.split())
    for name, said in words.items():
        found = re.search(rf"{said}[^|]* \| ([-+]?[\d.]+)", flat)
        assert found is not None and float(found[1]) == WEIGHTS[name], name
    assert f"bias | {BIAS}" in flat
    assert f"a confidence of at least {CONFIDENT}" in documented


def test_confidence_is_the_logistic_of_the_least_likely_rule() -> None:
    one, two = confidence([RULE]), confidence([{**RULE, "fix": "os.getcwd()"}])
    assert confidence([RULE, {**RULE, "fix": "os.getcwd()"}]) == min(one, two) < max(one, two)
    # One name of 10 bits goes, five tokens stay, one name comes.
    found = properties(RULE)
    assert found["gone"] == 1.0 and found["new"] == 0.0
    assert found["kept"] == pytest.approx((10.0 + 3 * 0.4) / 10)
    assert one == pytest.approx(1 / (1 + 2.718281828459045 ** -(0.41 + 1.02 - 0.21 * 1.12)))


def test_no_property_counts_beyond_its_bound() -> None:
    many = " + ".join(f"some_name_{i}" for i in range(9))
    assert properties({"rule": {"pattern": f"{many} + $A"}, "fix": "$A"})["gone"] == 2.0
    assert properties({"rule": {"pattern": f"{many} + $A"}, "fix": f"{many} - $A"})["kept"] == 4.0
    assert properties({"rule": {"pattern": "$A"}, "fix": f"{many} + $A"})["new"] == 4.0
    three = {"rule": {"pattern": "$A"}, "fix": "one_thing + another_thing + third_thing + $A"}
    assert properties(three)["new"] == 2.0, "the first word is free"
    odd = {"rule": {"pattern": "$A"}, "fix": "f1 + _g + h2 + 7 + 2e3 + 'i' + $A"}
    assert properties(odd)["new"] == 2.0, "neither numbers, strings nor signs are words"
    numbers = {"rule": {"pattern": "wait($A, 300)"}, "fix": "wait($A, 500)"}
    assert properties(numbers)["gone"] == 0.0, "numbers are no words"
    assert properties({"rule": {"pattern": "md5($A)"}, "fix": "$A"})["gone"] > 1.0, "md5 is"


def test_the_bits_of_a_token() -> None:
    assert [text_bits(text) for text in ("return", "self", "key", "x", "payload", "_p", "7", "12.5")] == [
        3.5, 3.5, 5.0, 5.0, 10.0, 10.0, 4.0, 4.0,
    ]  # fmt: skip
    assert [text_bits(text) for text in ("'a'", "'abc'", "'a rather long text'", "=", "{", ".")] == [
        4.5, 7.5, 12.0, 2.0, 0.8, 0.4,
    ]  # fmt: skip
    assert text_bits("$A") == text_bits("$$$ARGS") == 0.0


def test_the_bits_of_a_rule() -> None:
    def of(rule: dict[str, Any], **more: Any) -> float:
        return round(bits({"rule": rule, **more}), 6)

    assert of({"pattern": "payload"}) == 10.0
    assert of({"pattern": {"context": "payload", "selector": "identifier"}}) == 12.0
    empty = {"context": "function f() {}", "selector": "formal_parameters"}
    assert of({"pattern": empty}) < 6.0, "the snippet around it is no part of what it asks for"
    assert of({"regex": r"^payload$"}) == round(0.8 * text_bits("^payload$"), 6)
    assert of({"kind": "identifier"}) == 1.0 and of({"kind": "with_statement"}) == 3.0
    for relation in ("inside", "has", "precedes", "follows"):
        assert of({relation: {"pattern": "payload"}}) == 7.0
    assert of({"all": [{"pattern": "payload"}, {"kind": "identifier"}]}) == 11.0
    assert of({"any": [{"pattern": "payload"}, {"kind": "identifier"}]}) == 1.0, "the least of several"
    assert of({"not": {"pattern": "payload"}}) == of({"nthChild": 3}) == of({"field": "name"}) == 1.0
    assert of({"pattern": "payload"}, constraints={"A": {"pattern": "payload"}}) == 17.0
    assert of({"pattern": "payload"}, fix="much more text than that") == 10.0


def test_old_and_new_text() -> None:
    assert old_text({"rule": {"all": [{"pattern": "a($A)"}, {"kind": "call"}]}}) == "a($A)"
    assert old_text({"rule": {"kind": "string", "pattern": "$T", "regex": r"^a\.b$"}}) == "a.b"
    replaced = {"fix": "$N", "transform": {"N": {"replace": {"source": "$T", "replace": "a", "by": "b"}}}}
    assert new_text(replaced) == "b"
    assert new_text({"fix": {"template": "x", "expandEnd": {"regex": ","}}}) == "x"


def test_a_good_rule_is_for_training() -> None:
    assert grade([step()], GOOD) == ("train", "compact, general and named")


def test_what_drops_code_is_rejected() -> None:
    assert tier(replace(GOOD, lossy=True)) == tier(replace(GOOD, degenerate=True)) == "reject"


def test_shapes_that_repeat_are_literal() -> None:
    for shape in ("pattern", "transform", "delete", "insert", "lexical"):
        assert tier(shape=shape) == "train"
    assert tier(shape="literal") == tier(shape="run") == "literal"


@pytest.mark.parametrize(
    ("language", "pre", "post", "name"),
    [
        ("java", "class A {\n  void f(Object oldOne) {\n    this.it = oldOne;\n  }\n}\n",
         "class A {\n  void f(Object newOne) {\n    this.it = newOne;\n  }\n}\n", "oldOne"),
        ("java", "class A {\n  void f(Box held) {\n    held.map(value -> show(held.read()));\n  }\n}\n",
         "class A {\n  void f(Box held) {\n    held.map(value -> show(value));\n  }\n}\n", "value"),
        ("go", "package p\n\nfunc f() {\n\toldOne := g()\n\th(oldOne)\n}\n",
         "package p\n\nfunc f() {\n\tnewOne := g()\n\th(newOne)\n}\n", "oldOne"),
        ("rust", "fn f() {\n    let old_one = g();\n    h(old_one);\n}\n",
         "fn f() {\n    let new_one = g();\n    h(new_one);\n}\n", "old_one"),
    ],
)  # fmt: skip
def test_a_variable_of_the_code_is_none_of_other_code(
    language: Language, pre: str, post: str, name: str
) -> None:
    mined = mine(pre, post, language)
    assert (mined.tier, mined.reason) == ("literal", f"`{name}` is a variable of this code")


def test_a_name_of_the_code_may_stay_in_a_rule() -> None:
    pre = "def view(request):\n    return request.REQUEST\n"
    assert mine(pre, pre.replace("REQUEST", "GET"), "python").tier == "train"
    # Nor is the type of a parameter one.
    pre = "class A {\n  void F(Fault x) {\n    G(typeof(Fault));\n  }\n}\n"
    assert not Tree(pre, "csharp").has_local("Fault") and Tree(pre, "csharp").has_local("x")
    # What no function declares is not a variable.
    assert mine("use(get_old_one)\n", "use(get_new_one)\n", "python").tier == "train"


def test_the_longest_rule_and_the_most_variables() -> None:
    # `os.getcwdu($A)` has six tokens.
    room = SHORT_TOKENS - 6
    assert SHORT_TOKENS == 80 and MAX_VARS == 6
    assert tier(rule={**RULE, "fix": "a " * room}) == "train"
    assert tier(rule={**RULE, "fix": "a " * (room + 1)}) == "literal"
    assert tier(rule={**RULE, "fix": "x" * 500}) == "train", "how long a name is says nothing"
    for names, wanted in (("ABCDEF", "train"), ("ABCDEFG", "literal")):
        many = {"pattern": f"os.getcwdu({', '.join(f'${name}' for name in names)})"}
        assert tier(rule={**RULE, "rule": many}) == wanted


def test_what_three_places_agree_on_is_not_doubted() -> None:
    few, many = (replace(GOOD, confidence=0.69, sites=n, bits=9.0) for n in (2, 3))
    assert tier(few) == "literal" and tier(many) == "train"
    assert tier(replace(many, bits=6.5)) == "literal", "it says too little for that"
    assert tier(many, rule={"rule": {"pattern": "$A + os.getcwdu()"}, "fix": "f"}) == "literal"


def test_an_insertion_beside_a_variable_needs_more_places_than_rules() -> None:
    assert tier(inserts=True) == "literal"
    assert tier(inserts=True, rule={**RULE, "rule": {"pattern": "os.getcwdu()"}}) == "train"
    assert tier(replace(GOOD, sites=2), inserts=True) == "train"


def test_what_is_no_change_to_learn() -> None:
    assert tier(blanks=True) == "literal"
    assert tier(rule={**RULE, "constraints": {"A": {"regex": "^(a|b)$"}}}) == "literal"
    assert tier(rule={**RULE, "constraints": {"A": {"regex": "^a$"}}}) == "train"
    assert tier(rule={"rule": {"pattern": "None"}, "fix": "0"}) == "literal"
    assert tier(rule={"rule": {"kind": "integer", "regex": "^42$"}, "fix": "43"}) == "literal"
    held: dict[str, Any] = {"kind": "call"}
    assert tier(rule={"rule": {"pattern": "None", "inside": held}, "fix": "0"}) == "literal"
    held = {"pattern": "read_all($$$, None)"}
    assert tier(rule={"rule": {"pattern": "None", "inside": held}, "fix": "0"}) == "train"


def test_a_deletion_that_takes_a_sibling_of_any_text() -> None:
    matcher = {"pattern": "// note", "follows": {"pattern": "$Z"}}
    fix = {"template": "$Z", "expandStart": {"kind": "method_declaration"}}
    assert not drops_unnamed({"rule": matcher, "fix": fix})
    assert drops_unnamed({"rule": matcher, "fix": {**fix, "expandEnd": {"kind": "method_declaration"}}})
    assert not drops_unnamed({"rule": matcher, "fix": {**fix, "expandEnd": {"pattern": "void f() {}"}}})


def test_bits_and_confidence_that_are_just_enough() -> None:
    assert tier(replace(GOOD, bits=5.9)) == "literal"
    assert tier(replace(GOOD, confidence=0.719)) == "literal"


def test_silence_of_other_files_lowers_both_bounds() -> None:
    low = replace(GOOD, bits=5.0, confidence=0.6001, matches_elsewhere=1)
    assert tier(low, n_known=15) == "train"
    assert tier(low, n_known=14) == "literal"
    assert tier(replace(low, matches_elsewhere=2), n_known=15) == "literal"
    assert tier(replace(low, matches_elsewhere=None), n_known=15) == "literal"
    assert tier(replace(low, bits=4.9), n_known=15) == "literal"
    assert tier(replace(low, confidence=0.599), n_known=15) == "literal"


def test_the_places_that_a_rule_may_match_elsewhere() -> None:
    assert [background.allowed(n) for n in (0, 20, 40, 100, 200)] == [1, 1, 2, 5, 10]
    for n_known, most in ((0, 1), (40, 1), (60, 2), (100, 4)):  # one less than the share of so many files
        assert tier(replace(GOOD, matches_elsewhere=most), n_known=n_known) == "train"
        assert tier(replace(GOOD, matches_elsewhere=most + 1), n_known=n_known) == "literal"


def test_places_elsewhere_are_counted_up_to_a_bound() -> None:
    action = Action("python", ({"rule": {"pattern": "old($A)"}, "fix": "new($A)"},))
    files = ["old(1)\nold(2)\n", "old(3)\n"]
    assert background.count(action, files) == 3
    assert background.count(action, files, cap=2) == 2
    assert background.count(action, ["old(1)\n" * 1_001]) == 1_000
    idle = Action("python", ({"rule": {"pattern": "old($A)"}, "fix": "old($A)"},))
    assert background.count(idle, files) == 0, "what stays as it is does not count"


def test_names_that_an_instruction_quotes() -> None:
    assert quoted_names("Use `a_b.go(x)` and `zz`, not go_there.") == {"a_b", "go", "zz"}


def test_overlap_counts_the_parts_of_names() -> None:
    action = Action("python", ({"rule": {"pattern": "getItem($A)"}, "fix": "load_row($A)"},))
    assert overlap("Load every item", action) == pytest.approx(2 / 4)
    assert overlap("of it", action) == 0.0
    assert overlap("Load", Action("python", ({"rule": {"kind": "integer"}, "fix": "0"},))) == 0.0


ONE_LINE = "total = joined_rows(rows, first)\n"
IN_A_FILE = """\
class Report:
    def write(self, rows, first, target):
        target.open(self.path)
        total = joined_rows(rows, first)
        target.close()
        return total
"""


def test_a_file_alone_is_not_believed_what_several_guesses_say() -> None:
    """Two variables are two guesses: a line by itself is all about the change, a file is not."""

    def tier_of(pre: str, new: str, known: tuple[str, ...] = ()) -> tuple[str, str]:
        found = mine(pre, pre.replace("joined_rows(rows, first)", new), "python", known=known)
        assert found.figures.n_rules == 1
        return found.tier, found.reason

    assert tier_of(ONE_LINE, "first.join(rows)")[0] == "train"
    tier, reason = tier_of(IN_A_FILE, "first.join(rows)")
    assert tier == "literal" and "one file alone" in reason
    # One name for another guesses once; and where many files were looked at, their silence tells more.
    assert tier_of(IN_A_FILE, "merged_rows(rows, first)")[0] == "train"
    assert tier_of(IN_A_FILE, "first.join(rows)", ("x = 1\n",) * 15)[0] == "train"


A_TYPE = "class A {{\n    void f(Object o) {{\n        {0}.of(o).open();\n        g(o, 1, 2);\n    }}\n}}\n"
IMPORTED = "from kit import {0}\n\n\ndef start(rows, first):\n    print(len(rows), first)\n    {0}(rows)\n"
DECLARED = (
    "class A {{\n    final Log {0} = Log.of(A.class);\n\n    void f() {{\n        g(1, 2);\n    }}\n}}\n"
)
A_MEMBER = "def area(box, shelf, n):\n    size = box.{0}\n    shelf.put(size, n)\n    return size * n\n"


@pytest.mark.parametrize(
    ("old", "new", "language", "code"),
    [
        ("Basket", "Cart", "java", A_TYPE),
        ("run_all", "run_each", "python", IMPORTED),
        ("LOGS", "logs", "java", DECLARED),
        ("width", "extent", "python", A_MEMBER),
    ],
)
def test_a_file_alone_does_not_show_what_changes_with_a_name(
    old: str, new: str, language: Language, code: str
) -> None:
    found = mine(code.format(old), code.format(new), language)
    assert (found.tier, found.reason) == (
        "literal",
        f"what else changes with `{old}`, one file alone does not show",
    )


def test_no_rule_that_drops_an_import_is_believed_alone() -> None:
    code = "const equal = require('equal');\n\n\nmodule.exports = 1;\n"
    found = mine(code, code.replace("const equal = require('equal');", ""), "javascript")
    assert found.tier == "literal" and "an import goes" in found.reason


def test_a_name_that_all_code_has_is_no_rule_by_itself() -> None:
    def of(name: str) -> tuple[str, str]:
        found = mine(f"{name}('adds', run);\n", "it('adds', run);\n", "javascript")
        return found.tier, found.reason

    assert of("test") == ("literal", "too general: all code has a `test`")
    assert of("scenario")[0] == "train"


def test_the_figures_of_an_edit_without_a_rule_count_nothing() -> None:
    assert asdict(mine("a\n", "a\n", "python").figures) == {
        "n_rules": 0, "n_vars": 0, "n_chars": 0, "bits": 0.0, "confidence": 0.0, "sites": 0, "support": 1,
        "lossy": False, "degenerate": False, "matches_elsewhere": None, "instruction_overlap": None,
        "work": 0,
    }  # fmt: skip
