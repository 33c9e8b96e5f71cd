"""Fixture layouts inside test code: cases of helpers and tables, in four languages."""

from __future__ import annotations

from pathlib import Path

from tests.data.fixture_folders import rows, sides


def test_parameters_and_calls_of_python_tests(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        {
            "src/fixers/old_name.py": '"""\nCall it `fresh`, not `stale`.\n\nhttps://example.org\n"""\n',
            "tests/test_old_name.py": '''
import pytest
from textwrap import dedent

@pytest.mark.parametrize(
    ("s", "expected"),
    (
        ("stale(1)", "fresh(1)"),
        pytest.param("stale(a, b)\\n", "fresh(a, b)\\n", id="two"),
        ("not ( code", "neither ( code"),
    ),
)
def test_it(s, expected):
    assert fix(s) == expected

BEFORE = "stale(z)"
AFTER = "fresh(z)"

def test_constants():
    check_on_input(BEFORE, AFTER)

@pytest.mark.parametrize(("s", "version"), [("stale(0)", (3, 6))])
def test_old_noop(s, version):
    assert fix(s) == s

@pytest.mark.parametrize("s", ["other(1)", "stale_too(1)"])
def test_it_noop(s):
    assert fix(s) == s

def test_call():
    check_transformed(
        """\\
        def f():
            stale(x)
        """,
        """\\
        def f():
            fresh(x)
        """,
    )

def test_names():
    before = """
        stale(y)
    """
    after = """
        fresh(y)
    """
    self.assertCodemod(before, after)
    check_noop("stay(1)")
''',
        },
        "python-tests",
    )
    assert {row["group"] for row in found} == {"old_name"}
    assert {row["instruction"] for row in found} == {"Call it `fresh`, not `stale`."}
    assert ("stale(1)\n", "fresh(1)\n") in sides(found)
    assert ("stale(a, b)\n", "fresh(a, b)\n") in sides(found)
    assert ("def f():\n    stale(x)\n", "def f():\n    fresh(x)\n") in sides(found)
    assert ("stale(y)\n", "fresh(y)\n") in sides(found)
    assert ("stale(z)\n", "fresh(z)\n") in sides(found)
    assert {pre for pre, post in sides(found) if pre == post} == {"other(1)\n", "stale_too(1)\n", "stay(1)\n"}
    assert len(found) == 8


def test_examples_in_the_class_of_a_rule(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        {
            "src/rules/stale_name.py": """
class StaleName(LintRule):
    MESSAGE = "Call it fresh."
    VALID = [Valid("fresh(1)"), "other(1)", Valid(made(1))]
    INVALID = [
        Invalid("stale(1)", expected_replacement="fresh(1)"),
        InvalidTestCase(code="stale(2)", kind="IG1", expected_replacement="fresh(" + "2)"),
        Invalid("stale(3)"),
        "stale(4)",
    ]
"""
        },
        "rule-examples",
    )
    assert {row["group"] for row in found} == {"StaleName"}
    assert sides(found) == [
        ("fresh(1)\n", "fresh(1)\n"), ("other(1)\n", "other(1)\n"),
        ("stale(1)\n", "fresh(1)\n"), ("stale(2)\n", "fresh(2)\n"),
    ]  # fmt: skip


def test_rule_tester_objects_with_code_and_output(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        {
            "lib/rules/no-stale.js": "const r = { meta: { docs: { description: 'disallow `stale`' } } };\n",
            "tests/lib/rules/no-stale.js": r"""
const ruleTester = new RuleTester();
ruleTester.run("no-stale", rule, {
  valid: [
    "fresh();",
    { code: "other('a');", options: ["always"] },
    `let x = ${y};`,
  ],
  invalid: [
    { code: "stale(\"a\\n\");", output: "fresh(\"a\\n\");", errors: 1 },
    { code: ["stale();", "more();"].join("\n"), output: ["fresh();", "more();"].join("\n"), errors: 1 },
    { code: dedent`
        if (a) {
          stale();
        }
      `, output: dedent`
        if (a) {
          fresh();
        }
      `, errors: 1 },
    { code: "let a: number = stale();" + "b();", output: "let a: number = fresh();b();", errors: 1 },
    { code: "stale(2);", output: null, errors: 1 },
    { code: "always();", output: "never();", options: [ "always" ], errors: 1 },
    { code: "stale('\ud83d\ude00');", output: "fresh('\ud83d\ude00');", errors: 1 },
    { code: "stale('\ud83d');", output: "fresh('\ud83d');", errors: 1 },
  ],
});
""",
            "src/no-test.js": "export const invalid = 1;\n",
        },
        "rule-tester",
    )
    assert {row["group"].partition("#")[0] for row in found} == {"no-stale"}
    with_options = [row["pre"] for row in found if "#" in row["group"]]
    assert with_options == ["other('a');\n", "always();\n"]
    assert len({row["group"] for row in found}) == 2
    assert {row["instruction"] for row in found} == {"disallow `stale`"}
    assert ('stale("a\\n");\n', 'fresh("a\\n");\n') in sides(found)
    assert ("stale();\nmore();\n", "fresh();\nmore();\n") in sides(found)
    assert ("if (a) {\n  stale();\n}\n", "if (a) {\n  fresh();\n}\n") in sides(found)
    assert ("stale('\U0001f600');\n", "fresh('\U0001f600');\n") in sides(found)
    typed = next(row for row in found if "number" in row["pre"])
    assert typed["language"] == "typescript"
    assert {pre for pre, post in sides(found) if pre == post} == {"fresh();\n", "other('a');\n"}
    assert len(found) == 8


def test_error_prones_helpers(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        {
            "core/src/main/java/StaleName.java": (
                '@BugPattern(summary = "Call " + "fresh, \\"not\\" stale", severity = WARNING)\n'
                "class StaleName {}\n"
            ),
            "core/src/test/java/StaleNameTest.java": '''
class StaleNameTest {
  @Test void lines() {
    helper.addInputLines("in/A.java", "class A {", "  int f() { return stale(1); }", "}")
        .addOutputLines("in/A.java", "class A {", "  int f() { return fresh(1); }", "}")
        .doTest();
  }
  @Test void block() {
    helper.addInputLines("in/B.java", """
        class B {
          int f() { return stale(2); }
        }
        """)
        .addOutputLines("in/B.java", """
        class B {
          int f() { return fresh(2); }
        }
        """)
        .doTest(TestMode.TEXT_MATCH);
  }
  @Test void unchanged() {
    helper.addInputLines("in/C.java", "class C { String s = \\"stale\\"; }").expectUnchanged().doTest();
  }
  @Test void finds() {
    other.addSourceLines("D.java", "class D {", "  // BUG: Diagnostic contains: fresh", "  int x = f();", "}")
        .doTest();
    other.addSourceLines("E.java", "class E { int x = fresh(1); }").doTest();
  }
}
''',
        },
        "java-helper",
    )
    assert {row["instruction"] for row in found} == {'Call fresh, "not" stale'}
    assert {row["group"] for row in found} == {"StaleName"}
    edits = [(pre, post) for pre, post in sides(found) if pre != post]
    assert len(edits) == 2
    assert edits[1] == (
        "class B {\n  int f() { return stale(2); }\n}\n", "class B {\n  int f() { return fresh(2); }\n}\n"
    )  # fmt: skip
    assert {pre for pre, post in sides(found) if pre == post} == {
        'class C { String s = "stale"; }\n', "class E { int x = fresh(1); }\n"
    }  # fmt: skip


def test_sources_that_a_recipe_is_run_on(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        {
            "src/test/java/StaleNameTest.java": '''
class StaleNameTest {
  @Test void renames() {
    rewriteRun(
      //language=java
      java("class Dependency {}"),
      java(
        """
          class A {
            int f() { return stale(1); }
          }
          """,
        """
          class A {
            int f() { return fresh(1); }
          }
          """,
        spec -> spec.path("A.java")
      )
    );
  }
  @Test void options() {
    rewriteRun(spec -> spec.recipe(new StaleName("x")), kotlin("fun f() = stale(2)", "fun f() = x(2)"));
    rewriteRun(properties("a=1", "a=2"));
    run(java("class B { int stale; }", "class B { int fresh; }"));
  }
}
'''
        },
        "java-helper",
    )
    assert [(row["language"], row["group"].partition("#")[0], "#" in row["group"]) for row in found] == [
        ("java", "StaleName", False), ("java", "StaleName", False), ("kotlin", "StaleName", True)
    ]  # fmt: skip
    assert sides(found) == [
        ("class Dependency {}\n", "class Dependency {}\n"),
        ("class A {\n  int f() { return stale(1); }\n}\n", "class A {\n  int f() { return fresh(1); }\n}\n"),
        ("fun f() = stale(2)\n", "fun f() = x(2)\n"),
    ]


def test_rubocops_specs(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        {
            "spec/rubocop/cop/style/stale_name_spec.rb": r"""
RSpec.describe RuboCop::Cop::Style::StaleName, :config do
  it 'corrects' do
    expect_offense(<<~RUBY)
      a = stale(1)
          ^^^^^^^^ Call it `fresh`.
      b
    RUBY

    expect_correction(<<~RUBY)
      a = fresh(1)
      b
    RUBY
  end

  it 'finds only' do
    expect_offense(<<~RUBY)
      stale(2)
      ^^^^^^^^ Call it `fresh`.
    RUBY

    expect_no_corrections
  end

  it 'is made by the test' do
    expect_offense(<<~RUBY, name: name)
      #{name}(3)
      ^{name}^^^ Call it `fresh`.
    RUBY

    expect_correction(<<~RUBY)
      fresh(3)
    RUBY
  end

  context 'otherwise' do
    let(:cop_config) { { 'Name' => 'other' } }

    it 'says so' do
      expect_offense(<<~'RUBY')
        stale("#{a}")
        ^^^^^^^^^^^^^ Call it `other`.
      RUBY

      expect_correction(<<~'RUBY')
        other("#{a}")
      RUBY
    end

    it 'leaves the rest' do
      expect_no_offenses(<<~RUBY)
        fresh("\#{4}")
      RUBY
    end
  end
end
"""
        },
    )
    assert sides(found) == [
        ("a = stale(1)\nb\n", "a = fresh(1)\nb\n"), ('stale("#{a}")\n', 'other("#{a}")\n'),
        ('fresh("#{4}")\n', 'fresh("#{4}")\n'),
    ]  # fmt: skip
    assert [row["group"].partition("#")[0] for row in found] == ["stale_name"] * 3
    assert len({row["group"] for row in found}) == 2


def test_inline_tests_in_javascript(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        {
            "test/staleTest.js": "expectTransform('stale(9);').toReturn('fresh(9);');\n"
            "expectNoChange('b();');\n",
            "src/stale.test.js": r"""
const input = `stale(named);`;
defineInlineTest(transform, {}, `stale(1);`, `fresh(1);`, 'calls it fresh');
defineInlineTest(transform, { deep: true }, 'stale(2);\n', 'fresh(2);\n');
test('more', () => {
  const output = `fresh(named);`;
  expectTransformation(input, output);
  expect(applyTransform(stale, `stale(x);`)).toBe(`fresh(x);`);
  expect(applyTransform(`stale(3);`)).toBe(`fresh(3);`);
  expect(await transform(`stale(4);`)).toMatchInlineSnapshot(`fresh(4);`);
  assert.equal(transform("stale(5);"), "fresh(5);");
  expect(name("stale(6);")).toBe("fresh(6);");
  expectTransformation('input-file', 'output-file');
  expectTransformation(`stale(7);`, `stale(7);`);
  expectTransformation(`stale(8);`, `a b`);
});
""",
        },
    )
    assert {row["group"].partition("#")[0] for row in found} == {"stale"}
    assert len({row["group"] for row in found}) == 2
    names = ("1", "2", "named", "3", "4", "5", "9")
    stay = {("stale(7);\n", "stale(7);\n"), ("b();\n", "b();\n")}
    assert {(f"stale({n});\n", f"fresh({n});\n") for n in names} | stay == set(sides(found))
