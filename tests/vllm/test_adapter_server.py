"""One vLLM server of an adapter, started for rollouts: asked, held to a grammar, and trained with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.srl.rollout_server import listening
from tests.srl.test_train_srl import edits
from tests.vllm.conftest import Served, serving

from rulewright import jsonl
from rulewright.actions import Rejection, parse_response
from rulewright.cli import main
from rulewright.generation import GeneratorConfig, Sampling, open_generator
from rulewright.languages import Language
from rulewright.prompts import action_prompt
from rulewright.verdict import Verdict

PROMPTS = [action_prompt(instruction, pre, "python", style="compact") for instruction, pre, _, _ in edits()]
LANGUAGES: list[Language] = ["python"] * len(PROMPTS)


@pytest.fixture(scope="module")
def server(adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("server") / "log"
    with serving(adapter, "--rollouts", log=log) as served:
        yield served


def ask(
    server: Served, model: str, max_new_tokens: int = 120, temperature: float = 0.0, **options: Any
) -> list[str]:
    spec = GeneratorConfig(base_url=server.url, model=model, **options)
    sampling = Sampling(max_new_tokens=max_new_tokens, temperature=temperature)
    with open_generator(spec) as generator:
        found = generator.generate(PROMPTS, sampling, LANGUAGES)
    return [row[0].text for row in found]


def test_the_adapter_answers_as_it_does_here(server: Served, adapter: Path, count: Any) -> None:
    cards = {c["id"]: c for c in httpx.get(f"{server.url}/models", trust_env=False).json()["data"]}
    assert set(cards) == {"smollm2", adapter.name} and cards[adapter.name]["parent"] == "smollm2"
    with open_generator(GeneratorConfig(model=str(adapter), dtype="bfloat16")) as generator:
        local = [row[0].text for row in generator.generate(PROMPTS, Sampling(max_new_tokens=120))]
    served, base = ask(server, adapter.name), ask(server, "smollm2")
    same = sum(a == b for a, b in zip(local, served, strict=True))
    count(f"vllm: {same} of {len(local)} greedy answers of the adapter are those of transformers")
    assert same >= 6 and served != base
    assert sum(not isinstance(parse_response(text), Rejection) for text in served) >= 6


def test_the_teacher_asks_it(server: Served, adapter: Path, tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "raw"
    assert main([
        "teacher", "run", "--teacher", "endpoint", "--base-url", server.url, "--model", adapter.name,
        "--tasks", str(tasks / "records.jsonl"), "--out", str(out), "--metrics", str(tmp_path / "metrics.md"),
        "--set", "generator.style=compact", "--max-new-tokens", "120", "--samples", "2",
        "--temperature", "0.5",
    ]) == 0  # fmt: skip
    rows = [row for path in out.glob("*.jsonl") for row in jsonl.read(path)]
    solved = {row["task_id"] for row in rows if row["provenance"]["solved"]}
    assert len(solved) >= 4, "verified by execution"


def test_what_is_held_to_the_grammar_is_an_action(server: Served, adapter: Path, count: Any) -> None:
    """Where free answers fall apart (temperature 1.8), a held one that ends is an action."""
    free, held = (
        ask(server, adapter.name, 200, temperature=1.8, constrain=constrain, timeout_s=1200)
        for constrain in ("none", "action")
    )
    whole = [text for text in held if text.endswith("</action>")]
    wrong, refused = (
        [parsed for text in texts if isinstance(parsed := parse_response(text, "python"), Rejection)]
        for texts in (free, whole)
    )
    count(
        f"vllm: at temperature 1.8, {len(wrong)} of {len(free)} free answers are no action; held to the "
        f"grammar, {len(whole)} end and {len(whole) - len(refused)} of them are valid"
    )
    assert len(wrong) >= 4 and len(whole) >= 4
    assert {rejection.verdict for rejection in refused} <= {Verdict.BAD_RULE}


def srl(out: Path, adapter: Path, tasks: Path, url: str, **changes: Any) -> Path:
    trainer = {
        "max_steps": 3, "per_device_train_batch_size": 8, "num_generations": 4, "max_completion_length": 100,
        "learning_rate": 1e-4, "save_steps": 10, "lr_scheduler_type": "constant",
        "temperature": 1.5,  # some answers of every group are wrong, whatever this processor rounds to
        **changes,
    }  # fmt: skip
    config = {
        "model": str(adapter), "out": str(out / "model"), "reports": str(out / "reports"),
        "train": str(tasks / "steps.jsonl"), "dev": str(tasks / "steps.jsonl"), "eval_rows": 4,
        "eval_every_steps": 100, "workers": 1, "lora": {"r": 8, "alpha": 16}, "rollouts": "server",
        "server": {"base_url": url, "concurrency": 4, "timeout_s": 900}, "trainer": trainer,
        "sampling": {"max_rounds": 1, "max_flat_batches": 10},
    }  # fmt: skip
    jsonl.write_json(out / "srl.yaml", config)
    return out / "srl.yaml"


def steps_of(out: Path) -> list[dict[str, Any]]:
    return [row for row in jsonl.read(out / "model/run/metrics.jsonl") if row["kind"] == "train"]


def test_srl_draws_its_rollouts_from_it(
    server: Served, adapter: Path, tasks: Path, tmp_path: Path, count: Any
) -> None:
    assert main(["train", "srl", "--config", str(srl(tmp_path, adapter, tasks, server.url))]) == 0
    rows = steps_of(tmp_path)
    assert [row["step"] for row in rows] == [1, 2, 3]
    gaps = [row["sampling/sampling_logp_difference/mean"] for row in rows]
    largest = max(row["sampling/sampling_logp_difference/max"] for row in rows)
    count(
        f"vllm: log-probabilities part by {', '.join(f'{gap:.4f}' for gap in gaps)} nats a token, "
        f"at most {largest:.2f}"
    )
    assert all(0 < gap < 0.05 for gap in gaps)
    result = json.loads((tmp_path / "model/run/result.json").read_text())
    assert result["after"]["greedy"]["n"] == 4 and (tmp_path / "model/adapter_model.safetensors").exists()


class Stale:
    """In front of the server: takes every adapter, and goes on answering with the first."""

    def __init__(self, url: str) -> None:
        self._target, self.url, self._first = url.removesuffix("/v1"), "", ""

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path.endswith("load_lora_adapter") and self._first:
            return 200, "Success"
        if path.endswith("/load_lora_adapter"):
            self._first = body["lora_name"]
        asked = {**body, "model": self._first} if path.endswith("/completions") else body
        done = httpx.request(method, self._target + path, json=asked or None, timeout=900, trust_env=False)
        if not path.endswith(("/completions", "/models")):
            return done.status_code, done.text
        return done.status_code, {**done.json(), "model": body.get("model")}


def test_a_stale_adapter_raises_the_alarm(
    server: Served, adapter: Path, tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(Stale(server.url)) as stale:
        config = srl(tmp_path, adapter, tasks, stale.url, learning_rate=3e-3, max_steps=8)
        assert main(["train", "srl", "--config", str(config)]) == 1
    err = capsys.readouterr().err
    assert "older adapter" in err and "nats a token" in err
    assert not (tmp_path / "model/run/result.json").exists()
