"""What the configurations of a large model rely on, tried small: accelerate's files, packing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.launching import run_in_time

from rulewright.data.mix import MixEntry
from rulewright.training.config import LoraConfig, SftConfig, TinyConfig

pytest.importorskip("trl")

ACCELERATE = sorted((Path(__file__).parents[2] / "configs" / "accelerate").glob("*.yaml"))


@pytest.mark.parametrize("path", ACCELERATE, ids=lambda path: path.stem)
def test_accelerate_takes_the_file(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config: Any = load_config_from_file(str(path))
    assert config.num_processes == 2
    assert config.use_cpu == path.stem.startswith("tiny_")
    expected = "DEEPSPEED" if "zero" in path.stem else "FSDP" if "fsdp" in path.stem else "MULTI_GPU"
    assert config.distributed_type == expected


def test_deepspeed_and_the_run_agree_on_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers refuses a difference with a traceback; the launch file's word is the default."""
    from rulewright.errors import ConfigError
    from rulewright.training import environment

    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert environment.launched_in_bf16({"bf16": True}) is environment.launched_in_bf16({}) is None
    # Without DeepSpeed autocast would be on all the same.
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert environment.launched_in_bf16({})
    with pytest.raises(ConfigError, match=r"trainer\.bf16: false, but .* mixed_precision: bf16"):
        environment.launched_in_bf16({"bf16": False})
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    assert environment.launched_in_bf16({}) and environment.launched_in_bf16({"bf16": True})
    with pytest.raises(ConfigError, match=r"trainer\.bf16: false, but .* mixed_precision: bf16"):
        environment.launched_in_bf16({"bf16": False})
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert environment.launched_in_bf16({}) is False
    with pytest.raises(ConfigError, match=r"trainer\.bf16: true, but .* mixed_precision: no"):
        environment.launched_in_bf16({"bf16": True})


def test_packed_adapters_on_bf16_weights(
    data: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rulewright.training import sft

    tiny = TinyConfig(vocab_size=320, hidden_size=16, n_layers=1, n_heads=2, mlp_size=32, n_texts=100)
    mix = [MixEntry(path=data("train"))]
    options = {"max_steps": 2, "per_device_train_batch_size": 1, "logging_steps": 1, "save_steps": 2}
    base = tmp_path / "base"
    sft.train(SftConfig(tiny=tiny, mix=mix, max_length_tokens=256, trainer=options, out=base))
    result = sft.train(
        SftConfig(
            model=str(base),
            mix=mix,
            max_length_tokens=256,
            lora=LoraConfig(r=2),
            out=tmp_path / "packed",
            trainer={**options, "packing": True, "max_steps": -1, "num_train_epochs": 1},
        )
    )
    counts = result["data"]
    # Blocks of 256 tokens hold several rows each, so a pass takes fewer steps than there are rows.
    assert counts["n_tokens"] / 256 <= result["steps"] < counts["n_rows"] / 3
    assert (tmp_path / "packed" / "adapter_config.json").exists()
    n = result["steps"]
    assert f"{n:,} steps of 1 rows (1.0 passes over {n:,} packed rows)" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["opt", "lfm2"])
def test_a_model_that_mixes_documents_is_not_packed(
    data: Callable[[str], str], tmp_path: Path, small_smollm2: Path, kind: str
) -> None:
    """OPT heeds no positions, and says nothing; the convolutions of LFM2 raise where kernels are missing."""
    import transformers

    from rulewright.errors import UsageError
    from rulewright.training import sft

    if kind == "lfm2" and find_spec("causal_conv1d"):
        pytest.skip("its kernels are installed: they keep documents apart")
    tokenizer = transformers.AutoTokenizer.from_pretrained(small_smollm2)
    narrow = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": len(tokenizer),
    }
    own: dict[str, dict[str, Any]] = {
        "opt": {"ffn_dim": 32, "word_embed_proj_dim": 16, "init_std": 0.1},
        "lfm2": {
            "intermediate_size": 32,
            "layer_types": ["conv", "full_attention"],
            "num_key_value_heads": 2,
        },
    }
    config = transformers.CONFIG_MAPPING[kind](**narrow, **own[kind])
    base = tmp_path / "base"
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(base)
    tokenizer.save_pretrained(base)
    packed = SftConfig(
        model=str(base), mix=[MixEntry(path=data("train"))], max_length_tokens=256, out=tmp_path / "packed",
        trainer={"max_steps": 1, "per_device_train_batch_size": 1, "packing": True},
    )  # fmt: skip
    with pytest.raises(UsageError, match=rf"trainer\.packing: {kind} .* does not separate") as error:
        sft.train(packed)
    assert "causal_conv1d" in str(error.value) or kind == "opt"
    assert not packed.out.exists()
    apart = packed.model_copy(update={"trainer": {**packed.trainer, "packing": False}})
    assert sft.train(apart)["steps"] == 1


@pytest.mark.parametrize(("by_itself", "options"), [(True, {}), (False, {}), (True, {"fp16": True})])
def test_weights_in_float32_are_multiplied_in_bf16_on_a_gpu(
    data: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_itself: bool,
    options: dict[str, Any],
) -> None:  # fmt: skip
    """Unless it only emulates that, or float16 is asked for."""
    import torch
    import trl

    from rulewright.runs import RunDir
    from rulewright.training import assemble

    class Unchecked(trl.SFTConfig):
        n_gpu = 1
        deepspeed_plugin = None

        def __post_init__(self) -> None:
            """The original looks for the device."""

    monkeypatch.setattr(trl, "SFTConfig", Unchecked)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: by_itself or including_emulation
    )
    for dtype in ("float32", "bfloat16"):
        config = SftConfig(model="x", mix=[MixEntry(path=data("train"))], dtype=dtype, trainer=dict(options))
        found = assemble.arguments(config, RunDir(tmp_path), has_dev=False).bf16
        assert found == (by_itself and not options)


SHARDS = """
import sys
from pathlib import Path
from types import SimpleNamespace
import torch
from accelerate import PartialState
from torch.distributed.fsdp import fully_shard
from rulewright.errors import RulewrightError
from rulewright.training.callbacks import MarkComplete

rank, out = PartialState(cpu=True).process_index, Path(sys.argv[1])
model = torch.nn.Linear(6, 4)
fully_shard(model, mesh=torch.distributed.init_device_mesh("cpu", (2,)))
state = SimpleNamespace(global_step=1, is_world_process_zero=rank == 0)
args = SimpleNamespace(output_dir=str(out))
MarkComplete().on_save(args, state, None, model=model)
if rank == 1:
    model.weight.detach().to_local()[0, 0] = float("nan")
try:
    MarkComplete().on_save(args, state, None, model=model)
except RulewrightError:
    (out / f"noticed-{rank}").touch()
PartialState().destroy_process_group()
"""


def test_a_shard_that_is_no_number_ends_every_process(tmp_path: Path) -> None:
    """Each sees its own shards; the one that marks a checkpoint whole need not have the broken one."""
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "rank.py").write_text(SHARDS, encoding="utf-8")
    done = run_in_time(
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(tmp_path / "rank.py"), str(tmp_path), GLOO_SOCKET_IFNAME="lo",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(path.name for path in tmp_path.glob("noticed-*")) == ["noticed-0", "noticed-1"]


@pytest.mark.parametrize(("stage", "sharded"), [(2, False), (3, True)])
def test_zero_2_keeps_whole_weights(stage: int, sharded: bool, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from rulewright.training import environment
    from rulewright.training.callbacks import TellUnreached

    args = SimpleNamespace(deepspeed_plugin=SimpleNamespace(zero_stage=stage), deepspeed=None, fsdp=None)
    assert environment.is_sharded(SimpleNamespace(is_fsdp_enabled=False, args=args)) is sharded
    # Its engine has done its step, and keeps no gradient, when the trainer could look at one.
    TellUnreached().on_pre_optimizer_step(
        args, SimpleNamespace(global_step=0), None, model=torch.nn.Linear(2, 2)
    )
    assert "not trained" not in capsys.readouterr().err
