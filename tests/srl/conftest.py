"""A model of nothing, to train policies from."""

from __future__ import annotations

from pathlib import Path

import pytest

from rulewright import jsonl


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from rulewright.training.config import TinyConfig
    from rulewright.training.tiny import make_model, make_tokenizer

    folder = tmp_path_factory.mktemp("tiny")
    config = TinyConfig(vocab_size=300, hidden_size=16, n_layers=1, n_heads=2, mlp_size=32, max_positions=96)
    tokenizer = make_tokenizer(["task 1 xxx", "def f(a):\n    return a"] * 20, [], config)
    tokenizer.save_pretrained(folder)
    make_model(tokenizer, config, 0).save_pretrained(folder)
    jsonl.write_json(folder / "rulewright.json", {"prompt_style": "compact", "task": "action"})
    return folder
