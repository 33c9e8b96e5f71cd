"""Each operator on small edits of its own, in two languages or more, judged by the engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ast_grep_py import SgRoot

from rulewright import engine
from rulewright.actions import Action
from rulewright.languages import Language
from rulewright.mining import Mined, mine
from rulewright.mining.rules import callees
from rulewright.mining.text.align import variants
from rulewright.mining.text.tree import Tree

Case = tuple[Language, str, str]


def solved(language: Language, pre: str, post: str) -> Mined:
    mined = mine(pre, post, language)
    assert mined.action is not None, mined.reason
    assert engine.apply(mined.action, pre).post == post
    return mined


def one_rule(language: Language, pre: str, post: str) -> dict[str, Any]:
    mined = solved(language, pre, post)
    assert mined.action is not None
    assert len(mined.action.rules) == 1
    return dict(mined.action.rules[0])


_PY_CHAIN = "app = (Builder()\n    .add(net.Url)\n{}    .add(nio.Order)\n    .build())\n"
_JAVA_CHAIN = "class A {{\n  Object a = b()\n      .add(net.Url.class)\n{}      .add(nio.Order.class);\n}}\n"
LISTS: list[Case] = [
    (
        "python",
        "ALL = [\n    'alpha',\n    'gamma',\n]\n",
        "ALL = [\n    'alpha',\n    'beta',\n    'gamma',\n]\n",
    ),
    (
        "python",
        "from lib import (\n    One,\n    Three,\n)\n",
        "from lib import (\n    One,\n    Two,\n    Three,\n)\n",
    ),
    ("javascript", "start({ host: h, port: p })\n", "start({ host: h, port: p, tls: true })\n"),
    ("typescript", "import { A, C } from 'm'\nuse(A, C)\n", "import { A, B, C } from 'm'\nuse(A, C)\n"),
    (
        "java",
        "class A {\n  void f() {\n    run(1, x);\n  }\n}\n",
        "class A {\n  void f() {\n    run(1, x, true);\n  }\n}\n",
    ),
    ("python", _PY_CHAIN.format(""), _PY_CHAIN.format("    .add(http.Client)\n")),
    ("java", _JAVA_CHAIN.format(""), _JAVA_CHAIN.format("      .add(http.Client.class)\n")),
]


@pytest.mark.parametrize(("language", "pre", "post"), LISTS)
def test_an_item_is_put_into_a_list_and_taken_out(language: Language, pre: str, post: str) -> None:
    for old, new in ((pre, post), (post, pre)):
        rule = one_rule(language, old, new)
        assert len(json.dumps(rule)) <= 400


def test_a_keyword_added_to_every_call_generalizes() -> None:
    pre = "a = Parser(prog=name)\nb = Parser(usage=u, prog=p)\n"
    post = "a = Parser(prog=name, strict=True)\nb = Parser(usage=u, prog=p, strict=True)\n"
    rule = one_rule("python", pre, post)
    assert "$" in json.dumps(rule["rule"])


_PY_DEFS = "def one(a):\n    first(a)\n    return a\n\n\n{}def two(b):\n    second(b)\n    return b\n"
_JS_DEFS = (
    "function one(a) {{\n  first(a)\n  return a\n}}\n\n{}function two(b) {{\n  second(b)\n  return b\n}}\n"
)
_GO_DEFS = "package p\n\nfunc one() {{\n\tfirst()\n}}\n\n{}func two() {{\n\tsecond()\n}}\n"
BESIDE: list[Case] = [
    ("python", _PY_DEFS.format(""), _PY_DEFS.format("LIMIT = 10\n\n\n")),
    ("javascript", _JS_DEFS.format(""), _JS_DEFS.format("// what follows\n")),
    ("go", _GO_DEFS.format(""), _GO_DEFS.format("// two comes last.\n")),
]


@pytest.mark.parametrize(("language", "pre", "post"), BESIDE)
def test_new_code_beside_a_definition_finds_it_by_its_name(language: Language, pre: str, post: str) -> None:
    rule = one_rule(language, pre, post)
    assert len(json.dumps(rule)) <= 250
    assert "second" not in json.dumps(rule)


MANY_GONE: list[Case] = [
    ("python", "import os\nkeep()\n\n# old\nfrom x import y\nz = True\n", "import os\nkeep()\n"),
    ("javascript", "keep()\nfirst(1)\nsecond(2)\nthird(3)\nlast()\n", "keep()\nlast()\n"),
    ("java", "class A {\n  int a;\n  int b;\n  int c;\n  int d;\n}\n", "class A {\n  int a;\n  int d;\n}\n"),
]


@pytest.mark.parametrize(("language", "pre", "post"), MANY_GONE)
def test_neighbors_go_together_with_their_lines(language: Language, pre: str, post: str) -> None:
    assert len(json.dumps(one_rule(language, pre, post))) <= 400


_JSDOC = "/**\n * Gets the {0}.\n * @public\n{1} */\nfunction {0}() {{\n  return {0}_\n}}\n\n"
_PYDOC = 'def {0}():\n    """Get the {0}.\n\n    It is public.\n{1}    """\n    return _{0}\n\n\n'
COMMENTS: list[Case] = [
    (
        "javascript",
        _JSDOC.format("head", "") + _JSDOC.format("tail", ""),
        _JSDOC.format("head", "") + _JSDOC.format("tail", " * @deprecated use head\n"),
    ),
    (
        "python",
        _PYDOC.format("head", "") + _PYDOC.format("tail", ""),
        _PYDOC.format("head", "") + _PYDOC.format("tail", "    Deprecated: use head.\n"),
    ),
]


@pytest.mark.parametrize(("language", "pre", "post"), COMMENTS)
def test_a_line_comes_into_one_of_several_comments_that_are_alike(
    language: Language, pre: str, post: str
) -> None:
    text = json.dumps(one_rule(language, pre, post))
    assert len(text) <= 400
    assert "tail" in text or "transform" in text


REFLOWED: list[Case] = [
    (
        "python",
        'def f():\n    """Does it.\n\n    This can also be used with a first helper or\n'
        '    with a second helper to find the position,\n    but you should use the third.\n    """\n',
        'def f():\n    """Does it.\n\n    This can also be used with a second helper or a first\n'
        '    helper to compute a position, but you should use the third.\n    """\n',
    ),
    (
        "go",
        "package p\n\n/* f gives a very long explanation of everything that happens here\n"
        "and goes on with it for another line and still more words\nuntil the end. */\nfunc f() {}\n",
        "package p\n\n/* f says little and goes on with it for another line and\n"
        "still more words until the end. */\nfunc f() {}\n",
    ),
]


@pytest.mark.parametrize(("language", "pre", "post"), REFLOWED)
def test_reflowed_text_is_one_rule(language: Language, pre: str, post: str) -> None:
    assert "transform" in one_rule(language, pre, post)


_PY_BODY = (
    "def work(a, b):\n    # the frist step\n    x = start(a)\n{}    y = middle(x)\n    z = other(y)\n"
    "    return finish({}z, b)\n"
)
_JS_BODY = (
    "function work(a, b) {{\n  // the frist step\n  let x = start(a)\n{}  let y = middle(x)\n"
    "  let z = other(y)\n  return finish({}z, b)\n}}\n"
)
UNLIKE: list[Case] = [
    ("python", _PY_BODY.format("", ""), _PY_BODY.replace("frist", "first").format("    check(x)\n", "y, ")),
    ("javascript", _JS_BODY.format("", ""), _JS_BODY.replace("frist", "first").format("  check(x)\n", "y, ")),
]


@pytest.mark.parametrize(("language", "pre", "post"), UNLIKE)
def test_unlike_changes_in_one_function_are_one_rule(language: Language, pre: str, post: str) -> None:
    one_rule(language, pre, post)


MODIFIERS: list[Case] = [
    (
        "java",
        "class A {\n  int n = 3;\n  void f() { }\n}\n",
        "class A {\n  final int n = 3;\n  void f() { }\n}\n",
    ),
    (
        "java",
        "class A {\n  void f() {\n    g();\n  }\n}\n",
        "class A {\n  @Override\n  void f() {\n    g();\n  }\n}\n",
    ),
    ("python", "def load(a):\n    return a\n", "async def load(a):\n    return a\n"),
    (
        "python",
        "class A:\n    def load(a):\n        return a\n",
        "class A:\n    @staticmethod\n    def load(a):\n        return a\n",
    ),
    ("typescript", "class A { n = 3 }\n", "class A { readonly n = 3 }\n"),
    ("typescript", "function f(a) { return a }\n", "function f(a: number): number { return a }\n"),
    ("javascript", "function f() { g() }\n", "export function f() { g() }\n"),
    (
        "javascript",
        "if (a == b) { c() }\nif (d == e) { f() }\n",
        "if (a === b) { c() }\nif (d === e) { f() }\n",
    ),
    ("go", "package p\n\nvar a = f(x != nil)\n", "package p\n\nvar a = f(x == nil)\n"),
]


@pytest.mark.parametrize(("language", "pre", "post"), MODIFIERS)
def test_modifiers_types_and_operators(language: Language, pre: str, post: str) -> None:
    assert len(json.dumps(one_rule(language, pre, post))) <= 400


def test_a_hunk_lies_where_it_brings_in_whole_nodes() -> None:
    pre = "b.add(a.One)\n b.add(a.Three)\n".replace(" b", "b")
    post = pre.replace("b.add(a.Three)", "b.add(a.Two)\nb.add(a.Three)")
    edit = next(variants(Tree(pre, "javascript"), Tree(post, "javascript")))
    assert len(edit.hunks) == 1
    assert post[edit.hunks[0].b0 : edit.hunks[0].b1].strip() == "b.add(a.Two)"


def test_a_hunk_moves_aside_for_a_range_that_it_reaches_into() -> None:
    pre, post = "f(1)\nf(2)\ng(3)\n", "f(1)\ng(3)\n"
    edit = next(variants(Tree(pre, "python"), Tree(post, "python")))
    spans = {(m.start, m.end) for m in edit.map_range(0, pre.index("\ng"))}
    assert (0, post.index("\ng")) in spans
    assert {(m.start, m.end) for m in edit.map_range(0, len(pre))} == {(0, len(post))}


def test_compact_general_rules_come_before_one_that_covers_more() -> None:
    filler = "".join(f"keep_{i}(a, b, c)\n" for i in range(30))
    pre = f"import alpha\n{filler}x = alpha.load_all(1)\n{filler}raise Wrong, 'bad'\n"
    post = f"import beta\n{filler}x = beta.load_all(1)\n{filler}raise Wrong('bad')\n"
    mined = solved("python", pre, post)
    assert "run" not in mined.shapes
    assert "literal" not in mined.shapes


def test_all_that_a_file_holds_is_taken_out() -> None:
    rule = one_rule("python", "from six.moves import map\n", "\n")
    assert rule["fix"] == ""


def test_a_member_comes_first_in_a_long_class_with_lines_around_it() -> None:
    body = "".join(f"    total = total + weight_of({i});\n" for i in range(90))
    member = f"int total(int total) {{\n{body}    return total;\n  }}"
    pre = f"abstract class Loop extends Base {{\n  {member}\n}}\n"
    post = f"abstract class Loop extends Base {{\n\n  static final long ID = 0;\n\n  {member}\n}}\n"
    one_rule("java", pre, post)


@pytest.mark.parametrize(
    ("language", "before", "other", "after"),
    [
        ("java", "class A { void f() { filter.old(1); } }",
         "class B { void g() { x.old(2); old(3); } }", "class B { void g() { x.fresh(2); old(3); } }"),
        ("ruby", "filter.old(1)\n", "x.old(2)\nold(3)\n", "x.fresh(2)\nold(3)\n"),
        ("java", "class A { void f() { old(1); } }",
         "class B { void g() { old(3); } }", "class B { void g() { fresh(3); } }"),
    ],
)  # fmt: skip
def test_a_call_of_a_value_is_none_without_a_receiver(
    language: Language, before: str, other: str, after: str
) -> None:
    rename: dict[str, Any] = {"rule": {"kind": "identifier", "regex": "^old$"}, "fix": "fresh"}
    nodes = SgRoot(before, language).root().find_all(kind="identifier", regex="^old$")
    action = callees.as_call_rules(Action(language, (rename,), mode="rule"), before, nodes)
    assert action is not None and engine.apply(action, other).post == after
