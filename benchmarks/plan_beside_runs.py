r"""The memory that `plan` says beside the memory that two steps take, on a CPU.

    python benchmarks/plan_beside_runs.py --tokenizer models/base/smollm2 \
        --data runs/demo/data/processed --work DIR

Random models of some architectures and the tokenizer's vocabulary are made in DIR; each run is planned by
`rulewright plan` and done by `rulewright train`, in a process of its own whose peak of resident memory the
system counts. DATA holds `train/synth.jsonl`, `dev/synth.jsonl` and, for SRL, `srl/`. Minutes for all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

MODELS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "qwen3": ("qwen3", {
        "hidden_size": 512, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64,
        "intermediate_size": 1536,
    }),
    "llama": ("llama", {
        "hidden_size": 768, "num_attention_heads": 12, "num_key_value_heads": 4, "intermediate_size": 2048,
    }),
    "gemma3": ("gemma3_text", {
        "hidden_size": 640, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
        "intermediate_size": 2048, "sliding_window": 128,
    }),
}  # fmt: skip
"""Name → transformers' model type and its configuration."""
RUNS: Final = (
    ("qwen3", "sft", True), ("llama", "sft", True), ("llama", "sft", False), ("gemma3", "sft", True),
    ("qwen3", "srl", True),
)  # fmt: skip
"""Model, training, whether by LoRA."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", default="", help="e.g. qwen3-sft-lora")
    options = parser.parse_args()
    print(f"{'run':16} {'plan, GiB':>10} {'measured':>10} {'ratio':>6} {'plan, s':>16} {'measured':>10}")
    for name, training, lora in RUNS:
        title = f"{name}-{training}-{'lora' if lora else 'all'}"
        if options.only not in ("", title):
            continue
        model = made(name, options.tokenizer, options.work / "models" / name)
        config = options.work / f"{title}.yaml"
        values = settings(training, lora, model, options.work / title, options.data)
        config.write_text(yaml.safe_dump(values), encoding="utf-8")
        said = planned(config, training)
        gib, seconds = measured(training, config)
        low, high = (3600 * hours for hours in said["hours"])
        total = said["total_gib"]
        times = f"{low:7.0f} to {high:5.0f} {seconds:10.0f}"
        print(f"{title:16} {total:10.2f} {gib:10.2f} {total / gib:6.2f} {times}", flush=True)
    return 0


def made(name: str, tokenizer: Path, folder: Path) -> Path:
    """A random model of 12 layers with a tokenizer, saved in bfloat16."""
    if (folder / "config.json").exists():
        return folder
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(tokenizer)
    words.save_pretrained(folder)
    kind, values = MODELS[name]
    torch.manual_seed(0)
    config = CONFIG_MAPPING[kind](
        vocab_size=len(words), num_hidden_layers=12, max_position_embeddings=8192, tie_word_embeddings=True,
        bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id,
        **values,
    )  # fmt: skip
    note = {"prompt_style": "compact", "thinking": None, "task": "action", "base": None}
    (folder / "rulewright.json").write_text(json.dumps(note), encoding="utf-8")
    AutoModelForCausalLM.from_config(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def settings(training: str, lora: bool, model: Path, out: Path, data: Path) -> dict[str, Any]:
    """Two steps: of rows of up to 320 tokens (SFT), or of 16 rollouts of up to 96 (SRL)."""
    values: dict[str, Any] = {"model": str(model), "out": str(out), "limit": 2000}
    values["lora"] = {"r": 16} if lora else None
    trainer: dict[str, Any] = {"max_steps": 2, "learning_rate": 1e-4}
    if training == "sft":
        trainer |= {"per_device_train_batch_size": 4 if lora else 2}
        entries = {
            split: [{"path": str(data / split / "synth.jsonl"), "with_action": True}]
            for split in ("train", "dev")
        }
        values |= {
            "task": "action", "mix": entries["train"], "dev": entries["dev"], "max_length_tokens": 320,
            "bucket": True, "prompt_style": "compact", "eval_limit": 8, "eval_max_new_tokens": 32,
        }  # fmt: skip
    else:
        trainer |= {
            "per_device_train_batch_size": 8, "gradient_accumulation_steps": 2, "num_generations": 8,
            "max_completion_length": 96, "save_steps": 2,
        }  # fmt: skip
        values |= {
            "reports": str(out / "reports"), "train": str(data / "srl/train.jsonl"),
            "dev": str(data / "srl/dev.jsonl"), "reward": "gated", "max_prompt_tokens": 192, "eval_rows": 4,
            "eval_every_steps": 100, "workers": 1, "sampling": {"enabled": False},
        }  # fmt: skip
    return values | {"trainer": trainer}


def planned(config: Path, training: str) -> dict[str, Any]:
    """What `plan` says, as JSON."""
    command = ["plan", str(config), "--stage", training, "--device", "cpu", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "rulewright", *command], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode not in (0, 1):  # 1: it does not fit in what is free now
        raise SystemExit(done.returncode)
    plan: dict[str, Any] = json.loads(done.stdout)
    return plan


def measured(training: str, config: Path) -> tuple[float, float]:
    """Run a training; its peak of resident memory in GiB and its seconds of CPU, start-up included."""
    command = ["train", training, "--config", str(config), "--overwrite"]
    told = config.with_suffix(".log")
    with told.open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "rulewright", *command],
            env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=log, stderr=log,
        )  # fmt: skip
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    # A random model's answers teach nothing: after its steps a policy run says so, and ends with 1.
    if child.returncode not in ((0, 1) if training == "srl" else (0,)):
        raise SystemExit(f"{told}: the training ended with exit code {child.returncode}")
    kib = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return kib / 2**20, used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
