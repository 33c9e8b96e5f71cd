"""Fixture layouts: small repositories of each, read as edits and as code that stays; ingested and built."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rulewright import jsonl
from rulewright.cli import main
from rulewright.data.sources import fixtures

MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\n"


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def rows(root: Path, files: dict[str, str], *layouts: str) -> list[dict[str, Any]]:
    return [row for row in fixtures.rows_of([lay(root, files)], layouts) if "dropped" not in row]


def sides(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["pre"], row["post"]) for row in found]


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
    assert {pre for pre, post in sides(found) if pre == post} == {"other(1)\n", "stale_too(1)\n", "stay(1)\n"}
    assert len(found) == 7


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


def test_fixed_files_are_cut_into_functions(tmp_path: Path) -> None:
    head = "#![warn(clippy::stale)]\n\n"
    old = (
        head + "fn one() {\n    stale(1);\n    //~^ stale\n}\n\n#[allow(dead_code)]\n"
        "fn two() {\n    other();\n}\n\n"
        "fn three() {\n    stale(3);\n    //~^ stale\n}\n"
    )
    found = rows(
        tmp_path,
        {
            "tests/ui/stale.rs": old,
            "tests/ui/stale.fixed": old.replace("stale(1)", "fresh(1)").replace("stale(3)", "fresh(3)"),
            "clippy_lints/src/stale.rs": (
                "declare_clippy_lint! {\n    /// ### What it does\n    pub STALE,\n    style,\n"
                '    "use of `stale`"\n}\n'
            ),
        },
        "fixed",
    )
    edits = [row for row in found if row["pre"] != row["post"]]
    assert ["stale(1)" in edits[0]["pre"], "stale(3)" in edits[1]["pre"]] == [True, True]
    assert all("//~" not in row["pre"] + row["post"] for row in found)
    assert edits[0]["post"].count("fresh") == 1 and "fn two" not in edits[0]["post"]
    [kept] = [row["pre"] for row in found if row["pre"] == row["post"]]
    assert kept.startswith("#[allow(dead_code)]") and "fn two" in kept
    assert {row["instruction"] for row in found} == {"use of `stale`"}


def test_golden_files_with_one_result_and_with_several(tmp_path: Path) -> None:
    old = "package a\n\nfunc f() {\n\tstale(1) // want `stale`\n}\n\nfunc g() {\n\tother()\n}\n"
    first, second = old.replace("stale(1)", "fresh(1)"), old.replace("stale(1)", "newer(1)")
    found = rows(
        tmp_path,
        {
            "passes/stale/testdata/src/a/a.go": old,
            "passes/stale/testdata/src/a/a.go.golden": first,
            "passes/stale/doc.go": "// # Analyzer stale\n//\n// stale: find calls of stale\npackage stale\n",
            "suite/testdata/src/two/b.go": old,
            "suite/testdata/src/two/b.go.golden": f"-- Use fresh --\n{first}-- Use newer --\n{second}",
        },
        "golden",
    )
    assert [row["group"] for row in found if row["pre"] != row["post"]] == ["stale", "suite/two", "suite/two"]
    assert ("func f() {\n\tstale(1)\n}\n\n", "func f() {\n\tfresh(1)\n}\n\n") in sides(found)
    assert ("func f() {\n\tstale(1)\n}\n\n", "func f() {\n\tnewer(1)\n}\n\n") in sides(found)
    assert {row["instruction"] for row in found if row["group"] == "stale"} == {"find calls of stale"}


@pytest.mark.parametrize(
    ("before", "after", "group"),
    [
        ("renames/a.input.js", "renames/a.output.js", "renames"),
        ("renames/__testfixtures__/b.input.js", "renames/__testfixtures__/b.output.js", "renames"),
        ("renames/case1/before.js", "renames/case1/after.js", "renames"),
        ("case1/before.js", "case1/after.js", "case1"),
        ("suite/renames/actual.spec.js", "suite/renames/expected.spec.js", "renames"),
        ("packages/renames/tests/case1/input.js", "packages/renames/tests/case1/expected.js", "renames"),
        ("test/fixtures/renames/case1/before.js", "test/fixtures/renames/case1/result.js", "renames"),
        (
            "x/fixtures/renames-deep2.input.js",
            "x/fixtures/renames-deep2.output.js",
            "renames",
        ),
        ("x/__testfixtures__/other.input.js", "x/__testfixtures__/other.output.js", "x"),
        ("renames/samples_in/sub/f.js", "renames/expected_out/sub/f.js", "sub"),
        ("renames/samples_in/f.js", "renames/expected_out/f.js", "renames"),
        ("renames/input/c.js", "renames/output/c.js", "renames"),
        ("renames/in/c.js", "renames/out/c.js", "renames"),
        ("renames/d.js", "renames/d_expected.js", "renames"),
        ("renames/e-before.js", "renames/e-after.js", "renames"),
    ],
)
def test_plain_folders_of_pairs(tmp_path: Path, before: str, after: str, group: str) -> None:
    files = {before: "stale(1);\n", after: "fresh(1);\n", "renames/lone_output.js": "x();\n"}
    transforms = {"suite/renames/index.js": "run();\n", "x/renames.js": "run();\n", "x/ren.js": "run();\n"}
    [row] = rows(tmp_path, {**files, **transforms}, "pairs")
    assert (row["pre"], row["post"], row["group"]) == ("stale(1);\n", "fresh(1);\n", group)


def test_a_folder_of_results_goes_with_the_inputs_that_are_named_alike(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        {
            "join/samples_in/a.py": "stale(1)\n", "join/expected_out/a.py": "fresh(1)\n",
            "join/samples_in_deep/a.py": "stale(2)\n", "join/expected_out_deep/a.py": "fresh(2)\n",
            "join/samples/a.py": "stale(3)\n",
            "join/in_use/b.py": "a(1)\n", "join/a-result-cache/b.py": "a(2)\n",
        },
        "pairs",
    )  # fmt: skip
    assert {(row["pre"], row["post"]) for row in found} == {
        ("stale(1)\n", "fresh(1)\n"), ("stale(2)\n", "fresh(2)\n")
    }  # fmt: skip
    assert sorted(row["group"].partition("#")[::2] for row in found)[0] == ("join", "")
    assert len({row["group"] for row in found}) == 2


def test_what_ends_in_js_may_hold_types_and_what_ends_in_ts_elements(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        {
            "r/a.input.js": "let a: T = stale();\n", "r/a.output.js": "let a: T = fresh();\n",
            "r/b.input.ts": "let a: T = <b>{old}</b>;\n", "r/b.output.ts": "let a: T = <b>{now}</b>;\n",
        },
        "pairs",
    )  # fmt: skip
    assert {row["language"] for row in found} == {"typescript", "tsx"}


def test_both_sides_in_one_file(tmp_path: Path) -> None:
    old, new = "<?php\n\nstale(1);\n\n?>\n", "<?php\n\nfresh(1);\n\n?>\n"
    found = rows(
        tmp_path,
        {
            "tests/Call/StaleRector/Fixture/one.php.inc": f"{old}-----\n{new}",
            "tests/Call/StaleRector/Fixture/skip.php.inc": new,
            "tests/Call/StaleRector/FixturePhp80/Sorted/two.php.inc": f"{old}-----\n{new}",
            "tests/Call/StaleRector/Fixture/three.php.inc": f"{old}-----\n{old}-----\n{new}",
        },
    )
    assert {(row["pre"], row["post"]) for row in found} == {(old, new), (new, new)}
    assert [row["group"].partition("#")[0] for row in found] == ["StaleRector"] * 3
    assert len({row["group"] for row in found}) == 2 and {row["language"] for row in found} == {"php"}


def test_inline_tests_in_javascript(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        {
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
    names = ("1", "2", "named", "3", "4", "5")
    assert {(f"stale({n});\n", f"fresh({n});\n") for n in names} | {("stale(7);\n", "stale(7);\n")} == set(
        sides(found)
    )


def repository(root: Path) -> Path:
    """A clone with three edits of one fixer, one of another, and code that stays."""
    cases = "".join(f'        ("stale({n})", "fresh({n})"),\n' for n in ("alpha", "beta", "gamma"))
    lay(
        root,
        {
            "LICENSE": MIT,
            "tests/test_stale.py": "import pytest\n@pytest.mark.parametrize(('s', 'expected'), [\n"
            + cases
            + "])\n"
            "def test_it(s, expected): ...\n"
            "@pytest.mark.parametrize('s', ['stale.alpha', 'stale'])\ndef test_noop(s): ...\n",
            "tests/test_one.py": "def test_one():\n    check_transformed('x == None', 'x is None')\n",
        },
    )  # fmt: skip
    for argv in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Add the tests of two fixers"]):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *argv],
            cwd=root,
            check=True,
            capture_output=True,
        )
    return root


def test_bench_build_gives_rows_with_pins_that_bench_rules_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone, out = repository(tmp_path / "fixers"), tmp_path / "bench"
    assert main(["bench", "build", str(clone), "--out", str(out)]) == 0
    made = list(jsonl.read(out / "edits.jsonl"))
    assert {row["license"] for row in made} == {"mit"} and len({row["id"] for row in made}) == 6
    [pin] = json.loads((out / "pins.json").read_text())["repositories"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True)
    assert (pin["commit"], pin["edits"], pin["noops"], pin["fixers"]) == (head.stdout.strip(), 4, 2, 2)
    assert "1 items of 1 rules" in capsys.readouterr().err
    assert (
        main(
            ["bench", "rules", "--miner", "--input", str(out / "edits.jsonl"), "--out", str(tmp_path / "run")]
        )
        == 0
    )
    [item] = jsonl.read(tmp_path / "run/items.jsonl")
    assert ["noop", "stale\n"] in item["negatives"]


@pytest.mark.parametrize("text", ["{", "[]", '{"repositories": 1}'])
def test_bench_build_names_a_file_that_holds_no_pins(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone, pins = repository(tmp_path / "fixers"), tmp_path / "pins.json"
    pins.write_text(text)
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "b"), "--pins", str(pins)]) == 1
    assert f"{pins}: " in capsys.readouterr().err


def test_bench_build_says_when_nothing_can_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = repository(tmp_path / "fixers")
    for path in clone.rglob("test_*.py"):
        if path.name != "test_one.py":
            path.unlink()
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "bench")]) == 1
    assert "two edits of one rule" in capsys.readouterr().err


def test_bench_build_compares_with_pins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clone, out = repository(tmp_path / "fixers"), tmp_path / "bench"
    assert main(["bench", "build", str(clone), "--out", str(out)]) == 0
    pins = str(out / "pins.json")
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "b"), "--pins", pins]) == 0
    assert "as pinned" in capsys.readouterr().err
    assert main(["bench", "build", str(clone), "--out", str(out)]) == 2
    (clone / "tests/test_one.py").write_text(
        "def test_one():\n    check_transformed('y == None', 'y is None')\n"
    )
    capsys.readouterr()
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "c"), "--pins", pins]) == 1
    assert "at the pinned commit, and the rows are others" in capsys.readouterr().err
    assert not (tmp_path / "c/edits.jsonl").exists()


def test_bench_build_refuses_what_it_may_not_or_cannot_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = repository(tmp_path / "fixers")
    (clone / "LICENSE").write_text("GNU General Public License\n")
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "Change the license"],
        cwd=clone, check=True,
    )  # fmt: skip
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "bench")]) == 2
    assert "6 license" in capsys.readouterr().err
    allowed = ["--allow-licenses", "gpl"]
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "bench"), *allowed]) == 0
    assert main(["bench", "build", str(clone), "--layouts", "goldn", "--out", str(tmp_path / "x")]) == 2
    assert main(["bench", "build", str(tmp_path / "nowhere"), "--out", str(tmp_path / "x")]) == 2


def test_ingest_takes_fixture_folders(tmp_path: Path) -> None:
    clone, out = repository(tmp_path / "fixers"), tmp_path / "data"
    assert main(["ingest", "fixtures", "--input", str(clone), "--out", str(out)]) == 0
    found = [row for path in out.glob("t*/fixtures.jsonl") for row in jsonl.read(path)]
    assert {(row["pre"], row["post"]) for row in found} >= {("stale(alpha)\n", "fresh(alpha)\n")}
    assert len(found) == 4
    metadata = json.loads((out / "fixtures.metadata.json").read_text())
    assert metadata["dropped"] == {"no_edit": 2}


def prompt(code: str, fence: str = "python") -> str:
    return f"Refactor the function so that it compares by identity.\n\n```{fence}\n{code}\n```"


def test_what_is_left_out_is_said_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clone = repository(tmp_path / "fixers")
    sides = {
        "a.input.js": "stale( (;\n", "a.output.js": "x();\n", "b.input.vue": "a", "b.output.vue": "b",
        "c.input.js": "stale();\n", "c.output.js": "",
    }  # fmt: skip
    lay(clone, {f"f/{name}": text for name, text in sides.items()})
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "bench")]) == 0
    assert "1 unparsable, 1 language, 1 empty_post" in " ".join(capsys.readouterr().err.split())
    out = tmp_path / "data"
    assert main(["ingest", "fixtures", "--input", str(clone), "--out", str(out)]) == 0
    dropped = json.loads((out / "fixtures.metadata.json").read_text())["dropped"]
    assert dropped == {"no_edit": 2, "unparsable": 1, "language": 1, "empty_post": 1}


def test_the_license_of_the_nearest_package_counts_where_the_repository_has_none(tmp_path: Path) -> None:
    pair = {"packages/a/r/x.input.js": "stale();\n", "packages/a/r/x.output.js": "fresh();\n"}
    stated = {"packages/a/package.json": '{\n  "name": "a",\n  "license": "ISC"\n}\n'}
    assert [row["license"] for row in rows(tmp_path, {**pair, **stated})] == ["isc"]
    (tmp_path / "LICENSE").write_text(MIT)
    assert [row["license"] for row in rows(tmp_path, {})] == ["mit"]


def test_ingest_takes_prompts_and_completions(tmp_path: Path) -> None:
    body = "def pick(cache, key):\n    value = cache.get(key)\n    return value "
    good = {"prompt": prompt(body + "== None"), "completion": "```python\n" + body + "is None\n```\n"}
    short = "total = sum(list(map(int, words)))"
    bare = {"prompt": prompt(short), "completion": "total = sum(map(int, words))"}
    none = {"prompt": "Write a poem.", "completion": "```python\nx = 1\n```"}
    cobol = {"prompt": prompt("val x = 1", "cobol"), "completion": "```cobol\nval x = 2\n```"}
    jsonl.write(tmp_path / "rows.jsonl", [good, bare, none, cobol])
    out = tmp_path / "data"
    assert main(["ingest", "nextcoder", "--input", str(tmp_path / "rows.jsonl"), "--out", str(out)]) == 0
    found = [row for path in out.glob("t*/nextcoder.jsonl") for row in jsonl.read(path)]
    assert {(row["pre"], row["post"]) for row in found} == {
        (body + "== None\n", body + "is None\n"), (short + "\n", "total = sum(map(int, words))\n")
    }  # fmt: skip
    assert {row["instruction"] for row in found} == {"Refactor the function so that it compares by identity."}
    metadata = json.loads((out / "nextcoder.metadata.json").read_text())
    assert metadata["dropped"]["no_code"] == 1 and metadata["rows_in"] == 4
