"""`plan`: its figures, its verdict, its independence from torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rulewright.data.mix import MixEntry
from rulewright.errors import UsageError
from rulewright.training import plan
from rulewright.training.architecture import Architecture
from rulewright.training.config import LoraConfig, SftConfig, TinyConfig
from rulewright.training.memory import Setup, flop_per_token, parts

QWEN = Architecture.of("Qwen/Qwen3-14B")


def test_parameters_of_qwen3_14b() -> None:
    assert QWEN.body / 1e9 == pytest.approx(13.21, abs=0.005)
    assert QWEN.embeddings / 1e9 == pytest.approx(1.556, abs=0.001)
    assert QWEN.total / 1e9 == pytest.approx(14.77, abs=0.005)
    assert QWEN.lora(16) / 1e6 == pytest.approx(64, abs=0.5)
    assert QWEN.kv_bytes_per_token == 160 * 1024


@pytest.mark.parametrize(("tokens", "total"), [(2048, 13.15), (4096, 14.6), (8192, 17.4), (16384, 23.1)])
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


def test_packed_rows_cost_more_unless_flash_attention_skips_what_is_masked(data) -> None:
    masked = plan.make(_config(data), "rtx5090", 2, "none")
    skipped = plan.make(_config(data, attention="flash_attention_2"), "rtx5090", 2, "none")
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


def _config(data, **changes: object) -> SftConfig:
    values: dict[str, object] = {
        "model": "Qwen/Qwen3-14B",
        "mix": [MixEntry(path=data("train"))],
        "max_length_tokens": 8192,
        "lora": LoraConfig(r=16),
        "quantize": "nf4",
        "trainer": {"packing": True, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 8},
    }
    return SftConfig(**{**values, **changes})  # type: ignore[arg-type]


def test_a_run_that_fits_and_one_that_does_not(data) -> None:
    made = plan.make(_config(data), "rtx5090", 2, "none")
    assert made.fits and made.total_gib == pytest.approx(17.7, abs=0.1)
    assert made.n_rows == made.n_records > 0
    assert made.steps >= 1 and made.hours[0] < made.hours[1]
    bf16 = plan.make(_config(data, quantize="none"), "rtx5090", 2, "none")
    assert not bf16.fits and "quantize: nf4" in bf16.why and "layers' weights" in bf16.why
    full = plan.make(_config(data, quantize="none", lora=None), "rtx5090", 2, "none")
    assert not full.fits and "`lora`" in full.why


def test_records_that_do_not_fit_are_not_counted_as_rows(data) -> None:
    with pytest.raises(UsageError, match=r"none of .* fits into 16 tokens"):
        plan.make(_config(data, max_length_tokens=16), "rtx5090", 1, "none")


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(UsageError, match=r"Qwen3-15B.*not in the table"):
        Architecture.of("Qwen/Qwen3-15B")


def test_plan_needs_no_torch(data, tmp_path: Path) -> None:
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
