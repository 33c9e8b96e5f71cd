"""An adapter merged into its base answers as the adapter did, and is a plain checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rulewright.cli import main
from rulewright.generation import GeneratorConfig, Sampling, open_generator
from rulewright.generation.adapters import Adapter
from rulewright.prompts import Message

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

PROMPT: list[Message] = [{"role": "user", "content": "rename f to g"}]


@pytest.fixture(scope="module")
def base(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random checkpoint in bf16, as pretrained models are stored."""
    folder = tmp_path_factory.mktemp("base") / "base"
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16)
    model.generation_config.max_length = 77
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(checkpoint).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes what the base says, with its tokenizer and note."""
    folder = tmp_path_factory.mktemp("adapter") / "stage1"
    return make_adapter(base, folder)


def make_adapter(base: Path, folder: Path, r: int = 4) -> Path:
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    torch.manual_seed(1)
    config = peft.LoraConfig(
        r=r, lora_alpha=2 * r, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
    )
    peft.get_peft_model(model, config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    note = {"prompt_style": "compact", "task": "action", "base": "x", "thinking": False}
    (folder / "rulewright.json").write_text(json.dumps(note))
    return folder


def logits(folder: Path, dtype: str) -> Any:
    """Of a few tokens, from a folder as transformers opens it (an adapter on its base)."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    with torch.no_grad():
        return model.eval()(torch.arange(3, 40)[None]).logits.float()


def test_merged_logits_are_the_adapters(adapter: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    assert main(["merge", str(adapter), str(out), "--dtype", "float32"]) == 0
    wanted, got = logits(adapter, "float32"), logits(out, "float32")
    assert (wanted - logits(base, "float32")).abs().max() > 0.5, "the adapter changes something"
    assert torch.allclose(wanted, got, atol=2e-4), (wanted - got).abs().max()


def test_adapters_of_stacked_experts_are_merged_too(base: Path, tmp_path: Path) -> None:
    config = transformers.Qwen3MoeConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
    )  # fmt: skip
    folder, out = tmp_path / "experts", tmp_path / "merged"
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    adapter = make_adapter(folder, tmp_path / "adapter")
    kept = peft.utils.save_and_load.load_peft_weights(str(adapter), device="cpu")
    assert any(".experts." in name for name in kept), "the experts are adapted"
    assert main(["merge", str(adapter), str(out), "--dtype", "float32"]) == 0
    wanted, got = logits(adapter, "float32"), logits(out, "float32")
    assert (wanted - logits(folder, "float32")).abs().max() > 0.1
    assert torch.allclose(wanted, got, atol=1e-5), (wanted - got).abs().max()


def test_auto_keeps_the_type_of_the_base(adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    assert main(["merge", str(adapter), str(out)]) == 0
    assert json.loads((out / "config.json").read_text())["dtype"] == "bfloat16"
    exact, rounded = logits(adapter, "float32"), logits(out, "float32")
    assert (exact - rounded).abs().mean() < 0.05 * exact.std(), "no more than rounding to bf16"


def test_an_adapter_too_small_for_the_weights_is_told(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps of 1e-5 are less than half a unit in the last place of most weights in bf16."""
    from safetensors.torch import load_file, save_file

    folder = make_adapter(base, tmp_path / "short")
    weights = load_file(folder / "adapter_model.safetensors")
    small = {name: 1e-3 * weight if "lora_B" in name else weight for name, weight in weights.items()}
    save_file(small, folder / "adapter_model.safetensors")
    assert main(["merge", str(folder), str(tmp_path / "rounded")]) == 0
    told = capsys.readouterr().err
    assert "lost: 9" in told and "too small for bfloat16: --dtype float32 keeps it" in told
    assert main(["merge", str(folder), str(tmp_path / "exact"), "--dtype", "float32"]) == 0
    assert "too small" not in capsys.readouterr().err


def test_what_comes_with_the_weights(adapter: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    assert main(["merge", str(adapter), str(out), "--dtype", "float32"]) == 0
    names = {path.name for path in out.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"} <= names
    assert not any(name.startswith(("adapter_", ".")) for name in names)
    note = json.loads((out / "rulewright.json").read_text())
    assert note["prompt_style"] == "compact" and note["task"] == "action" and note["thinking"] is False
    assert note["base"] == str(base) and note["merged"] == str(adapter)
    assert json.loads((out / "generation_config.json").read_text())["max_length"] == 77
    kept = transformers.AutoTokenizer.from_pretrained(out)
    was = transformers.AutoTokenizer.from_pretrained(adapter)
    assert kept.chat_template == was.chat_template and kept.get_vocab() == was.get_vocab()
    answers = []
    for folder in (adapter, out):
        with open_generator(GeneratorConfig(model=str(folder), dtype="float32")) as generator:
            assert generator.style == "compact"
            answers.append(generator.generate([PROMPT], Sampling(max_new_tokens=12))[0][0].text)
    assert answers[0] == answers[1]


def no_folder(adapter: Path, tmp_path: Path) -> list[str]:
    return [str(tmp_path / "absent"), str(tmp_path / "out")]


def full_checkpoint(adapter: Path, tmp_path: Path) -> list[str]:
    return [Adapter.read(adapter).base, str(tmp_path / "out")]


def base_gone(adapter: Path, tmp_path: Path) -> list[str]:
    shutil.copytree(adapter, tmp_path / "moved")
    settings = json.loads((adapter / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = "/gone/base"
    (tmp_path / "moved" / "adapter_config.json").write_text(json.dumps(settings))
    return [str(tmp_path / "moved"), str(tmp_path / "out")]


def other_base(adapter: Path, tmp_path: Path) -> list[str]:
    config = transformers.Qwen3Config(
        vocab_size=300, hidden_size=64, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        head_dim=16, intermediate_size=64,
    )  # fmt: skip
    transformers.Qwen3ForCausalLM(config).save_pretrained(tmp_path / "other")
    return [str(adapter), str(tmp_path / "out"), "--base", str(tmp_path / "other")]


def adapter_on_adapter(adapter: Path, tmp_path: Path) -> list[str]:
    return [str(adapter), str(tmp_path / "out"), "--base", str(adapter)]


def not_empty(adapter: Path, tmp_path: Path) -> list[str]:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    return [str(adapter), str(tmp_path / "out")]


def torn_weights(adapter: Path, tmp_path: Path) -> list[str]:
    shutil.copytree(adapter, tmp_path / "torn")
    weights = tmp_path / "torn" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    return [str(tmp_path / "torn"), str(tmp_path / "out")]


def no_weights(adapter: Path, tmp_path: Path) -> list[str]:
    shutil.copytree(adapter, tmp_path / "bare")
    (tmp_path / "bare" / "adapter_model.safetensors").unlink()
    return [str(tmp_path / "bare"), str(tmp_path / "out")]


def of_other_layers(adapter: Path, tmp_path: Path) -> list[str]:
    """None of its weights has a place in the base: PEFT starts new ones, and warns."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(adapter, tmp_path / "elsewhere")
    path = tmp_path / "elsewhere" / "adapter_model.safetensors"
    found = {name.replace("layers.", "layers.7"): weight for name, weight in load_file(path).items()}
    save_file(found, path)
    return [str(tmp_path / "elsewhere"), str(tmp_path / "out")]


@pytest.mark.parametrize(
    ("prepare", "said", "hint"),
    [
        (no_folder, "no such folder", "name the folder"),
        (full_checkpoint, "holds no adapter", "full checkpoint"),
        (base_gone, "its base /gone/base does not exist", "--base"),
        (other_base, "does not fit", "--base"),
        (adapter_on_adapter, "is an adapter itself", "merge that one first"),
        (not_empty, "not empty (notes.txt)", "new folder"),
        (torn_weights, "cannot be read", "copy it again"),
        (no_weights, "has no weights", "copy it again"),
        (of_other_layers, "missing adapter keys", "--base"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_bad_input_is_one_message_and_leaves_nothing(
    adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    prepare: Callable[[Path, Path], list[str]], said: str, hint: str,
) -> None:  # fmt: skip
    arguments = prepare(adapter, tmp_path)
    assert main(["merge", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err and hint in err and "Traceback" not in err
    out = tmp_path / "out"
    assert not out.exists() or [path.name for path in out.iterdir()] in ([], ["notes.txt"])


def test_a_torn_merge_is_done_again(adapter: Path, tmp_path: Path) -> None:
    """Killed while writing, it left a hidden folder beside only; the same command starts over."""
    out, part = tmp_path / "merged", tmp_path / ".merged.1.part"
    part.mkdir()
    (part / "model.safetensors").write_bytes(b"half")
    assert main(["merge", str(adapter), str(out), "--dtype", "float32"]) == 0
    assert not part.exists()
    assert torch.allclose(logits(adapter, "float32"), logits(out, "float32"), atol=2e-4)
