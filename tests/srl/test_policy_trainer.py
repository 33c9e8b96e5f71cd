"""Dynamic sampling on TRL: what is kept, refilled, counted, saved and resumed."""

from __future__ import annotations

import inspect
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rulewright import jsonl
from rulewright.commands.results import trained
from rulewright.errors import ConfigError, RulewrightError, UsageError
from rulewright.generation import GeneratorConfig, open_generator
from rulewright.prompts import Message, Style
from rulewright.runs import RunDir
from rulewright.srl.sampling import SamplingConfig
from rulewright.srl.scoring import Scored
from rulewright.training import environment
from rulewright.training.policy import check_trainer, open_trainer, run_policy, trainer_arguments
from rulewright.training.policy_config import Keep, PolicyConfig, Tasks
from rulewright.verdict import Verdict

pytest.importorskip("trl")

import torch
from safetensors.torch import load_file
from tests.events import scalars
from transformers import GenerationMixin
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import split_tensor_dict

from rulewright.generation.local import LocalGenerator
from rulewright.training.checkpoints import COMPLETE
from rulewright.training.config import LoraConfig, TinyConfig
from rulewright.training.grpo import PolicyTrainer, join_padded
from rulewright.training.micro_batches import micro_batches
from rulewright.training.models import load_tokenizer
from rulewright.training.tiny import make_model, make_tokenizer
from rulewright.training.watch import Watch, in_order

Rule = Callable[[int, str], float | None]


class ByRule:
    """Tasks whose reward is any function of row and text."""

    def __init__(self, n: int, rule: Rule) -> None:
        self._n, self._rule = n, rule
        self.seen: list[int] = []

    def __len__(self) -> int:
        return self._n

    def prompt(self, row: int, style: Style) -> list[Message]:
        return [{"role": "user", "content": f"task {row} " + "1" * (row % 5)}]

    def group(self, row: int) -> str:
        return str(row)

    def reference(self, row: int) -> str:
        return f"reference {row}"

    def score(self, rows: Sequence[int], texts: Sequence[str], n_tokens: Sequence[int]) -> list[Scored]:
        self.seen += rows
        values = [self._rule(row, text) for row, text in zip(rows, texts, strict=True)]
        return [
            Scored(None, Verdict.INFRA, False)
            if value is None
            else Scored(value, Verdict.OK, value > 0.5, {"add_x": value})
            for value in values
        ]


def letters(row: int, text: str) -> float:
    """Something that a random model can learn: write letters."""
    return sum(c.isalpha() for c in text) / max(1, len(text))


def capitals(row: int, text: str) -> float:
    """The same, of capital letters: few of what a random model writes, whatever its tokens are."""
    return sum(c.isupper() for c in text) / max(1, len(text))


def odd_only(row: int, text: str) -> float:
    return letters(row, text) if row % 2 else 0.5


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    config = TinyConfig(vocab_size=300, hidden_size=16, n_layers=1, n_heads=2, mlp_size=32, max_positions=96)
    tokenizer = make_tokenizer(["task 1 xxx", "def f(a):\n    return a"] * 20, [], config)
    tokenizer.save_pretrained(folder)
    make_model(tokenizer, config, 0).save_pretrained(folder)
    jsonl.write_json(folder / "rulewright.json", {"prompt_style": "compact", "task": "action"})
    return folder


def settings(checkpoint: Path, out: Path, **changes: Any) -> PolicyConfig:
    trainer = {
        "per_device_train_batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 6,
        "mask_truncated_completions": False,
        "max_steps": 4,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "bf16": False,  # gradients are compared exactly
        "save_steps": 2,
        **changes.pop("trainer", {}),
    }
    values: dict[str, Any] = {"eval_rows": 4, "eval_every_steps": 2, **changes}
    return PolicyConfig(
        model=str(checkpoint), out=out / "model", reports=out / "reports", trainer=trainer, **values
    )


def open_policy(config: PolicyConfig, scorer: ByRule) -> PolicyTrainer:
    run = RunDir(config.out / "run")
    return open_trainer(config, Tasks(scorer, scorer, "test"), trainer_arguments(config, run))


def rows_of(trainer: PolicyTrainer, rows: Sequence[int]) -> list[dict[str, Any]]:
    return [dict(trainer.train_dataset[row]) for row in rows for _ in range(trainer.num_generations)]


def test_the_hooked_methods_are_there() -> None:
    """TRL is pinned because these are private: a release that moves them must fail here."""
    for name, parameters in {
        "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
        "_generate_and_score_completions": ["self", "inputs"],
        "_prepare_inputs": ["self", "generation_batch"],
        "_generate_single_turn": [
            "self", "prompt_ids", "images", "multimodal_fields", "num_generations", "has_tool_images",
        ],
        "_save_checkpoint": ["self", "model", "trial"],
        "_load_optimizer_and_scheduler": ["self", "checkpoint"],
    }.items():  # fmt: skip
        assert list(inspect.signature(getattr(GRPOTrainer, name)).parameters) == parameters
    source = inspect.getsource(GRPOTrainer)
    for text in (
        '"num_items_in_batch"',
        "self._metrics[mode]",
        "self._tokenizer",
        "self.num_generations",
        "self._buffered_inputs[self._step %",
    ):
        assert text in source


def test_flat_groups_are_replaced(checkpoint: Path, tmp_path: Path) -> None:
    scorer = ByRule(20, odd_only)
    trainer = open_policy(settings(checkpoint, tmp_path), scorer)
    trainer.model.train()
    batch = trainer._generate_and_score_completions(rows_of(trainer, [2, 3]))
    kept = set(scorer.seen) - {2}
    assert any(row % 2 for row in kept)
    metrics = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    assert 2 <= metrics["sampling/rounds"] <= 3
    assert metrics["sampling/prompts"] == len(scorer.seen) / 4
    assert metrics["unfiltered/infra_rate"] == 0
    size = batch["completion_ids"].shape
    assert size[0] == 8 == len(batch["advantages"])
    assert batch["completion_mask"].shape == size
    assert int(batch["num_items_in_batch"]) == int(batch["completion_mask"].sum())
    informative = batch["advantages"].view(2, 4).abs().sum(dim=1) > 0
    assert torch.allclose(batch["advantages"].view(2, 4).sum(dim=1), torch.zeros(2), atol=1e-5)
    # Groups left flat fill the batch, but no token of theirs counts.
    assert bool((batch["completion_mask"].view(2, 4, -1).sum(dim=(1, 2)) > 0).eq(informative).all())


def test_rollouts_are_generated_in_parts(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = GRPOTrainer._generate_single_turn

    def recorded(self: Any, prompt_ids: Any, *rest: Any) -> Any:
        sizes.append(len(prompt_ids))
        return original(self, prompt_ids, *rest)

    monkeypatch.setattr(GRPOTrainer, "_generate_single_turn", recorded)
    trainer = open_policy(settings(checkpoint, tmp_path, generate_at_once=3), ByRule(8, letters))
    trainer.decodes_itself = False
    trainer.model.train()
    batch = trainer._generate_and_score_completions(rows_of(trainer, [0, 4]))
    assert sizes == [3, 3, 2]
    # Prompts of different lengths, each with its own answers, in order.
    texts = trainer.processing_class.batch_decode(batch["prompt_ids"], skip_special_tokens=True)
    assert [text.strip() for text in texts] == ["task 0"] * 4 + ["task 4 1111"] * 4
    metrics = trainer._metrics["train"]
    assert metrics["sampling/rollouts"] == [8.0]
    assert metrics["seconds/generation"][0] > metrics["seconds/reward"][0] > 0


@pytest.mark.parametrize("adapters", [False, True])
def test_a_part_that_memory_does_not_suffice_for_is_halved(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adapters: bool
) -> None:
    done: list[int] = []
    original = GenerationMixin.generate

    def scarce(self: Any, **options: Any) -> Any:
        if len(options["input_ids"]) > 2:
            raise torch.OutOfMemoryError
        done.append(len(options["input_ids"]))
        return original(self, **options)

    monkeypatch.setattr(GenerationMixin, "generate", scarce)
    config = settings(
        checkpoint,
        tmp_path,
        trainer={"gradient_checkpointing": True},
        lora=LoraConfig(r=2) if adapters else None,
    )
    trainer = open_policy(config, ByRule(8, letters))
    trainer.decodes_itself = False
    # As `train` does before the first step.
    trainer.model.gradient_checkpointing_enable()
    trainer.model.train()

    def checkpointed() -> list[bool]:
        return [
            m.gradient_checkpointing for m in trainer.model.modules() if hasattr(m, "gradient_checkpointing")
        ]

    before = checkpointed()
    assert any(before)
    trainer._generate_and_score_completions(rows_of(trainer, [0, 1]))
    assert done == [2, 2, 2, 2]
    assert trainer.generate_at_once == 2, "the next batch does not try again"
    assert checkpointed() == before, "or the backward pass needs the memory of a model without it"
    monkeypatch.setattr(trainer, "is_fsdp_enabled", True)
    trainer.generate_at_once = 0
    with pytest.raises(torch.OutOfMemoryError):
        trainer._generate_and_score_completions(rows_of(trainer, [0, 1]))


def test_rollouts_of_our_own_loop_are_the_policys(checkpoint: Path, tmp_path: Path) -> None:
    """Each in its place, ended where TRL would end it, and drawn from the adapters as they are now."""
    config = settings(
        checkpoint, tmp_path, generate_at_once=3, lora=LoraConfig(r=4),
        trainer={"temperature": 0.7, "max_completion_length": 8},
    )  # fmt: skip
    trainer = open_policy(config, ByRule(8, letters))
    model, tokenizer = trainer.model, trainer.processing_class
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.5)
    prompts = [tokenizer.encode(f"task {i}" + "1" * i) for i in (3, 0, 5, 0, 1)] * 40
    found, _ = trainer._generate_single_turn(prompts, None, {}, 1)
    with torch.no_grad():
        logits = model(torch.tensor([prompts[1]])).logits[0, -1].float()
    expected = (logits / 0.7).softmax(-1)
    firsts = torch.tensor([found[i][0] for i in range(len(found)) if prompts[i] == prompts[1]])
    likely = expected.topk(5).indices
    drawn = torch.bincount(firsts, minlength=len(expected)) / len(firsts)
    assert torch.allclose(drawn[likely], expected[likely], atol=5 * (0.25 / len(firsts)) ** 0.5)
    assert len({tuple(row) for row in found}) > 50
    for row in found:
        ends = [i for i, token in enumerate(row) if token in trainer.eos_token_ids]
        assert ends in ([], [len(row) - 1]) and (ends or len(row) == 8)
    torch.manual_seed(11)
    first, _ = trainer._generate_single_turn(prompts[:7], None, {}, 1)
    torch.manual_seed(11)
    again, _ = trainer._generate_single_turn(prompts[:7], None, {}, 1)
    assert first == again
    trainer.args.top_k = 5
    assert trainer.open_decoder() is None, "other sampling is left to TRL"


def test_a_flat_batch_ends_after_bounded_rounds(checkpoint: Path, tmp_path: Path) -> None:
    scorer = ByRule(20, lambda row, text: 0.5)
    trainer = open_policy(settings(checkpoint, tmp_path), scorer)
    trainer.model.train()
    batch = trainer._generate_and_score_completions(rows_of(trainer, [0, 1]))
    assert len(scorer.seen) == 3 * 8
    assert not batch["advantages"].any()
    assert int(batch["num_items_in_batch"]) > 0
    assert trainer.flat_batches == 1


def test_samples_without_a_reward_leave_the_loss(checkpoint: Path, tmp_path: Path) -> None:
    calls = iter(range(10_000))
    scorer = ByRule(20, lambda row, text: None if next(calls) % 4 == 0 else letters(row, text))
    trainer = open_policy(settings(checkpoint, tmp_path, sampling=SamplingConfig(enabled=False)), scorer)
    trainer.model.train()
    batch = trainer._generate_and_score_completions(rows_of(trainer, [0, 1]))
    for i in (0, 4):
        assert float(batch["advantages"][i]) == 0
        assert int(batch["completion_mask"][i].sum()) == 0
    assert trainer._metrics["train"]["unfiltered/infra_rate"][-1] == pytest.approx(0.25)


def test_batch_scaling_is_over_what_is_trained_on(checkpoint: Path, tmp_path: Path) -> None:
    config = settings(
        checkpoint, tmp_path, trainer={"scale_rewards": "batch"}, sampling=SamplingConfig(enabled=False)
    )
    trainer = open_policy(config, ByRule(20, letters))
    trainer.model.train()
    theirs: list[torch.Tensor] = []
    original = GRPOTrainer._generate_and_score_completions

    def spy(self: Any, inputs: Any) -> Any:
        batch = original(self, inputs)
        theirs.append(batch["advantages"].clone())
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GRPOTrainer, "_generate_and_score_completions", spy)
        batch = trainer._generate_and_score_completions(rows_of(trainer, [0, 1]))
    assert torch.allclose(batch["advantages"], theirs[0], atol=1e-5)


def test_rounds_of_different_lengths_are_padded_on_the_right_side() -> None:
    one, two = torch.ones(1, 2, dtype=torch.long), torch.full((1, 3), 2)
    assert join_padded([one, two], "prompt_ids", 9).tolist() == [[9, 1, 1], [2, 2, 2]]
    assert join_padded([one, two], "completion_ids", 9).tolist() == [[1, 1, 9], [2, 2, 2]]
    assert join_padded([one, two], "completion_mask", 9).tolist() == [[1, 1, 0], [2, 2, 2]]
    assert join_padded([torch.ones(2), torch.zeros(1)], "advantages", 9).tolist() == [1, 1, 0]


def test_rollouts_are_asked_as_evaluation_and_the_saved_model_are(checkpoint: Path, tmp_path: Path) -> None:
    """The switch for thinking reaches TRL, our generator and whoever reads the saved template."""
    folder = tmp_path / "start"
    shutil.copytree(checkpoint, folder)
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    switched_off = "add_generation_prompt and enable_thinking is defined and not enable_thinking"
    closed = f"{{% if {switched_off} %}}<think></think>{{% endif %}}"
    (folder / "chat_template.jinja").write_text(template + closed, encoding="utf-8")
    scorer = ByRule(12, letters)
    config = settings(folder, tmp_path, thinking=False, trainer={"max_steps": 2})
    asked: list[list[int]] = []
    original = PolicyTrainer._generate_single_turn

    def spy(self: Any, prompt_ids: list[list[int]], *rest: Any, **options: Any) -> Any:
        asked.extend(prompt_ids)
        return original(self, prompt_ids, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PolicyTrainer, "_generate_single_turn", spy)
        run_policy(config, Tasks(scorer, scorer, "letters"))
    note = json.loads((config.out / "rulewright.json").read_text())
    assert note["thinking"] is False
    with open_generator(GeneratorConfig(model=str(config.out))) as generator:
        assert isinstance(generator, LocalGenerator)
        wanted = [generator.encode(scorer.prompt(row, "compact")) for row in range(12)]
        assert generator.tokenizer.decode(wanted[0]).endswith("<think></think>")
    assert asked and all(ids in wanted for ids in asked)


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
    with pytest.raises(UsageError, match="holds a finished run"):
        run_policy(config, Tasks(ByRule(12, capitals), ByRule(4, capitals), "capitals"))


def test_a_killed_run_resumes_to_the_same_weights(checkpoint: Path, tmp_path: Path) -> None:
    def train(out: Path, rule: Rule, resume: bool = False) -> dict[str, Any]:
        config = settings(checkpoint, out, trainer={"max_steps": 6}, resume=resume)
        return run_policy(config, Tasks(ByRule(12, rule), ByRule(4, letters), "letters"))

    whole = train(tmp_path / "whole", odd_only)
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
    again = train(tmp_path / "cut", odd_only, resume=True)
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


def parted_ranks(out: Path, checkpoint: Path) -> None:
    """One of two processes: its part of the dev rewards falls, the first one's rises, and more so."""
    slope = 2e-5 if environment.is_main() else -1e-5
    calls = iter(range(100_000))
    dev = ByRule(4, lambda row, text: 0.5 + slope * next(calls))
    config = settings(checkpoint, out, trainer={"max_steps": 4}, eval_every_steps=1)
    run_policy(config, Tasks(ByRule(12, letters), dev, "letters"))


def test_ranks_that_answer_differently_keep_the_same_step(checkpoint: Path, tmp_path: Path) -> None:
    script = tmp_path / "rank.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from tests.srl.test_policy_trainer import parted_ranks\n"
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
    assert RunDir(tmp_path / "out/model/run").result()["best_step"] == 4


@pytest.mark.parametrize(
    ("reward", "why"), [(-0.2, "hardly any valid action"), (1.0, "full reward"), (0.5, "all worth the same")]
)
def test_nothing_to_learn_ends_with_the_reason(
    checkpoint: Path, tmp_path: Path, reward: float, why: str
) -> None:
    config = settings(checkpoint, tmp_path, sampling=SamplingConfig(max_rounds=1, max_flat_batches=2))
    scorer = ByRule(12, lambda row, text: reward)
    with pytest.raises(RulewrightError, match="nothing to learn from") as failure:
        run_policy(config, Tasks(scorer, scorer, "flat"))
    assert why in failure.value.hint
    assert len(scorer.seen) <= 2 * 8 + 2 * 2 * 4
    assert not (config.out / "run/result.json").exists()


def arguments(tmp_path: Path, **values: Any) -> GRPOConfig:
    return GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none",
        **{"per_device_train_batch_size": 4, "num_generations": 4, "save_steps": 2, **values},
    )  # fmt: skip


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    check_trainer(arguments(tmp_path), 1)
    two_processes = arguments(tmp_path, num_generations=8, generation_batch_size=8)
    two_processes.steps_per_generation, two_processes.generation_batch_size = 1, 8
    with pytest.raises(ConfigError, match="a group would be cut"):
        check_trainer(two_processes, 100)
    with pytest.raises(ConfigError, match="resumed inside a window"):
        check_trainer(arguments(tmp_path, num_iterations=2, save_steps=3), 100)
    with pytest.raises(ConfigError, match="save_total_limit"):
        check_trainer(arguments(tmp_path, save_total_limit=1), 100)
    with pytest.raises(UsageError, match="no step at all"):
        check_trainer(arguments(tmp_path, per_device_train_batch_size=8), 1)


def test_unknown_and_reserved_trainer_options(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"learning_rat.*learning_rate"):
        open_policy(settings(checkpoint, tmp_path, trainer={"learning_rat": 1}), ByRule(9, letters))
    with pytest.raises(ConfigError, match=r"trainer\.seed: is decided by the run"):
        open_policy(settings(checkpoint, tmp_path, trainer={"seed": 1}), ByRule(9, letters))


def test_long_prompts_are_left_out(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = load_tokenizer(str(checkpoint))
    scorer = ByRule(10, letters)
    prompts = [scorer.prompt(row, "compact") for row in range(10)]
    lengths = [
        len(tokenizer.apply_chat_template(p, add_generation_prompt=True, return_dict=True)["input_ids"])
        for p in prompts
    ]
    bound = min(lengths)
    trainer = open_policy(settings(checkpoint, tmp_path, max_prompt_tokens=bound), scorer)
    assert len(trainer.train_dataset) == lengths.count(bound) < 10
    assert "left out" in capsys.readouterr().err
    with pytest.raises(UsageError, match="all 10 training tasks"):
        open_policy(settings(checkpoint, tmp_path, max_prompt_tokens=2), ByRule(10, letters))


def answers_of(trainer: PolicyTrainer, monkeypatch: pytest.MonkeyPatch, answers: list[list[int]]) -> None:
    """Let the model "write" these token ids, prompt after prompt."""
    stream = iter(answers)
    monkeypatch.setattr(
        PolicyTrainer,
        "_generate_single_turn",
        lambda self, prompt_ids, *rest, **options: ([next(stream) for _ in prompt_ids], None),
    )


@pytest.mark.parametrize("leave_out", [False, True])
def test_no_group_pushes_only_upwards(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave_out: bool
) -> None:
    """TRL alone keeps a cut answer in the mean and out of the loss: the others are pushed up for nothing."""
    config = settings(
        checkpoint, tmp_path, trainer={"mask_truncated_completions": leave_out},
        sampling=SamplingConfig(max_rounds=1),
    )  # fmt: skip
    trainer = open_policy(config, ByRule(8, lambda row, text: 0.95 if "good" in text else -0.2))
    trainer.model.train()
    encode = trainer.processing_class.encode
    good, end = encode("good", add_special_tokens=False), trainer.processing_class.eos_token_id
    bad, rambling = (
        [*encode("bad", add_special_tokens=False), end],
        encode("x" * 40, add_special_tokens=False),
    )
    # Three equal answers and a cut one; then a real difference beside a cut one.
    answers_of(trainer, monkeypatch, [[*good, end]] * 3 + [rambling] + [[*good, end]] * 2 + [bad, rambling])
    batch = trainer._generate_and_score_completions(rows_of(trainer, [0, 1]))
    pushes = (batch["advantages"][:, None] * batch["completion_mask"]).sum(1).tolist()
    for push in (pushes[:4], pushes[4:]):
        assert not any(value > 1e-6 for value in push) or any(value < -1e-6 for value in push), push
    metrics = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    assert metrics["unfiltered/clipped_ratio"] == 0.25
    assert metrics["sampling/tokens"] == 5 * (len(good) + 1) + len(bad) + 2 * len(rambling)
    assert metrics["sampling/kept_clipped_rate"] == 1.0
    assert metrics["unfiltered/valid_rate"] == 1.0
    if leave_out:
        assert metrics["sampling/kept_rate"] == 0.5
        assert int(batch["completion_mask"][7].sum()) == 0
        # The mean is that of the answers that count.
        assert batch["advantages"].tolist() == pytest.approx(
            [1.15 / 3, 1.15 / 3, -2.3 / 3, 0, 0, 0, 0, 0], abs=1e-5
        )
    else:
        assert metrics["sampling/kept_rate"] == 1.0
        assert int(batch["completion_mask"][3].sum()) == len(rambling)
        assert float(batch["advantages"][3]) == pytest.approx(-0.8625)
        assert torch.allclose(batch["advantages"].view(2, 4).sum(1), torch.zeros(2), atol=1e-5)


def gradients(trainer: PolicyTrainer, parts: list[dict[str, Any]]) -> tuple[float, list[torch.Tensor]]:
    """Loss and gradients of an optimizer step over its micro-batches, by TRL's own loss."""
    trainer.model.zero_grad()
    trainer.current_gradient_accumulation_steps = len(parts)
    total = 0.0
    for part in parts:
        loss = trainer._compute_loss(trainer.model, part)
        loss.backward()
        total += float(loss.detach())
    return total, [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo"])
def test_trimming_and_sorting_change_no_gradient(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str, shared: bool
) -> None:
    trainer_options = {
        "per_device_train_batch_size": 4, "gradient_accumulation_steps": 4, "loss_type": loss,
        "max_completion_length": 24,
    }  # fmt: skip
    scorer = ByRule(20, lambda row, text: None if "q" in text else letters(row, text))
    config = settings(checkpoint, tmp_path, trainer=trainer_options, sampling=SamplingConfig(max_rounds=1))
    trainer = open_policy(config, scorer)
    trainer.shares_prefixes = shared
    trainer.model.train()
    pick = random.Random(0)
    end = trainer.processing_class.eos_token_id
    texts = ["".join(pick.choices("abcq12", k=pick.randrange(1, 12))) for _ in range(12)] + ["1"] * 4
    encoded = [trainer.processing_class.encode(text, add_special_tokens=False) for text in texts]
    answers_of(trainer, monkeypatch, [[*ids, end] for ids in encoded])
    batch = trainer._generate_and_score_completions(rows_of(trainer, [4, 0, 3, 2]))
    assert not batch["completion_mask"][12:].any(), "one group is flat and counts for nothing"
    plain = gradients(trainer, split_tensor_dict(batch, 4))
    parts = micro_batches(batch, 4, 4, 4)
    ours = gradients(trainer, parts)
    assert ours[0] == pytest.approx(plain[0], abs=1e-6)
    assert any(float(grad.abs().max()) > 1e-4 for grad in plain[1])
    for mine, theirs in zip(ours[1], plain[1], strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6), float((mine - theirs).abs().max())
    size = [part["prompt_ids"].numel() + part["completion_ids"].numel() for part in parts]
    assert sum(size) < batch["prompt_ids"].numel() + batch["completion_ids"].numel()
    # Whole groups, and the longest first: what memory does not suffice for fails at once.
    rows = [row for part in parts for row in part["advantages"].tolist()]
    assert sorted(rows) == pytest.approx(sorted(batch["advantages"].tolist()))
    assert size == sorted(size, reverse=True)


def test_micro_batches_reach_the_loss(checkpoint: Path, tmp_path: Path) -> None:
    """The training loop itself takes them: fewer columns than the batch was padded to."""
    trainer_options = {
        "per_device_train_batch_size": 4, "gradient_accumulation_steps": 3, "max_steps": 2,
        "generation_batch_size": 12,
    }  # fmt: skip
    trainer = open_policy(settings(checkpoint, tmp_path, trainer=trainer_options), ByRule(20, letters))
    widths: list[int] = []
    original = PolicyTrainer._compute_loss

    def seen(self: Any, model: Any, inputs: Any) -> Any:
        assert bool(inputs["prompt_mask"][:, 0].any())
        widths.append(inputs["prompt_ids"].shape[1])
        return original(self, model, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PolicyTrainer, "_compute_loss", seen)
        trainer.train()
    assert len(widths) == 6
    assert len(set(widths[:3])) > 1 or len(set(widths[3:])) > 1


def test_rows_are_sorted_within_an_optimizer_step_only() -> None:
    """Sorted over a whole generation, some steps would see long tasks alone."""
    lengths = torch.tensor([9, 9, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2])
    mask = (torch.arange(9)[None] < lengths[:, None]).long()
    batch = {"prompt_ids": mask, "prompt_mask": torch.ones_like(mask), "completion_ids": mask,
             "completion_mask": mask, "n": torch.tensor(3)}  # fmt: skip
    steps = []
    for seed in range(20):
        torch.manual_seed(seed)
        parts = micro_batches(batch, 8, 2, 2)
        longest = [int(part["completion_mask"].sum(1).max()) for part in parts]
        assert all(one >= other for one, other in zip(longest[::2], longest[1::2], strict=True))
        assert {int(part["n"]) for part in parts} == {3}
        steps.append(tuple(longest[::2]))
    assert len(set(steps)) > 10, "which groups meet in a step is drawn"
    assert all(step != tuple(sorted(step, reverse=True)) for step in steps[:3]) or len(set(steps)) > 15


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
        patch.setattr(Watch, "save_best", lambda self, step: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(resume=False)
    assert not (config.out / "run/best").exists()
    result = train(resume=True)
    assert result["best_step"] == 0
    assert (config.out / "model.safetensors").exists()


def test_answers_of_all_processes_stand_in_the_order_of_the_tasks() -> None:
    def scored(row: int, k: int) -> Scored:
        return Scored(row + k / 10, Verdict.OK, True)

    for world in (1, 2, 3, 9):
        parts = [
            [[scored(row, k) for k in range(2)] for row in range(rank, 7, world)] for rank in range(world)
        ]
        assert in_order(parts) == [scored(row, k) for row in range(7) for k in range(2)]
