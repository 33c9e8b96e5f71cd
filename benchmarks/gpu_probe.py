"""Random checkpoints of a known shape, and what one training step of them costs on a GPU.

    python benchmarks/gpu_probe.py make 14B FOLDER --records train.jsonl
    python benchmarks/gpu_probe.py steps FOLDER --setup qlora --lengths 2048 8192 --out steps.json

A checkpoint has random weights, made on the GPU, and a byte-level BPE made from the
records: nothing is downloaded. A step is one of `train sft`, with the trainer, options and
model loading of the package; each length is measured as one document, and as several.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Final

from rulewright import jsonl
from rulewright.data.schemas import NormalizedRecord
from rulewright.runs import RunDir
from rulewright.training import environment
from rulewright.training.architecture import Architecture
from rulewright.training.config import LoraConfig, SftConfig, TinyConfig
from rulewright.training.data import Form
from rulewright.training.memory import GIB, Setup, parts

# hidden, layers, heads, kv heads, head size, MLP, vocabulary, tied: Qwen3's, and one for dry runs on a CPU.
SHAPES: Final[dict[str, tuple[int, int, int, int, int, int, int, bool]]] = {
    "small": (64, 2, 4, 2, 16, 128, 5000, False),
    "0.6B": (1024, 28, 16, 8, 128, 3072, 151936, True),
    "4B": (2560, 36, 32, 8, 128, 9728, 151936, True),
    "14B": (5120, 40, 40, 8, 128, 17408, 151936, False),
}
# name → adapters, 4 bits, type of the weights
SETUPS: Final[dict[str, tuple[bool, bool, str]]] = {
    "full": (False, False, "bfloat16"),
    "full-float32": (False, False, "float32"),
    "lora": (True, False, "bfloat16"),
    "qlora": (True, True, "bfloat16"),
}
_DOCUMENT: Final = 512
"""Tokens of a document, where a row holds several."""
_REPEATS: Final = 3
_ANSWER_SHARE: Final = 0.4
"""Of a document's tokens, those that the loss counts."""
_LAYERS_PER_FILE: Final = 4


def make(shape: str, folder: Path, records: Path, dtype_name: str) -> None:
    """Write a checkpoint with random weights."""
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen3Config, Qwen3ForCausalLM

    hidden, layers, heads, kv_heads, head_dim, mlp, vocabulary, tied = SHAPES[shape]
    tokenizer = _tokenizer(records)
    config = Qwen3Config(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=kv_heads, head_dim=head_dim, intermediate_size=mlp, vocab_size=vocabulary,
        tie_word_embeddings=tied, max_position_embeddings=40960, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=None, architectures=["Qwen3ForCausalLM"],
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in Qwen3ForCausalLM(config).state_dict().items()}
    if tied:
        del shapes["lm_head.weight"]
    device, dtype = "cuda" if torch.cuda.is_available() else "cpu", getattr(torch, dtype_name)

    def write(name: str, members: list[str]) -> None:
        tensors = {
            key: torch.ones(shapes[key], dtype=dtype)
            if len(shapes[key]) == 1
            else (torch.randn(shapes[key], dtype=dtype, device=device) * config.initializer_range).cpu()
            for key in members
        }
        save_file(tensors, folder / name, metadata={"format": "pt"})

    files: dict[str, list[str]] = {}
    for key in shapes:
        layer = key.split(".")[2] if ".layers." in key else ""
        place = int(layer) // _LAYERS_PER_FILE if layer else "edge"
        files.setdefault(f"model-{place}.safetensors", []).append(key)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, files, files.values()))
    index = {"metadata": {}, "weight_map": {key: name for name, keys in files.items() for key in keys}}
    jsonl.write_json(folder / "model.safetensors.index.json", index)


def _tokenizer(records: Path) -> Any:
    from rulewright.training.tiny import make_tokenizer

    texts, answers = [], []
    form = Form("action", "compact")
    for row in islice(jsonl.read(records), 3000):
        record = NormalizedRecord.model_validate(row)
        texts.append(form.prompt(record)[0]["content"])
        answer = form.answer(record)
        if isinstance(answer, str):
            answers.append(answer)
    return make_tokenizer(texts, answers, TinyConfig(vocab_size=4096, max_positions=40960))


def steps(model: str, setup: str, lengths: list[int], attentions: list[str]) -> list[dict[str, Any]]:
    """Train one step after another on rows of growing length; the cost of each kind of row."""
    from rulewright.training import models

    lora, quantized, dtype = SETUPS[setup]
    config = SftConfig(
        model=model, lora=LoraConfig(r=16, alpha=32) if lora else None,
        quantize="nf4" if quantized else "none", dtype=dtype,
        max_length_tokens=max(lengths),
        trainer={
            "packing": True, "per_device_train_batch_size": 1, "max_steps": 2 * len(lengths) * _REPEATS,
            "optim": "adamw_torch_fused", "learning_rate": 1e-5, "save_strategy": "no",
            "train_sampling_strategy": "sequential",
        },
    )  # fmt: skip
    started = time.monotonic()
    loaded = models.load_model(config)
    load_s = round(time.monotonic() - started, 1)
    tokenizer = models.load_tokenizer(model)
    found: list[dict[str, Any]] = []
    for attention in attentions:
        what = {"setup": setup, "attention": attention, "load_s": load_s}
        try:
            loaded.set_attn_implementation(attention)
            found += [what | cost for cost in _costs(config, loaded, tokenizer, lengths, attention)]
        except Exception as error:
            # Not every machine compiles every kernel; what was measured before is worth keeping.
            found.append(what | {"error": f"{type(error).__name__}: {error}"[:2000]})
    return found


def _costs(
    config: SftConfig, model: Any, tokenizer: Any, lengths: list[int], attention: str
) -> Iterator[dict[str, Any]]:  # fmt: skip
    import torch
    from trl import SFTTrainer

    from rulewright.training import assemble, models

    kinds = [(length, size) for length in lengths for size in (length, _DOCUMENT)]
    with tempfile.TemporaryDirectory() as folder:
        args = assemble.arguments(config, RunDir(Path(folder)), has_dev=False)
        # The rows below are packed already.
        args.dataset_kwargs = {"skip_prepare_dataset": True}
        trainer = models.put_together(
            lambda peft: SFTTrainer(
                model=model,
                args=args,
                train_dataset=_rows(kinds),
                processing_class=tokenizer,
                peft_config=peft,
            ),
            config,
            model,
        )
        clock = _clock()
        trainer.add_callback(clock)
        trainer.train()
    arch = Architecture.of(config.model)
    for i, (length, size) in enumerate(kinds):
        runs = clock.steps[i * _REPEATS : (i + 1) * _REPEATS]
        seconds = min(run["seconds"] for run in runs[1:])
        setup = Setup(
            arch, length, config.lora.r if config.lora else 0, config.quantize == "nf4",
            4 if config.dtype == "float32" else 2, masked=size < length and attention == "sdpa",
        )  # fmt: skip
        yield {
            "tokens": length,
            "documents": -(-length // size),
            "seconds": round(seconds, 4),
            "tokens_per_s": round(length / seconds),
            "rest_gib": runs[-1]["rest_gib"],
            "peak_gib": max(run["peak_gib"] for run in runs[1:]),
            "reserved_gib": max(run["reserved_gib"] for run in runs[1:]),
            "planned_gib": {name: round(value, 3) for name, value in parts(setup).items()},
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        }


def _rows(kinds: list[tuple[int, int]]) -> Any:
    from datasets import Dataset

    def rows() -> Iterator[dict[str, Any]]:
        for length, size in kinds:
            sizes = [min(size, length - start) for start in range(0, length, size)]
            ids = [5 + (7 * i) % 1000 for i in range(length)]
            labels: list[int] = []
            for n in sizes:
                n_prompt = round(n * (1 - _ANSWER_SHARE))
                labels += [-100] * n_prompt + ids[len(labels) + n_prompt : len(labels) + n]
            for _ in range(_REPEATS):
                yield {"input_ids": ids, "labels": labels, "seq_lengths": sizes}

    return Dataset.from_list(list(rows()))


def _clock() -> Any:
    """A callback that keeps time and memory of every step."""
    import torch
    from transformers import TrainerCallback

    cuda = torch.cuda.is_available()

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.steps: list[dict[str, float]] = []

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._rest = 0.0
            if cuda:
                torch.cuda.synchronize()
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
                self._rest = torch.cuda.memory_allocated() / GIB
            self._start = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if cuda:
                torch.cuda.synchronize()
            self.steps.append(
                {
                    "seconds": time.perf_counter() - self._start,
                    "rest_gib": round(self._rest, 3),
                    "peak_gib": round(torch.cuda.max_memory_allocated() / GIB, 3) if cuda else 0.0,
                    "reserved_gib": round(torch.cuda.max_memory_reserved() / GIB, 3) if cuda else 0.0,
                }
            )

    return Clock()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="a checkpoint with random weights")
    making.add_argument("shape", choices=SHAPES)
    making.add_argument("folder", type=Path)
    making.add_argument("--records", type=Path, required=True, help="the tokenizer is made from them")
    making.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    stepping = commands.add_parser("steps", help="time and memory of training steps")
    stepping.add_argument("model")
    stepping.add_argument("--setup", choices=SETUPS, required=True)
    stepping.add_argument("--lengths", type=int, nargs="+", default=[2048, 8192], help="tokens of a row")
    stepping.add_argument(
        "--attention", nargs="+", default=["sdpa"], help="of transformers; sdpa, flex_attention, …"
    )
    stepping.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    environment.prepare(threads=4)
    if asked.command == "make":
        make(asked.shape, asked.folder, asked.records, asked.dtype)
    else:
        found = steps(asked.model, asked.setup, asked.lengths, asked.attention)
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
