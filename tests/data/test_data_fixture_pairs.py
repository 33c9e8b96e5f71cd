"""Fixture layouts in files of their own: pairs, golden files, results beside inputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.data.fixture_folders import rows, sides


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


def test_a_fixture_belongs_to_the_test_that_its_name_begins_with(tmp_path: Path) -> None:
    """The tests lie above the fixtures, the transforms somewhere else."""
    found = rows(
        tmp_path,
        {
            "codemod/src/test/__testfixtures__/rename-a-deep.input.ts": "stale(1);\n",
            "codemod/src/test/__testfixtures__/rename-a-deep.output.ts": "fresh(1);\n",
            "codemod/src/test/rename-a.test.ts": "run();\n",
            "codemod/src/codemods/v1/rename-a.ts": "run();\n",
        },
        "pairs",
    )
    assert [row["group"] for row in found] == ["rename-a"]


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
