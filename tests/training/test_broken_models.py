"""Model folders that lack something, disks that are full: one message, nothing claimed, nothing lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

from rulewright import jsonl
from rulewright.data.mix import MixEntry
from rulewright.errors import ConfigError, RulewrightError, UsageError
from rulewright.generation import Sampling, open_generator
from rulewright.generation.open import GeneratorConfig, checkpoint_facts
from rulewright.prompts import Message, Style
from rulewright.runs import RunDir
from rulewright.srl.scoring import Scored
from rulewright.training.config import LoraConfig, SftConfig, TinyConfig

pytest.importorskip("trl")
from rulewright.training import checkpoints, models
from rulewright.training.policy import open_trainer, run_policy, trainer_arguments
from rulewright.training.policy_config import PolicyConfig, Tasks
from rulewright.training.tiny import make_model, make_tokenizer

TINY = TinyConfig(vocab_size=320, hidden_size=16, n_layers=1, n_heads=2, mlp_size=32, n_texts=100)
OPTIONS = {"per_device_train_batch_size": 2, "max_steps": 2, "save_steps": 1}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    tokenizer = make_tokenizer(["total = load(items)", "def f(a):\n    return a"] * 20, [], TINY)
    tokenizer.save_pretrained(folder)
    make_model(tokenizer, TINY, 0).save_pretrained(folder)
    jsonl.write_json(folder / "rulewright.json", {"prompt_style": "compact", "task": "action"})
    return folder


@pytest.fixture(scope="module")
def adapter(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter beside a base of its own, in one folder."""
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    root = tmp_path_factory.mktemp("adapter")
    shutil.copytree(whole, root / "base")
    model = AutoModelForCausalLM.from_pretrained(root / "base")
    model = get_peft_model(model, models.peft_config(LoraConfig(r=2), model))
    model.save_pretrained(root / "adapter")
    jsonl.write_json(root / "adapter/rulewright.json", {"prompt_style": "compact"})
    return root


def without(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink(missing_ok=True)

    return remove


def cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def unknown(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    jsonl.write_json(folder / "config.json", {**config, "model_type": "nonesuch"})


def without_its_window(folder: Path) -> None:
    """It loads, and its own code fails on the first text."""
    config = json.loads((folder / "config.json").read_text())
    config |= {"layer_types": ["sliding_attention"], "sliding_window": None}
    jsonl.write_json(folder / "config.json", config)


def quantized(method: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        config["quantization_config"] = {"quant_method": method, "bits": 4, "group_size": 8}
        jsonl.write_json(folder / "config.json", config)

    return change


def incomplete(folder: Path) -> None:
    """As where one of several files was lost: transformers draws the rest at random, and warns."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights.pop("model.layers.0.mlp.up_proj.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def of_more_tokens(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<extra-{i}>" for i in range(100)])
    tokenizer.save_pretrained(folder)


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "no weights": (without("model.safetensors"), "cannot be loaded"),
    "weights cut short": (cut, "cannot be loaded"),
    "a weight is missing": (incomplete, r"1 of its weights are missing, .*up_proj\.weight"),
    "unknown architecture": (unknown, "nonesuch"),
    "no tokenizer": (without("tokenizer.json", "tokenizer_config.json"), "no tokenizer"),
    "a tokenizer of more tokens": (of_more_tokens, "embeds [0-9]+ only"),
    "its code fails": (without_its_window, r"cannot compute a short text \(.+\)"),
    "GPTQ": (quantized("gptq"), "cannot be loaded .*requires optimum"),
    "AWQ": (quantized("awq"), "cannot be loaded .*requires gptqmodel"),
    "no template": (without("chat_template.jinja"), "no chat template"),
}


class One:
    """A single task: nothing is trained on it here."""

    def __len__(self) -> int:
        return 4

    def prompt(self, row: int, style: Style) -> list[Message]:
        return [{"role": "user", "content": f"task {row}"}]

    def group(self, row: int) -> str:
        return str(row)

    def reference(self, row: int) -> str:
        return ""

    def score(self, rows: Any, texts: Any, n_tokens: Any) -> list[Scored]:
        raise AssertionError("no answer is asked for")


def sft(data: Any, model: Path, out: Path, **changes: Any) -> dict[str, Any]:
    from rulewright.training import sft

    values = {"mix": [MixEntry(path=data("train"))], "max_length_tokens": 256, "trainer": OPTIONS, **changes}
    return sft.train(SftConfig(model=str(model), out=out, **values))


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("method", ["sft", "policy"])
def test_a_broken_checkpoint_is_named_before_anything_is_claimed(
    data: Callable[[str], str], whole: Path, tmp_path: Path, kind: str, method: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(whole, folder)
    breaks, message = BROKEN[kind]
    breaks(folder)
    with pytest.raises(UsageError, match=message) as caught:
        if method == "sft":
            sft(data, folder, tmp_path / "out")
        else:
            config = PolicyConfig(model=str(folder), out=tmp_path / "out", reports=tmp_path / "reports")
            run_policy(config, Tasks(One(), One(), "one"))
    assert str(folder) in caught.value.message and caught.value.hint
    if kind in ("GPTQ", "AWQ"):
        assert f"{kind}: pip install " in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_an_adapter_whose_base_is_gone(data: Callable[[str], str], adapter: Path, tmp_path: Path) -> None:
    shutil.copytree(adapter, tmp_path / "moved")
    config = tmp_path / "moved/adapter/adapter_config.json"
    gone = str(tmp_path / "nowhere/base")
    config.write_text(config.read_text().replace(str(adapter / "base"), gone))
    with pytest.raises(UsageError, match="no tokenizer") as caught:
        sft(data, tmp_path / "moved/adapter", tmp_path / "out", lora=LoraConfig(r=2))
    assert gone in caught.value.message
    shutil.copy(adapter / "base/tokenizer.json", tmp_path / "moved/adapter")
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(adapter / "base" / name, tmp_path / "moved/adapter")
    with pytest.raises(UsageError, match=f"{gone}, the base of the adapter") as caught:
        sft(data, tmp_path / "moved/adapter", tmp_path / "out", lora=LoraConfig(r=2))
    assert "adapter_config.json" in caught.value.hint
    # A base of the hub is to be fetched from there.
    config.write_text(config.read_text().replace(gone, "nobody-at-all/no-such-model"))
    with pytest.raises(UsageError, match="is not a local folder") as caught:
        sft(data, tmp_path / "moved/adapter", tmp_path / "out", lora=LoraConfig(r=2))
    assert "hf download nobody-at-all/no-such-model" in caught.value.hint
    assert not (tmp_path / "out").exists()


def of_another_rank(folder: Path) -> None:
    config = json.loads((folder / "adapter_config.json").read_text())
    jsonl.write_json(folder / "adapter_config.json", {**config, "r": 5})


def of_another_model(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "adapter_model.safetensors"
    save_file({name.replace("layers.0", "layers.7"): w for name, w in load_file(path).items()}, path)


def torn(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize("lora", [LoraConfig(r=2), None], ids=["continued", "merged"])
@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (of_another_rank, "does not fit .*size mismatch"),
        (of_another_model, "does not fit .*missing adapter keys"),
        (torn, "cannot be read"),
        (without("adapter_model.safetensors"), "has no weights"),
    ],
    ids=["rank", "model", "torn", "none"],
)
def test_an_adapter_that_cannot_be_loaded_is_named(
    data: Callable[[str], str], adapter: Path, tmp_path: Path, breaks: Callable[[Path], None], message: str,
    lora: LoraConfig | None,
) -> None:  # fmt: skip
    folder = tmp_path / "adapter"
    shutil.copytree(adapter / "adapter", folder)
    breaks(folder)
    with pytest.raises(UsageError, match=f"{folder}: .*{message}") as caught:
        sft(data, folder, tmp_path / "out", lora=lora)
    assert "copy it again" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_all_weights_are_trained_from_a_merged_adapter(
    data: Callable[[str], str], adapter: Path, tmp_path: Path
) -> None:
    """PEFT has frozen the base: nothing of it had a gradient."""
    result = sft(data, adapter / "adapter", tmp_path / "out")
    assert result["n_trained"] == result["n_parameters"] and result["steps"] == 2


def test_an_adapter_without_a_tokenizer_takes_its_base_s(
    data: Callable[[str], str], adapter: Path, tmp_path: Path
) -> None:
    assert sft(data, adapter / "adapter", tmp_path / "out", lora=LoraConfig(r=2))["steps"] == 2
    with open_generator(GeneratorConfig(model=str(adapter / "adapter"), device="cpu")) as generator:
        assert generator.generate([[{"role": "user", "content": "a"}]], Sampling(max_new_tokens=2))


def test_the_digest_of_an_adapter_covers_its_base(adapter: Path, tmp_path: Path) -> None:
    shutil.copytree(adapter, tmp_path / "a")
    spec = GeneratorConfig(model=str(tmp_path / "a/adapter"))
    config = tmp_path / "a/adapter/adapter_config.json"
    config.write_text(config.read_text().replace(str(adapter / "base"), str(tmp_path / "a/base")))
    before = checkpoint_facts(spec)["digest"]
    assert checkpoint_facts(spec)["digest"] == before
    weights = tmp_path / "a/base/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\1\2\3")
    assert checkpoint_facts(spec)["digest"] != before


def test_under_zero3_a_continued_adapter_has_the_type_of_its_base(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DeepSpeed gathers persistent weights of one type (TRL does this for new adapters)."""
    config = SftConfig(model=str(adapter / "adapter"), lora=LoraConfig(r=2), dtype="bfloat16")

    def types() -> set[str]:
        return {str(p.dtype) for p in models.load_model(config).parameters()}

    assert types() == {"torch.bfloat16", "torch.float32"}
    monkeypatch.setattr("transformers.integrations.is_deepspeed_zero3_enabled", lambda: True)
    assert types() == {"torch.bfloat16"}


@pytest.mark.parametrize("every", [1, 100], ids=["by its loss", "by its weights"])
def test_a_model_that_is_no_numbers_is_not_trained(
    data: Callable[[str], str], whole: Path, tmp_path: Path, every: int
) -> None:
    """transformers logs a loss of 0 for it, and it would be saved as if it had learned."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(whole, tmp_path / "model")
    weights = load_file(whole / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = float("nan")
    save_file(weights, tmp_path / "model/model.safetensors", {"format": "pt"})
    with pytest.raises(RulewrightError, match="training cannot continue") as caught:
        sft(data, tmp_path / "model", tmp_path / "out", trainer={**OPTIONS, "logging_steps": every})
    assert ("the loss is nan" if every == 1 else "weights are no numbers") in caught.value.message
    assert checkpoints.last_whole(tmp_path / "out/run/checkpoints") is None
    assert not (tmp_path / "out/model.safetensors").exists()


def test_a_special_token_without_an_embedding_costs_only_the_texts_that_spell_it_out(
    data: Callable[[str], str], whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in Gemma 3's models of text alone: their tokenizer has an image token."""
    from transformers import AddedToken, AutoModelForCausalLM, AutoTokenizer

    shutil.copytree(whole, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(whole)
    model = AutoModelForCausalLM.from_pretrained(whole)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(tmp_path / "model")
    tokenizer.add_tokens([AddedToken("<image>", special=True)], special_tokens=True)
    tokenizer.save_pretrained(tmp_path / "model")
    path = Path(data("train"))
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:8]]
    rows[3]["instruction"] += " <image>"
    jsonl.write(path, rows)
    found = sft(data, tmp_path / "model", tmp_path / "out", prompt_style="compact")
    assert found["data"]["dropped"] == {"not_embedded": 1} and found["data"]["n_rows"] == 7
    assert "not embedded: <image>" in capsys.readouterr().err
    with open_generator(GeneratorConfig(model=str(tmp_path / "out"), device="cpu")) as generator:
        (good,), (bad,) = generator.generate(
            [[{"role": "user", "content": text}] for text in ("a", "<image>")], Sampling(max_new_tokens=2)
        )
    assert good.answered and bad.finish_reason == "refused" and "<image>" in bad.error

    class Two(One):
        def prompt(self, row: int, style: Style) -> list[Message]:
            return [{"role": "user", "content": "<image>" if row == 1 else f"task {row}"}]

    config = PolicyConfig(
        model=str(tmp_path / "out"), out=tmp_path / "p", reports=tmp_path / "reports",
        trainer={"per_device_train_batch_size": 2, "num_generations": 2},
    )  # fmt: skip
    run = RunDir(config.out / "run")
    trainer = open_trainer(config, Tasks(Two(), Two(), "two"), trainer_arguments(config, run))
    assert trainer.train_dataset["row"][:] == [0, 2, 3]


def test_code_that_comes_with_a_model_is_neither_run_nor_offered(
    data: Callable[[str], str], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(whole, folder)
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    own = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}
    jsonl.write_json(folder / "config.json", {**settings, "model_type": "nonesuch", "auto_map": own})
    (folder / "own.py").write_text("raise SystemExit('run')\n", encoding="utf-8")
    asked: list[str] = []

    def agree(question: str = "") -> str:
        asked.append(question)
        return "y"

    monkeypatch.setattr("builtins.input", agree)
    with pytest.raises(UsageError, match="custom code") as caught:
        sft(data, folder, tmp_path / "out")
    assert str(folder) in caught.value.message and "code that comes with a model" in caught.value.hint
    with pytest.raises(UsageError, match="custom code"):
        open_generator(GeneratorConfig(model=str(folder)))
    assert not asked and not (tmp_path / "out").exists()


def test_nothing_to_train_on_leaves_the_folder_free(
    data: Callable[[str], str], whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(RulewrightError, match="all training records were dropped"):
        sft(data, whole, tmp_path / "out", max_length_tokens=16)
    assert sft(data, whole, tmp_path / "out")["steps"] == 2


def test_what_the_trainer_refuses_leaves_the_folder_free(
    data: Callable[[str], str], whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"the trainer refuses this: .*of_no_layer"):
        sft(data, whole, tmp_path / "out", lora=LoraConfig(target_modules=["of_no_layer"]))
    assert sft(data, whole, tmp_path / "out")["steps"] == 2


def test_what_trl_fails_on_is_one_message(whole: Path, tmp_path: Path) -> None:
    """TRL looks for the embeddings of a model with adapters in the wrong place."""
    folders: dict[str, Any] = {"out": tmp_path / "out", "reports": tmp_path / "reports"}
    options = {"cast_lm_head_to_fp32": True}
    config = PolicyConfig(model=str(whole), lora=LoraConfig(r=2), trainer=options, **folders)
    with pytest.raises(ConfigError, match=r"the trainer refuses this: .*embed_tokens"):
        run_policy(config, Tasks(One(), One(), "one"))
    assert not (tmp_path / "out/run/config.json").exists()


LATE: list[tuple[dict[str, Any], str]] = [
    ({"report_to": "nothing_known"}, "nothing_known is not supported"),
    ({"report_to": "wandb"}, "pip install wandb"),
    ({"optim": "lomo"}, "pip install lomo-optim"),
    ({"optim": "adamw_torch", "adam_beta2": 1.5}, "Invalid beta parameter"),
    ({"lr_scheduler_type": "cosine_with_min_lr"}, "min_lr"),
    ({"lr_scheduler_kwargs": {"num_cycles": 2}}, "unexpected keyword argument 'num_cycles'"),
    ({"accelerator_config": "nonesuch.json"}, "nonesuch.json"),
    ({"use_liger_kernel": True}, "use_liger_kernel is for GPUs"),
    ({"activation_offloading": True}, "activation_offloading is for GPUs"),
    ({"use_transformers_continuous_batching": True}, "continuous_batching is for GPUs"),
]
"""Options that transformers looks at when training begins."""


OF_THE_OTHER: Final = {"policy": "activation_offloading", "sft": "use_transformers_continuous_batching"}
"""By method, the option that only the other one has."""


@pytest.mark.parametrize(
    ("method", "option", "said"),
    [(method, *late) for method, other in OF_THE_OTHER.items() for late in LATE if other not in late[0]],
)
def test_options_that_come_to_nothing_are_refused_before_the_folder_is_claimed(
    data: Callable[[str], str], whole: Path, tmp_path: Path, method: str, option: dict[str, Any], said: str
) -> None:
    if said.startswith("pip") and find_spec(said.split()[-1].replace("-", "_")):
        pytest.skip("it is installed")
    with pytest.raises(ConfigError, match=f"trainer: .*{re.escape(said)}"):
        if method == "sft":
            sft(data, whole, tmp_path / "out", trainer={**OPTIONS, **option})
        else:
            folders: dict[str, Any] = {"out": tmp_path / "out", "reports": tmp_path / "reports"}
            config = PolicyConfig(model=str(whole), trainer=option, **folders)
            run_policy(config, Tasks(One(), One(), "one"))
    assert not (tmp_path / "out").exists()


def alone(port: str, rank: str, out: Path) -> None:
    """One of two processes; the first one goes without a word."""
    import torch

    os.environ.update(RANK=rank, WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    torch.distributed.init_process_group("gloo")
    if rank == "1":
        os._exit(9)
    with checkpoints.writing(out):
        while True:
            torch.distributed.barrier()


def test_the_end_of_another_process_is_one_message(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        gone = pool.apply_async(alone, (port, "1", tmp_path))
        with pytest.raises(RulewrightError, match="another process of this run has ended"):
            pool.apply(alone, (port, "0", tmp_path))
        assert not gone.ready()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_told_where_the_optimizer_is_written(tmp_path: Path) -> None:
    """PyTorch's writer gives no error number, only that its file is too short."""
    import torch

    with (
        pytest.raises(RulewrightError, match=r"cannot be written \(a file was cut short; .* are free\)"),
        checkpoints.writing(tmp_path),
    ):
        torch.save({"exp_avg": torch.zeros(100_000)}, "/dev/full")
    with pytest.raises(RuntimeError, match="failed finding central"), checkpoints.writing(tmp_path):
        (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04" + b"0" * 100)
        torch.load(tmp_path / "cut.pt")


def test_a_full_disk_is_told_once_and_the_run_goes_on_after(
    data: Callable[[str], str], whole: Path, tmp_path: Path
) -> None:
    """No file of the process may grow beyond a bound: its writes fail as on a full disk."""
    config = SftConfig(
        model=str(whole), mix=[MixEntry(path=data("train"))], max_length_tokens=256, trainer=OPTIONS,
        out=tmp_path / "out",
    )  # fmt: skip
    path = tmp_path / "sft.yaml"
    path.write_text(config.model_dump_json(), encoding="utf-8")
    size = (whole / "model.safetensors").stat().st_size // 2

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = subprocess.run(
        [sys.executable, "-m", "rulewright", "train", "sft", "--config", str(path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, preexec_fn=bounded,
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert f"error: {tmp_path / 'out'}: cannot be written (" in done.stderr and "--resume" in done.stderr
    assert sft(data, whole, tmp_path / "out", resume=True)["steps"] == 2


def test_a_model_that_cannot_run_claims_no_folder_and_costs_no_earlier_answer(
    data: Callable[[str], str], whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An evaluation, and a teacher."""
    from rulewright.cli import main

    model, answers, episodes = tmp_path / "model", tmp_path / "e", tmp_path / "raw"
    shutil.copytree(whole, model)
    ask = ["--model", str(model), "--limit", "1", "--max-new-tokens", "1", "--set", "generator.device=cpu"]
    evaluate = ["eval", "actions", *ask, "--input", data("train"), "--out"]
    teach = [
        "teacher",
        "run",
        *ask,
        "--teacher",
        "checkpoint",
        "--tasks",
        data("train"),
        "--out",
        str(episodes),
    ]
    teach += ["--metrics", str(tmp_path / "metrics.md")]
    assert main([*evaluate, str(answers)]) == 0
    assert main(teach) == 0
    [raw] = episodes.glob("*.jsonl")
    before = (answers / "rows.jsonl").read_bytes(), raw.read_bytes()
    without_its_window(model)
    capsys.readouterr()
    assert main([*evaluate, str(answers), "--overwrite"]) == 2
    assert main([*evaluate, str(tmp_path / "new")]) == 2
    assert main([*teach, "--overwrite"]) == 2
    assert capsys.readouterr().err.count(f"error: {model}: qwen3 cannot compute a short text (") == 3
    assert ((answers / "rows.jsonl").read_bytes(), raw.read_bytes()) == before
    assert not (tmp_path / "new").exists()
