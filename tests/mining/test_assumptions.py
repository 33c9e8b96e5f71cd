"""What a rule asks of other places beyond its pattern, read off the place that it was learned from."""

from __future__ import annotations

from typing import Any

import pytest

from rulewright import engine
from rulewright.languages import Language
from rulewright.mining import mine
from rulewright.mining.rules.reading import bits

LOOSE = [
    "named_expression", "lambda", "yield", "conditional_expression", "boolean_operator", "not_operator",
    "comparison_operator", "binary_operator", "unary_operator", "await",
]  # fmt: skip
"""Expressions of Python, the loosest first."""


SPREADS = ["keyword_argument", "list_splat", "dictionary_splat"]
"""Arguments of Python that are no expressions."""


def no_looser(n: int) -> dict[str, Any]:
    """None of the first `n` kinds that hold together more loosely, and no argument that is no expression."""
    return {"not": {"kind": ", ".join(LOOSE[:n] + SPREADS)}}


def not_in(kinds: str, **more: Any) -> dict[str, Any]:
    return {"not": {"inside": {"kind": kinds, **more}}}


def asked(pre: str, post: str, language: Language) -> tuple[dict[str, Any], dict[str, Any]]:
    """The demands of the one rule for an edit beside its pattern, and those of its variables."""
    action = mine(pre, post, language).action
    assert action is not None
    [rule] = action.rules
    return {key: rule["rule"][key] for key in rule["rule"] if key != "pattern"}, rule.get("constraints", {})


def both(*demands: dict[str, Any]) -> dict[str, Any]:
    """What must not be, if it is several things."""
    return {"not": {"any": list(demands)}}


NO_QUOTES = {"A": {"not": {"regex": r"""[\"'\\\n]"""}}}
ALL = (
    "attribute, await, binary_operator, boolean_operator, call, comparison_operator, not_operator,"
    " unary_operator"
)
"""What holds together more tightly than a condition does."""
TIGHT = "attribute, await, call, unary_operator"
"""What holds together more tightly than two operands do."""


def beside(signs: str) -> dict[str, Any]:
    """In an operation with one of these operators."""
    return {"inside": {"kind": "binary_operator", "has": {"regex": f"^({signs})$"}}}


AS_A_SUM = beside(r"%|\&|\*|\*\*|-|\.|/|//|<<|>>|>>>|@|\^|\|")
AS_A_PRODUCT = beside(r"%|\&|\*\*|/|//|<<|>>|>>>|@|\^|\|")
H = {"kind": "call", "inside": {"kind": "argument_list", "inside": {"pattern": "g(h($_))"}}}


@pytest.mark.parametrize(
    ("pre", "post", "place", "variables"),
    [
        # A value that gets parentheses is of its kind, and so is what holds them.
        ("x = old(a)\n", "x = (a)\n", {"inside": {"kind": "assignment"}}, {"A": {"kind": "identifier"}}),
        ("x = old(a).b\n", "x = (a).b\n", {"inside": {"kind": "attribute"}}, {"A": {"kind": "identifier"}}),
        ("x = old(a + c)\n", "x = (a + c).b\n", {}, {"A": {"kind": "binary_operator"}}),
        # What comes into an f-string has no quotes.
        ("x = old(a)\n", 'x = f"{a}"\n', {}, NO_QUOTES),
        ("x = '%s' % a\n", "x = f'{a}'\n", {}, NO_QUOTES),
        ("x = fmt('%s', a)\n", "x = f'{a!r}'\n", {}, NO_QUOTES),
        ("x = fmt(a)\n", "x = F'{a:3}'\n", {}, NO_QUOTES),
        # A link that comes is not there yet.
        ("x = a.c.b\n", "x = a.c.d.b\n", {"not": {"inside": {"pattern": "$_.d"}}}, {}),
        # An operand holds together as tightly as its new place needs it.
        ("x = old(a)\n", "x = a.b\n", {}, {"A": no_looser(10)}),
        ("x = old(a)\n", "x = a[1]\n", {}, {"A": no_looser(10)}),
        ("x = old(a)\n", "x = a()\n", {}, {"A": no_looser(10)}),
        ("x = old(a)\n", "x = new[a]\n", {}, {"A": no_looser(0)}),
        ("x = old(a)\n", "x = await a\n", not_in("attribute, call"), {"A": no_looser(10)}),
        ("x = old(a)\n", "x = -a\n", not_in("attribute, call"), {"A": no_looser(9)}),
        ("x = old(a, b)\n", "x = a * b\n", both(not_in(TIGHT)["not"], AS_A_PRODUCT),
         {"A": no_looser(8), "B": no_looser(8)}),
        ("x = old(a, b) + c\n", "x = a + b + c\n", both(not_in(TIGHT)["not"], AS_A_SUM),
         {"A": no_looser(8), "B": no_looser(8)}),
        ("x = old(a)\n", "x = not a\n",
         not_in("attribute, await, binary_operator, call, comparison_operator, unary_operator"),
         {"A": no_looser(6)}),
        ("x = old(a, b)\n", "x = a if b else c\n", 
         both(not_in(ALL)["not"], {"inside": {"kind": "conditional_expression"}}),
         {"A": no_looser(4), "B": no_looser(4)}),
        ("x = a ** b\n", "x = a + b\n", {"not": AS_A_SUM}, {}),
        # It did so already, or is no looser than what was there.
        ("x = a + b\n", "x = a ** b\n", {}, {}),
        ("x = a == b\n", "x = not a\n", {}, {}),
        # What is read here is not assigned to, unless it stays what it is.
        ("x = a.old\n", "x = new(a)\n", not_in("assignment, augmented_assignment", field="left"), {}),
        ("a.old = 1\n", "new(a)\n", {}, {}),
        # One item becomes two where there are items.
        ("f(old(a))\n", "f(a, b)\n", {"inside": {"kind": "argument_list"}}, {"A": no_looser(0)}),
        ("f(old(a))\n", "f(b, a)\n", {"inside": {"kind": "argument_list"}}, {}),
        ("x = [old(a)]\n", "x = [a, b]\n", {"inside": {"kind": "list"}}, {"A": no_looser(0)}),
        ("x = old(a)\n", "x = a, b\n", {}, {"A": no_looser(0)}),
        # What is put around it is not there yet.
        ("x = f(a)\n", "x = g(f(a))\n", not_in("argument_list", inside={"pattern": "g($_)"}), {}),
        ("x = f(a)\n", "x = g(h(f(a)))\n", not_in("argument_list", inside=H), {}),
        ("f(a)\n", "with g:\n    f(a)\n", {"not": {"inside": {"pattern": "with g:\n    $_"}}}, {}),
        ("x = f(a)\n", "x = g(f(b))\n", {}, {}),
        ("f(a)\n", "(f(a))\n",
         {"inside": {"kind": "expression_statement"}, "not": {"inside": {"pattern": "($_)"}}}, {}),
    ],
)  # fmt: skip
def test_what_is_asked_beside_the_pattern(
    pre: str, post: str, place: dict[str, Any], variables: dict[str, Any]
) -> None:
    assert asked(pre, post, "python") == (place, variables)


@pytest.mark.parametrize(
    ("language", "pre", "post", "code", "wanted"),
    [
        # Between operators that hold as tightly as the new one, or more so.
        ("python", "x = add(a, b)\n", "x = a + b\n", "y = add(c, d) * 2\nz = 1 - add(c, d)\n", ""),
        ("python", "x = add(a, b)\n", "x = a + b\n", "y = 1 + add(c, d) == 2\n", "y = 1 + c + d == 2\n"),
        ("python", "x = both(a, b)\n", "x = a and b\n", "y = c or both(d, e)\n", "y = c or d and e\n"),
        ("python", "x = one(a, b)\n", "x = a or b\n", "y = c and one(d, e)\n", ""),
        ("python", "x = same(a, b)\n", "x = a == b\n", "y = c == same(d, e)\n", ""),
        ("python", "x = cut(a)\n", "x = a & 1\n", "y = c == cut(d)\n", "y = c == d & 1\n"),
        ("javascript", "x = cut(a);\n", "x = a & 1;\n", "y = c == cut(d);\n", ""),
        ("javascript", "x = same(a, b);\n", "x = a == b;\n", "y = c && same(d, e);\n", "y = c && d == e;\n"),
        ("javascript", "x = same(a, b);\n", "x = a == b;\n", "y = c + same(d, e);\n", ""),
        ("java", "class A { int x = add(a, b); }\n", "class A { int x = a + b; }\n",
         "class B { int y = add(c, d) * 2; }\n", ""),
        ("go", "package p\n\nvar x = add(a, b)\n", "package p\n\nvar x = a + b\n",
         "package p\n\nvar y = 2 * add(c, d)\n", ""),
        ("rust", "fn f() { let x = add(a, b); }\n", "fn f() { let x = a + b; }\n",
         "fn g() { let y = add(c, d) % 2; }\n", ""),
        ("cpp", "int x = add(a, b);\n", "int x = a + b;\n", "int y = add(c, d) << 2;\n", ""),
        # An argument that is no expression, or stands after all others.
        ("python", "f(a, b)\n", "g(b, a)\n", "f(c, *d)\nf(c, e=d)\n", ""),
        ("python", "f(a, b)\n", "g(b, a)\n", "f(*c, d)\n", "g(d, *c)\n"),
        ("python", "f(a)\n", "g(1, a)\n", "f(e=c)\n", "g(1, e=c)\n"),
        ("python", "x = f(a)\n", "x = a.f()\n", "y = f(*c)\n", ""),
        ("javascript", "f(a, b);\n", "g(b, a);\n", "f(c, ...d);\n", ""),
    ],
)  # fmt: skip
def test_where_the_new_code_would_mean_something_else(
    language: Language, pre: str, post: str, code: str, wanted: str
) -> None:
    action = mine(pre, post, language).action
    assert action is not None and engine.apply(action, pre).post == post
    assert (engine.apply(action, code).post or code) == (wanted or code)


@pytest.mark.parametrize(
    ("language", "pre", "post", "right", "wrong"),
    [
        # What holds less tightly than its new place would need parentheses there.
        ("typescript", "let x: Array<Foo>;\nlet y: Array<Bar>;\n", "let x: Foo[];\nlet y: Bar[];\n",
         ["let x: Array<A.B>;\n", "let x: Array<A<B>>;\n", "let x: Array<(A | B)>;\n",
          "let x: Array<A[]>;\n"],
         ["let x: Array<A | B>;\n", "let x: Array<A & B>;\n", "let x: Array<() => A>;\n",
          "let x: Array<new () => A>;\n", "let x: Array<keyof A>;\n", "let x: Array<readonly A[]>;\n",
          "let x: Array<A extends B ? C : D>;\n", "type X<T> = T extends Array<infer U> ? U : T;\n"]),
        ("typescript", "let x: Maybe<Foo>;\nlet y: Maybe<Bar>;\n", "let x: Foo | null;\nlet y: Bar | null;\n",
         ["let x: Maybe<A | B>;\n", "let x: Maybe<A & B>;\n", "let x: A | Maybe<B>;\n", "f<Maybe<A>>();\n"],
         ["let x: Maybe<A>[];\n", "let x: Maybe<() => A>;\n", "let x: A & Maybe<B>;\n",
          "let x: Maybe<A>['a'];\n"]),
        ("kotlin", "val x: Maybe<Foo> = a\nval y: Maybe<Bar> = b\n", "val x: Foo? = a\nval y: Bar? = b\n",
         ["val x: Maybe<List<A>> = a\n"], ["val x: Maybe<(A) -> B> = a\n", "val x: Maybe<out A> = a\n"]),
        ("java", "class A { Maybe<Foo> a; Maybe<Bar> b; }\n", "class A { Foo a; Bar b; }\n",
         ["class A { Maybe<List<? super B>> a; }\n"], ["class A { Maybe<? extends B> a; }\n"]),
        # The name of a type in quotes joins no other.
        ("python", "x: Optional[int]\ny: Optional[str]\n", "x: int | None\ny: str | None\n",
         ["x: Optional[a.B]\n", "x: Optional[dict[str, 'A']]\n"], ["x: Optional['A']\n"]),
        ("python", "x: List[int]\ny: List[str]\n", "x: list[int]\ny: list[str]\n", ["x: List['A']\n"], []),
        # An argument that stands among arguments only.
        ("python", "x = old(a)\n", "x = a\n", ["x = old(b.c)\n"], ["x = old(k=b)\n", "x = old(*b)\n"]),
        ("javascript", "x = old(a);\n", "x = a;\n", ["x = old(b => c);\n"], ["x = old(...b);\n"]),
        # A literal of which a member is taken.
        ("rust", "fn f() { a(\"x\".old_text()); b(\"y z\".old_text()); }\n",
         "fn f() { a(Text::of(\"x\")); b(Text::of(\"y z\")); }\n", ["fn g() { \"w\".old_text(); }\n"],
         ["fn g() { c.old_text(); }\n", "fn g() { 1.old_text(); }\n"]),
        ("java", "class A { int x = f(\"a\".old()) + f(\"b\".old()); }\n",
         "class A { int x = f(Kit.of(\"a\")) + f(Kit.of(\"b\")); }\n",
         ["class A { int x = f(\"c\".old()); }\n"], ["class A { int x = f(c.old()); }\n"]),
        ("javascript", "x = 'a'.old() + 'b'.old();\n", "x = kit.of('a') + kit.of('b');\n",
         ["x = 'c'.old();\n"], ["x = c.old();\n"]),
        ("javascript", "x = 'a'.old() + b.old();\n", "x = kit.of('a') + kit.of(b);\n",
         ["x = c.old();\n"], []),
        # An argument in a node of its own.
        ("kotlin", "val x = Kit.empty(a)\n", "val x = a.empty()\n", ["val x = Kit.empty(b.c)\n"],
         ["val x = Kit.empty(b ?: c)\n", "val x = Kit.empty(d = b)\n", "val x = Kit.empty(*b)\n",
          "val x = Kit.empty(if (b) c else d)\n"]),
        ("csharp", "class A { int x = Kit.F(a); }\n", "class A { int x = a.F(); }\n",
         ["class A { int x = Kit.F(b.C); }\n"],
         ["class A { int x = Kit.F(b + c); }\n", "class A { int x = Kit.F(d: b); }\n"]),
        ("php", "<?php\n$x = old($a);\n", "<?php\n$x = $a->old();\n", ["<?php\n$x = old($b->c);\n"],
         ["<?php\n$x = old($b . $c);\n", "<?php\n$x = old(...$b);\n", "<?php\n$x = old(d: $b);\n"]),
    ],
)  # fmt: skip
def test_what_would_need_parentheses_or_arguments_around_it_stays(
    language: Language, pre: str, post: str, right: list[str], wrong: list[str]
) -> None:
    action = mine(pre, post, language).action
    assert action is not None and engine.apply(action, pre).post == post
    assert [code for code in right if engine.judge(action, code).verdict != "ok"] == []
    assert [code for code in wrong if engine.judge(action, code).verdict != "no_match"] == []


def test_two_demands_that_exclude_are_one() -> None:
    place, _ = asked("x = a.b\n", "x = not a\n", "python")
    tight = not_in("attribute, await, binary_operator, call, comparison_operator, unary_operator")
    read = not_in("assignment, augmented_assignment", field="left")
    assert place == {"not": {"any": [tight["not"], read["not"]]}}


def test_a_sign_before_another_sign_stands_as_it_is() -> None:
    place, _ = asked("x = old(a);\n", "x = !a;\n", "javascript")
    assert place == not_in("call_expression, member_expression")


@pytest.mark.parametrize(
    ("language", "pre", "post", "place"),
    [
        ("javascript", "x = a.toList().size();\n", "x = a.size();\n", ("member_expression", "property")),
        ("javascript", "x = a.toList().size;\n", "x = a.size;\n", ("member_expression", "property")),
        ("java", "class A { int x = a.toList().size() + b.toList().size(); }\n",
         "class A { int x = a.size() + b.size(); }\n", ("method_invocation", "name")),
        # No link follows, or one like another.
        ("javascript", "x = a.toList();\n", "x = a;\n", None),
        ("javascript", "x = f(a.toList());\n", "x = f(a);\n", None),
        ("java", "class A { int x = a.toList().size() + b.toList().one(); }\n",
         "class A { int x = a.size() + b.one(); }\n", None),
    ],
)  # fmt: skip
def test_the_link_after_one_that_goes(
    language: Language, pre: str, post: str, place: tuple[str, str] | None
) -> None:
    wanted: dict[str, Any] = {}
    if place is not None:
        has = {"field": place[1], "regex": "^size$"}
        wanted = {"inside": {"kind": place[0], "field": "object", "has": has}}
    assert asked(pre, post, language)[0] == wanted


def test_an_element_after_a_link_that_goes() -> None:
    place, _ = asked("x = a.toList()[0];\n", "x = a[0];\n", "javascript")
    assert place == {"inside": {"kind": "subscript_expression", "field": "object"}}


@pytest.mark.parametrize(
    ("pre", "post", "inside"),
    [
        ("x = 1\n", "x = 2\n", ("assignment", "left", "^x$")),
        ("x = f(a=1)\n", "x = f(a=2)\n", ("keyword_argument", "name", "^a$")),
        ("x = g.f(True)\n", "x = g.f(False)\n", ("call", "function", r"\bf$")),
        ("x = f(True)\n", "x = f(False)\n", ("call", "function", "^f$")),
        ('x = {"k": True}\n', 'x = {"k": False}\n', ("pair", "key", '^"k"$')),
        ("f(a)\n", "f(a, b)\n", ("call", "function", "^f$")),
        # A value that says what it is itself.
        ("x = first\n", "x = second\n", None),
        ("x = [first]\n", "x = [first, second]\n", None),
    ],
)
def test_the_name_of_what_holds_a_value(pre: str, post: str, inside: tuple[str, str, str] | None) -> None:
    held = asked(pre, post, "python")[0].get("inside")
    if inside is None:
        assert held is None
    else:
        kind, field, regex = inside
        assert held == {"kind": kind, "has": {"field": field, "regex": regex}, "stopBy": "end"}


@pytest.mark.parametrize(
    ("language", "pre", "post", "right", "wrong"),
    [
        ("python", "kit.old(a, b)", "kit.new(a, b, 1)", ["kit.old(c)", "kit.old(\n    c\n)"],
         ["kit.old()", "kit.old(c,)", "kit.old(key=c)", "kit.old(c, *d)", "kit.old(**d)"]),
        ("python", "kit.old(a, b)", "kit.new(a, b, n=1)", ["kit.old(key=c)", "kit.old(*d)"],
         ["kit.old()", "kit.old(c,)"]),
        ("python", "kit.old(a, b)", "kit.new(1, a, b)", ["kit.old(key=c)", "kit.old(c,)"], ["kit.old( )"]),
        ("python", "kit.old([a, b])", "kit.new([a, b, stop])", ["kit.old([*c])"],
         ["kit.old([])", "kit.old([c,\n])"]),
        ("python", "def save(path, data):\n    go(path)", "def store(path, data, mode=0):\n    go(path)",
         ["def save(*c):\n    go(c)"], ["def save():\n    go(c)", "def save(**c):\n    go(c)"]),
        ("javascript", "kit.old(a, b);", "kit.new(a, b, 1);", ["kit.old(c);"],
         ["kit.old();", "kit.old(c,);", "kit.old(...c);"]),
        ("php", "<?php\nold($a, $b);", "<?php\nfresh($a, $b, 1);", ["<?php\nold($c);"],
         ["<?php\nold();", "<?php\nold(...$c);", "<?php\nold(key: $c);"]),
        ("ruby", "kit.old(a, b)", "kit.new(a, b, 1)", ["kit.old(c)"],
         ["kit.old(key: c)", "kit.old(*c)", "kit.old(&c)"]),
        ("csharp", "class C { void F() { old(a, b); } }", "class C { void F() { fresh(a, b, 1); } }",
         ["class C { void F() { old(c); } }"],
         ["class C { void F() { old(); } }", "class C { void F() { old(key: c); } }"]),
        ("kotlin", "fun f() { old(a, b) }", "fun f() { fresh(a, b, 1) }", ["fun f() { old(c) }"],
         ["fun f() { old(key = c) }", "fun f() { old(*c) }"]),
    ],
)  # fmt: skip
def test_an_item_comes_only_where_it_has_a_place(
    language: Language, pre: str, post: str, right: list[str], wrong: list[str]
) -> None:
    action = mine(pre + "\n", post + "\n", language).action
    assert action is not None
    for code in right:
        assert engine.judge(action, code + "\n").verdict == "ok", code
    for code in wrong:
        assert engine.judge(action, code + "\n").verdict == "no_match", code


def test_a_list_with_no_room_names_nothing() -> None:
    action = mine("kit.old(a, b)\n", "kit.new(a, b, 1)\n", "python").action
    assert action is not None
    [rule] = action.rules
    assert "not" in rule["rule"] and bits(rule) == bits({"rule": {"pattern": rule["rule"]["pattern"]}})
