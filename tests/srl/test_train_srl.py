"""`train srl` and `train grpo` on the command line, with a tiny model that knows two answers badly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rulewright import jsonl
from rulewright.actions import Action, render_action, render_response
from rulewright.cli import main
from rulewright.data.schemas import record_id
from rulewright.data.splits import draw
from rulewright.errors import UsageError
from rulewright.prompts import action_prompt
from rulewright.srl.scoring import TeacherStep
from rulewright.srl.train_srl import read_steps

pytest.importorskip("trl")
import torch
from tests.launching import launched

from rulewright.training.config import TinyConfig
from rulewright.training.tiny import make_model, make_tokenizer

NONE = Action("python", ({"rule": {"pattern": "$A == None"}, "fix": "$A is None"},))
TRUE = Action("python", ({"rule": {"pattern": "$A == True"}, "fix": "$A is True"},))


def edits() -> list[tuple[str, str, str, Action]]:
    """Instruction, before, after, action."""
    found = []
    for i, name in enumerate("abcdefgh"):
        action, word = ((NONE, "None"), (TRUE, "True"))[i % 2]
        pre = f"if {name} == {word}:\n    pass\n"
        found.append((f"use is {word}", pre, pre.replace("==", "is"), action))
    return found


def step(i: int, instruction: str, pre: str, post: str, action: Action) -> dict[str, Any]:
    return {
        "task_id": f"task{i}", "step": 0, "language": "python", "instruction": instruction, "pre_code": pre,
        "teacher": {"action": json.loads(render_action(action))},
        "env": {"verdict": "ok", "post_code": post},
        "provenance": {"teacher": "miner", "group": f"g{i}"},
    }  # fmt: skip


def record(instruction: str, pre: str, post: str, action: Action, group: str) -> dict[str, Any]:
    key = record_id(instruction, pre, post, "python")
    return {
        "instruction": instruction, "pre": pre, "post": post, "language": "python",
        "metadata": {
            "id": key, "source": "t", "license": "mit", "group": group, "action": render_action(action),
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and a checkpoint that was trained just enough to be right now and then."""
    root = tmp_path_factory.mktemp("srl")
    made = edits()
    steps = [step(i, *edit) for i, edit in enumerate(made)]
    records = [record(*edit, f"g{i}") for i, edit in enumerate(made)]
    for name in ("train", "dev"):
        jsonl.write(root / f"steps_{name}.jsonl", steps)
        jsonl.write(root / f"{name}/records.jsonl", records)
    texts = [f"{edit[0]}\n{edit[1]}" for edit in made]
    answers = [render_response(edit[3]) for edit in made]
    config = TinyConfig(vocab_size=300, hidden_size=32, n_layers=2, n_heads=2, mlp_size=64, max_positions=160)
    tokenizer = make_tokenizer(texts * 20, answers, config)
    model = make_model(tokenizer, config, 0)
    memorise(model, tokenizer, made, answers)
    tokenizer.save_pretrained(root / "model")
    model.save_pretrained(root / "model")
    jsonl.write_json(root / "model/rulewright.json", {"prompt_style": "compact", "task": "action"})
    return root


def memorise(
    model: Any, tokenizer: Any, made: list[tuple[str, str, str, Action]], answers: list[str]
) -> None:
    rows = []
    for (instruction, pre, _, _), answer in zip(made, answers, strict=True):
        prompt = action_prompt(instruction, pre, "python", style="compact")
        text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        rows.append((tokenizer(text)["input_ids"], tokenizer(answer + tokenizer.eos_token)["input_ids"]))
    width = max(len(p) + len(a) for p, a in rows)
    ids = torch.tensor([p + a + [tokenizer.pad_token_id] * (width - len(p) - len(a)) for p, a in rows])
    labels = torch.tensor([[-100] * len(p) + a + [-100] * (width - len(p) - len(a)) for p, a in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = model(input_ids=ids, labels=labels, attention_mask=(ids != tokenizer.pad_token_id).long()).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def config_file(folder: Path, out: Path, **values: Any) -> str:
    trainer = {
        "max_steps": 3, "per_device_train_batch_size": 16, "num_generations": 8, "max_completion_length": 48,
        "learning_rate": 1e-3, "save_steps": 3,
    }  # fmt: skip
    config = {
        "model": str(folder / "model"), "out": str(out / "model"), "reports": str(out / "reports"),
        "eval_rows": 8, "eval_every_steps": 3, "workers": 1, "trainer": trainer, **values,
    }  # fmt: skip
    jsonl.write_json(out / "config.yaml", config)
    return str(out / "config.yaml")


def srl(folder: Path, out: Path, **values: Any) -> str:
    steps = {name: str(folder / f"steps_{name}.jsonl") for name in ("train", "dev")}
    return config_file(folder, out, **{**steps, **values})


def test_dev_steps_come_from_everywhere(tmp_path: Path) -> None:
    """Steps lie file by file: the first ones of them would be of a few files only."""
    made = edits()
    rows = [step(i, *made[i % 8]) for i in range(400)]
    for i, row in enumerate(rows):
        row["provenance"]["group"] = f"file{i // 40}"
    jsonl.write(tmp_path / "steps.jsonl", rows)
    steps = read_steps(tmp_path / "steps.jsonl", [])

    def name(one: TeacherStep) -> str:
        return one.id

    chosen = draw(steps, 40, name)
    ids = [item.id for item in chosen]
    assert len(set(ids)) == 40
    assert len({item.group for item in chosen}) > 7
    assert ids == [item.id for item in steps if item.id in set(ids)]
    fewer = {item.id for item in draw(steps[:-1], 40, name)}
    assert len(fewer & set(ids)) >= 39  # by hash: one step less does not reshuffle the others
    assert draw(steps, 1000, name) == draw(steps, 0, name) == steps


def test_a_file_of_steps_becomes_one_row_for_each_task(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = edits()
    other = Action(
        "python", ({"rule": {"pattern": "$A == None", "kind": "comparison_operator"}, "fix": "$A is None"},)
    )
    rows = [step(i, *edit) for i, edit in enumerate(made)] + [step(0, *made[0][:3], other)]
    jsonl.write(tmp_path / "steps.jsonl", rows)
    config = srl(
        folder,
        tmp_path,
        train=str(tmp_path / "steps.jsonl"),
        trainer={
            "max_steps": 1,
            "num_generations": 8,
            "per_device_train_batch_size": 8,
            "max_completion_length": 32,
            "save_steps": 1,
        },
    )
    assert main(["train", "srl", "--config", config, "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[-1])["n_train"] == 8
    assert "9 steps" in said.err


@pytest.mark.parametrize("reward", [pytest.param("plain", marks=pytest.mark.slow), "gated"])
def test_train_srl(folder: Path, tmp_path: Path, reward: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "srl", "--config", srl(folder, tmp_path, reward=reward), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["reward"] == f"srl_{reward}"
    assert result["steps"] == 3
    assert result["before"]["sampled"]["n"] == 8
    rows = [row for row in jsonl.read(tmp_path / "reports/metrics.jsonl") if row["kind"] == "train"]
    assert {
        "unfiltered/reward",
        "parts/s_field",
        "parts/s_str",
        "sampling/kept_rate",
        "sampling/rounds",
    } <= set(rows[0])
    assert (tmp_path / "model/model.safetensors").exists()
    assert "dev, before and after" in (tmp_path / "model/README.md").read_text(encoding="utf-8").lower()
    # A finished run is only confirmed, and never overwritten without being asked.
    assert main(["train", "srl", "--config", str(tmp_path / "config.yaml"), "--resume"]) == 0
    assert main(["train", "srl", "--config", str(tmp_path / "config.yaml")]) == 2


def test_train_grpo(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mix = [{"path": str(folder / "train/records.jsonl")}]
    dev = [{"path": str(folder / "dev/records.jsonl")}]
    assert main(["train", "grpo", "--config", config_file(folder, tmp_path, mix=mix, dev=dev), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["reward"] == "environment"
    rows = [row for row in jsonl.read(tmp_path / "reports/metrics.jsonl") if row["kind"] == "train"]
    assert any("parts/add_code" in row for row in rows)


@pytest.mark.timeout(900)  # `launched` has its own limit, and says where a process stands
def test_two_processes_confirm_a_finished_run_and_do_it_anew(folder: Path, tmp_path: Path) -> None:
    trainer = {
        "max_steps": 1, "per_device_train_batch_size": 8, "num_generations": 8, "max_completion_length": 48,
        "save_steps": 1,
    }  # fmt: skip
    path = srl(folder, tmp_path, trainer=trainer, eval_every_steps=1)
    assert main(["train", "srl", "--config", path]) == 0
    result = tmp_path / "model/run/result.json"
    before = result.read_bytes()
    done = launched("rulewright", "train", "srl", "--config", path, "--resume")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("this run is already finished") == 1
    assert result.read_bytes() == before
    done = launched("rulewright", "train", "srl", "--config", path, "--overwrite")
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(result.read_bytes())["prompts"] == 2 * json.loads(before)["prompts"]
    assert "FutureWarning" not in done.stderr and "%|" not in done.stderr, "libraries stay quiet"


def test_weights_in_shards_are_refused_before_anything_is_claimed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")
    assert main(["train", "srl", "--config", srl(folder, tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "FSDP shards the weights" in said and "ddp.yaml" in said
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_more_than_one_process(folder: Path, tmp_path: Path) -> None:
    """Two ranks do equally many rounds, share the dev tasks, and end with one result."""
    argv = ["train", "srl", "--config", srl(folder, tmp_path, eval_rows=7), "--processes", "2"]
    assert main(argv) == 0
    result = json.loads((tmp_path / "model/run/result.json").read_text(encoding="utf-8"))
    assert result["steps"] == 3
    assert result["prompts"] >= 3 * 2 * 2
    # Seven tasks on two ranks: the same answers as one process gives, each asked once.
    alone = tmp_path / "alone"
    assert main(["train", "srl", "--config", srl(folder, alone, eval_rows=7)]) == 0
    one = json.loads((alone / "model/run/result.json").read_text(encoding="utf-8"))
    assert one["n_dev"] == result["n_dev"] == 7
    assert one["before"] == result["before"]
    rewards = [
        next(row["evaluation"]["rewards"] for row in jsonl.read(root / "model/run/dev.jsonl"))
        for root in (tmp_path, alone)
    ]
    assert rewards[0] == rewards[1]


def test_what_cannot_be_used_is_set_aside(folder: Path, tmp_path: Path) -> None:
    good = step(0, *edits()[0])
    path = tmp_path / "steps.jsonl"
    lines = [
        json.dumps(good),
        "{torn",
        json.dumps({**good, "step": -1}),
        json.dumps({**good, "env": {"verdict": "wrong_result", "post_code": "x"}}),
        json.dumps({**good, "teacher": {"action": None}}),
        json.dumps({**good, "teacher": {"action": {"action": {"type": "sed"}}}}),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    rejected: list[dict[str, Any]] = []
    steps = read_steps(path, rejected)
    assert [found.id for found in steps] == ["task0/0"]
    assert [item["line"] for item in rejected] == [2, 3, 4, 5, 6]
    assert [item["reason"].split(":")[0].split(" (")[0] for item in rejected] == [
        "not JSON", "step", "not verified", "no teacher action", "teacher action bad_action",
    ]  # fmt: skip
    path.write_text("\n".join(lines[1:]) + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no usable step"):
        read_steps(path, [])


def test_mistakes_end_with_one_message(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases: dict[str, dict[str, Any]] = {
        "no such file": {"train": str(tmp_path / "none.jsonl")},
        "no such checkpoint folder": {"model": str(tmp_path / "none/at/all")},
        "did you mean 'max_rounds'": {"sampling": {"max_round": 2}},
        "trl has no such option": {"trainer": {"max_stepz": 2}},
        "`quantize: nf4` trains adapters only": {"quantize": "nf4"},
        "one batch takes": {"trainer": {"per_device_train_batch_size": 512, "save_steps": 1}},
    }
    for message, values in cases.items():
        assert main(["train", "srl", "--config", srl(folder, tmp_path, **values)]) == 2, message
        said = capsys.readouterr().err
        assert not (tmp_path / "model").exists(), f"{message}: the folder is free still"
        assert message in said
        assert "hint:" in said
        assert "Traceback" not in said
