"""Dynamic sampling on TRL: what is kept, refilled, counted and refused."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rulewright.errors import ConfigError, RulewrightError, UsageError
from rulewright.generation import GeneratorConfig, open_generator
from rulewright.generation.base import Completion, Generator, Sampling
from rulewright.srl.sampling import SamplingConfig
from rulewright.srl.scoring import Scored
from rulewright.training.policy import check_trainer, run_policy
from rulewright.training.policy_config import MODES, Tasks
from rulewright.verdict import Verdict

pytest.importorskip("trl")

import torch
from tests.srl.by_rule import ByRule, letters, odd_only, open_policy, rows_of, settings
from transformers import GenerationMixin
from trl import GRPOConfig, GRPOTrainer

from rulewright.generation.local import LocalGenerator
from rulewright.training.config import LoraConfig
from rulewright.training.grpo import PolicyTrainer, join_padded
from rulewright.training.models import load_tokenizer
from rulewright.training.watch import ask, in_order


def test_the_hooked_methods_are_there() -> None:
    """TRL is pinned because these are private: a release that moves them must fail here."""
    hooked = {
        "_generate_and_score_completions": ["self", "inputs"],
        "_prepare_inputs": ["self", "generation_batch"],
        "_generate_single_turn": [
            "self", "prompt_ids", "images", "multimodal_fields", "num_generations", "has_tool_images",
        ],
        "_get_per_token_logps_and_entropies": [
            "self", "model", "input_ids", "attention_mask", "logits_to_keep", "batch_size", "compute_entropy",
            "compute_aux_loss", "pixel_values", "image_grid_thw", "num_images", "pixel_attention_mask",
            "spatial_shapes", "num_tiles", "image_sizes", "token_type_ids", "mm_token_type_ids",
            "image_position_ids",
        ],
        "_get_train_sampler": ["self", "dataset"],
        "save_model": ["self", "output_dir", "_internal_call"],
    }  # fmt: skip
    assert {
        name for name in vars(PolicyTrainer) if hasattr(GRPOTrainer, name) and not hasattr(object, name)
    } == (hooked.keys())
    for name, parameters in hooked.items():
        assert list(inspect.signature(getattr(GRPOTrainer, name)).parameters) == parameters
    source = inspect.getsource(GRPOTrainer)
    for text in (
        '"num_items_in_batch"',
        "self._metrics[mode]",
        "self._tokenizer",
        "self.num_generations",
        "self.use_vllm and self.vllm_importance_sampling_correction",
        "sampling/sampling_logp_difference/mean",
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


def test_answers_are_scored_as_they_were_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a tokenizer says how answers are read, TRL reads thoughts and calls of tools out of them."""
    from trl.chat_template_utils import qwen3_template

    shutil.copytree(checkpoint, tmp_path / "reads")
    tokenizer = load_tokenizer(str(checkpoint))
    tokenizer.response_template = qwen3_template
    tokenizer.save_pretrained(tmp_path / "reads")
    texts: list[str] = []

    def keep(row: int, text: str) -> float:
        texts.append(text)
        return len(texts)

    trainer = open_policy(settings(tmp_path / "reads", tmp_path), ByRule(20, keep))
    written = ["<think>rename it</think>\nfix", "<think>cut off", '<tool_call>{"name": "a"}</tool_call>', "b"]
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in written]
    monkeypatch.setattr(trainer, "_generate_single_turn", lambda *_: (ids * 2, None))
    trainer.model.train()
    trainer._generate_and_score_completions(rows_of(trainer, [2, 3]))
    assert texts == written * 2
    assert trainer.processing_class.response_template == qwen3_template, "saved with what is trained"


def test_a_verdict_s_share_is_of_all_batches_since_the_last_log(checkpoint: Path, tmp_path: Path) -> None:
    words = iter([Verdict.OK, Verdict.NO_MATCH, Verdict.OK])

    class Fares(ByRule):
        def score(self, rows: Sequence[int], texts: Sequence[str], n_tokens: Sequence[int]) -> list[Scored]:
            word = next(words)
            return [Scored(0.5, word, False) for _ in texts]

    config = settings(checkpoint, tmp_path, sampling=SamplingConfig(enabled=False))
    trainer = open_policy(config, Fares(20, letters))
    trainer.model.train()
    for _ in range(3):
        trainer._generate_and_score_completions(rows_of(trainer, [2, 3]))
    assert trainer._metrics["train"]["verdict/ok"] == [1, 0, 1]
    assert trainer._metrics["train"]["verdict/no_match"] == [0, 1, 0]


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


def test_a_model_is_saved_before_deepspeed_has_an_engine(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`keep: start` saves what has not been trained."""
    trainer = open_policy(settings(checkpoint, tmp_path), ByRule(8, letters))
    monkeypatch.setattr(trainer, "is_deepspeed_enabled", True)
    trainer.save_model(str(tmp_path / "saved"))
    assert (tmp_path / "saved/model.safetensors").exists()


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


@pytest.mark.parametrize(
    ("reward", "why"), [(-0.2, "hardly any valid action"), (1.0, "full reward"), (0.5, "all worth the same")]
)
def test_nothing_to_learn_ends_with_the_reason(
    checkpoint: Path, tmp_path: Path, reward: float, why: str
) -> None:
    config = settings(checkpoint, tmp_path, sampling=SamplingConfig(max_rounds=1, max_flat_batches=2))
    scorer = ByRule(12, lambda row, text: reward)
    with pytest.raises(RulewrightError, match="nothing to learn") as failure:
        run_policy(config, Tasks(scorer, scorer, "flat"))
    assert why in failure.value.hint
    assert "of its answers were cut at 6 tokens" in failure.value.hint  # it has not learned to end
    assert len(scorer.seen) <= 2 * 8 + 2 * 2 * 4
    assert not (config.out / "run/result.json").exists()


def arguments(tmp_path: Path, **values: Any) -> GRPOConfig:
    return GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none",
        **{"per_device_train_batch_size": 4, "num_generations": 4, "save_steps": 2, **values},
    )  # fmt: skip


def test_a_process_without_dev_tasks_asks_too() -> None:
    """Behind a server all of them load the adapter together: one that stays away lets the others wait."""
    asked: list[int] = []

    class Together(Generator):
        style = "compact"

        def stream(
            self, prompts: Sequence[Any], sampling: Sampling, languages: Any = None
        ) -> Iterator[tuple[int, list[Completion]]]:
            asked.append(len(prompts))
            yield from ()

    for mode in MODES:
        assert ask(Together(), ByRule(1, letters), range(1, 1), mode, 2, 8, 1.0, 0) == []
    assert asked == [0, 0]


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    check_trainer(arguments(tmp_path), 1)
    two_processes = arguments(tmp_path, num_generations=8, generation_batch_size=8)
    two_processes.steps_per_generation, two_processes.generation_batch_size = 1, 8
    with pytest.raises(ConfigError, match="a group would be divided"):
        check_trainer(two_processes, 100)
    with pytest.raises(ConfigError, match="resumed inside a window"):
        check_trainer(arguments(tmp_path, num_iterations=2, save_steps=3), 100)
    with pytest.raises(UsageError, match="not even one step"):
        check_trainer(arguments(tmp_path, per_device_train_batch_size=8), 1)


def test_unknown_and_reserved_trainer_options(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"learning_rat.*learning_rate"):
        open_policy(settings(checkpoint, tmp_path, trainer={"learning_rat": 1}), ByRule(9, letters))
    with pytest.raises(ConfigError, match=r"trainer\.seed: is set elsewhere: use seed"):
        open_policy(settings(checkpoint, tmp_path, trainer={"seed": 1}), ByRule(9, letters))
    with pytest.raises(ConfigError, match=r"num_generations_eval: is set elsewhere: use eval_samples"):
        open_policy(settings(checkpoint, tmp_path, trainer={"num_generations_eval": 2}), ByRule(9, letters))


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


def test_answers_of_all_processes_stand_in_the_order_of_the_tasks() -> None:
    def scored(row: int, k: int) -> Scored:
        return Scored(row + k / 10, Verdict.OK, True)

    for world in (1, 2, 3, 9):
        parts = [
            [[scored(row, k) for k in range(2)] for row in range(rank, 7, world)] for rank in range(world)
        ]
        assert in_order(parts) == [scored(row, k) for row in range(7) for k in range(2)]
