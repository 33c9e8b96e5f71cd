"""What a group's answers do to the gradient, in whatever batches they are computed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from rulewright.srl.sampling import SamplingConfig

pytest.importorskip("trl")

import torch
from tests.srl.by_rule import ByRule, letters, open_policy, rows_of, settings
from trl.trainer.utils import split_tensor_dict

from rulewright.training.grpo import PolicyTrainer
from rulewright.training.micro_batches import micro_batches


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


def test_a_whole_batch_is_scored_in_parts_no_larger_than_a_micro_batch(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `beta`, or batches that serve several steps, all rollouts are scored once more."""
    trainer_options = {
        "per_device_train_batch_size": 4, "gradient_accumulation_steps": 4, "num_iterations": 2,
        "max_completion_length": 24,
    }  # fmt: skip
    config = settings(checkpoint, tmp_path, trainer=trainer_options, sampling=SamplingConfig(max_rounds=1))
    trainer = open_policy(config, ByRule(20, letters))
    trainer.model.train()
    encode, end = trainer.processing_class.encode, trainer.processing_class.eos_token_id
    answers = [[*encode("1" * 12 + "abcq"[i % 4], add_special_tokens=False), end] for i in range(16)]
    sizes: list[int] = []
    trainer.model.model.register_forward_pre_hook(
        lambda module, args, options: sizes.append(options["input_ids"].numel()), with_kwargs=True
    )
    found = {}
    for shared in (False, True):
        trainer.shares_prefixes = shared
        answers_of(trainer, monkeypatch, answers)
        sizes.clear()
        batch = trainer._generate_and_score_completions(rows_of(trainer, [0, 1, 2, 3]))
        found[shared] = batch["old_per_token_logps"]
        assert len(sizes) == 4
        assert max(sizes) <= 4 * (batch["prompt_ids"].shape[1] + batch["completion_ids"].shape[1])
    assert torch.allclose(found[True], found[False], atol=1e-5)


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
