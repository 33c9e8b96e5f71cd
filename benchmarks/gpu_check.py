"""The training stack on one GPU, end to end, by the commands that a person runs.

    python benchmarks/gpu_check.py --records train.jsonl --dev dev.jsonl --out results --work scratch [PART …]

Parts (all, in this order, unless some are named; each leaves `OUT/PART.json`):

    sft           0.6B, all weights, Stage 1: learns, is killed with SIGKILL, goes on, answers held-out tasks
    eval          `eval actions` of what came out
    packing       0.6B: packed and unpacked rows, adapters and all weights; memory beside `plan`'s
    steps         0.6B: one training step, by setup and length
    large         14B, random weights: QLoRA and LoRA steps by length; then Stage 0 under a cap of --cap-gib
    policy        SRL from `sft`'s checkpoint (or --policy-model): seconds for generation, reward and update
    large-policy  SRL of the 14B by QLoRA under the cap

The models are random: nothing is downloaded, and quality is not what is measured. 14B needs
30 GB in --work and 32 GB of GPU memory for QLoRA, 45 for LoRA. `--small` replaces every
model by one for a CPU, to try the script itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from rulewright import jsonl

_ROOT: Final = Path(__file__).resolve().parents[1]
_PROBE: Final = str(Path(__file__).with_name("gpu_probe.py"))
# The command line with a limit on the memory that this process may take from the device.
_CAPPED: Final = """
import sys, torch
if torch.cuda.is_available():
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, float(sys.argv.pop(1)) * 2**30 / total))
else:
    sys.argv.pop(1)
from rulewright.cli import main
sys.exit(main())
"""


@dataclass
class Check:
    """What was asked, and where things lie."""

    records: Path
    dev: Path
    srl_train: Path
    srl_dev: Path
    policy_model: str
    out: Path
    work: Path
    cap_gib: float
    small: bool

    def shape(self, name: str) -> str:
        return "small" if self.small else name

    def model(self, shape: str) -> str:
        """The checkpoint with random weights of this shape, made if it is not there."""
        folder = self.work / f"random-{self.shape(shape)}"
        if not (folder / "model.safetensors.index.json").exists():
            self.run(_PROBE, "make", self.shape(shape), folder, "--records", self.records)
        return str(folder)

    def run(self, *argv: str | Path, check: bool = True) -> dict[str, Any]:
        """Run Python with these arguments; its time, exit code and last lines."""
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, *map(str, argv)], cwd=_ROOT, capture_output=True, text=True, check=False
        )
        seconds = round(time.monotonic() - started, 1)
        print(f"  {seconds:6.1f} s  exit {done.returncode}  {' '.join(map(str, argv[:6]))[:150]}", flush=True)
        if check and done.returncode:
            raise RuntimeError(done.stderr[-3000:])
        return {
            "seconds": seconds,
            "exit": done.returncode,
            "stdout": done.stdout,
            "tail": done.stderr[-1500:],
        }

    def rulewright(self, *argv: str | Path, cap: bool = False, check: bool = True) -> dict[str, Any]:
        head = ("-c", _CAPPED, str(self.cap_gib)) if cap else ("-m", "rulewright")
        return self.run(*head, *argv, check=check)

    def config(self, name: str, source: str, **changes: Any) -> Path:
        """A configuration of the package, changed where this machine and these data ask for it."""
        values = yaml.safe_load((_ROOT / "configs" / source).read_text(encoding="utf-8"))
        values.pop("tiny", None)
        trainer = {**values.get("trainer", {}), **changes.pop("trainer", {})}
        if "mix" in values:
            values |= {"mix": [{"path": str(self.records), "with_action": True}]}
            values |= {"dev": [{"path": str(self.dev), "with_action": True}], "eval_limit": 0}
        if "train" in values:
            values |= {"train": str(self.srl_train), "dev": str(self.srl_dev)}
            values |= {"reports": str(self.work / name / "reports")}
        values |= {"out": str(self.work / name), "trainer": trainer, **changes}
        path = self.work / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return path

    def train_sft(self, path: Path, cap: bool = False) -> dict[str, Any]:
        """Train, and say beside it what `plan` says of the same configuration."""
        planned = self.rulewright("plan", path, "--device", "h200", "--devices", "1", "--json", check=False)
        done = self.rulewright("train", "sft", "--config", path, "--json", cap=cap)
        out = Path(yaml.safe_load(path.read_text(encoding="utf-8"))["out"])
        plan = json.loads(planned["stdout"] or "{}")
        kept = ("memory_gib", "total_gib", "tokens_per_s", "tokens_per_row", "n_parameters", "n_trained")
        return {
            "wall_s": done["seconds"],
            **_summary(out),
            "plan": {key: plan.get(key) for key in kept},
        }


def _summary(out: Path) -> dict[str, Any]:
    """What a finished `train sft` left: result, curve of the loss, tokens a second once warm."""
    result = json.loads((out / "run/result.json").read_text(encoding="utf-8"))
    kept = (
        "n_parameters", "n_trained", "steps", "resumed_from_step", "batch_size", "train_loss", "dev_loss",
        "seconds", "device", "attention", "peak_gpu_gib",
    )  # fmt: skip
    logged = [row for row in jsonl.read(out / "run/metrics.jsonl") if "loss" in row]
    found = {key: result[key] for key in kept} | {
        "data": result["data"],
        "loss": [(row["step"], row["loss"]) for row in logged],
    }
    if result["evaluation"]:
        found["evaluation"] = {k: v["value"] for k, v in result["evaluation"]["metrics"].items()}
    # From the second line on, after a resume too: the first one holds the compilation of kernels.
    logged = [row for row in logged if row["step"] > result["resumed_from_step"]]
    if len(logged) > 2 and logged[-1]["seconds"] > logged[1]["seconds"]:
        first, last = logged[1], logged[-1]
        n_steps, seconds = last["step"] - first["step"], last["seconds"] - first["seconds"]
        found["s_per_step"] = round(seconds / n_steps, 3)
        found["tokens_per_s"] = round((last["num_tokens"] - first["num_tokens"]) / seconds)
    return found


def sft(check: Check) -> Any:
    """Full weights in float32 with bf16 autocast; killed at its first checkpoint."""
    steps, save = (12, 4) if check.small else (240, 120)
    path = check.config(
        "sft", "tiny/stage1.yaml", model=check.model("0.6B"), prompt_style="compact", max_length_tokens=256,
        dtype="float32", eval_limit=8 if check.small else 64, eval_every_steps=0,
        trainer={
            "max_steps": steps, "save_steps": save, "logging_steps": steps // 12, "learning_rate": 3e-4,
            "per_device_train_batch_size": 4 if check.small else 128, "warmup_steps": 20,
        },
    )  # fmt: skip
    argv = [sys.executable, "-m", "rulewright", "train", "sft", "--config", str(path), "--overwrite"]
    started = time.monotonic()
    with (check.out / "sft-killed.log").open("w") as log:
        process = subprocess.Popen(argv, cwd=_ROOT, stderr=log, stdout=log)
        mark = check.work / f"sft/run/checkpoints/checkpoint-{save}/complete.json"
        while not mark.exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    killed_s = time.monotonic() - started
    before = [row for row in jsonl.read(check.work / "sft/run/metrics.jsonl") if "loss" in row]
    check.rulewright("train", "sft", "--config", path, "--resume")
    return {
        "killed_after_s": round(killed_s, 1),
        "loss_before_kill": [(row["step"], row["loss"]) for row in before],
        **_summary(check.work / "sft"),
    }


def evaluate(check: Check) -> Any:
    """Greedy answers of `sft`'s checkpoint, executed."""
    found = []
    for batch in (16, 64):
        run = check.work / f"eval-{batch}"
        limit = 64 if check.small else 256
        done = check.rulewright(
            "eval", "actions", "--model", check.work / "sft", "--input", check.dev, "--limit", str(limit),
            "--batch-size", str(batch), "--max-new-tokens", "96", "--out", run, "--workers", "4", "--json",
        )  # fmt: skip
        result = json.loads(done["stdout"].splitlines()[-1])
        rows = list(jsonl.read(run / "rows.jsonl"))
        # Every row of a batch carries the batch's time.
        seconds = sum(row["seconds"] for row in rows) / batch
        found.append(
            {
                "batch_size": batch,
                "n": len(rows),
                "wall_s": done["seconds"],
                "generation_s": round(seconds, 1),
                "answers_per_s": round(len(rows) / seconds, 1),
                "tokens_per_s": round(sum(row["n_tokens"] for row in rows) / seconds),
                "success": result["metrics"]["success"],
                "valid": result["metrics"]["valid"],
            }
        )
    return found


def packing(check: Check) -> Any:
    """Stage 1 of the large model's configuration on 0.6B, `max_length_tokens` and batch as there."""
    found = {}
    n, every = (4, 1) if check.small else (12, 2)
    short = {"max_steps": n, "logging_steps": every, "save_steps": n, "gradient_accumulation_steps": 1}
    base = {"model": check.model("0.6B"), "prompt_style": "full", "limit": 200 if check.small else 4000}
    padded = {"packing": False, "per_device_train_batch_size": 32}
    variants: dict[str, dict[str, Any]] = {
        "adapters, packed": {},
        "adapters, padded": {"trainer": padded, "bucket": True},
        "all weights, packed": {"lora": None},
    }
    for name, changes in variants.items():
        trainer = {**short, **changes.get("trainer", {})}
        folder = "packing-" + name.replace(", ", "-").replace(" ", "-")
        path = check.config(
            folder, "qwen3_14b/stage1_lora.yaml", **{**base, **changes, "trainer": trainer}
        )  # fmt: skip
        found[name] = check.train_sft(path)
    return found


def _steps(check: Check, model: str, setup: str, lengths: list[int], *attention: str) -> Any:
    out = check.work / "steps.json"
    numbers = [str(n // 16 if check.small else n) for n in lengths]
    done = check.run(
        _PROBE, "steps", model, "--setup", setup, "--lengths", *numbers, "--out", out,
        "--attention", "sdpa", *attention, check=False,
    )  # fmt: skip
    if done["exit"]:
        return {"setup": setup, "error": done["tail"]}
    return json.loads(out.read_text(encoding="utf-8"))


def steps(check: Check) -> Any:
    model = check.model("0.6B")
    return [
        *_steps(check, model, "lora", [2048, 8192], "flex_attention"),
        *_steps(check, model, "full", [2048, 8192]),
        *_steps(check, model, "full-float32", [2048, 8192]),
    ]


def check_qlora() -> tuple[str, ...]:
    from importlib.util import find_spec

    return ("qlora",) if find_spec("bitsandbytes") else ()


def large(check: Check) -> Any:
    model = check.model("14B")
    lengths = [2048, 8192]
    found: dict[str, Any] = {}

    def keep(name: str, value: Any) -> None:
        found[name] = value
        jsonl.write_json(check.out / "large.json", found)

    for setup in check_qlora():
        keep(setup, _steps(check, model, setup, [*lengths, 16384], "flex_attention"))
    quantize = "nf4" if check_qlora() else "none"
    path = check.config(
        "stage0-14b", "qwen3_14b/stage0_qlora.yaml", model=model, limit=300 if check.small else 3000,
        quantize=quantize, prompt_style="full", dev=[],
        trainer={"max_steps": 4, "logging_steps": 1, "save_steps": 4, "gradient_accumulation_steps": 2},
    )  # fmt: skip
    keep("stage0_qlora.yaml under the cap", {"cap_gib": check.cap_gib, **check.train_sft(path, cap=True)})
    keep("lora", _steps(check, model, "lora", lengths))
    return found


def _policy(check: Check, path: Path, cap: bool = False) -> dict[str, Any]:
    out = Path(yaml.safe_load(path.read_text(encoding="utf-8"))["out"])
    done = check.rulewright("train", "srl", "--config", path, "--overwrite", cap=cap, check=False)
    kept = (
        "step", "loss", "unfiltered/reward", "unfiltered/success_rate", "sampling/kept_rate",
        "sampling/rounds", "sampling/rollouts", "seconds/generation", "seconds/reward", "step_time",
        "completions/mean_length",
    )  # fmt: skip
    rows = [row for row in jsonl.read(out / "run/metrics.jsonl") if row["kind"] == "train"]
    result = out / "run/result.json"
    return {
        "wall_s": done["seconds"],
        "exit": done["exit"],
        "tail": done["tail"][-600:],
        "steps": [{key: row.get(key) for key in kept} for row in rows],
        "result": json.loads(result.read_text(encoding="utf-8")) if result.exists() else None,
        "shares": _shares(rows[1:]),
    }


def _shares(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Of the steps' time, by part; rollouts a second; the first step is left out."""
    total = sum(row["step_time"] for row in rows)
    if not total:
        return {}
    generation = sum(row["seconds/generation"] for row in rows)
    reward = sum(row["seconds/reward"] for row in rows)
    rollouts = sum(row["sampling/rollouts"] for row in rows)
    return {
        "n_steps": len(rows),
        "s_per_step": round(total / len(rows), 2),
        "generation": round(generation / total, 3),
        "reward": round(reward / total, 4),
        "update_and_rest": round(1 - (generation + reward) / total, 3),
        "rollouts_per_s_of_generation": round(rollouts / generation, 1),
        "rollouts_per_s": round(rollouts / total, 1),
        "rewards_per_s": round(rollouts / reward, 1),
    }


def policy(check: Check) -> Any:
    """SRL as in the demo, from a checkpoint of 0.6B, and from one that is good where one is named."""
    models = {"0.6B": str(check.work / "sft")} | ({"named": check.policy_model} if check.policy_model else {})
    found = {}
    for name, model in models.items():
        steps = 4 if check.small else 6 if name == "0.6B" else 20
        path = check.config(
            f"policy-{name}", "tiny/srl.yaml", model=model, dtype="float32", workers=8, eval_rows=32,
            eval_every_steps=steps, sampling={"epsilon": 0.01, "max_rounds": 2, "max_flat_batches": 100},
            trainer={
                "max_steps": steps, "save_steps": steps, "learning_rate": 1e-5 if name == "0.6B" else 3e-4,
                "per_device_train_batch_size": 16 if check.small else 64,
            },
        )  # fmt: skip
        found[name] = _policy(check, path)
    return found


def large_policy(check: Check) -> Any:
    """Random weights write no end token and no action: every answer is as long as it may be."""
    path = check.config(
        "policy-14b", "qwen3_14b/srl_qlora.yaml", model=check.model("14B"),
        quantize="nf4" if check_qlora() else "none", workers=8, eval_rows=1, eval_every_steps=50,
        sampling={"enabled": False, "max_flat_batches": 100},
        trainer={
            "max_steps": 2, "save_steps": 2, "gradient_accumulation_steps": 8, "max_completion_length": 64,
            "mask_truncated_completions": False,
        },
    )  # fmt: skip
    return _policy(check, path, cap=True)


PARTS: Final[dict[str, Callable[[Check], Any]]] = {
    "sft": sft,
    "eval": evaluate,
    "packing": packing,
    "steps": steps,
    "large": large,
    "policy": policy,
    "large-policy": large_policy,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART")
    for name in ("records", "dev", "srl-train", "srl-dev"):
        parser.add_argument(f"--{name}", type=lambda text: Path(text).resolve(), required=True)
    parser.add_argument("--policy-model", default="", help="a checkpoint to start SRL from, beside sft's")
    parser.add_argument("--out", type=Path, required=True, help="results go here")
    parser.add_argument("--work", type=Path, required=True, help="checkpoints go here; 60 GB for all parts")
    parser.add_argument("--cap-gib", type=float, default=31.4, help="GPU memory of the card to be imitated")
    parser.add_argument("--small", action="store_true", help="tiny models: a trial of this script")
    asked = parser.parse_args()
    unknown = sorted(set(asked.parts) - set(PARTS))
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(_ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    os.environ["HF_HUB_OFFLINE"] = "1"
    for folder in (asked.out, asked.work):
        folder.mkdir(parents=True, exist_ok=True)
    check = Check(
        asked.records, asked.dev, asked.srl_train, asked.srl_dev,
        str(Path(asked.policy_model).resolve()) if asked.policy_model else "", asked.out.resolve(),
        asked.work.resolve(), asked.cap_gib, asked.small,
    )  # fmt: skip
    failed = 0
    for name in asked.parts:
        print(f"{name} ({shutil.disk_usage(check.work).free / 2**30:.0f} GiB free)", flush=True)
        started = time.monotonic()
        try:
            found = PARTS[name](check)
        except Exception:
            failed += 1
            found = {"error": traceback.format_exc()[-4000:]}
            print(found["error"], flush=True)
        seconds = round(time.monotonic() - started, 1)
        jsonl.write_json(check.out / f"{name}.json", {"seconds": seconds, "found": found})
        print(f"{name}: {seconds} s", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
