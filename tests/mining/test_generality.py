"""What a rule learned from one edit claims: roles, confidence, and the command that uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rulewright import cli, engine
from rulewright.actions.action import Action
from rulewright.languages import Language
from rulewright.mining import mine
from rulewright.mining.judge.confidence import CONFIDENT, confidence, properties
from rulewright.mining.rules.reading import bits


def rule_of(pre: str, post: str, language: Language = "python") -> dict[str, Any]:
    mined = mine(pre, post, language)
    assert mined.action is not None, mined.reason
    return dict(mined.action.rules[0])


def after(rule: dict[str, Any], code: str, language: Language = "python") -> str | None:
    return engine.apply(Action(language, (rule,)), code).post


def test_parentheses_that_the_fix_adds_ask_for_the_kind_inside() -> None:
    rule = rule_of("x = table.has_key(lambda: 12)\n", "x = (lambda: 12) in table\n")
    assert rule["constraints"] == {"B": {"kind": "lambda"}}
    assert after(rule, "y = rows.has_key(name)\n") == "y = rows.has_key(name)\n"


def test_parentheses_around_the_whole_ask_for_the_place() -> None:
    rule = rule_of("x = a.has_key(b).real\n", "x = (b in a).real\n")
    assert rule["rule"]["inside"] == {"kind": "attribute"}


def test_a_declared_name_is_not_every_use_of_the_word() -> None:
    rule = rule_of(
        "class A:\n    def advance(self):\n        pass\n",
        "class A:\n    def __next__(self):\n        pass\n",
    )
    assert after(rule, "advance = 5\n") == "advance = 5\n"


def test_names_that_the_code_binds_itself_become_variables() -> None:
    rule = rule_of("y = [x for x in items_of(a)]\n", "y = [*items_of(a)]\n")
    assert after(rule, "z = [row for row in items_of(b)]\n") == "z = [*items_of(b)]\n"


def test_equal_numbers_may_be_equal_by_chance() -> None:
    rule = rule_of("start(old_name(1), 1)\n", "start(new_name(1), 1)\n")
    assert after(rule, "start(old_name(2), 3)\n") == "start(new_name(2), 3)\n"


def test_items_that_come_back_in_a_row_are_a_list() -> None:
    rule = rule_of("s = frozen([1, 2, 3])\n", "s = Frozen(1, 2, 3)\n")
    assert after(rule, "s = frozen([a, b])\n") == "s = Frozen(a, b)\n"


def test_confidence_tells_named_rules_from_doubtful_ones() -> None:
    named = {"rule": {"pattern": "$A.has_key($B)"}, "fix": "$B in $A"}
    spaced = {"rule": {"pattern": "execute($A,  $B)"}, "fix": "perform(open($A, 'rb'),  $B)"}
    brings = {"rule": {"pattern": "leave($A)"}, "fix": "import atexit\natexit.register($A)"}
    assert confidence([named]) > CONFIDENT
    assert confidence([spaced]) < CONFIDENT
    assert confidence([brings]) < CONFIDENT
    assert confidence([named, brings]) == confidence([brings])
    assert properties(spaced)["odd spacing"] == 1
    assert properties(brings)["brings an import"] == 1


def test_a_wrapper_asks_for_nothing() -> None:
    wrapped = {
        "rule": {
            "pattern": {"context": "class C { Object x = ($A); }", "selector": "parenthesized_expression"}
        }
    }
    assert bits(wrapped) < 4


def test_the_tier_can_be_told_from_what_is_recorded() -> None:
    for pre, post in (("x = set_of(a)\n", "x = bag_of(a)\n"), ("f(a)\n", "import b\nf(a)\n")):
        mined = mine(pre, post, "python")
        assert mined.action is not None
        assert mined.figures.confidence == round(confidence(mined.action.rules), 3)
        assert mined.tier != "train" or mined.figures.confidence >= CONFIDENT


@pytest.mark.parametrize("write", [False, True])
def test_edit_like_lists_then_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], write: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.py").write_text("a = os.getcwd()\nb = 1\n", encoding="utf-8")
    (tmp_path / "two.py").write_bytes(b"d = os.getcwdu()\r\ne = 1\r\n")
    (tmp_path / "three.py").write_bytes(b"f = '\xff'\n")
    diff = "--- a/one.py\n+++ b/one.py\n@@ -1 +1 @@\n-a = os.getcwdu()\n+a = os.getcwd()\n"
    (tmp_path / "hand.diff").write_text(diff, encoding="utf-8")
    arguments = ["edit", "--like", "hand.diff", "one.py", "two.py", "three.py", "--json"]
    assert cli.main([*arguments, "--write"] if write else arguments) == 0
    said = capsys.readouterr()
    assert "three.py" in said.err
    *places, last = map(json.loads, said.out.splitlines())
    assert [(p["path"], p["line"]) for p in places] == [("two.py", 1)]
    assert last["matches"] == 1
    wanted = b"d = os.getcwd()\r\ne = 1\r\n" if write else b"d = os.getcwdu()\r\ne = 1\r\n"
    assert (tmp_path / "two.py").read_bytes() == wanted


def test_edit_needs_an_instruction_or_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["edit"]) == 2
    assert "--like" in capsys.readouterr().err


def test_how_many_statements_stand_around_a_change_is_of_no_account() -> None:
    line = "  photo.id = number\n"
    rule = rule_of(
        f"function f() {{\n  a()\n{line}  b()\n}}\n", "function f() {\n  a()\n  b()\n}\n", "javascript"
    )
    more = f"function g() {{\n  one()\n  two()\n{line}  three()\n  four()\n}}\n"
    assert after(rule, more, "javascript") == more.replace(line, "")


def test_a_deletion_asks_for_any_neighbor() -> None:
    rule = rule_of("import a\nimport logging_shim\nimport c\n", "import a\nimport c\n")
    beside_others = "x = 1\nimport logging_shim\ny = 2\n"
    assert after(rule, beside_others) == "x = 1\ny = 2\n"


def test_what_a_deletion_takes_away_is_named() -> None:
    pre = "class A {\n  public static final int SIZE = 3;\n  public static final boolean BOXED = true;\n}\n"
    rule = rule_of(pre, "class A {\n  public static final int SIZE = 3;\n}\n", "java")
    other = pre.replace("BOXED", "CHECKED")
    assert after(rule, other, "java") == other


def test_one_of_two_alike_that_goes_went_by_accident() -> None:
    line = "# checked by the strict type reader\n"
    known = [f"x = {i}\n" for i in range(20)]
    mined = mine(f"{line}{line}import a\n", f"{line}import a\n", "python", known=known)
    assert (mined.tier, mined.reason) == ("literal", "takes away some only of what it matches")
    mined = mine(f"{line}import a\n", "import a\n", "python", known=known)
    assert mined.tier == "train", "all of them"


def test_the_smallest_construct_that_says_enough_is_taken() -> None:
    line = "@compat.unicode_methods\n"
    rule = rule_of(f"{line}class A:\n    pass\n", "class A:\n    pass\n")
    other = f"{line}def build(rows):\n    return rows\n"
    assert after(rule, other) == other.removeprefix(line)


def test_a_fix_does_not_spell_out_what_a_variable_stood_for() -> None:
    pre = "def f():\n    for x in {row.z for row in rows}:\n        yield x\n"
    rule = rule_of(pre, "def f():\n    yield from {row.z for row in rows}\n")
    assert after(rule, "for y in names():\n    yield y\n") == "yield from names()\n"


def test_a_word_in_a_comment_is_mended_in_others_too() -> None:
    pre = "def f(x):\n    # Wellp, the format literal was malformed, so skip it\n    return x\n"
    rule = rule_of(pre, pre.replace("Wellp", "Well"))
    assert after(rule, "y = 2  # Wellp\n") == "y = 2  # Well\n"


@pytest.mark.parametrize(
    ("language", "line", "other"),
    [
        ("java", "class B extends Reader1 {}\n", "class C {\n  Object r = Reader1.open();\n}\n"),
        ("typescript", "const r = new Reader1()\n", "function f(r: Reader1) {}\n"),
        ("go", "package p\n\nvar r Reader1\n", "package p\n\nvar r = Reader1{}\n"),
    ],
)
def test_a_type_is_renamed_as_a_type_and_as_a_name(language: Language, line: str, other: str) -> None:
    rule = rule_of(line, line.replace("Reader1", "Reader2"), language)
    assert after(rule, other, language) == other.replace("Reader1", "Reader2")


def test_a_variable_is_no_type() -> None:
    line = "class B {\n  int reader1 = 0;\n}\n"
    rule = rule_of(line, line.replace("reader1", "reader2"), "java")
    assert "any" not in rule["rule"]


def test_what_the_instruction_quotes_before_a_called_name_stays() -> None:
    mined = mine(
        "os.remove(path)\n", "os.unlink(path)\n", "python", instruction="Not `os.remove`: `os.unlink`."
    )
    assert mined.action is not None
    assert engine.apply(mined.action, "os.remove(other)\nitems.remove(3)\n").post == (
        "os.unlink(other)\nitems.remove(3)\n"
    )


def test_names_that_the_instruction_quotes_stay() -> None:
    pre, post = "x = out.strip()\n", "x = check(out.strip())\n"
    said = mine(pre, post, "python", instruction="Wrap calls of `out.strip` in `check(...)`.")
    unsaid = mine(pre, post, "python", instruction="Check what was stripped.")
    other = "y = name.strip()\n"
    assert said.action is not None and unsaid.action is not None
    assert engine.apply(said.action, other).post == other
    assert engine.apply(unsaid.action, other).post == "y = check(name.strip())\n"


def test_a_body_that_goes_stays_in_the_rule_where_nothing_else_is_named() -> None:
    rule = rule_of("try:\n    go()\nfinally:\n    pass\n", "go()\n")
    assert after(rule, "try:\n    run()\nfinally:\n    pass\n") == "run()\n"
    other = "try:\n    run()\nfinally:\n    close()\n"
    assert after(rule, other) == other


def test_what_is_done_with_a_name_that_goes_is_part_of_the_rule() -> None:
    rule = rule_of("for x in rows():\n    yield x\n", "yield from rows()\n")
    other = "for y in rows():\n    yield y + 1\n"
    assert after(rule, other) == other


def test_the_name_of_a_class_whose_bases_change_is_of_no_account() -> None:
    rule = rule_of("class Parser(object, B): pass\n", "class Parser(B): pass\n")
    assert after(rule, "class Reader(object, Base): pass\n") == "class Reader(Base): pass\n"


@pytest.mark.parametrize(
    ("pre", "post", "language", "other", "wanted"),
    [
        ("x = client.fetch(url)\n", "x = await client.fetch(url)\n", "python",
         "f(await a.fetch(b), c.fetch(d))\n", "f(await a.fetch(b), await c.fetch(d))\n"),
        ("for k in d.keys():\n    go(k)\n", "for k in list(d.keys()):\n    go(k)\n", "python",
         "list(d.keys())\nlist(f(d.keys()))\n", "list(d.keys())\nlist(f(list(d.keys())))\n"),
        ("x = load(a)\n", "x = store(1, key=load(a))\n", "python",
         "store(1, key=load(b))\nstore(2, key=load(b))\n",
         "store(1, key=load(b))\nstore(2, key=store(1, key=load(b)))\n"),
        ("save(a)\n", "void save(a)\n", "typescript",
         "void save(b)\n!save(b)\n", "void save(b)\n!void save(b)\n"),
    ],
)  # fmt: skip
def test_what_is_wrapped_already_is_not_wrapped_again(
    pre: str, post: str, language: Language, other: str, wanted: str
) -> None:
    rule = rule_of(pre, post, language)
    assert after(rule, post, language) in (None, post)
    assert after(rule, other, language) == wanted


@pytest.mark.parametrize(
    ("pre", "post", "language", "other", "wanted"),
    [
        ("x = Math.pow(a, b)\n", "x = a ** b\n", "javascript",
         "y = Math.pow(a + 1, b)\ny = Math.pow(f(a), (b - 1))\n",
         "y = Math.pow(a + 1, b)\ny = f(a) ** (b - 1)\n"),
        ("x = d.has_key(k)\n", "x = k in d\n", "python",
         "y = d.has_key(a or b)\ny = d.has_key(a + b)\n", "y = d.has_key(a or b)\ny = a + b in d\n"),
        ("x = size(a)\n", "x = a.size\n", "javascript",
         "y = size(await a)\ny = size(a[0])\n", "y = size(await a)\ny = a[0].size\n"),
        ("if len(a) == 0:\n    go()\n", "if not a:\n    go()\n", "python",
         "x = len(a or b) == 0\nx = len(a + b) == 0\n", "x = len(a or b) == 0\nx = not a + b\n"),
        ("class A { boolean f() { return Texts.isEmpty(s); } }\n",
         "class A { boolean f() { return s.isEmpty(); } }\n", "java",
         "class A { boolean f() { return Texts.isEmpty(s + t) || Texts.isEmpty(g(t)); } }\n",
         "class A { boolean f() { return Texts.isEmpty(s + t) || g(t).isEmpty(); } }\n"),
    ],
)  # fmt: skip
def test_an_operand_that_would_need_parentheses_in_its_new_place_is_left(
    pre: str, post: str, language: Language, other: str, wanted: str
) -> None:
    assert after(rule_of(pre, post, language), other, language) == wanted


def test_an_operand_that_an_example_moves_bare_may_be_such_a_one() -> None:
    rule = rule_of("x = Math.pow(-a, b)\n", "x = -a ** b\n", "javascript")
    assert after(rule, "y = Math.pow(-c, d)\n", "javascript") == "y = -c ** d\n"


@pytest.mark.parametrize(
    ("pre", "post", "language"),
    [
        ("x: Optional[int] = a\n", "x: int | None = a\n", "python"),
        ("f = function (x) { return g(x) }\n", "f = (x) => g(x)\n", "javascript"),
        ("x = total(a, b)\n", "x = total(b, a)\n", "python"),
    ],
)
def test_nothing_is_asked_of_what_no_loose_operand_can_be(pre: str, post: str, language: Language) -> None:
    constraints = str(rule_of(pre, post, language).get("constraints"))
    assert "lambda" not in constraints and "arrow_function" not in constraints


@pytest.mark.parametrize(
    ("pre", "post", "language", "other", "wanted"),
    [
        ("class A { boolean f(S s) { return s.equals(null); } }\n",
         "class A { boolean f(S s) { return s == null; } }\n", "java",
         "class B { boolean g(S s) { return !s.equals(null) || t.equals(null); } }\n",
         "class B { boolean g(S s) { return !s.equals(null) || t == null; } }\n"),
        ("x = concat(a, b);\n", "x = a + b;\n", "javascript",
         "y = concat(a, b).length;\ny = f(concat(c, d));\n", "y = concat(a, b).length;\ny = f(c + d);\n"),
        ("a = String.new('')\n", "a = +''\n", "ruby",
         "b = String.new('c').size\nd = String.new('e')\n", "b = String.new('c').size\nd = +'e'\n"),
        ("x = both(a, b)\n", "x = a and b\n", "python",
         "y = -both(a, b)\nif both(c, d):\n    pass\n", "y = -both(a, b)\nif c and d:\n    pass\n"),
    ],
)  # fmt: skip
def test_what_would_need_parentheses_where_it_comes_is_left(
    pre: str, post: str, language: Language, other: str, wanted: str
) -> None:
    assert after(rule_of(pre, post, language), other, language) == wanted


def test_what_an_example_puts_bare_into_a_place_may_stand_there() -> None:
    rule = rule_of("x = !isNone(a);\n", "x = !-a;\n", "javascript")
    assert after(rule, "y = !isNone(b);\n", "javascript") == "y = !-b;\n"


def test_a_reference_to_a_method_is_no_receiver() -> None:
    rule = rule_of("class A { P f = Ps.and(x, y); }\n", "class A { P f = x.and(y); }\n", "java")
    other = "class B { P f = Ps.and(Q::isSet, y); P g = Ps.and(q(), Q::isSet); }\n"
    assert after(rule, other, "java") == "class B { P f = Ps.and(Q::isSet, y); P g = q().and(Q::isSet); }\n"


def test_what_a_lambda_gives_in_parentheses_is_left() -> None:
    rule = rule_of("mock.make(() => 5);\n", "mock.give(5);\n", "javascript")
    other = "fake.make(() => ({ a: 1 }));\nfake.make(() => f(1));\n"
    assert after(rule, other, "javascript") == "fake.make(() => ({ a: 1 }));\nfake.give(f(1));\n"


@pytest.mark.parametrize(
    ("pre", "post", "language", "other"),
    [
        ("await later(() => save(1));\n", "save(1);\n", "javascript",
         "await later(() => {\n  f(x);\n});\n"),
        ("later(() => save(1));\n", "save(1).now();\n", "javascript", "later(() => { f(x); });\n"),
        ("class A { int f() { return later(() -> a()) + later(() -> b.c()); } }\n",
         "class A { int f() { return a() + b.c(); } }\n", "java",
         "class A { int f() { return later(() -> { g(); }); } }\n"),
    ],
)  # fmt: skip
def test_a_block_that_a_lambda_runs_is_no_value(pre: str, post: str, language: Language, other: str) -> None:
    assert after(rule_of(pre, post, language), other, language) == other


def test_a_block_may_move_from_one_lambda_to_another() -> None:
    rule = rule_of("later(() => save(1));\n", "soon(async () => save(1));\n", "javascript")
    other = "later(() => {\n  f(x);\n});\n"
    assert after(rule, other, "javascript") == "soon(async () => {\n  f(x);\n});\n"


@pytest.mark.parametrize(
    ("pre", "post", "language", "other"),
    [
        ("a = module.exports.foo + module.exports['bar'];\n", "a = exports.foo + exports['bar'];\n",
         "javascript", "module.exports = { foo: 1 };\n"),
        ("name = self.store.old\n", "name = store_of(self).old\n", "python", "self.store = None\n"),
    ],
)  # fmt: skip
def test_what_is_assigned_to_is_not_what_is_read(pre: str, post: str, language: Language, other: str) -> None:
    assert after(rule_of(pre, post, language), other, language) == other


def test_a_member_that_is_renamed_is_renamed_where_it_is_assigned_to() -> None:
    rule = rule_of("name = config.user_name\n", "name = config.owner\n")
    assert after(rule, "config.user_name = None\n") == "config.owner = None\n"


@pytest.mark.parametrize(
    ("pre", "post", "language", "other", "wanted"),
    [
        ("x = foo.substr(1);\n", "x = foo.slice(1);\n", "javascript",
         "y = a.substr(2);\ny = a.substr(0, 2);\n", "y = a.slice(2);\ny = a.substr(0, 2);\n"),
        ("x = rows.fetch()\n", "x = rows.take()\n", "python",
         "a = b.fetch()\na = b.fetch(2)\na = b.fetch\n", "a = b.take()\na = b.fetch(2)\na = b.fetch\n"),
        ("f(log.lines + 5)\n", "f(log.__iter__ + 5)\n", "python",
         "g(log.lines)\nh(log.lines())\n", "g(log.__iter__)\nh(log.lines())\n"),
    ],
)  # fmt: skip
def test_a_member_of_anything_is_meant_as_it_is_used(
    pre: str, post: str, language: Language, other: str, wanted: str
) -> None:
    assert after(rule_of(pre, post, language), other, language) == wanted


@pytest.mark.parametrize(
    ("pre", "post", "other", "wanted"),
    [
        ("a.fetch(1); b.fetch(1, 2);\n", "a.take(1); b.take(1, 2);\n", "c.fetch();\n", "c.take();\n"),
        ("fetch(1);\n", "take(1);\n", "fetch(1, 2);\n", "take(1, 2);\n"),
        ("Rows.fetch(1);\n", "Rows.take(1);\n", "Rows.fetch(1, 2);\n", "Rows.take(1, 2);\n"),
        ("a.warn(1);\n", "a.warning(1);\n", "b.warn(1, 2);\n", "b.warning(1, 2);\n"),
    ],
)
def test_what_is_named_or_used_in_unlike_ways_may_have_any_arguments(
    pre: str, post: str, other: str, wanted: str
) -> None:
    assert after(rule_of(pre, post, "javascript"), other, "javascript") == wanted


def test_a_text_that_gets_another_beside_it_is_told_by_what_holds_it_and_a_name_is_not() -> None:
    def made(first: str, second: str) -> str | None:
        rule = rule_of(f"rows = [{first}]\n", f"rows = [{first}, {second}]\n")
        return after(rule, f"others = [{first}]\n")

    assert made('"first"', '"second"') == 'others = ["first"]\n'
    assert made("first", "second") == "others = [first, second]\n"


def test_what_becomes_two_arguments_is_an_argument() -> None:
    pre = "class A { void f() { isFalse(a.x() == b); check(c == d.y()); } }\n"
    rule = rule_of(pre, "class A { void f() { isFalse(a.x(), b); check(c, d.y()); } }\n", "java")
    other = "class B { boolean f() { check(e == f); return g == h; } }\n"
    assert after(rule, other, "java") == "class B { boolean f() { check(e, f); return g == h; } }\n"


def test_a_link_that_comes_into_a_chain_is_not_there_already() -> None:
    rule = rule_of("expect(a).toBeCalledTimes(0);\n", "expect(a).not.toBeCalled();\n", "javascript")
    other = "expect(f).not.toBeCalledTimes(0);\nexpect(f).resolves.toBeCalledTimes(0);\n"
    wanted = "expect(f).not.toBeCalledTimes(0);\nexpect(f).resolves.not.toBeCalled();\n"
    assert after(rule, other, "javascript") == wanted


@pytest.mark.parametrize(
    ("pre", "post", "language", "other", "wanted"),
    [
        ("text.letters[42]\n", "text[42]\n", "ruby",
         "name.letters[1]\nname.letters.first\n", "name[1]\nname.letters.first\n"),
        ("n = text.chars().length;\n", "n = text.length;\n", "javascript",
         "m = a.chars().length;\nb = a.chars().sort();\n", "m = a.length;\nb = a.chars().sort();\n"),
        ("class A { int f() { return s.stream().count(); } }\n",
         "class A { int f() { return s.count(); } }\n", "java",
         "class B { int f() { return t.stream().count() + t.stream().sum(); } }\n",
         "class B { int f() { return t.count() + t.stream().sum(); } }\n"),
    ],
)  # fmt: skip
def test_a_link_of_a_chain_goes_before_the_same_link_only(
    pre: str, post: str, language: Language, other: str, wanted: str
) -> None:
    assert after(rule_of(pre, post, language), other, language) == wanted


def test_a_call_that_no_link_follows_may_go_anywhere() -> None:
    rule = rule_of("for x in f.xlines(): go(x)\n", "for x in f: go(x)\n")
    assert after(rule, "y = g.xlines()\n") == "y = g\n"


def test_no_quotes_come_into_an_f_string() -> None:
    rule = rule_of('x = "a: {}".format(y)\n', 'x = f"a: {y}"\n')
    other = 'u = "a: {}".format(d["k"])\nv = "a: {}".format(d.k)\n'
    assert after(rule, other) == 'u = "a: {}".format(d["k"])\nv = f"a: {d.k}"\n'


@pytest.mark.parametrize(
    ("old", "new", "tier"),
    [
        ("List", "Collection", "literal"),
        ("Exception", "IOException", "literal"), ("Throwable", "IOException | Error", "literal"),
        ("ZipError", "ZipException", "train"),
    ],
)  # fmt: skip
def test_which_kind_of_a_root_type_is_meant_is_not_said(old: str, new: str, tier: str) -> None:
    code = "class A { void f() { try { go(); } catch ({0} e) { stop(); } } }\n"
    assert mine(code.replace("{0}", old), code.replace("{0}", new), "java").tier == tier


def test_types_of_numbers_are_root_types_too() -> None:
    code = "package p\n\ntype T struct {\n\tcount {0}\n}\n"
    assert mine(code.replace("{0}", "int32"), code.replace("{0}", "atomic.Int32"), "go").tier == "literal"


def test_a_number_that_becomes_the_text_of_a_string_is_no_name_of_one() -> None:
    rule = rule_of("listen(joined(host, 123))\n", "listen(paired(host, '123'))\n")
    other = "listen(joined(host, 80))\nlisten(joined(host, port))\n"
    assert after(rule, other) == "listen(paired(host, '80'))\nlisten(joined(host, port))\n"


def test_a_value_is_asked_for_where_it_stands_unless_it_is_only_written_otherwise() -> None:
    rule = rule_of("retry(times=3)\n", "retry(times=5)\n")
    assert after(rule, "retry(times=3, wait=3)\n") == "retry(times=5, wait=3)\n"
    rule = rule_of("APPS = ['auth', 'admin']\n", "APPS = ['auth', 'sites', 'admin']\n")
    assert after(rule, "ROLES = ['auth', 'admin']\n") == "ROLES = ['auth', 'admin']\n"
    rule = rule_of("mode = 0644\n", "mode = 0o644\n")
    assert after(rule, "other = 0644\n") == "other = 0o644\n"


DOCUMENTED = "<?php\nclass A\n{\n    /**\n     * {0}\n     */\n    public function run() { return 1; }\n}\n"
ATTRIBUTED = "<?php\nclass A\n{\n    {0}\n    public function run() { return 1; }\n}\n"


@pytest.mark.parametrize(
    ("said", "attribute", "other", "wanted"),
    [
        ("@small", "#[Small]", "/** @small */", "#[Small]"),
        ("@covers \\Kit\\Shelf", "#[Covers(\\Kit\\Shelf::class)]", "// @covers Box", "#[Covers(Box::class)]"),
        ("@uses Shelf::row", "#[Uses(Shelf::class, 'row')]", "/** @uses A::b */", "#[Uses(A::class, 'b')]"),
        ("@price $five", "#[Price('$five')]", "/** @price $six */", "#[Price('$six')]"),
        ("@small", "#[Small]", "/** @small and more */", "/** @small and more */"),
        ("@covers \\Kit\\Shelf", "#[Covers(\\Kit\\Shelf::class)]", "/** @covers */", "/** @covers */"),
    ],
)
def test_a_comment_that_becomes_code_may_be_laid_out_in_any_way(
    said: str, attribute: str, other: str, wanted: str
) -> None:
    rule = rule_of(DOCUMENTED.replace("{0}", said), ATTRIBUTED.replace("{0}", attribute), "php")
    assert after(rule, ATTRIBUTED.replace("{0}", other), "php") == ATTRIBUTED.replace("{0}", wanted)


@pytest.mark.parametrize(
    ("pre", "post"),
    [
        (
            DOCUMENTED.replace("{0}", "@small\n     * @slow"),
            ATTRIBUTED.replace("{0}", "#[Small]\n    #[Slow]"),
        ),
        (DOCUMENTED.replace("{0}", "Sets a shelf"), ATTRIBUTED.replace("{0}", "/** Takes a shelf */")),
        (DOCUMENTED.replace("{0}", "return 2;"), ATTRIBUTED.replace("{0}", "use X; /* a */ const B = 3;")),
    ],
    ids=["two lines", "another comment", "a comment beside code"],
)
def test_a_comment_that_says_more_or_stays_one_is_matched_as_it_stands(pre: str, post: str) -> None:
    assert "[\\s/*#]*" not in str(rule_of(pre, post, "php"))


def test_a_key_with_its_value_says_too_little_of_where_it_stands() -> None:
    code = "<?php\nfunction f($b) {\n  return [{0}, 'x' => 1];\n}\n"
    before, done = code.replace("{0}", "'read_only' => $b"), code.replace("{0}", "$b")
    mined = mine(before, done, "php")
    assert (mined.tier, mined.reason) == ("literal", "a key with its value: what holds it is not said")
    twice = "<?php\nfunction f($b, $c) {\n  return [{0}, g([{1}, 2])];\n}\n"
    pre = twice.replace("{0}", "'read_only' => $b").replace("{1}", "'read_only' => $c")
    mined = mine(pre, twice.replace("{0}", "$b").replace("{1}", "$c"), "php")
    assert (mined.tier, mined.figures.sites) == ("train", 2)


@pytest.mark.parametrize(
    ("pre", "post", "language", "tier"),
    [
        ("from old_kit import Shelf\nShelf(1)\n", "from new_kit import Shelf\nShelf(1)\n", "python", "train"),
        (
            "from old_kit import Shelf\nfrom old_kit import Box\nBox(1)\n",
            "from new_kit import Shelf\nfrom new_kit import Box\nBox(1)\n",
            "python",
            "train",
        ),
        ("import old_kit as kit\nkit.run(1)\n", "import new_kit as kit\nkit.run(1)\n", "python", "train"),
        (
            "import traverse from 'traverse';\ntraverse(1);\n",
            "import traverse from 'neotraverse/legacy';\ntraverse(1);\n",
            "javascript",
            "train",
        ),
        ("import a.old_kit.Shelf;\nclass A {}\n", "import a.new_kit.Shelf;\nclass A {}\n", "java", "literal"),
        (
            "import old.kit.part.Shelf;\nclass A {}\n",
            "import old.part.small.Shelf;\nclass A {}\n",
            "java",
            "literal",
        ),
        ("import old.a.B;\nimport old.b.C;\n", "import new_kit.a.B;\nimport new_kit.b.C;\n", "java", "train"),
    ],
)  # fmt: skip
def test_one_name_of_a_module_says_nothing_of_its_others(
    pre: str, post: str, language: Language, tier: str
) -> None:
    mined = mine(pre, post, language)
    assert (mined.tier, "the edit shows `Shelf` only" in mined.reason) == (tier, tier == "literal"), (
        mined.reason
    )


@pytest.mark.parametrize(
    "code",
    [
        "import {0}.box.*;\nclass A {}\n",
        "import {0}.box.Shelf;\nimport {0}.box.Lid;\nclass A {}\n",
        "@{0}.box.Shelf class A {}\n",
        "import shop.{0}.box.Shelf;\nclass A {}\n",
    ],
)
def test_one_package_of_several_says_nothing_of_the_others(code: str) -> None:
    mined = mine(code.replace("{0}", "oldkit"), code.replace("{0}", "newkit"), "java")
    assert (mined.tier, mined.reason) == ("literal", "of `oldkit` the edit shows `box` only")


def test_what_frames_the_text_of_a_comment_is_as_little_as_blanks() -> None:
    """Where the stars of one comment stand says nothing of the next one's; a word in it does."""
    code = "/**\n * Adds up */\nadd();\n"
    framed = mine(code, code.replace("\n * Adds", " Adds"), "javascript")
    assert (framed.tier, framed.reason) == ("literal", "changes blanks only")
    assert mine("// see @paramm\nadd();\n", "// see @param\nadd();\n", "javascript").tier == "train"
