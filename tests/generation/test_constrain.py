"""`generator.constrain: action`: a model that writes nonsense writes actions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.grammar_reader import Reader
from tests.loopback import Reply

from rulewright.engine.grammar import action_grammar
from rulewright.errors import MissingDependency, UsageError
from rulewright.generation import GeneratorConfig, Sampling, open_generator
from rulewright.languages import Language
from rulewright.prompts import Message

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
PROMPTS: list[list[Message]] = [[{"role": "user", "content": f"rename {name}"}] for name in "abcd"]
LANGUAGES: list[Language] = ["python", "python", "go", "python"]


@pytest.fixture(scope="module")
def wide(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with room for whole answers."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.from_pretrained(checkpoint)
    config.max_position_embeddings = 2048
    folder = tmp_path_factory.mktemp("wide")
    transformers.Qwen3ForCausalLM(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(checkpoint).save_pretrained(folder)
    return folder


def answers(folder: Path, constrain: str, **sampling: Any) -> list[Any]:
    spec = GeneratorConfig(model=str(folder), constrain=constrain, dtype="float32")
    with open_generator(spec) as generator:
        found = generator.generate(PROMPTS, Sampling(**sampling), LANGUAGES)
    return [completion for row in found for completion in row]


@pytest.mark.parametrize("own_loop", [True, False], ids=["own_loop", "generate"])
def test_a_random_model_writes_actions(wide: Path, monkeypatch: pytest.MonkeyPatch, own_loop: bool) -> None:
    pytest.importorskip("xgrammar", reason="pip install 'rulewright[grammar]'")
    if not own_loop:
        monkeypatch.setattr("rulewright.generation.decode.suits", lambda model: False)
    options: dict[str, Any] = {"n": 3, "temperature": 1.0, "max_new_tokens": 250, "seed": 3}
    readers = {language: Reader(language) for language in set(LANGUAGES)}
    for constrain in ("none", "action"):
        texts = [c.text for c in answers(wide, constrain, **options)]
        taken = [readers[LANGUAGES[i // 3]].taken(text) for i, text in enumerate(texts)]
        # A cut answer may end within a character, which is then left out of the text.
        whole = [n >= len(text.rstrip("\ufffd").encode()) for n, text in zip(taken, texts, strict=True)]
        assert all(whole) if constrain == "action" else not any(whole)
    assert any('"rule_yaml": "id: ' in text for text in texts), "others still think"


def test_the_same_answers_in_any_batch(wide: Path) -> None:
    pytest.importorskip("xgrammar", reason="pip install 'rulewright[grammar]'")
    options: dict[str, Any] = {"n": 2, "temperature": 1.0, "max_new_tokens": 120, "seed": 3}
    spec = GeneratorConfig(model=str(wide), constrain="action", dtype="float32", batch_size=1)
    with open_generator(spec) as generator:
        alone = [c for row in generator.generate(PROMPTS, Sampling(**options), LANGUAGES) for c in row]
    assert [c.text for c in alone] == [c.text for c in answers(wide, "action", **options)]


def test_what_asks_for_no_action_is_refused(wide: Path) -> None:
    pytest.importorskip("xgrammar", reason="pip install 'rulewright[grammar]'")
    with (
        open_generator(GeneratorConfig(model=str(wide), constrain="action")) as generator,
        pytest.raises(UsageError, match="constrain: action"),
    ):
        generator.generate(PROMPTS, Sampling())


def test_a_missing_package_is_named(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xgrammar", None)
    with pytest.raises(MissingDependency, match=r"rulewright\[grammar\]"):
        answers(wide, "action")


def test_a_server_is_sent_the_grammar_of_each_prompt(chat_server: Any) -> None:
    """vLLM's own field; a server is trusted to hold to it, `tests/vllm` looks."""
    body = json.dumps({"choices": [{"message": {"content": "x"}}]}).encode()
    chat_server.script = lambda path, asked, index: Reply(body=body)
    for constrain in ("none", "action"):
        spec = GeneratorConfig(base_url=chat_server.url, model="tiny", constrain=constrain, concurrency=1)
        with open_generator(spec) as generator:
            generator.generate(PROMPTS, Sampling(), LANGUAGES)
    sent = [asked.get("structured_outputs") for _, asked in chat_server.requests]
    assert sent[:4] == [None] * 4
    assert [item["grammar"] for item in sent[4:]] == [action_grammar(language) for language in LANGUAGES]
