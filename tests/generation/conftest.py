"""A real HTTP server that speaks the OpenAI protocol, and can misbehave; a tiny real checkpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.loopback import Reply, Request, json_reply, serving


@dataclass
class ChatServer:
    """`script(path, body, index of the request)` decides every reply."""

    url: str = ""
    script: Callable[[str, dict[str, Any], int], Reply] = lambda path, body, index: Reply(500)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    models: list[str] = field(default_factory=lambda: ["tiny"])
    running: int = 0
    peak: int = 0


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    state = ChatServer()
    lock = threading.Lock()

    def answer(request: Request) -> Reply:
        if request.method == "GET":
            return json_reply({"data": [{"id": name} for name in state.models]})
        with lock:
            index = len(state.requests)
            state.requests.append((request.path, request.json()))
            state.headers.append(dict(request.headers.items()))
            state.running += 1
            state.peak = max(state.peak, state.running)
        try:
            return state.script(request.path, request.json(), index)
        finally:
            with lock:
                state.running -= 1

    with serving(answer) as url:
        state.url = f"{url}/v1"
        yield state


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3-architecture checkpoint with a byte-level tokenizer: 128 positions."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    torch.manual_seed(0)
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(
        ["def f(x): return x == None"],
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    config = transformers.Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=16, intermediate_size=64, max_position_embeddings=128,
        eos_token_id=2, pad_token_id=0, tie_word_embeddings=True, initializer_range=0.4,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("checkpoint")
    transformers.Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "rulewright.json").write_text(json.dumps({"prompt_style": "compact", "task": "edit"}))
    return folder
