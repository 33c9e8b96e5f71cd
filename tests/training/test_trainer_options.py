"""`trainer:` options, checked against TRL's source as a configuration is read."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rulewright.cli import main
from rulewright.config import read_file
from rulewright.errors import ConfigError
from rulewright.srl.train_srl import SrlConfig
from rulewright.training import options
from rulewright.training.config import SftConfig
from rulewright.training.options import TrlClass, names, problems
from rulewright.training.train_grpo import GrpoConfig

CLASSES: tuple[TrlClass, ...] = ("SFTConfig", "GRPOConfig")


@pytest.mark.parametrize("trl_class", CLASSES)
def test_the_source_says_what_the_dataclass_says(trl_class: TrlClass) -> None:
    trl = pytest.importorskip("trl")
    fields = dataclasses.fields(getattr(trl, trl_class))
    assert names(trl_class) == {field.name for field in fields if field.init}


@pytest.mark.parametrize("trl_class", CLASSES)
def test_trl_takes_every_default_of_its_own(trl_class: TrlClass) -> None:
    trl = pytest.importorskip("trl")
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(getattr(trl, trl_class))
        if field.init and isinstance(field.default, int | float | str | None)
    }
    assert len(defaults) > 100
    assert [
        found for found in problems(defaults, trl_class) if "has no effect without" not in found.what
    ] == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("max_steps", "two", "expected a whole number, got 'two'"),
        ("max_steps", 2.5, "expected a whole number, got 2.5"),
        ("max_steps", True, "expected a whole number, got True"),
        ("max_steps", None, "expected a whole number, got None"),
        ("max_steps", 0, "0 steps would be one"),
        ("learning_rate", "1e-4 ", "expected a number"),
        ("learning_rate", float("nan"), "expected a finite number"),
        ("learning_rate", -1.0, "expected at least 0"),
        ("per_device_train_batch_size", 0, "expected at least 1, got 0"),
        ("packing", "yes", "expected true or false, got 'yes'"),
        ("lr_scheduler_type", "cosin", "did you mean 'cosine'?"),
        ("optim", "adamw_torch_fusd", "did you mean 'adamw_torch_fused'?"),
        ("report_to", 3, "expected null or text or a list of text, got 3"),
        ("lr_scheduler_kwargs", 3, "expected a mapping or text or null"),
        ("max_step", 2, "trl has no such option; did you mean 'max_steps'?"),
        ("num_generations", 8, "trl has no such option"),
    ],
)
def test_a_wrong_option(key: str, value: Any, said: str) -> None:
    pytest.importorskip("trl")
    found = problems({key: value}, "SFTConfig")
    assert [problem.key for problem in found] == [key]
    assert said in found[0].what


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("loss_type", "dapoo", "no such choice 'dapoo'; did you mean 'dapo'?"),
        ("importance_sampling_level", "word", "no such choice 'word'; one of token, sequence"),
    ],
)
def test_a_word_that_trl_looks_at_in_the_first_step(key: str, value: str, said: str) -> None:
    pytest.importorskip("trl")
    [found] = problems({key: value}, "GRPOConfig")
    assert found.what == said
    source = find_spec("trl.trainer.grpo_trainer")
    assert source and source.origin
    text = Path(source.origin).read_text(encoding="utf-8")
    for word in ("grpo", "bnpo", "dr_grpo", "dapo", "luspo", "cispo", "sapo", "vespo", "token", "sequence"):
        assert f'"{word}"' in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_steps", -1), ("learning_rate", 1), ("num_train_epochs", 1), ("report_to", "none"),
        ("report_to", ["tensorboard", "wandb"]), ("warmup_steps", 0.1), ("lr_scheduler_type", "cosine"),
        ("lr_scheduler_kwargs", {"num_cycles": 2}), ("run_name", None), ("save_strategy", "no"),
    ],
)  # fmt: skip
def test_an_option_as_trl_takes_it(key: str, value: Any) -> None:
    trl = pytest.importorskip("trl")
    assert problems({key: value}, "SFTConfig") == []
    trl.SFTConfig(output_dir="x", use_cpu=True, bf16=False, **{key: value})


def test_without_trl_types_are_checked_and_names_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    options.known_options.cache_clear()
    monkeypatch.setattr(options, "source_tree", lambda package, file: None)
    try:
        assert problems({"max_steps": "two"}, "SFTConfig")[0].what == "expected a whole number, got 'two'"
        assert problems({"some_option": "two"}, "SFTConfig") == []
    finally:
        options.known_options.cache_clear()


@pytest.mark.parametrize("trl_class", CLASSES)
def test_what_options_work_with_only_is_of_trl(trl_class: TrlClass) -> None:
    pytest.importorskip("trl")
    listed = {key for *_, keys in options.ONLY_WITH[trl_class] for key in keys.split()}
    assert listed <= names(trl_class)


@pytest.mark.parametrize(
    ("config_class", "given", "said"),
    [
        (SrlConfig, {"vllm_server_port": 1}, "without use_vllm: true and vllm_mode: server"),
        (
            SrlConfig,
            {"use_vllm": True, "vllm_server_port": 1},
            "without use_vllm: true and vllm_mode: server",
        ),
        (GrpoConfig, {"vllm_gpu_memory_utilization": 0.5}, "without use_vllm: true and vllm_mode: colocate"),
        (GrpoConfig, {"vllm_importance_sampling_clip_max": 2.0}, "weighs the rollouts of a server"),
        (SrlConfig, {"use_bias_correction_kl": True, "beta": 0.0}, "without beta: a number above 0"),
        (SrlConfig, {"loss_type": "cispo", "delta": 2.0}, "without loss_type: one that clips on both sides"),
        (SrlConfig, {"entropy_target": 0.5}, "without use_adaptive_entropy: true"),
        (SftConfig, {"packing_strategy": "wrapped"}, "without packing: true"),
        (SftConfig, {"loss_type": "dft", "label_smoothing_factor": 0.1}, "without loss_type: nll"),
        (SftConfig, {"hub_model_id": "a/b"}, "without push_to_hub: true"),
    ],
)
def test_an_option_without_what_it_works_with(config_class: Any, given: dict[str, Any], said: str) -> None:
    """TRL took these, and did nothing."""
    pytest.importorskip("trl")
    with pytest.raises(ConfigError) as caught:
        config_class(trainer=given).trl_options()
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("config_class", "given"),
    [
        (SrlConfig, {"use_vllm": True, "vllm_gpu_memory_utilization": 0.5}),
        (SrlConfig, {"use_vllm": True, "vllm_mode": "server", "vllm_server_port": 1}),
        (SrlConfig, {"loss_type": "sapo", "sapo_temperature_pos": 1.0}),
        (SrlConfig, {"loss_type": "cispo", "epsilon_high": 5.0}),
        (SftConfig, {"packing": True, "packing_strategy": "wrapped", "eval_packing": False}),
    ],
)
def test_an_option_with_what_it_works_with(config_class: Any, given: dict[str, Any]) -> None:
    assert config_class(trainer=given).trl_options() == given


def test_an_sft_run_reads_what_it_takes(data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that nothing reads would be accepted without effect."""
    trl = pytest.importorskip("trl")
    from tests import reading

    from rulewright.data.mix import MixEntry
    from rulewright.training import sft
    from rulewright.training.config import TinyConfig

    monkeypatch.setattr(trl, "SFTConfig", reading.ReadingSft)
    reading.READ.clear()
    sft.train(
        SftConfig(
            tiny=TinyConfig(vocab_size=320, hidden_size=16, n_layers=1, n_heads=2, mlp_size=32, n_texts=100),
            mix=[MixEntry(path=data("train"))], dev=[MixEntry(path=data("dev"))], max_length_tokens=256,
            eval_limit=2, eval_every_steps=1, eval_max_new_tokens=4, keep="best_loss", out=tmp_path / "out",
            trainer={"max_steps": 2, "per_device_train_batch_size": 2},
        )
    )  # fmt: skip
    assert reading.never_read("SFTConfig", SftConfig.owned) == set()


@pytest.mark.parametrize("config_class", [SftConfig, SrlConfig, GrpoConfig])
def test_what_fields_decide_about_loading_is_not_set_twice(config_class: Any) -> None:
    """It was overridden in silence."""
    config = config_class(trainer={"model_init_kwargs": {"dtype": "float16", "use_kernels": True}})
    with pytest.raises(ConfigError, match=r"^trainer\.model_init_kwargs\.dtype is set elsewhere"):
        config.trl_options()


@pytest.mark.parametrize("config_class", [SftConfig, SrlConfig, GrpoConfig])
def test_each_mistake_is_told_with_its_line(config_class: Any, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    path = tmp_path / "c.yaml"
    path.write_text(
        "seed: 1\ntrainer:\n  max_steps: two\n  lerning_rate: 1\n  output_dir: x\nsed: 2\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError) as caught:
        read_file(config_class, path)
    lines = caught.value.message.splitlines()
    assert lines[0] == f"{path}:3: trainer.max_steps: expected a whole number, got 'two'"
    assert lines[1].startswith(f"{path}:4: trainer.lerning_rate: trl has no such option; did you mean")
    assert lines[2].startswith(f"{path}:5: trainer.output_dir: is ")
    assert lines[3].startswith(f"{path}:6: unknown key 'sed'")


@pytest.mark.parametrize("command", [["plan"], ["train", "sft", "--config"]])
def test_a_wrong_type_is_no_traceback_and_claims_nothing(
    command: list[str], data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(
        f"tiny: {{}}\nmix:\n  - path: {data('train')}\nout: out\nmax_length_tokens: 256\n"
        "trainer:\n  max_steps: two\n",
        encoding="utf-8",
    )
    assert main([*command, "c.yaml"]) == 2
    assert "c.yaml:7: trainer.max_steps: expected a whole number" in capsys.readouterr().err
    assert not Path("out").exists()


def test_reading_a_configuration_imports_no_trl(data: Any, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("trainer:\n  max_steps: 2\n", encoding="utf-8")
    code = (
        "import sys\nfrom pathlib import Path\nfrom rulewright.config import read_file\n"
        "from rulewright.training.config import SftConfig\n"
        f"read_file(SftConfig, Path({str(path)!r}))\n"
        "sys.exit(9 * bool({'torch', 'transformers', 'trl'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
