"""`ingest git` on repositories made here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from rulewright.cli import main
from rulewright.data import inputs, readers
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import SOURCES

Ingest = Callable[..., int]
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\n"
LARGE = "".join(f"def function_{i}(x):\n    y = x + {i}\n    return y * {i}\n\n\n" for i in range(300))


class Repository:
    """A repository with a commit per call."""

    def __init__(self, path: Path, remote: str = "https://github.com/Acme/Tool.git") -> None:
        self.path = path
        path.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", remote)

    def git(self, *arguments: str) -> str:
        environment = {
            **os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
            "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
            "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
        }  # fmt: skip
        command = ["git", "-C", str(self.path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        return done.stdout

    def commit(self, message: str, **files: str | bytes) -> None:
        for name, content in files.items():
            path = self.path / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "checkout")
    made.commit("Start the project with all of its files", LICENSE=MIT, a_DOT_py="x = 1\n", big_DOT_py=LARGE)
    return made


def test_single_file_commits_with_usable_messages(
    repository: Repository, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    repository.commit("Set x to two for good (#12)", a_DOT_py="x = 2\n")
    repository.commit("typo", a_DOT_py="x = 3\n")
    repository.commit("Change two files in one commit", a_DOT_py="x = 4\n", b_DOT_py="y = 1\n")
    repository.commit("Write some notes about the project", notes_DOT_md="text\n")
    repository.commit("Edit the notes about the project", notes_DOT_md="other\n")
    repository.commit("Add a new module for the shop", c_DOT_py="z = 1\n")
    repository.commit("Replace bytes that are not text", c_DOT_py=b"z = '\xff'\n")
    repository.commit("Return double of y in this function",
                      big_DOT_py=LARGE.replace("return y * 150\n", "return 2 * y * 150\n"))  # fmt: skip
    assert ingest("git", "--input", repository.path) == 0
    made = {r.instruction: r for r in lay.records(out, "git")}
    assert set(made) == {"Set x to two for good", "Return double of y in this function"}
    window = made["Return double of y in this function"]
    assert window.pre == "def function_150(x):\n    y = x + 150\n    return y * 150\n"
    assert window.tags == ["window"] and window.metadata.provenance["window"]["start_line"] == 751
    assert window.metadata.repo == window.metadata.group == "acme/tool" and window.metadata.license == "mit"
    reasons = sorted(r["reason"] for r in lay.rejects(out, "git"))
    expected = "language message_short multi_file multi_file not_modified not_modified undecodable"
    assert reasons == expected.split()


def test_a_record_of_every_language(
    repository: Repository, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    edits = {
        "a.rb": "def one\n  {}\nend\n", "a.php": "<?php\nfunction one()\n{{\n    return {};\n}}\n",
        "A.cs": "class A\n{{\n    int One() => {};\n}}\n", "A.kt": "fun one(): Int {{\n    return {}\n}}\n",
        "a.kts": "println({})\n", "a.gemspec": "one = {}\n", "a.rs": "fn one() -> u8 {{\n    {}\n}}\n",
    }  # fmt: skip
    for path, text in edits.items():
        name = path.replace(".", "_DOT_")
        repository.commit(f"Add the first version of {path}", **{name: text.format(1)})
        repository.commit(f"Return two instead of one in {path}", **{name: text.format(2)})
    repository.commit("Add a file that a tool has made", A_DOT_Designer_DOT_cs="class A { int a = 1; }\n")
    repository.commit("Set a to two in what a tool made", A_DOT_Designer_DOT_cs="class A { int a = 2; }\n")
    assert ingest("git", "--input", repository.path) == 0
    made = {r.metadata.path: r for r in lay.records(out, "git")}
    assert {path: record.language for path, record in made.items()} == {
        "a.rb": "ruby", "a.php": "php", "A.cs": "csharp", "A.kt": "kotlin", "a.kts": "kotlin",
        "a.gemspec": "ruby", "a.rs": "rust",
    }  # fmt: skip
    for path, record in made.items():
        assert (record.pre, record.post) == (edits[str(path)].format(1), edits[str(path)].format(2))
    assert "generated" in {r["reason"] for r in lay.rejects(out, "git")}


def test_one_change_made_in_several_files_is_an_example_for_each(
    repository: Repository, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    code = "from shop import {0}\n\n\ndef use_{1}(key):\n    return {0}(key, {1}) or {1}\n"
    old = {f"m{i}_DOT_py": code.format("fetch", i) for i in range(3)}
    repository.commit("Add three modules to the shop", **old, other_DOT_py="size = 4\n", NEWS="none\n")
    new = {name: text.replace("fetch", "get_item") for name, text in old.items()}
    repository.commit("Use get_item instead of fetch", **new, other_DOT_py="size = 5\n", NEWS="renamed\n")
    repository.commit("Improve some things all over the place", a_DOT_py="x = first()\n", m0_DOT_py="y = 2\n")
    assert ingest("git", "--input", repository.path) == 0
    made = {record.metadata.path: record for record in lay.records(out, "git")}
    assert sorted(made) == ["m0.py", "m1.py", "m2.py"]
    for name, record in made.items():
        assert record.instruction == "Use get_item instead of fetch" and record.tags == ["several_files"]
        assert record.post == new[name.replace(".py", "_DOT_py")]
        assert record.metadata.group == "acme/tool"
    reasons = sorted(r["reason"] for r in lay.rejects(out, "git"))
    assert reasons == ["multi_file", "multi_file", "multi_file"], "two with new files, one of several kinds"


def test_mining_a_history_learns_from_a_change_made_in_several_files(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "from shop import {0}\n\n\ndef use_{1}(key):\n    return {0}(key, {1}) or {1}\n"
    old = {f"m{i}_DOT_py": code.format("fetch", i) for i in range(4)}
    repository.commit("Add some modules to the shop", **old)
    new = {name: text.replace("fetch(", "shop.fetch(") for name, text in old.items()}
    repository.commit("Call fetch through its module", **new)
    assert main(["mine", str(repository.path), "--name", "own", "--workers", "1"]) == 0
    found = [json.loads(line) for line in next(Path("data").rglob("mined_*.jsonl")).read_text().splitlines()]
    assert sorted(r["metadata"]["path"] for r in found) == [f"m{i}.py" for i in range(4)]
    assert {r["metadata"]["provenance"]["tier"] for r in found} == {"train"}


def test_notes_beside_one_file_of_code_do_not_bar_it(
    repository: Repository, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    repository.commit(
        "Add a module and some news", a_DOT_py="x = 1\n", NEWS_DOT_md="none\n", b_DOT_py="y = 1\n"
    )
    repository.commit("Set x to two for good", a_DOT_py="x = 2\n", NEWS_DOT_md="two\n")
    repository.commit("Set x to three with a test", a_DOT_py="x = 3\n", c_DOT_py="new = 1\n")
    assert ingest("git", "--input", repository.path) == 0
    (record,) = lay.records(out, "git")
    assert (record.metadata.path, record.post, record.tags) == ("a.py", "x = 2\n", [])


def test_the_files_of_a_commit_are_mined_together(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file holds another part of the change: words alone do not tell that they belong together."""
    monkeypatch.chdir(tmp_path)
    calls = {"a": "open_box(1, x)", "b": "open_box(2, y)\nz = shut.lid(3)", "c": "q = shut.lid(w)"}
    new = {"a": "Box.open(1, x)", "b": "Box.open(2, y)\nz = closing.lid(3)", "c": "q = closing.lid(w)"}
    lone = "def area(side):\n    return side * side\n"
    before, after = (
        {f"{name}_DOT_py": f"import shop\n\n{code}\n" for name, code in side.items()} for side in (calls, new)
    )
    repository.commit("Add some modules to the shop", lone_DOT_py=lone, **before)
    lone = lone.replace("side * side", "side ** 2")
    repository.commit("Open and close boxes in the new way", lone_DOT_py=lone, **after)
    assert main(["mine", str(repository.path), "--name", "own", "--workers", "1"]) == 0
    found = [json.loads(line) for line in next(Path("data").rglob("mined_*.jsonl")).read_text().splitlines()]
    made = {record["metadata"]["path"]: record["metadata"]["provenance"] for record in found}
    assert sorted(made) == ["a.py", "b.py", "c.py"]
    assert {(one["tier"], one["support"]) for one in made.values()} == {("train", 2)}
    assert made["b.py"]["n_rules"] == 2
    summary = json.loads(Path("reports/mining/own.json").read_text())
    assert summary["reasons"] == {"shares no rule with another file of its commit": 1}


def test_a_message_may_hold_any_character_but_nul(
    repository: Repository, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    repository.commit("Set x to two for good\n\n\x03 and \x01\x02 :100644 \n\n:1 2 3", a_DOT_py="x = 2\n")
    repository.commit("Set x to three and leave it so", a_DOT_py="x = 3\n")
    assert ingest("git", "--input", repository.path) == 0
    assert {r.instruction for r in lay.records(out, "git")} == {
        "Set x to two for good", "Set x to three and leave it so",
    }  # fmt: skip


def test_messages_can_be_held_to_a_stricter_rule(
    repository: Repository, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    repository.commit("Set x to two for good (#12)", a_DOT_py="x = 2\n")
    repository.commit("Set x to three and leave it so", a_DOT_py="x = 3\n")
    assert ingest("git", "--input", repository.path, "--message-filter", "strict") == 0
    assert [r.instruction for r in lay.records(out, "git")] == ["Set x to three and leave it so"]


def test_files_can_be_the_groups_of_a_single_repository(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Repository(tmp_path / "r")
    repository.commit("Start", LICENSE=MIT, **{f"m{i}_DOT_py": f"x = {i}\n" for i in range(60)})
    for i in range(60):
        repository.commit(f"Set the value of module {i}", **{f"m{i}_DOT_py": f"x = {i} + {i}\n"})
    assert ingest("git", "--input", repository.path) == 0
    assert "--group-by path makes more" in capsys.readouterr().err
    assert ingest("git", "--input", repository.path, "--overwrite", "--group-by", "path") == 0
    assert all(list((out / split).glob("git.jsonl")) for split in ("train", "dev", "test"))


def test_a_repository_cannot_run_anything(repository: Repository, tmp_path: Path, ingest: Ingest) -> None:
    repository.commit(
        "Set x to two for good", a_DOT_py="x = 2\n", _DOT_gitattributes="*.py diff=bad filter=bad\n"
    )
    repository.commit("Set x to three for good", a_DOT_py="x = 3\n")
    trap = tmp_path / "trap"
    for key in ("core.fsmonitor", "diff.bad.textconv", "diff.bad.command", "filter.bad.smudge", "core.pager",
                "diff.external", "gpg.program"):  # fmt: skip
        repository.git("config", key, f"touch {trap}; false")
    repository.git("config", "log.showSignature", "true")
    assert ingest("git", "--input", repository.path) == 0
    assert not trap.exists()


def test_blobs_that_a_partial_clone_lacks_are_counted(
    repository: Repository, tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    for i in range(2, 6):
        repository.commit(f"Set x to the value {i}", a_DOT_py=f"x = {i}\n")
    repository.git("config", "uploadpack.allowfilter", "true")
    partial = tmp_path / "partial"
    repository.git("clone", "-q", "--filter=blob:none", "file://" + str(repository.path), str(partial))
    assert (
        ingest("git", "--input", partial, "--license", "mit") == 1
    )  # HEAD's files are there, older ones not
    assert ingest("git", "--input", partial, repository.path, "--license", "mit", "--overwrite") == 0
    reasons = {r["reason"] for r in lay.rejects(out, "git")}
    assert "missing_blob" in reasons and len(lay.records(out, "git")) == 4


def test_a_folder_of_repositories_stands_for_each(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    (tmp_path / "all").mkdir()
    for name in ("one", "two"):
        made = Repository(tmp_path / "all" / name, remote=f"https://github.com/Acme/{name}.git")
        made.commit(
            "Start with a module of this", LICENSE=MIT, a_DOT_py=f"{name} = 1\nother_{name} = {name}()\n"
        )
        made.commit(f"Set the value of {name}", a_DOT_py=f"{name} = 2\nother_{name} = {name}()\n")
    assert ingest("git", "--input", tmp_path / "all") == 0
    assert {r.metadata.repo for r in lay.records(out, "git")} == {"acme/one", "acme/two"}
    inside = tmp_path / "all" / "one" / "sub"
    inside.mkdir()
    assert ingest("git", "--input", inside, "--overwrite") == 0
    assert {(r.metadata.repo, r.metadata.license) for r in lay.records(out, "git")} == {("acme/one", "mit")}


def test_of_a_shallow_clone_the_missing_history_is_said(
    repository: Repository, tmp_path: Path, ingest: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.commit("Set the value of the thing", a_DOT_py="x = 2\n")
    clone = ["git", "clone", "-q", "--depth", "1", f"file://{repository.path}", str(tmp_path / "clone")]
    subprocess.run(clone, check=True)
    assert ingest("git", "--input", tmp_path / "clone") == 1
    assert "git fetch --unshallow" in capsys.readouterr().err
    main(["mine", str(tmp_path / "clone"), "--workers", "1", "--out", str(tmp_path / "mined")])
    assert "git fetch --unshallow" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["none", "folder", "no commits"])
def test_what_is_no_repository_is_refused(
    kind: str, tmp_path: Path, ingest: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "no commits":
        Repository(path)
    assert ingest("git", "--input", path) == 2
    told = {"none": "no such folder", "folder": "not a git repository", "no commits": "without commits"}
    assert told[kind] in capsys.readouterr().err


def test_commits_that_come_during_a_run_are_of_the_next(repository: Repository) -> None:
    config = IngestConfig(source="git", allow_licenses=("mit",))
    found = inputs.find(SOURCES["git"], [str(repository.path)], config)
    before = found.facts()
    repository.commit("Set x to five in this file", a_DOT_py="x = 5\n")
    (unit,) = found.units()
    assert [item.value["subject"] for item in readers.items(unit) if isinstance(item.value, dict)] == [
        "Start the project with all of its files"
    ]
    assert found.facts() == before


def test_agentpack_reads_files_from_clones(
    repository: Repository, tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    repository.commit("Set x to two", a_DOT_py="x = 2\n")
    sha = repository.git("rev-parse", "HEAD").strip()
    patch = repository.git("show", "--format=", "HEAD")
    clones = tmp_path / "clones" / "Acme"
    clones.mkdir(parents=True)
    shutil.copytree(repository.path, clones / "Tool")
    row = {"event_id": "1", "agent": "claude", "repo": "Acme/Tool", "sha": sha, "description": "Set x to 2",
           "patch": patch}  # fmt: skip
    rows = [row, {**row, "repo": "Acme/Other"}, {**row, "repo": "../.."}, {**row, "sha": "HEAD"}]
    path = lay.write(tmp_path / "a.jsonl", rows)
    assert ingest("agentpack", "--input", path, "--clones", tmp_path / "clones") == 0
    (record,) = lay.records(out, "agentpack")
    assert (record.pre, record.post, record.metadata.license) == ("x = 1\n", "x = 2\n", "mit")
    assert record.tags == ["agent:claude"]
    assert [r["reason"] for r in lay.rejects(out, "agentpack")] == ["no_clone", "no_clone", "bad_commit"]


def test_agentpack_takes_one_change_in_several_files(
    tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    made = Repository(tmp_path / "clones")
    root = tmp_path / "root" / "Acme" / "Tool"
    code = "from shop import {0}\n\n\ndef use_{1}(key):\n    return {0}(key, {1}) or {1}\n"
    made.commit("Start", LICENSE=MIT, **{f"m{i}_DOT_py": code.format("fetch", i) for i in range(2)})
    made.commit("Rename", **{f"m{i}_DOT_py": code.format("get_item", i) for i in range(2)}, NEWS="new\n")
    row = {"event_id": "1", "agent": "a", "repo": "Acme/Tool", "sha": made.git("rev-parse", "HEAD").strip(),
           "description": "Call it get_item", "patch": made.git("show", "--format=", "HEAD")}  # fmt: skip
    shutil.copytree(made.path, root)
    path = lay.write(tmp_path / "a.jsonl", [row])
    assert ingest("agentpack", "--input", path, "--clones", tmp_path / "root") == 0
    records = lay.records(out, "agentpack")
    assert sorted(r.metadata.path for r in records) == ["m0.py", "m1.py"]
    assert {tuple(r.tags) for r in records} == {("agent:a", "several_files")}


@pytest.mark.parametrize("name", ["a b.py", "café.py", 'say "x".py'])
def test_agentpack_finds_a_file_whose_name_a_patch_quotes(
    name: str, tmp_path: Path, out: Path, ingest: Ingest, lay: SimpleNamespace
) -> None:
    (tmp_path / "clones" / "Acme").mkdir(parents=True)
    made = Repository(tmp_path / "clones" / "Acme" / "Tool")
    for code in ("x = 1\n", "x = 2\n"):
        made.commit("Set x", LICENSE=MIT, **{name.replace(".", "_DOT_"): code})
    gone = made.git("rev-parse", "HEAD^").strip()
    row = {"event_id": "1", "agent": "a", "repo": "Acme/Tool", "sha": made.git("rev-parse", "HEAD").strip(),
           "description": "Set x to 2", "patch": made.git("show", "--format=", "HEAD")}  # fmt: skip
    path = lay.write(tmp_path / "a.jsonl", [row, {**row, "sha": gone}, {**row, "sha": "0" * 40}])
    assert ingest("agentpack", "--input", path, "--clones", tmp_path / "clones") == 0
    (record,) = lay.records(out, "agentpack")
    assert (record.metadata.path, record.pre, record.post) == (name, "x = 1\n", "x = 2\n")
    assert [r["reason"] for r in lay.rejects(out, "agentpack")] == ["missing_blob", "missing_blob"]
