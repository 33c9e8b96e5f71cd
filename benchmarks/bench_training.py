"""Tokens a second on a CPU beside plain TRL and plain `generate`: same model, same records, one process.

    python benchmarks/bench_training.py [--model models/base/smollm2] [--rounds 3] [--threads 2]

The model is a folder (`rulewright fetch smollm2` brings one). The records are made here, from the
standard library. All ways take turns in every round, so that whatever else the machine does
meets all of them; a ratio is taken within a round. Tokens are real ones: padding is not counted.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rulewright.prompts import Message

FILES = ("argparse.py", "tarfile.py", "typing.py", "ast.py", "zipfile/__init__.py")
LORA_RANK = 32


class Way(NamedTuple):
    """One way to do the work; a call gives tokens and seconds."""

    name: str
    run: Callable[[], tuple[int, float]]


def records(folder: Path, n: int) -> list[Any]:
    """Verified records from the standard library: short statements, one rule each."""
    from rulewright import jsonl
    from rulewright.data.schemas import NormalizedRecord
    from rulewright.synth import shards, sources
    from rulewright.synth.settings import SynthConfig

    config = SynthConfig(
        window=("statement",), max_chars=200, max_tokens=100, shapes=("single",), per_window=2,
        per_file_cap=0, siblings=0, hold_out_templates=False,
    )  # fmt: skip
    library = sources.standard_library()
    paths = [library / name for name in FILES if (library / name).is_file()]
    shard = shards.Batch(0, tuple(sources.find(paths, ["python"])))
    shards.make_one((shard, folder, config, 0))
    *made, _ = jsonl.read(shard.path(folder))
    random.Random(0).shuffle(made)
    known = NormalizedRecord.model_fields
    return [NormalizedRecord(**{k: v for k, v in row.items() if k in known}) for row in made[:n]]


def rows(tokenizer: Any, found: Sequence[Any]) -> list[dict[str, list[int]]]:
    from rulewright.training.data import Encoder, Form

    return list(Encoder(tokenizer, Form("action", "compact"), 512).rows(found))


class Clock:
    """Times the steps of a run but the first, which allocates."""

    def __init__(self) -> None:
        from transformers import TrainerCallback

        clock = self

        class Callback(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                now = time.perf_counter()
                if state.global_step == 1:
                    clock.start = now
                clock.seconds = now - clock.start

        self.start = self.seconds = 0.0
        self.callback = Callback()


def train_ways(model: str, data: list[dict[str, list[int]]], batch: int, lora: bool) -> list[Way]:
    """SFT steps by TRL as it comes, by TRL with bf16 weights and without recomputation, by us."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from rulewright.training import fast, models
    from rulewright.training.config import LoraConfig
    from rulewright.training.data import bucketed

    tokenizer = AutoTokenizer.from_pretrained(model)
    adapters = LoraConfig(r=LORA_RANK, alpha=2 * LORA_RANK, dropout=0.0)
    common = {
        "per_device_train_batch_size": batch, "max_steps": 1 + len(data) // batch, "use_cpu": True,
        "report_to": "none", "save_strategy": "no", "disable_tqdm": True, "logging_steps": 1000,
        "dataset_kwargs": {"skip_prepare_dataset": True}, "max_length": 512, "learning_rate": 1e-5,
    }  # fmt: skip

    def way(name: str, dtype: Any, ours: bool, **changes: Any) -> Way:
        def run() -> tuple[int, float]:
            loaded = AutoModelForCausalLM.from_pretrained(model, dtype=dtype)
            loaded.config.use_cache = False
            chosen = [*data[:batch], *data]  # one batch more, for the step that is not timed
            if ours:
                order = bucketed([len(row["input_ids"]) for row in data], batch, len(data) // batch, 0)
                chosen = [*data[:batch], *(data[i] for i in order)]
                changes["train_sampling_strategy"] = "sequential"
            n_tokens = sum(len(row["input_ids"]) for row in chosen[batch:])
            clock = Clock()
            with tempfile.TemporaryDirectory() as folder:
                trainer = SFTTrainer(
                    model=loaded,
                    args=SFTConfig(output_dir=folder, **{**common, **changes}),
                    train_dataset=Dataset.from_list(chosen),
                    processing_class=tokenizer,
                    peft_config=models.peft_config(adapters, loaded) if lora else None,
                    callbacks=[clock.callback],
                )
                if ours:
                    fast.speed_up(trainer)
                trainer.train()
            return n_tokens, clock.seconds

        return Way(name, run)

    frozen = torch.bfloat16 if lora else torch.float32
    ways = [way("TRL as it comes", torch.float32, False)]
    by_hand = "TRL, bf16 weights, nothing recomputed" if lora else "TRL, nothing recomputed"
    ways.append(way(by_hand, frozen, False, gradient_checkpointing=False))
    ways.append(way("rulewright", frozen, True, gradient_checkpointing=False))
    return ways


def answer_ways(folder: str, prompts: list[list[Message]], n: int, limit: int, batch: int) -> list[Way]:
    """Answers by `generate` of a checkpoint as it is loaded by default, and by us."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rulewright.generation import Sampling
    from rulewright.generation.local import LocalGenerator
    from rulewright.generation.open import GeneratorConfig

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    texts = [
        str(tokenizer.apply_chat_template(p, tokenize=False, add_generation_prompt=True)) for p in prompts
    ]
    settings = (
        {"do_sample": True, "temperature": 1.0, "num_return_sequences": n} if n > 1 else {"do_sample": False}
    )

    def plain(name: str) -> Way:
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        name = f"{name} ({str(model.dtype).removeprefix('torch.')})"

        def run() -> tuple[int, float]:
            n_new, start = 0, time.perf_counter()
            torch.manual_seed(0)
            for at in range(0, len(texts), batch):
                given = tokenizer(
                    texts[at : at + batch], return_tensors="pt", padding=True, add_special_tokens=False
                )
                out = model.generate(**given, **settings, max_new_tokens=limit, top_k=0, top_p=1.0)
                for row in out[:, given["input_ids"].shape[1] :].tolist():
                    end = row.index(tokenizer.eos_token_id) + 1 if tokenizer.eos_token_id in row else len(row)
                    n_new += end
            return n_new, time.perf_counter() - start

        return Way(name, run)

    ours = LocalGenerator.load(GeneratorConfig(model=folder, device="cpu", style="compact"))
    sampling = Sampling(n=n, temperature=1.0 if n > 1 else 0.0, max_new_tokens=limit)

    def run() -> tuple[int, float]:
        start = time.perf_counter()
        answers = ours.generate(prompts, sampling)
        return sum(one.n_tokens for row in answers for one in row), time.perf_counter() - start

    return [plain("generate"), Way("rulewright", run)]


def measure(title: str, ways: list[Way], rounds: int) -> None:
    """Alternate the ways, and print tokens a second and ratios to the first with their spread."""
    rates: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            tokens, seconds = way.run()
            rates[way.name].append(tokens / seconds)
            gc.collect()
    print(f"\n{title} (n {rounds} rounds)")
    others = [way.name for way in ways[:-1]]
    for name, found in rates.items():
        line = f"  {name:44} {statistics.median(found):8.1f} tokens/s [{min(found):.1f}, {max(found):.1f}]"
        if name == ways[-1].name:
            for other in others:
                ratios = [a / b for a, b in zip(found, rates[other], strict=True)]
                spread = f"[{min(ratios):.2f}, {max(ratios):.2f}]"
                line += f"\n    / {other:40} {statistics.median(ratios):8.2f} × {spread}"
        print(line, flush=True)


def save_adapter(model: str, folder: Path) -> None:
    """A LoRA adapter with weights that change next to nothing, so that answers have their usual length."""
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rulewright.training import models
    from rulewright.training.config import LoraConfig

    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    lora = LoraConfig(r=LORA_RANK, alpha=2 * LORA_RANK, dropout=0.0)
    adapted = get_peft_model(plain, models.peft_config(lora, plain))
    adapted.save_pretrained(folder)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="models/base/smollm2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--batch", type=int, default=4, help="rows of a training step")
    parser.add_argument("--steps", type=int, default=4, help="timed training steps in a round")
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--limit", type=int, default=64, help="longest answer, in tokens")
    parser.add_argument("--only", nargs="*", choices=("lora", "all", "greedy", "adapter", "samples"))
    options = parser.parse_args()
    if not Path(options.model).is_dir():
        print(f"bench_training: left out, no {options.model} (rulewright fetch smollm2 brings it)")
        return 0
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    import warnings

    import torch
    from transformers import AutoTokenizer
    from transformers.utils import logging

    from rulewright.generation.cpu import multiplies_bf16
    from rulewright.prompts import action_prompt

    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    wanted = options.only or ["lora", "all", "greedy", "adapter", "samples"]
    with tempfile.TemporaryDirectory() as name:
        found = records(Path(name), options.batch * options.steps + options.prompts)
        trained, asked = found[: options.batch * options.steps], found[options.batch * options.steps :]
        data = rows(AutoTokenizer.from_pretrained(options.model), trained)
        prompts = [action_prompt(r.instruction, r.pre, r.language, style="compact") for r in asked]
        lengths = [len(row["input_ids"]) for row in data]
        print(
            f"{options.model}, {options.threads} thread(s), bf16 products {multiplies_bf16()}, "
            f"torch {torch.__version__}; {len(data)} rows of {statistics.mean(lengths):.0f} tokens, "
            f"{options.batch} a step; {len(prompts)} prompts, answers of at most {options.limit} tokens"
        )
        for kind, title in (("lora", f"SFT, LoRA r{LORA_RANK}"), ("all", "SFT, all weights")):
            if kind in wanted:
                ways = train_ways(options.model, data, options.batch, kind == "lora")
                measure(title, ways, options.rounds)
        if "greedy" in wanted:
            ways = answer_ways(options.model, prompts, 1, options.limit, 16)
            measure("Generation, greedy, batches of 16 for generate", ways, options.rounds)
        if "adapter" in wanted:
            save_adapter(options.model, Path(name) / "adapter")
            ways = answer_ways(str(Path(name) / "adapter"), prompts, 1, options.limit, 16)
            measure("Generation from a LoRA adapter, greedy", ways, options.rounds)
        if "samples" in wanted:
            ways = answer_ways(options.model, prompts[: len(prompts) // 4], 8, options.limit, 2)
            measure("Generation, 8 samples a prompt, batches of 16 for generate", ways, options.rounds)
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    print(f"\nlargest resident size: {peak_gib:.1f} GiB (models of all ways at once)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
