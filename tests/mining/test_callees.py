"""What a rename of a bare name says of the calls that it changed, and which names it is about."""

from __future__ import annotations

from typing import Any

import pytest
from ast_grep_py import SgRoot

from rulewright import engine
from rulewright.actions import Action
from rulewright.languages import Language
from rulewright.mining.rules import callees


def action(matcher: dict[str, Any], fix: Any = "fresh", language: Language = "python", **more: Any) -> Action:
    return Action(language, ({"rule": matcher, "fix": fix, **more},), mode="rule")


@pytest.mark.parametrize(
    ("matcher", "fix", "names"),
    [
        ({"pattern": "old"}, "fresh", ("old", "fresh")),
        ({"kind": "identifier", "regex": "^old$"}, "fresh", ("old", "fresh")),
        ({"any": [{"pattern": "old"}, {"regex": "^old$"}]}, "fresh", ("old", "fresh")),
        ({"pattern": "old", "inside": {"kind": "assignment"}}, "fresh", ("old", "fresh")),
        ({"pattern": "$A.old"}, "$A.fresh", ("old", "fresh")),
        ({"pattern": {"context": "f($A->old)", "selector": "call"}}, "$A->fresh", ("old", "fresh")),
        # It asks for more than a name, or writes more than one.
        ({"pattern": "old(1)"}, "fresh(1)", None),
        ({"pattern": "$A.old"}, "$B.fresh", None),
        ({"pattern": "$A.old", "kind": "attribute"}, "$A.fresh", None),
        ({"pattern": "old"}, "fresh()", None),
        ({"regex": "old$"}, "fresh", None),
        ({"regex": "^old"}, "fresh", None),
        ({"any": [{"pattern": "old"}, {"pattern": "odd"}]}, "fresh", None),
        # It says itself that a call is meant.
        ({"pattern": "old", "inside": {"kind": "call"}}, "fresh", None),
        ({"pattern": "old", "inside": {"kind": "attribute", "inside": {"kind": "call"}}}, "fresh", None),
        ({"pattern": "old"}, {"template": "fresh"}, None),
    ],
)
def test_the_names_of_a_rename_by_spelling_alone(
    matcher: dict[str, Any], fix: Any, names: tuple[str, str] | None
) -> None:
    assert callees.bare_rename(action(matcher, fix)) == names


def test_a_rename_of_several_rules_or_of_a_part_is_none_by_spelling() -> None:
    one = {"rule": {"pattern": "old"}, "fix": "fresh"}
    assert callees.bare_rename(Action("python", (one, one))) is None
    assert callees.bare_rename(action({"pattern": "old"}, transform={"N": {"replace": {}}})) is None


@pytest.mark.parametrize(
    ("matcher", "owner"),
    [
        ({"pattern": "self.old($A)"}, "self"),
        ({"pattern": "this.old($A)"}, "this"),
        ({"pattern": "$this->old($A)"}, "$this"),
        ({"pattern": "super().old($A)"}, "super()"),
        ({"all": [{"kind": "call"}, {"pattern": "cls.old($A)"}]}, "cls"),
        ({"regex": "^old$", "inside": {"kind": "attribute", "has": {"regex": "^self$"}}}, "self"),
        ({"regex": "^old$", "inside": {"kind": "c", "inside": {"has": {"regex": r"^\$this$"}}}}, "$this"),
        ({"pattern": "other.old($A)"}, ""),
        ({"pattern": "old(self.a)"}, ""),
        ({"regex": "^old$", "inside": {"kind": "attribute", "has": {"regex": "^other$"}}}, ""),
    ],
)
def test_a_member_of_the_object_itself(matcher: dict[str, Any], owner: str) -> None:
    assert callees.own_member(action(matcher)) == owner


CALLS: list[tuple[Language, str, str]] = [
    ("python", "old(1)\n", "call.function"),
    ("python", "a.old(1)\n", "attribute.attribute call.function"),
    ("python", "import os\nos.old(1)\n", "attribute.attribute=os call.function"),
    ("python", "import os\nos.path.old(1)\n", "attribute.attribute=os.path call.function"),
    ("python", "self.old(1)\n", "attribute.attribute=self call.function"),
    ("python", "Place.old(1)\n", "attribute.attribute=Place call.function"),
    ("python", "f().old(1)\n", "attribute.attribute call.function"),
    # A value before the name is not asked for, whatever it begins with.
    ("python", "Place().old(1)\n", "attribute.attribute call.function"),
    ("python", "import os\nos.path().old(1)\n", "attribute.attribute call.function"),
    ("javascript", "Place[0].old(1);\n", "member_expression.property call_expression.function"),
    ("cpp", "void f() { Place<int>::old(1); }\n", "qualified_identifier.name call_expression.function"),
    ("python", "x = old\n", ""),
    ("python", "f(old)\n", ""),
    ("python", "a.old.b(1)\n", ""),
    ("python", "old.b(1)\n", ""),
    ("javascript", "this.old(1);\n", "member_expression.property=this call_expression.function"),
    ("javascript", "a?.old(1);\n", "member_expression.property call_expression.function"),
    ("rust", "fn f() { Place::old(1) }\n", "scoped_identifier.name=Place call_expression.function"),
    ("java", "class A { void f() { old(1); } }\n", "method_invocation.name"),
    ("java", "class A { void f() { a.old(1); } }\n", "method_invocation.name=."),
    ("java", "class A { void f() { Place.old(1); } }\n", "method_invocation.name=Place"),
    ("php", "<?php\n$this->old(1);\n", "member_call_expression.name=$this"),
    ("php", "<?php\n$a->old(1);\n", "member_call_expression.name"),
    ("php", "<?php\nPlace::old(1);\n", "scoped_call_expression.name=Place"),
    ("ruby", "a.old(1)\n", "call.method=."),
    (
        "csharp",
        "class A { void F() { this.old(1); } }\n",
        "member_access_expression.name=this invocation_expression.function",
    ),
    ("cpp", "void f() { a->old(1); }\n", "field_expression.field call_expression.function"),
    (
        "kotlin",
        "fun f() { Place.old(1) }\n",
        "navigation_suffix.None navigation_expression.None=Place call_expression.None",
    ),
    ("go", "package p\n\nfunc f() { a.old(1) }\n", "selector_expression.field call_expression.function"),
    ("javascript", "use(a.old(1));\n", "member_expression.property call_expression.function"),
    (
        "go",
        'package p\n\nimport (\n\t"x/a"\n)\n\nfunc f() { a.old(1) }\n',
        "selector_expression.field=a call_expression.function",
    ),
]


@pytest.mark.parametrize(("language", "code", "wanted"), CALLS)
def test_the_call_that_a_name_stands_in(language: Language, code: str, wanted: str) -> None:
    [name] = [n for n in SgRoot(code, language).root().find_all({"rule": {"regex": "^old$"}}) if n.is_leaf()]
    told, around = [], callees.call_relation(name, code, language)
    while around is not None:
        owner = str(around.get("has", {}).get("regex", "")).strip("^$").replace("\\", "")
        told.append(f"{around['kind']}.{around.get('field')}" + (f"={owner}" if owner else ""))
        around = around.get("inside")
    assert " ".join(told) == wanted


def test_what_is_said_before_a_name_is_asked_for() -> None:
    code = "a.old(1)\n"
    [name] = SgRoot(code, "python").root().find_all({"rule": {"kind": "identifier", "regex": "^old$"}})
    said = callees.call_relation(name, code, "python", frozenset({"a"}))
    assert said is not None and said["has"] == {"field": "object", "regex": "^a$"}


KEYS: list[tuple[Language, str, str, str]] = [
    ("python", "run(1, old=2)\n", "run(old=x)\n", "a.run(old=1)\nstop(old=1)\nold = 1\n"),
    ("python", "a.run(old=1)\n", "b.c.run(old=x)\n", "run(old=1)\na.rerun(old=1)\na.run(stop(old=1))\n"),
    ("ruby", "run(old: 1)\n", "run old: x\n", "a.run(old: 1)\nstop(old: 1)\n"),
    ("php", "<?php\nnew A(old: 1);\n", "<?php\nnew A(old: $x);\n", "<?php\nnew B(old: 1);\nf(old: 1);\n"),
    ("csharp", "class A { int x = Run(old: 1); }\n", "class B { int y = Run(old: z); }\n",
     "class B { int y = Stop(old: 1); }\n"),
    ("kotlin", "val x = run(old = 1)\n", "val y = run(old = z)\n", "val y = stop(old = 1)\n"),
    ("javascript", "run({old: 1});\n", "run({old: x}, y);\n",
     "stop({old: 1});\nx = {old: 1};\nrun({a: {old: 1}});\n"),
    ("tsx", "x = <Box old='a'/>;\n", "y = <Box old>z</Box>;\n",
     "y = <Bag old={1}/>;\nz = <Box a={<b old/>}/>;\n"),
    # Attributes of HTML are those of all its elements.
    ("tsx", "x = <div old='a'/>;\n", "y = <p old>z</p>;\n", "y = <Bag old={1}/>;\nz = <Kit.box old/>;\n"),
    ("go", "package p\n\nvar x = kit.Box{old: 1}\n", "package p\n\nvar y = any.Box{old: z}\n",
     "package p\n\nvar y = kit.Bag{old: 1}\nvar z = map[string]Box{old: 1}\n"),
    ("rust", "fn f() { Box { old: 1 } }\n", "fn g() { Box { old: x, a } }\n", "fn g() { Bag { old: 1 } }\n"),
    ("java", "@Box(old = 1)\nclass A {}\n", "@Box(old = 2, a = 1)\nclass B {}\n",
     "@Bag(old = 1)\nclass B {}\n"),
]  # fmt: skip
"""Code in which a name of an argument, attribute or field changes, other code in which it does, or not."""


@pytest.mark.parametrize(("language", "code", "right", "wrong"), KEYS)
def test_the_name_of_a_value_is_one_of_what_has_it(
    language: Language, code: str, right: str, wrong: str
) -> None:
    nodes = [n for n in SgRoot(code, language).root().find_all({"rule": {"regex": "^old$"}}) if n.is_leaf()]
    made = callees.as_call_rules(action({"regex": "^old$"}, "fresh", language), code, nodes)
    assert made is not None and engine.apply(made, code).post == code.replace("old", "fresh")
    assert engine.apply(made, right).post == right.replace("old", "fresh")
    assert engine.judge(made, wrong).verdict == "no_match"


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "class A(old=1): pass\n"),
        ("python", "f()(old=1)\n"),
        ("python", "x = {old: 1}\n"),
        ("javascript", "x = {old: 1};\n"),
        ("javascript", "f([{old: 1}]);\n"),
        ("go", "package p\n\nvar x = []Box{{old: 1}}\n"),
    ],
)
def test_the_name_of_a_value_of_nothing_by_name_is_any_name(language: Language, code: str) -> None:
    nodes = [n for n in SgRoot(code, language).root().find_all({"rule": {"regex": "^old$"}}) if n.is_leaf()]
    assert callees.as_call_rules(action({"regex": "^old$"}, "fresh", language), code, nodes) is None


@pytest.mark.parametrize(
    ("language", "code", "name", "n_rules"),
    [
        ("python", "old(1)\na.old(2)\n", "old", 2),
        ("python", "a.old(1)\nb.old(2)\n", "old", 1),
        ("python", "old(1)\nx = old\n", "old", None),
        # A class that is called is more than what is called.
        ("python", "Old(1)\n", "Old", None),
        ("python", "a.Old(1)\n", "Old", 1),
        ("go", "package p\n\nfunc f() { Old(1) }\n", "Old", 1),
        ("c", "void f() { Old(1); }\n", "Old", 1),
    ],
)
def test_a_rename_where_all_that_changed_are_calls(
    language: Language, code: str, name: str, n_rules: int | None
) -> None:
    nodes = SgRoot(code, language).root().find_all({"rule": {"kind": "identifier", "regex": f"^{name}$"}})
    nodes = nodes or SgRoot(code, language).root().find_all({"rule": {"regex": f"^{name}$"}})
    made = callees.as_call_rules(action({"pattern": name}, "fresh", language), code, nodes)
    assert (len(made.rules) if made is not None else None) == n_rules
    assert callees.as_call_rules(action({"pattern": name}, "fresh", language), code, []) is None


def test_a_rename_of_a_member_of_anything_is_one_of_its_calls() -> None:
    code = "a.b.old(1)\n"
    nodes = SgRoot(code, "python").root().find_all({"rule": {"pattern": "$A.old"}})
    made = callees.as_call_rules(action({"pattern": "$A.old"}, "$A.fresh"), code, nodes)
    assert made is not None and engine.apply(made, code).post == "a.b.fresh(1)\n"
