"""RuleBench: items from edits, what an answer is executed on, the command from end to end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rulewright.actions import Action, render_response
from rulewright.cli import main
from rulewright.engine import Engine
from rulewright.evaluation.rulebench import run as rulebench
from rulewright.evaluation.rulebench.items import BenchItem, items_of, with_background, words_of
from rulewright.mining.inputs import EditRow

NAMES = ("alpha", "beta", "gamma", "delta")


def edits(group: str = "fixer", n: int = 4) -> list[EditRow]:
    """The same renamed call with other arguments, and one edit that is another change."""
    rows = [
        EditRow(f"{group}{i}", "repo", "python", "Use fresh_name.",
                f"value = stale_name({NAMES[i]}, {i})\n", f"value = fresh_name({NAMES[i]}, {i})\n", group)
        for i in range(n)
    ]  # fmt: skip
    return [*rows, EditRow("odd", "repo", "python", "", "x == None\n", "x is None\n", group)]


def answer(pattern: str, fix: str) -> str:
    return render_response(Action("python", ({"rule": {"pattern": pattern}, "fix": fix},)))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(workers=1, deadline_s=5.0) as engine:
        yield engine


def test_another_change_of_the_fixer_is_no_sibling() -> None:
    [item] = items_of(edits())
    assert len(item.examples) + len(item.siblings) == 4
    assert all("stale_name" in pre for pre, _ in (*item.examples, *item.siblings))
    assert items_of(edits(n=1)) == []
    assert words_of("f(a)", "f[a]") == {"-(", "-)", "+[", "+]"}


def test_items_do_not_depend_on_the_order_of_rows() -> None:
    assert items_of(edits()) == items_of(edits()[::-1])


def test_negatives_are_another_name_a_parameter_and_what_was_given() -> None:
    [item] = items_of(edits(), {("repo", "fixer", "python"): ["untouched()\n"]})
    kinds = dict(item.negatives)
    assert kinds["noop"] == "untouched()\n"
    assert "stale_name_other(" in kinds["other_name"]
    assert kinds["shadowed"].startswith("def shadowed(stale_name):\n    value = stale_name(")


def test_a_name_that_the_code_declares_itself_gives_no_negative() -> None:
    own = [
        EditRow(f"{i}", "r", "python", "", f"def stale_name(): pass\nstale_name({i})\n",
                f"def fresh_name(): pass\nfresh_name({i})\n", "g")
        for i in range(3)
    ]  # fmt: skip
    [item] = items_of(own)
    assert item.negatives == ()


def test_background_is_code_of_other_rules() -> None:
    first, second = with_background(items_of([*edits(), *_others()]), 40)
    assert first.background and second.background
    assert not {pre for pre, _ in first.examples} & set(first.background)


def _others() -> list[EditRow]:
    return [
        EditRow(f"o{i}", "repo", "python", "", f"y = old_thing({name})\n", f"y = new_thing({name})\n", "b")
        for i, name in enumerate(NAMES[:2])
    ]  # fmt: skip


def score(engine: Engine, text: str, negatives: tuple[Any, ...] = ()) -> dict[str, Any]:
    [item] = items_of(edits())
    background = ("alpha(beta, 1)\n",) * 20
    return rulebench.scores(
        engine, text, BenchItem(**{**vars(item), "negatives": negatives, "background": background})
    )


def test_general_literal_broad_and_invalid_answers(engine: Engine) -> None:
    stays = (("other_name", "stale_name_other(x, 1)\n"),)
    general = score(engine, answer("stale_name($$$A)", "fresh_name($$$A)"), stays)
    assert (general["holds"], general["siblings"], general["negatives"]) == (1.0, 1.0, 1.0)
    assert general["over_match"] == 0.0
    [item] = items_of(edits())
    pre, post = item.examples[0]
    literal = score(engine, answer(pre.strip(), post.strip()), stays)
    assert (literal["own"], literal["siblings"], literal["holds"]) == (1.0 / len(item.examples), 0.0, 0.0)
    assert literal["literal"] == 1.0
    broad = score(engine, answer("$F($A, $B)", "fresh_name($A, $B)"), stays)
    assert (broad["siblings"], broad["negatives"], broad["holds"]) == (1.0, 0.0, 0.0)
    assert broad["over_match"] == 1.0 and broad["fires"] == 100.0
    assert score(engine, "prose")["holds"] == 0.0


@pytest.fixture
def edit_file(tmp_path: Path) -> Path:
    path = tmp_path / "edits.jsonl"
    fields = ("id", "source", "language", "instruction", "pre", "post", "group")
    rows = [{name: getattr(row, name) for name in fields} for row in (*edits(), *_others())]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_miner_answers_from_examples(edit_file: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "run"
    command = ["bench", "rules", "--miner", "--input", str(edit_file), "--out", str(out), "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["benchmark"] == "rules" and found["n_tasks"] == 2
    assert found["metrics"]["siblings exact"]["value"] == 1.0
    assert main(command) == 0  # a finished run is only shown
    assert main(["compare", str(out), str(out), "--json"]) == 0
    capsys.readouterr()
    assert main(["bench", "rules", "--miner", "--track", "sentence", "--input", str(edit_file)]) == 2
    lone = tmp_path / "lone.jsonl"
    lone.write_text(edit_file.read_text(encoding="utf-8").splitlines()[0] + "\n")
    empty = ["bench", "rules", "--miner", "--input", str(lone), "--out", str(tmp_path / "lone")]
    assert main(empty) == 2
    assert "no items" in capsys.readouterr().err


def test_training_data_take_their_items_out(edit_file: Path, tmp_path: Path, capsys: Any) -> None:
    known = tmp_path / "train.jsonl"
    known.write_text(
        "".join(json.dumps({"instruction": "", "pre": e.pre, "post": e.post}) + "\n" for e in edits())
    )
    out = str(tmp_path / "run")
    argv = ["bench", "rules", "--miner", "--input", str(edit_file), "--out", out, "--json"]
    assert main([*argv, "--trained-on", str(known)]) == 0
    assert json.loads(capsys.readouterr().out)["skipped"]["contaminated"] == 1


@pytest.mark.parametrize(
    ("source", "metadata"),
    [
        ("templates", {"source": "synth", "group": "json", "provenance": {"templates": ["fixer"]}}),
        ("repo", {"source": "repo", "group": "fixer#option"}),
    ],
)
def test_rules_that_training_records_were_made_by_are_left_out(
    source: str, metadata: dict[str, Any], tmp_path: Path, capsys: Any
) -> None:
    """Another text of a rule that was trained on is no new question."""
    rows = [{**vars(row), "source": source} for row in (*edits(), *_others())]
    items, known = tmp_path / "edits.jsonl", tmp_path / "train.jsonl"
    items.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    known.write_text(json.dumps({"instruction": "", "pre": "a", "post": "b", "metadata": metadata}), "utf-8")
    argv = ["bench", "rules", "--miner", "--input", str(items), "--trained-on", str(known), "--json"]
    assert main([*argv, "--out", str(tmp_path / "run")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["skipped"]["known_rule"] == 1 and found["n_tasks"] == 1


def test_a_model_is_asked_with_examples_and_sentence(
    oracle: Any, edit_file: Path, tmp_path: Path, capsys: Any
) -> None:
    seen: list[str] = []

    def reply(prompt: str, body: dict[str, Any]) -> str:
        seen.append(prompt)
        return answer("stale_name($$$A)", "fresh_name($$$A)")

    oracle.answer = reply
    argv = ["bench", "rules", "--model", "oracle", "--base-url", oracle.url, "--input", str(edit_file)]
    assert main([*argv, "--track", "both", "--out", str(tmp_path / "run"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_tasks"] == 1 and found["skipped"]["no_sentence"] == 1
    assert "Use fresh_name." in seen[0] and "After:" in seen[0]
    assert found["metrics"]["siblings exact"]["value"] == 1.0


def test_the_miner_is_no_one_of_several_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "rules", "--miner", "--models", "a", "b"]) == 2
    assert "--miner uses no model" in capsys.readouterr().err
