"""The bytes that `plan` says each phase needs, beside those that it allocates, counted on a CPU."""

from __future__ import annotations

import weakref
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest

from rulewright.training import memory
from rulewright.training.architecture import Architecture
from rulewright.training.config import LoraConfig
from rulewright.training.memory import GIB, Answers, Setup, parts

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_iter  # noqa: E402

# Without it, the base stays in bf16 and its weights are counted as if they were not.
BITSANDBYTES = find_spec("bitsandbytes") is not None
KINDS = ("qlora", "lora", "lora on float32", "all in bf16", "all in float32")
# The proportions of Qwen3-14B and -0.6B; layers enough to tell what each of them keeps.
LARGE = Architecture("an eighth of 14B", 640, 4, 5, 1, 128, 2176, 3000, False)
SMALL = Architecture("half of 0.6B", 512, 4, 8, 4, 128, 1536, 3000, False)

GEMMA = replace(SMALL, name="a small Gemma 3", family="gemma3", window=64, local_layers=3, tied=True)

MIXTURE = {
    "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 4,
    "head_dim": 64, "intermediate_size": 1024, "moe_intermediate_size": 256, "num_experts": 8,
    "num_experts_per_tok": 4, "vocab_size": 3000, "tie_word_embeddings": False,
}  # fmt: skip


class Live(TorchDispatchMode):
    """Bytes of all tensors that are alive, and their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: dict[int, Any] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, torch.Tensor):
                self.add(tensor)
        return result

    def add(self, tensor: Any) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return

        def freed(_: Any) -> None:
            del self._seen[key]
            self.now -= size

        self._seen[key] = weakref.ref(storage, freed)
        self.now += size
        self.peak = max(self.peak, self.now)


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, kernels fill the head's tiles in place and add up in float32 without copies."""
    from trl.kernels import chunked_logprob
    from trl.trainer import utils

    assert memory.HEAD_TILE == (chunked_logprob.TOKEN_CHUNK_SIZE, utils._CHUNKED_LOGPROB_CHUNK_SIZE)
    # A tile for models of this size: one for large ones would hide the layers.
    monkeypatch.setattr(memory, "HEAD_TILE", (4096, 64))
    monkeypatch.setattr(utils, "_CHUNKED_LOGPROB_CHUNK_SIZE", 64)
    for name in ("_forward_tile", "_backward_tile", "_addmm_fp32"):
        monkeypatch.setattr(chunked_logprob, name, lambda *args, **kwargs: None)


def model_of(arch: Architecture, setup: Setup, folder: Any) -> Any:
    """As `train sft` loads it and TRL prepares it."""
    from peft import get_peft_model
    from transformers import (
        AutoModelForCausalLM,
        Gemma3TextConfig,
        Qwen3Config,
        Qwen3ForCausalLM,
        Qwen3MoeConfig,
    )
    from trl.trainer.utils import add_fused_lm_head

    from rulewright.generation.local import nf4
    from rulewright.training import models

    config: Any = (Gemma3TextConfig if arch.family == "gemma3" else Qwen3Config)(
        hidden_size=arch.hidden, num_hidden_layers=arch.layers, num_attention_heads=arch.heads,
        num_key_value_heads=arch.kv_heads, head_dim=arch.head_dim, intermediate_size=arch.mlp,
        vocab_size=arch.vocabulary, tie_word_embeddings=arch.tied,
    )  # fmt: skip
    dtype = torch.bfloat16 if setup.weight_bytes == 2 else torch.float32
    if arch.counted:
        config = Qwen3MoeConfig(**MIXTURE)
    model: Any = AutoModelForCausalLM.from_config(config).to(dtype)
    if setup.quantized and BITSANDBYTES:
        model.save_pretrained(folder)
        model = Qwen3ForCausalLM.from_pretrained(folder, dtype=dtype, quantization_config=nf4())
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    if setup.lora_r:
        model = get_peft_model(model, models.peft_config(LoraConfig(r=setup.lora_r), model))
        model.enable_input_require_grads()
        for parameter in model.parameters() if setup.adapter_bytes == 2 else ():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.bfloat16)
    if setup.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.train()


def batch_of(arch: Architecture, setup: Setup, answer: int) -> dict[str, Any]:
    """One packed row, or rows padded on the left whose last `answer` tokens are trained on, as GRPO's."""
    n = setup.tokens // setup.rows
    ids = torch.arange(setup.tokens).view(setup.rows, n) % arch.vocabulary
    if not answer:
        size = 128 if setup.masked else n
        return {"input_ids": ids, "labels": ids, "position_ids": torch.arange(n)[None] % size}
    mask, labels = torch.ones_like(ids), ids.clone()
    mask[0, : n // 4] = 0
    labels[:, :-answer] = -100
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def watched(model: Any) -> Live:
    live = Live()
    for tensor in (*model.parameters(), *model.buffers()):
        live.add(tensor)
    return live


def counted(arch: Architecture, setup: Setup, folder: Any, answer: int = 0) -> float:
    """Bytes at the peak of the second step, when the optimizer's state is there."""
    model = model_of(arch, setup, folder)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], fused=True)
    batch = batch_of(arch, setup, answer)
    with watched(model) as live:
        for _ in range(2):
            live.peak = live.now
            with torch.autocast("cpu", torch.bfloat16):
                output = model(**batch, use_cache=False, fused_lm_head=True)
            output.loss.backward()
            del output
            optimizer.step()
            optimizer.zero_grad()
    return float(live.peak)


def generated(arch: Architecture, setup: Setup, answers: Answers, folder: Any) -> float:
    """Bytes at the peak of sampling rollouts, as TRL does it."""
    model = model_of(arch, setup, folder)
    if not setup.lora_r:
        # accelerate wraps a model's own forward only, and `generate` of PEFT goes past its own.
        plain = model.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            with torch.autocast("cpu", torch.bfloat16):
                return plain(*args, **kwargs)

        model.forward = forward
    ids = torch.arange(answers.rows * answers.prompt).view(answers.rows, -1) % arch.vocabulary
    mask = torch.ones_like(ids)
    mask[0, : answers.prompt // 4] = 0
    with watched(model) as live, torch.no_grad():
        live.peak = live.now
        model.generate(
            input_ids=ids, attention_mask=mask, do_sample=True, temperature=1.0, top_k=0, pad_token_id=0,
            min_new_tokens=answers.completion, max_new_tokens=answers.completion,
        )  # fmt: skip
    return float(live.peak)


def judged(arch: Architecture, setup: Setup, folder: Any) -> float:
    """Bytes at the peak of a batch's loss, as `evaluate` asks for it."""
    model = model_of(arch, setup, folder).eval()
    batch = batch_of(arch, setup, 0)
    with watched(model) as live, torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        live.peak = live.now
        model(**batch, use_cache=False, fused_lm_head=True)
    return float(live.peak)


def setup_of(arch: Architecture, kind: str, tokens: int, **more: Any) -> Setup:
    weight_bytes = 4 if "float32" in kind else 2
    adapter_bytes = 2 if kind == "qlora in bf16" else 4
    return Setup(
        arch,
        tokens,
        4 if "lora" in kind else 0,
        "qlora" in kind,
        weight_bytes,
        adapter_bytes=adapter_bytes,
        **more,
    )


def unquantized(setup: Setup) -> float:
    """What the weights weigh too much where they could not be quantized."""
    if setup.quantized and not BITSANDBYTES:
        return setup.architecture.body * (2 - memory.NF4_BYTES)
    return 0.0


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("arch", "tokens", "packed"), [(LARGE, 512, False), (LARGE, 1536, True), (SMALL, 1024, True)]
)
@pytest.mark.parametrize("kind", [*KINDS, "qlora in bf16"])
def test_a_step_needs_what_plan_says(
    arch: Architecture, kind: str, tokens: int, packed: bool, tmp_path: Any, count: Any
) -> None:
    setup = setup_of(arch, kind, tokens, masked=packed)
    found = counted(arch, setup, tmp_path) - unquantized(setup)
    planned = (sum(parts(setup).values()) - 2) * GIB
    count(f"{kind}, {arch.name}, {tokens} tokens: {found / 2**20:.0f} MiB, planned {planned / 2**20:.0f}")
    assert planned == pytest.approx(found, rel=0.06)


@pytest.mark.parametrize("arch", [LARGE, GEMMA], ids=["Qwen3", "Gemma 3"])
@pytest.mark.parametrize("kind", ["lora", "all in bf16", "all in float32"])
def test_nothing_recomputed(arch: Architecture, kind: str, tmp_path: Any, count: Any) -> None:
    setup = setup_of(arch, kind, 2048, checkpointing=False)
    planned = (sum(parts(setup).values()) - 2) * GIB
    found = counted(arch, setup, tmp_path)
    count(f"{kind}, {arch.name}: {found / 2**20:.0f} MiB, planned {planned / 2**20:.0f}")
    assert planned == pytest.approx(found, rel=0.1)


@pytest.mark.parametrize("kind", ["lora", "all in float32"])
def test_a_step_of_a_mixture_of_experts(kind: str, tmp_path: Any, count: Any) -> None:
    from rulewright.training.count_built import counted as built

    arch = Architecture.of_counted("mixture", built({"model_type": "qwen3_moe", **MIXTURE}))
    setup = setup_of(arch, kind, 1024, rows=4, checkpointing=False)
    found = counted(arch, setup, tmp_path)
    planned = (sum(parts(setup).values()) - 2) * GIB
    count(f"{kind}, experts: {found / 2**20:.0f} MiB, planned {planned / 2**20:.0f}")
    assert planned == pytest.approx(found, rel=0.1)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("kind", "arch", "rows", "length"),
    [*((kind, SMALL, 4, 256) for kind in KINDS), ("qlora", LARGE, 2, 512), ("all in float32", LARGE, 2, 512)],
)
def test_a_step_of_padded_rollouts(
    kind: str, arch: Architecture, rows: int, length: int, tmp_path: Any, count: Any
) -> None:
    setup = setup_of(arch, kind, rows * length, masked=True, rows=rows)
    found = counted(arch, setup, tmp_path, answer=length // 3) - unquantized(setup)
    planned = (sum(parts(setup).values()) - 2) * GIB
    count(f"{kind}, {arch.name}, {rows} × {length}: {found / 2**20:.0f} MiB, planned {planned / 2**20:.0f}")
    assert planned == pytest.approx(found, rel=0.08)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arch", "answers"),
    [(LARGE, Answers(6, 192, 4)), (SMALL, Answers(24, 12, 36))],
    ids=["long prompts", "long answers"],
)
def test_generation_needs_what_plan_says(
    arch: Architecture, answers: Answers, kind: str, tmp_path: Any, count: Any
) -> None:
    # TRL takes recomputation off while it generates: with it there is no cache.
    setup = setup_of(arch, kind, 1, checkpointing=False)
    there = sum(parameter_bytes(setup).values()) * GIB
    found = generated(arch, setup, answers, tmp_path) - unquantized(setup) - there
    planned = sum(memory.generation(setup, answers).values()) * GIB
    count(f"{kind}, {arch.name}, {answers}: {found / 2**20:.1f} MiB, planned {planned / 2**20:.1f}")
    assert planned == pytest.approx(found, rel=0.12)


def parameter_bytes(setup: Setup) -> dict[str, float]:
    """The weights alone: no gradients and no optimizer yet."""
    found = memory.resident(setup)
    there = {name: found[name] for name in ("layers' weights", "embeddings and head")}
    return there | {"adapters": setup.trained * setup.adapter_bytes / GIB if setup.lora_r else 0.0}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_a_batch_needs_less_than_plan_says(kind: str, tmp_path: Any, count: Any) -> None:
    setup = setup_of(SMALL, kind, 1024, masked=True)
    there = sum(parameter_bytes(setup).values()) * GIB
    found = judged(SMALL, setup, tmp_path) - unquantized(setup) - there
    planned = sum(memory.evaluation(setup).values()) * GIB
    count(f"{kind}: {found / 2**20:.1f} MiB, planned {planned / 2**20:.1f}")
    assert found <= planned <= 1.5 * found
