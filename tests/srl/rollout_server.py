"""vLLM's protocol for rollouts on 127.0.0.1, with a real model behind it; it can misbehave.

transformers and PEFT sample, so tokens and log-probabilities are a policy's own. For tests
where no vLLM is installed, and for faults that a real server shows only now and then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from tests.loopback import Reply, Request, json_reply, serving
from transformers import AutoModelForCausalLM


@dataclass
class RolloutServer:
    """One base model, and the adapters that it was given."""

    base: Path
    url: str = ""
    stale: bool = False
    """Every adapter after the first is accepted, and ignored."""
    forgets_at: tuple[int, ...] = ()
    """Before these completions (counted from 0) it forgets all adapters, as one started again does."""
    silent_once: Path | None = None
    """Once this file is there it answers 503."""
    delay_s: float = 0.0
    off_by: float = 0.0
    """What it adds to every log-probability that it reports."""
    without: frozenset[str] = frozenset()
    """Fields that its choices lack."""
    blind: bool = False
    """It cannot see the folders that it is given."""
    fixed: bool = False
    """It was started without leave to take adapters."""
    loaded: list[str] = field(default_factory=list)
    unloaded: list[str] = field(default_factory=list)
    completions: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self._model: Any = AutoModelForCausalLM.from_pretrained(self.base, dtype=torch.float32).eval()
        self._adapters: dict[str, str] = {}
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any] | str]:
        with self._lock:
            match method, path:
                case "GET", "/v1/models":
                    return 200, {"data": [_card(self.base.name, self.base), *self._cards()]}
                case "POST", "/v1/load_lora_adapter" if not self.fixed:
                    return self._load(body["lora_name"], body["lora_path"])
                case "POST", "/v1/unload_lora_adapter" if not self.fixed:
                    self.unloaded.append(body["lora_name"])
                    known = self._adapters.pop(body["lora_name"], None)
                    return (200, "Success") if known else _error(404, "cannot be found")
                case "POST", "/v1/completions":
                    return self._complete(body)
        return 404, {"detail": "Not Found"}

    def _cards(self) -> list[dict[str, Any]]:
        return [_card(name, self.base, self.base.name) for name in self._adapters]

    def _load(self, name: str, folder: str) -> tuple[int, dict[str, Any] | str]:
        if self.blind or not Path(folder).is_dir():
            return _error(404, f"Loading lora {name} failed: No adapter found for {folder}")
        if name in self._adapters:
            return _error(400, f"The lora adapter {name!r} has already been loaded.")
        self.loaded.append(name)
        if not self.stale or len(self.loaded) == 1:
            if isinstance(self._model, PeftModel):
                self._model.load_adapter(folder, adapter_name=name)
            else:
                self._model = PeftModel.from_pretrained(self._model, folder, adapter_name=name).eval()
            self._adapters[name] = name
        else:
            self._adapters[name] = self.loaded[0]
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _complete(self, body: dict[str, Any]) -> tuple[int, dict[str, Any] | str]:
        index = len(self.completions)
        self.completions.append(body)
        if index in self.forgets_at:
            self._adapters.clear()
        if self.silent_once is not None and self.silent_once.exists():
            return _error(503, "shutting down")
        if body["model"] not in self._adapters:
            return _error(404, f"The model `{body['model']}` does not exist.")
        time.sleep(self.delay_s)
        self._model.set_adapter(self._adapters[body["model"]])
        torch.manual_seed(body["seed"])
        prompt = torch.tensor([body["prompt"]] * body["n"])
        hot = body["temperature"] > 0
        with torch.no_grad():
            out = self._model.generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=hot, top_k=0, top_p=1.0,
                temperature=body["temperature"] if hot else None, max_new_tokens=body["max_tokens"],
                eos_token_id=body["stop_token_ids"], pad_token_id=0, return_dict_in_generate=True,
                output_scores=True,
            )  # fmt: skip
        new = out.sequences[:, prompt.shape[1] :]
        scores = torch.stack(out.scores, dim=1).log_softmax(-1).gather(2, new[..., None]).squeeze(2)
        scores = scores + self.off_by
        choices = [self._choice(i, new[i], scores[i], body) for i in range(body["n"])]
        return 200, {"model": body["model"], "choices": choices}

    def _choice(
        self, i: int, ids: torch.Tensor, scores: torch.Tensor, body: dict[str, Any]
    ) -> dict[str, Any]:
        ends = [k for k, token in enumerate(ids.tolist()) if token in body["stop_token_ids"]]
        n = ends[0] + 1 if ends else len(ids)
        choice = {
            "index": i, "text": "", "finish_reason": "stop" if ends else "length",
            "token_ids": ids[:n].tolist(), "logprobs": {"token_logprobs": scores[:n].tolist()},
            "prompt_token_ids": body["prompt"],
        }  # fmt: skip
        return {key: value for key, value in choice.items() if key not in self.without}


def _card(name: str, root: Path, parent: str | None = None) -> dict[str, Any]:
    return {"id": name, "root": str(root), "parent": parent}


def _error(code: int, message: str) -> tuple[int, dict[str, Any]]:
    return code, {"error": {"message": message, "type": "NotFoundError", "code": code}}


@contextmanager
def listening(state: Any, port: int = 0) -> Iterator[Any]:
    """Serve what `state.answer` says, until the end of the block."""

    def answer(request: Request) -> Reply:
        status, value = state.answer(request.method, request.path, request.json() if request.body else {})
        return Reply(status, value.encode()) if isinstance(value, str) else json_reply(value, status)

    with serving(answer, port) as url:
        state.url = f"{url}/v1"
        yield state
