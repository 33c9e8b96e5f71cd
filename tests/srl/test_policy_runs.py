"""Runs of policy training: what they learn, save, publish, and how a killed one goes on."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rulewright import jsonl
from rulewright.commands.results import trained
from rulewright.errors import UsageError
from rulewright.runs import RunDir
from rulewright.srl.sampling import SamplingConfig
from rulewright.training import environment, policy
from rulewright.training.policy import run_policy
from rulewright.training.policy_config import Keep, PolicyConfig, Tasks

pytest.importorskip("trl")

import torch
from safetensors.torch import load_file
from tests.events import scalars
from tests.srl.by_rule import ByRule, Rule, capitals, letters, odd_only, settings

from rulewright.training.checkpoints import COMPLETE
from rulewright.training.config import LoraConfig
from rulewright.training.watch import Watch


@pytest.fixture(params=["tiny", "smollm2"])
def start(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a run starts from: a tiny model, or a pretrained one's architecture, shrunken."""
    name = "checkpoint" if request.param == "tiny" else "small_smollm2"
    return {"checkpoint": request.getfixturevalue(name)}


def test_a_run_learns_and_leaves_its_files(start: dict[str, Any], tmp_path: Path) -> None:
    trainer = {
        "max_steps": 12,
        "save_steps": 4,
        "learning_rate": 3e-2,
        "per_device_train_batch_size": 32,
        "report_to": "tensorboard",
    }
    # Many samples: what 12 steps teach is small beside the noise of a few answers.
    config = settings(out=tmp_path, trainer=trainer, eval_every_steps=6, eval_samples=32, **start)
    result = run_policy(config, Tasks(ByRule(12, capitals), ByRule(4, capitals), "capitals"))
    assert result == RunDir(config.out / "run").result()
    assert result["steps"] == 12
    assert result["best_step"] in (6, 12)
    assert result["gain"]["sampled"]["difference"] > 0
    assert {"config.json", "model.safetensors", "tokenizer.json", "rulewright.json", "README.md"} <= {
        path.name for path in config.out.iterdir()
    }
    rows = list(jsonl.read(config.reports / "metrics.jsonl"))
    assert [row["step"] for row in rows if row["kind"] == "train"] == list(range(1, 13))
    tracked = scalars(config.out / "run/logs")
    assert set(tracked["eval/greedy_reward"]) == set(tracked["eval/sampled_success"]) == {0, 6, 12}
    assert set(tracked["train/unfiltered/reward"]) == set(range(1, 13))
    assert [row["step"] for row in rows if row["kind"] == "dev"] == [0, 0, 6, 6, 12, 12]
    assert (config.reports / "curves.png").stat().st_size > 10_000
    with pytest.raises(UsageError, match="contains a finished run"):
        run_policy(config, Tasks(ByRule(12, capitals), ByRule(4, capitals), "capitals"))


def test_a_run_reads_what_it_takes(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that nothing reads would be accepted without effect."""
    from tests import reading

    monkeypatch.setattr(policy, "GRPOConfig", reading.ReadingGrpo)
    reading.READ.clear()
    config = settings(checkpoint, tmp_path, trainer={"max_steps": 2})
    run_policy(config, Tasks(ByRule(12, letters), ByRule(4, letters), "letters"))
    assert reading.never_read("GRPOConfig", PolicyConfig.owned) == set()


@pytest.mark.parametrize("n_tasks", [12, 6, 4], ids=["first pass", "a later pass", "between two passes"])
def test_a_killed_run_resumes_to_the_same_weights(checkpoint: Path, tmp_path: Path, n_tasks: int) -> None:
    """Two tasks a step, killed after the fourth."""

    def train(out: Path, rule: Rule, resume: bool = False) -> tuple[dict[str, Any], list[int]]:
        config = settings(checkpoint, out, trainer={"max_steps": 6}, resume=resume)
        tasks = ByRule(n_tasks, rule)
        return run_policy(config, Tasks(tasks, ByRule(4, letters), "letters")), tasks.seen

    whole, asked = train(tmp_path / "whole", odd_only)
    checkpoints = tmp_path / "cut/model/run/checkpoints"

    def dies(row: int, text: str) -> float:
        if (checkpoints / "checkpoint-4" / COMPLETE).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return odd_only(row, text)

    child = os.fork()
    if child == 0:
        train(tmp_path / "cut", dies)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    # A checkpoint that was being written when the run died is not taken.
    (checkpoints / "checkpoint-5").mkdir()
    again, asked_again = train(tmp_path / "cut", odd_only, resume=True)
    assert asked_again == asked[-len(asked_again) :]
    for key in ("steps", "prompts", "best_step", "before", "after", "last"):
        assert again[key] == whole[key], key
    ours, theirs = (
        jsonl.require_file(tmp_path / name / "model/model.safetensors").read_bytes()
        for name in ("cut", "whole")
    )
    assert ours == theirs
    steps = [
        row["step"] for row in jsonl.read(tmp_path / "cut/reports/metrics.jsonl") if row["kind"] == "train"
    ]
    assert steps == [1, 2, 3, 4, 5, 6]
    state = json.loads((checkpoints / "checkpoint-6/refill.json").read_text())
    assert state["position"] > 0


def test_what_is_published_is_what_this_life_of_the_run_chose(checkpoint: Path, tmp_path: Path) -> None:
    """The best step of a life whose last steps are lost; on a GPU the next one need not find it so good."""
    config = settings(checkpoint, tmp_path, trainer={"max_steps": 4}, eval_every_steps=1)

    def train(rewards: list[float]) -> dict[str, Any]:
        n_asked = 0

        def falls(row: int, text: str) -> float:
            nonlocal n_asked
            n_asked += 1
            return rewards[(n_asked - 1) // 8]  # an evaluation is 4 rows, greedy and sampled

        return run_policy(config, Tasks(ByRule(12, letters), ByRule(4, falls), "letters"))

    with pytest.raises(IndexError):  # it dies in the step after the best one, which no checkpoint remembers
        train([0.1, 0.2, 0.3, 0.9])
    result = train([0.2, 0.2])
    assert (result["best_step"], result["after"]["greedy"]["mean_reward"]) == (2, pytest.approx(0.3))
    published, chosen = (
        load_file(folder / "model.safetensors")
        for folder in (config.out, config.out / "run/checkpoints/checkpoint-2")
    )
    assert all(published[name].equal(chosen[name]) for name in chosen)


def test_a_run_that_stopped_early_stays_stopped(checkpoint: Path, tmp_path: Path) -> None:
    """Killed after its last checkpoint: another batch would not be flat, and training would go on."""

    def train() -> dict[str, Any]:
        n_scored = 0

        def flat_in_the_third_batch(row: int, text: str) -> float:
            nonlocal n_scored
            n_scored += 1
            return 0.5 if 16 < n_scored <= 24 else letters(row, text)

        config = settings(
            checkpoint, tmp_path, trainer={"max_steps": 9, "save_steps": 1},
            sampling=SamplingConfig(max_rounds=1, max_flat_batches=1),
        )  # fmt: skip
        return run_policy(config, Tasks(ByRule(12, flat_in_the_third_batch), ByRule(4, letters), "letters"))

    whole = train()
    assert whole["stopped_early"] and whole["steps"] == 3
    (tmp_path / "model/run/result.json").unlink()
    again = train()
    for key in ("steps", "prompts", "best_step", "after", "last", "stopped_early"):
        assert again[key] == whole[key], key


def test_a_run_says_how_far_it_is(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step may take a minute: between two evaluations nothing was to be seen."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    config = settings(checkpoint, tmp_path, trainer={"max_steps": 3}, eval_every_steps=3)
    run_policy(config, Tasks(ByRule(12, letters), ByRule(4, letters), "letters"))
    [last] = [line for line in screen.getvalue().split("\n") if "train: 3/3" in line]
    assert "reward " in last and "loss" not in last


def test_a_run_killed_while_it_noted_an_evaluation_notes_it_again(checkpoint: Path, tmp_path: Path) -> None:
    def train(**changes: Any) -> dict[str, Any]:
        config = settings(checkpoint, tmp_path, trainer={"max_steps": 2}, **changes)
        return run_policy(config, Tasks(ByRule(12, letters), ByRule(4, letters), "letters"))

    whole, run = train(), tmp_path / "model/run"
    (run / "result.json").unlink()
    for path in (run / "dev.jsonl", run / "metrics.jsonl"):
        rows = [row for row in jsonl.read(path) if (row["step"], row.get("mode")) != (2, "sampled")]
        jsonl.write(path, rows)
    again = train(resume=True)
    for key in ("steps", "best_step", "before", "after", "last", "gain"):
        assert again[key] == whole[key], key
    notes = [(row["step"], row["mode"]) for row in jsonl.read(run / "metrics.jsonl") if "mode" in row]
    assert notes == [(step, mode) for step in (0, 2) for mode in ("greedy", "sampled")]


def test_a_continued_adapter_is_held_to_itself_and_saved_alone(checkpoint: Path, tmp_path: Path) -> None:
    """With `beta` TRL keeps a frozen copy of the adapter that training starts from."""
    scorer = ByRule(12, letters)
    short = {"max_steps": 2, "save_steps": 1, "beta": 0.05}
    first = settings(checkpoint, tmp_path / "first", trainer=short, lora=LoraConfig(r=2))
    run_policy(first, Tasks(scorer, scorer, "letters"))
    second = settings(first.out, tmp_path / "second", trainer=short, lora=LoraConfig(r=2))
    result = run_policy(second, Tasks(scorer, scorer, "letters"))
    assert result == RunDir(second.out / "run").result()
    assert (second.out / "adapter_model.safetensors").exists()
    assert not [path for path in second.out.iterdir() if path.is_dir() and path.name != "run"]
    saved = second.out / "run/checkpoints/checkpoint-2"
    assert (saved / "adapter_model.safetensors").exists() and not (saved / "ref").exists()
    kl = [row["kl"] for row in jsonl.read(second.reports / "metrics.jsonl") if row["kind"] == "train"]
    assert kl[0] == pytest.approx(0, abs=1e-6), "the first step starts where the frozen copy is"
    assert kl[1] > 0


def test_a_merged_adapter_is_held_to_itself(checkpoint: Path, tmp_path: Path) -> None:
    """TRL loads the reference by the name in the model's configuration: that of the adapter's base."""
    scorer = ByRule(12, letters)
    short = {"max_steps": 2, "save_steps": 1, "beta": 0.05}
    first = settings(checkpoint, tmp_path / "first", trainer=short, lora=LoraConfig(r=2))
    run_policy(first, Tasks(scorer, scorer, "letters"))
    second = settings(first.out, tmp_path / "second", trainer=short)
    run_policy(second, Tasks(scorer, scorer, "letters"))
    kl = [row["kl"] for row in jsonl.read(second.reports / "metrics.jsonl") if row["kind"] == "train"]
    assert kl[0] == pytest.approx(0, abs=1e-6) and kl[1] > 0


def test_a_run_leaves_nothing_of_what_was_published_before(checkpoint: Path, tmp_path: Path) -> None:
    """An adapter's configuration beside all weights would ask the base and the old adapter."""
    from rulewright.generation.notes import adapter_base

    scorer = ByRule(12, letters)
    for lora in (LoraConfig(r=2), None):
        config = settings(checkpoint, tmp_path, trainer={"max_steps": 2}, lora=lora, overwrite=True)
        run_policy(config, Tasks(scorer, scorer, "letters"))
        (config.out / "notes.txt").write_text("of somebody", encoding="utf-8")
        assert (adapter_base(str(config.out)) is not None) == (lora is not None)
    best = {path.name for path in (config.out / "run/best-2").iterdir()}
    here = {path.name for path in config.out.iterdir()}
    assert here == best - {"training_args.bin"} | {"run", "README.md", "notes.txt"}


THREADS = Path("/proc/self/task")


def parted_ranks(out: Path, checkpoint: Path) -> None:
    """One of two processes: its part of the dev rewards falls, the first one's rises, and more so."""
    slope = 2e-5 if environment.is_main() else -1e-5
    calls = iter(range(100_000))
    dev = ByRule(4, lambda row, text: 0.5 + slope * next(calls))
    config = settings(checkpoint, out, trainer={"max_steps": 4}, eval_every_steps=1)
    run_policy(config, Tasks(ByRule(12, letters), dev, "letters"))
    left = "".join(path.read_text() for path in THREADS.glob("*/comm"))
    (out / f"threads-{os.environ['RANK']}").write_text(left)


@pytest.fixture(scope="module")
def parted(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two ranks wrote whose dev rewards go apart, with the names of the threads left in each."""
    tmp_path = tmp_path_factory.mktemp("parted")
    script = tmp_path / "rank.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from tests.srl.test_policy_runs import parted_ranks\n"
        "parted_ranks(*map(Path, sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            str(script), str(tmp_path / "out"), str(checkpoint),
        ],
        env={
            **os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return tmp_path / "out"


def test_ranks_that_answer_differently_keep_the_same_step(parted: Path) -> None:
    assert RunDir(parted / "model/run").result()["best_step"] == 4


@pytest.mark.skipif(not THREADS.is_dir(), reason="only Linux names the threads of a process, in /proc")
def test_a_rank_leaves_no_thread_that_can_abort_it_as_it_ends(parted: Path) -> None:
    left = [(parted / f"threads-{rank}").read_text() for rank in range(2)]
    assert all(left) and not any("gloo" in names for names in left)


@pytest.mark.parametrize("keep", ["best", "start", "last"])
def test_what_is_published_is_chosen_and_said(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], keep: Keep
) -> None:
    """Dev rewards that fall from evaluation to evaluation: no step is better than the start."""
    n_asked = 0

    def worse_and_worse(row: int, text: str) -> float:
        nonlocal n_asked
        n_asked += 1
        return 1.0 - 0.01 * ((n_asked - 1) // 8)  # an evaluation is 4 rows, greedy and sampled

    config = settings(checkpoint, tmp_path, keep=keep, trainer={"save_steps": 4})
    result = run_policy(config, Tasks(ByRule(12, letters), ByRule(4, worse_and_worse), "letters"))
    published = {"best": 2, "start": 0, "last": 4}[keep]
    assert result["best_step"] == published
    assert result["selection"] == {
        "keep": keep, "n_candidates": {"best": 2, "start": 3, "last": 1}[keep], "beats_start": False,
    }  # fmt: skip
    assert result["after"]["greedy"]["mean_reward"] == pytest.approx(1.0 - 0.005 * published)
    trained(config, result)
    said = capsys.readouterr().err
    card = (config.out / "README.md").read_text(encoding="utf-8")
    for text in (said, card):
        assert (
            "the start itself, which no step beat" if keep == "start" else "no better than the start"
        ) in text
        assert ("on the same 4 tasks" in text) == (keep != "last")
    theirs, ours = (load_file(folder / "model.safetensors") for folder in (checkpoint, config.out))
    same = all(torch.equal(ours[name].float(), theirs[name].float()) for name in theirs if name in ours)
    assert same == (keep == "start")


def test_a_start_that_was_not_saved_in_time_is_saved_on_resume(checkpoint: Path, tmp_path: Path) -> None:
    config = settings(checkpoint, tmp_path, keep="start", trainer={"save_steps": 4})

    def train(resume: bool) -> dict[str, Any]:
        again = config.model_copy(update={"resume": resume})
        n_asked = 0

        def falls(row: int, text: str) -> float:
            nonlocal n_asked
            n_asked += 1
            return 0.5 if resume or n_asked > 8 else 1.0

        return run_policy(again, Tasks(ByRule(12, letters), ByRule(4, falls), "letters"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watch, "save_best", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(resume=False)
    assert not list((config.out / "run").glob("best-*"))
    result = train(resume=True)
    assert result["best_step"] == 0
    assert (config.out / "model.safetensors").exists()
