"""The tiny tokenizer and model."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright.data.schemas import NormalizedRecord
from rulewright.training import tiny
from rulewright.training.config import TinyConfig
from rulewright.training.data import action_answer

pytest.importorskip("transformers")

_TEXTS = [
    "total = load(items)\nprint(total)\n",
    "Rename `total` to `items`.\n",
    "x.total(total, 'a\\nb')\n",
] * 50
_TOKENIZER = tiny.make_tokenizer(_TEXTS, [], TinyConfig(vocab_size=300))


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    for mark in (tiny.PAD, tiny.END):
        text = text.replace(mark, "")
    ids = _TOKENIZER(text, add_special_tokens=False)["input_ids"]
    assert _TOKENIZER.decode(ids, clean_up_tokenization_spaces=False) == text


def test_a_name_has_the_same_tokens_wherever_it_stands() -> None:
    def ids(text: str) -> list[int]:
        return _TOKENIZER(text, add_special_tokens=False)["input_ids"]

    name = ids("total")
    for text in ("(total", ".total", " total", "`total", "\n    total", '"total'):
        assert ids(text)[-len(name) :] == name


def test_saved_and_loaded_it_cuts_alike(tmp_path: Path, records: list[NormalizedRecord]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    answers = [str(action_answer(record)) for record in records]
    made = tiny.make_tokenizer([record.pre for record in records], answers, TinyConfig(vocab_size=320))
    model = tiny.make_model(made, TinyConfig(vocab_size=320, hidden_size=16, n_layers=1), seed=0)
    made.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for text in (answers[0], records[0].pre, "Überall `x`\t\n"):
        assert loaded(text)["input_ids"] == made(text)["input_ids"]
    message = [{"role": "user", "content": "a"}]
    assert loaded.apply_chat_template(message, tokenize=False, add_generation_prompt=True) == (
        "<|user|>a<|assistant|>"
    )
    assert loaded.eos_token == tiny.END and loaded.pad_token == tiny.PAD
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config.vocab_size == len(loaded)


def test_the_frame_of_actions_is_one_token(records: list[NormalizedRecord]) -> None:
    answers = [str(action_answer(record)) for record in records]
    made = tiny.make_tokenizer([record.pre for record in records], answers, TinyConfig(vocab_size=320))
    plain = tiny.make_tokenizer([record.pre for record in records], [], TinyConfig(vocab_size=320))
    assert len(made(answers[0])["input_ids"]) < 0.5 * len(plain(answers[0])["input_ids"])
    # Nothing is hidden: what the model writes is decoded as the whole text.
    assert made.decode(made(answers[0])["input_ids"], skip_special_tokens=True) == answers[0]


def test_seeds_decide_the_weights() -> None:
    import torch

    config = TinyConfig(vocab_size=300, hidden_size=16, n_layers=1)
    first, same, other = (tiny.make_model(_TOKENIZER, config, seed).state_dict() for seed in (0, 0, 1))
    name = "model.embed_tokens.weight"
    assert torch.equal(first[name], same[name]) and not torch.equal(first[name], other[name])
