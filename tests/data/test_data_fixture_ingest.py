"""What becomes of fixtures: records, and what is left out with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.data.fixture_folders import MIT, lay, repository, rows

from rulewright import jsonl
from rulewright.cli import main


def test_ingest_takes_fixture_folders(tmp_path: Path) -> None:
    clone, out = repository(tmp_path / "fixers"), tmp_path / "data"
    assert main(["ingest", "fixtures", "--input", str(clone), "--out", str(out)]) == 0
    found = [row for path in out.glob("t*/fixtures.jsonl") for row in jsonl.read(path)]
    assert {(row["pre"], row["post"]) for row in found} >= {("stale(alpha)\n", "fresh(alpha)\n")}
    assert len(found) == 4
    metadata = json.loads((out / "fixtures.metadata.json").read_text())
    assert metadata["dropped"] == {"no_edit": 2}


def test_what_is_left_out_is_said_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clone = repository(tmp_path / "fixers")
    sides = {
        "a.input.js": "stale( (;\n", "a.output.js": "x();\n", "b.input.vue": "a", "b.output.vue": "b",
        "c.input.js": "stale();\n", "c.output.js": "",
    }  # fmt: skip
    lay(clone, {f"f/{name}": text for name, text in sides.items()})
    assert main(["bench", "build", str(clone), "--out", str(tmp_path / "bench")]) == 0
    assert "unparsable 1, language 1, empty_post 1" in " ".join(capsys.readouterr().err.split())
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
