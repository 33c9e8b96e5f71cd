"""`plan`: its figures, its verdict, its independence from torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rulewright.data.mix import MixEntry
from rulewright.data.schemas import NormalizedRecord
from rulewright.errors import UsageError
from rulewright.training import lengths, plan
from rulewright.training.architecture import Architecture
from rulewright.training.config import LoraConfig, SftConfig, TinyConfig
from rulewright.training.duration import Cpu, Machine
from rulewright.training.memory import Device, Setup, Sharding, flop_per_token, parts
from rulewright.training.plan import TrainingPlan
from rulewright.training.train_grpo import GrpoConfig

QWEN = Architecture.of("Qwen/Qwen3-14B")


def test_parameters_of_qwen3_14b() -> None:
    assert QWEN.body / 1e9 == pytest.approx(13.21, abs=0.005)
    assert QWEN.embeddings / 1e9 == pytest.approx(1.556, abs=0.001)
    assert QWEN.total / 1e9 == pytest.approx(14.77, abs=0.005)
    assert QWEN.lora(16) / 1e6 == pytest.approx(64, abs=0.5)
    assert QWEN.kv_bytes(1) == 160 * 1024


def made(
    config: plan.RunConfig, device: str, devices: int, sharding: Sharding, gib: float = 0.0
) -> TrainingPlan:
    source = plan.origin(config)
    where = plan.machine(device, devices, gib, source, threads=1, probe=False)
    return plan.make("sft" if isinstance(config, SftConfig) else "grpo", config, source, where, sharding)


@pytest.mark.parametrize(("tokens", "total"), [(2048, 13.9), (4096, 15.5), (8192, 18.8), (16384, 25.4)])
def test_qlora_of_qwen3_14b(tokens: int, total: float) -> None:
    memory = parts(Setup(QWEN, tokens, lora_r=16, quantized=True, weight_bytes=2))
    assert memory["layers' weights"] + memory["embeddings and head"] == pytest.approx(9.25, abs=0.01)
    assert sum(memory.values()) == pytest.approx(total, abs=0.05)


def test_lora_on_bf16_weights_needs_sharding() -> None:
    alone = parts(Setup(QWEN, 8192, 16, False, 2))
    assert alone["layers' weights"] + alone["embeddings and head"] == pytest.approx(27.5, abs=0.05)
    sharded = parts(Setup(QWEN, 8192, 16, False, 2, "fsdp", 2))
    assert sum(sharded.values()) == pytest.approx(24, abs=0.6)


@pytest.mark.parametrize(
    ("length", "gflop", "ceiling"), [(2048, 88, 2390), (4096, 91.5, 2290), (8192, 99, 2115)]
)
def test_arithmetic_of_qwen3_14b(length: int, gflop: float, ceiling: float) -> None:
    flop = flop_per_token(Setup(QWEN, length, 16, True, 2), length)
    assert flop / 1e9 == pytest.approx(gflop, abs=0.5)
    assert 209.5e12 / flop == pytest.approx(ceiling, abs=3)


def test_packed_rows_cost_more_unless_flash_attention_skips_what_is_masked(
    data: Callable[[str], str],
) -> None:
    masked = made(_config(data), "rtx5090", 2, "none")
    skipped = made(_config(data, attention="flash_attention_2"), "rtx5090", 2, "none")
    assert masked.total_gib - skipped.total_gib == pytest.approx(0.3, abs=0.06)
    # All of 8,192 × 8,192 scores, instead of half of a short document's.
    assert skipped.tokens_per_s[1] / masked.tokens_per_s[1] == pytest.approx(1.36, abs=0.02)


def test_the_tiny_model_counts_as_transformers_does(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from rulewright.training import tiny

    config = TinyConfig(vocab_size=300)
    tokenizer = tiny.make_tokenizer(["a b c"] * 9, [], config)
    model = tiny.make_model(tokenizer, config, 0)
    exact = config.model_copy(update={"vocab_size": len(tokenizer)})
    assert Architecture.of_tiny(exact).total == sum(p.numel() for p in model.parameters())
    model.save_pretrained(tmp_path)
    assert Architecture.of(str(tmp_path)).total == Architecture.of_tiny(exact).total


def _config(data: Callable[[str], str], **changes: object) -> SftConfig:
    values: dict[str, object] = {
        "model": "Qwen/Qwen3-14B",
        "mix": [MixEntry(path=data("train"))],
        "max_length_tokens": 8192,
        "lora": LoraConfig(r=16),
        "quantize": "nf4",
        "trainer": {"packing": True, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 8},
    }
    return SftConfig(**{**values, **changes})


def test_a_run_that_fits_and_one_that_does_not(data: Callable[[str], str]) -> None:
    fits = made(_config(data), "rtx5090", 2, "none")
    assert fits.fits and fits.total_gib == pytest.approx(19.1, abs=0.1)
    assert fits.n_rows == fits.n_records > 0
    assert fits.steps >= 1 and fits.hours[0] < fits.hours[1]
    bf16 = made(_config(data, quantize="none"), "rtx5090", 2, "none")
    assert not bf16.fits and "layers' weights" in bf16.why and "Change: quantize: nf4: 19.1 GiB" in bf16.why
    full = made(_config(data, quantize="none", lora=None), "rtx5090", 2, "none")
    assert not full.fits and "Change: train adapters on 4-bit weights" in full.why


def test_memory_is_known_where_linux_does_not_tell_it(
    data: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = plan.origin(_config(data))
    here = plan.machine("cpu", 1, 0.0, source, threads=1, probe=False).device.memory_gib
    monkeypatch.setattr(Path, "exists", lambda _: False)
    elsewhere = plan.machine("cpu", 1, 0.0, source, threads=1, probe=False).device.memory_gib
    assert elsewhere >= here > 0


def test_the_change_that_is_named_makes_it_fit(data: Callable[[str], str]) -> None:
    config = _config(data, max_length_tokens=4096).model_copy(
        update={"trainer": {"packing": True, "per_device_train_batch_size": 4}}
    )
    tight = made(config, "rtx5090", 1, "none", gib=20.0)
    assert not tight.fits
    assert "trainer.per_device_train_batch_size: 2, trainer.gradient_accumulation_steps: 2" in tight.why
    more = {**config.trainer, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
    changed = made(config.model_copy(update={"trainer": more}), "rtx5090", 1, "none", gib=20.0)
    assert changed.fits and changed.rows_per_step == tight.rows_per_step
    assert f"{changed.total_gib:.1f} GiB" in tight.why


def test_evaluation_is_counted(data: Callable[[str], str]) -> None:
    without = made(_config(data), "rtx5090", 1, "none")
    config = _config(data, dev=[MixEntry(path=data("dev"))], eval_limit=16, eval_every_steps=1)
    asked = made(config, "rtx5090", 1, "none")
    assert set(without.phases_gib) == {"training"}
    assert set(asked.phases_gib) == {"training", "dev loss", "answers"}
    assert asked.phases_gib["answers"]["keys and values"] > 0
    assert asked.hours[0] > without.hours[0] and asked.hours_by_part["answers"][0] > 0
    # A GPU answers 16 at once, however many there are.
    several = [
        made(config.model_copy(update={"dev": config.mix, "eval_limit": n}), "rtx5090", 1, "none")
        for n in (16, 64)
    ]
    answers = [one.phases_gib["answers"]["keys and values"] for one in several]
    assert answers[0] == answers[1]
    trainer = {**config.trainer, "per_device_eval_batch_size": 8}
    large = made(config.model_copy(update={"trainer": trainer}), "rtx5090", 1, "none")
    # Packed rows of a batch are joined into one: the mask of 65,536 tokens alone is 12 GiB.
    assert large.phases_gib["dev loss"]["attention mask"] > 12
    assert not large.fits and "trainer.per_device_eval_batch_size: 1" in large.why


def test_the_memory_of_rows_that_are_not_packed_is_that_of_the_longest_that_can_occur(
    data: Callable[[str], str],
) -> None:
    trainer = {"per_device_train_batch_size": 2}
    unseen = made(_config(data, trainer=trainer), "rtx5090", 1, "none")
    packed = made(_config(data, trainer={**trainer, "packing": True}), "rtx5090", 1, "none")
    assert "estimated" in unseen.counted
    saved = "saved activations"
    assert unseen.memory_gib[saved] == packed.memory_gib[saved]


def test_lengths_are_of_all_records(data: Callable[[str], str], records: list[NormalizedRecord]) -> None:
    long = records[0].model_copy(update={"pre": "x = 1\n" * 400, "post": "x = 2\n" * 400})
    path = Path(data("train"))
    path.write_text(path.read_text() + long.to_json() + "\n")
    meter = lengths.Meter("", TinyConfig(), budget=2000)
    rows = [meter.row([{"role": "user", "content": "ab = 1"}], "cd") for _ in range(500)]
    # What is estimated after the budget is rounded up from the rate of what was counted.
    assert all(first <= other <= first + 1 for row in rows for first, other in zip(rows[0], row, strict=True))
    assert not meter.exact and "the others by their characters" in meter.how
    found = made(_config(data, trainer={}), "rtx5090", 1, "none")
    assert found.n_records == len(path.read_text().splitlines())


def test_records_that_do_not_fit_are_not_counted_as_rows(data: Callable[[str], str]) -> None:
    with pytest.raises(UsageError, match=r"none of .* fits into 16 tokens"):
        made(_config(data, max_length_tokens=16), "rtx5090", 1, "none")


def test_a_cpu_answers_from_a_copy_of_the_weights(data: Callable[[str], str]) -> None:
    def copied(bf16: float, model: str = "HuggingFaceTB/SmolLM2-135M-Instruct", **changes: object) -> float:
        dev = [MixEntry(path=data("dev"))]
        config = _config(data, model=model, quantize="none", max_length_tokens=512, dev=dev, **changes)
        place = Machine(Device("CPU", 8.0, 0.0), 1, Cpu(80.0, bf16, measured=True))
        answers = plan.make("sft", config, plan.origin(config), place, "none").phases_gib["answers"]
        return answers.get("copy to answer with", 0.0)

    arch = Architecture.of("HuggingFaceTB/SmolLM2-135M-Instruct")
    assert copied(190) == pytest.approx(2 * arch.body / 2**30, abs=1e-3)
    assert copied(80) == pytest.approx(4 * arch.body / 2**30, abs=1e-3)  # float32, adapters merged
    assert copied(190, lora=None) == 0  # counted as autocast's
    assert copied(190, model="google/gemma-3-270m") == 0  # its windows are left to transformers


def _policy(data: Callable[[str], str], **changes: object) -> GrpoConfig:
    values: dict[str, object] = {
        "model": "Qwen/Qwen3-14B", "mix": [MixEntry(path=data("train"))], "dev": [MixEntry(path=data("dev"))],
        "lora": LoraConfig(r=16), "quantize": "nf4", "max_prompt_tokens": 2048, "generate_at_once": 16,
        "trainer": {
            "max_steps": 100, "num_generations": 8, "per_device_train_batch_size": 8,
            "gradient_accumulation_steps": 8, "max_completion_length": 768,
        },
    }  # fmt: skip
    return GrpoConfig(**{**values, **changes})


def test_rollouts_of_qwen3_14b(data: Callable[[str], str]) -> None:
    found = made(_policy(data), "rtx5090", 2, "none")
    assert found.fits and found.steps == 100 and found.rows_per_step == 128
    assert set(found.phases_gib) == {"training", "rollouts", "answers"}
    # 16 × (2,048 + 768) tokens of 160 KiB; 8 completions joined behind one prompt.
    assert found.phases_gib["rollouts"]["keys and values"] == pytest.approx(16 * 2816 * 160 / 2**20, abs=0.01)
    assert found.phases_gib["training"]["saved activations"] == pytest.approx(
        8192 * 40 * 10240 / 2**30, abs=0.01
    )
    assert set(found.hours_by_part) == {"rollouts", "rewards", "training", "answers"}
    once = made(_policy(data, generate_at_once=0), "rtx5090", 2, "none")
    assert once.fits and once.hours[1] <= found.hours[1]
    assert any("generate_at_once: 16" in note for note in once.notes), once.notes


@pytest.mark.parametrize("attention", ["eager", "flash_attention_2"])
def test_rollouts_are_joined_only_where_attention_takes_the_mask(
    data: Callable[[str], str], attention: str
) -> None:
    found = made(_policy(data, attention=attention), "h200", 1, "none")
    assert found.phases_gib["training"]["saved activations"] == pytest.approx(
        8 * (2048 + 768) * 40 * 10240 / 2**30, abs=0.01
    )


def test_a_server_generates_in_place_of_the_trainer(data: Callable[[str], str]) -> None:
    here = made(_policy(data), "rtx5090", 1, "none")
    served = made(_policy(data, rollouts="server"), "rtx5090", 1, "none")
    assert set(served.phases_gib) == {"training"}
    assert served.total_gib == pytest.approx(sum(here.phases_gib["training"].values()), abs=0.1)
    # What the trainer gives the answers is computed before the first step too: they are weighed by it.
    more = served.hours_by_part["training"][1] / here.hours_by_part["training"][1]
    assert 1.1 < more < 1.4
    for part in ("rollouts", "answers"):
        assert 0 < served.hours_by_part[part][1] < here.hours_by_part[part][1]


def test_rollouts_cannot_be_generated_from_shards(data: Callable[[str], str]) -> None:
    found = made(_policy(data, quantize="none"), "rtx5090", 2, "fsdp")
    assert not found.fits and "sharded" in found.why


def test_a_policy_that_does_not_fit_names_what_to_change(data: Callable[[str], str]) -> None:
    found = made(_policy(data), "rtx5090", 2, "none", gib=18.0)
    assert not found.fits and "Change: trainer.per_device_train_batch_size: 4" in found.why


def test_more_rounds_and_evaluations_take_longer(data: Callable[[str], str]) -> None:
    base = made(_policy(data), "h100", 1, "none")
    rounds = made(_policy(data, sampling={"max_rounds": 1}), "h100", 1, "none")
    assert rounds.hours_by_part["rollouts"][1] < base.hours_by_part["rollouts"][1]
    assert rounds.hours_by_part["training"] == base.hours_by_part["training"]
    often = made(_policy(data, eval_every_steps=5), "h100", 1, "none")
    assert often.hours_by_part["answers"][0] == pytest.approx(
        21 / 6 * base.hours_by_part["answers"][0], rel=0.05
    )


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("task: action\nmix: []\nmodel: x\n", "sft"),
        ("train: a\ndev: b\nreward: gated\nmodel: x\n", "srl"),
        ("mix: []\ndev: []\ntests: off\nmodel: x\n", "grpo"),
        ("mix: []\nmodel: x\ntrainer:\n  num_generations: 8\n", "grpo"),
        ("mix: []\nmodel: x\nmax_prompt_tokens: 8\n", "grpo"),
    ],
)
def test_a_configuration_is_known_by_its_fields(text: str, stage: str, tmp_path: Path) -> None:
    from rulewright import yaml12

    assert plan.stage_of(yaml12.load(text))[0] == stage


CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("**/*.yaml")), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_every_shipped_training_configuration_is_read_as_what_it_is(path: Path) -> None:
    if path.parent.name in ("accelerate", "data") or path.name.startswith(("demo", "matrix", "synth")):
        pytest.skip("not of a training run")
    expected = next(stage for stage in ("srl", "grpo", "stage") if path.name.startswith(stage))
    stage, config = plan.read(path)
    assert stage == expected.replace("stage", "sft")
    source = plan.origin(config, path)
    assert source.architecture.total > 0
    if "smollm2" in path.parts:
        assert source.architecture.total == 134_515_008
    if path.parent.name == "qwen3_14b":
        assert source.architecture.total == 14_768_307_200
        # Two chains write the same folders: a reader of one is not sent to the other.
        assert ("_lora.yaml" if "qlora" in path.name else "_qlora.yaml") not in source.reason


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(UsageError, match=r"Qwen3-15B.*not in the table"):
        Architecture.of("Qwen/Qwen3-15B")


def test_plan_needs_no_torch(data: Callable[[str], str], tmp_path: Path) -> None:
    config = SftConfig(tiny=TinyConfig(), mix=[MixEntry(path=data("train"))], max_length_tokens=256)
    path = tmp_path / "sft.yaml"
    path.write_text(config.model_dump_json(), encoding="utf-8")
    code = (
        "import sys\n"
        "from rulewright.cli import main\n"
        f"code = main(['plan', {str(path)!r}, '--json'])\n"
        "sys.exit(code or 9 * bool({'torch', 'transformers', 'trl'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"fits": true' in done.stdout


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        ("NVIDIA GeForce RTX 4090, 24564 MiB\n", "up to Qwen3-14B, QLoRA"),
        ("NVIDIA A100, 81920 MiB\nNVIDIA T4, 15360 MiB\n", "up to Qwen3-32B, QLoRA"),
        ("NVIDIA RTX 3070, 8192 MiB\n", "up to Qwen3-4B, QLoRA"),
        ("NVIDIA GeForce GT 1030, 2048 MiB\n", "no model of the plan fits"),
        ("", "on the CPU"),
    ],
)
def test_doctor_says_what_can_be_trained_here(
    listing: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rulewright import machine

    # The driver's program cannot be here: a real one that prints what it prints.
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{listing}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = {finding.what: finding for finding in machine.accelerator()}
    assert said in found["training"].value


def test_texts_longer_than_a_model_was_made_for_are_named(data: Callable[[str], str]) -> None:
    config = _config(data, model="", tiny=TinyConfig(max_positions=64), max_length_tokens=512, lora=None,
                     quantize="none", trainer={"max_steps": 1})  # fmt: skip
    said = [note for note in made(config, "cpu", 1, "none").notes if "made for 64" in note]
    assert len(said) == 1
    enough = config.model_copy(update={"tiny": TinyConfig(max_positions=512)})
    assert not [note for note in made(enough, "cpu", 1, "none").notes if "made for" in note]
    grpo = GrpoConfig(
        model="Qwen/Qwen3-14B", mix=[MixEntry(path=data("train"))], dev=[MixEntry(path=data("dev"))],
        max_prompt_tokens=512, trainer={"max_completion_length": 96}, lora=LoraConfig(), quantize="nf4",
    )  # fmt: skip
    source = plan.origin(grpo)
    where = plan.machine("a100", 1, 0.0, source, threads=1, probe=False)
    short = source._replace(architecture=replace(source.architecture, positions=128))
    assert [n for n in plan.make("grpo", grpo, short, where, "none").notes if "made for 128" in n]
