"""Records → tokens: labels, counts, order."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rulewright.actions import Rejection, parse_response
from rulewright.data.schemas import NormalizedRecord
from rulewright.engine import judge
from rulewright.prompts import Style, action_prompt, edit_prompt
from rulewright.training import tiny
from rulewright.training.config import TinyConfig
from rulewright.training.data import IGNORED, Encoder, Form, action_answer, bucketed, tokenize

pytest.importorskip("transformers")


@pytest.fixture
def tokenizer(records: list[NormalizedRecord]) -> Any:
    texts = [text for record in records for text in (record.instruction, record.pre, record.post)]
    answers = [str(action_answer(record)) for record in records]
    return tiny.make_tokenizer(texts, answers, TinyConfig(vocab_size=400))


def _encode(
    records: Sequence[NormalizedRecord], tokenizer: Any, form: Form, max_length: int = 2048
) -> tuple[list[Any], Any]:
    encoder = Encoder(tokenizer, form, max_length)
    return list(encoder.rows(records)), encoder.counts


@pytest.mark.parametrize("task", ["edit", "action"])
@pytest.mark.parametrize("style", ["compact", "brief", "full"])
def test_labels_cover_exactly_the_answer_and_its_end(
    records: list[NormalizedRecord], tokenizer: Any, task: Any, style: Any
) -> None:
    form = Form(task, style)
    rows, counts = _encode(records[:20], tokenizer, form)
    make = edit_prompt if task == "edit" else action_prompt
    assert counts.longest_answer == max(sum(i != IGNORED for i in row["labels"]) for row in rows)
    for row, record in zip(rows, records, strict=False):
        prompt = make(record.instruction, record.pre, record.language, style=style)
        asked = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        n = sum(label == IGNORED for label in row["labels"])
        assert row["input_ids"][:n] == tokenizer(asked, add_special_tokens=False)["input_ids"]
        assert row["labels"][n:] == row["input_ids"][n:]
        assert row["labels"][-1] == tokenizer.eos_token_id
        assert tokenizer.decode(row["labels"][n:-1]) == form.answer(record)
    assert counts.n_rows == 20 and counts.dropped == {}
    assert counts.n_tokens == sum(len(row["input_ids"]) for row in rows)
    assert counts.n_answer_tokens == sum(label != IGNORED for row in rows for label in row["labels"])


def test_the_answer_of_stage_1_does_the_edit(records: list[NormalizedRecord]) -> None:
    for record in records[:10]:
        answer = action_answer(record)
        assert not isinstance(answer, Rejection)
        response = parse_response(answer, "python")
        assert not isinstance(response, Rejection)
        assert judge(response.action, record.pre, record.post).ok


def test_the_answer_has_the_parts_that_the_prompt_asks_for(records: list[NormalizedRecord]) -> None:
    asked_for: list[tuple[Style, list[str]]] = [
        ("full", ["think", "action", "state_update"]),
        ("brief", ["action"]),
    ]
    for style, parts in asked_for:
        form = Form("action", style)
        asked, answer = form.prompt(records[0])[0]["content"], form.answer(records[0])
        for part in ("think", "action", "state_update"):
            assert (f"<{part}>" in asked) == (f"<{part}>" in str(answer)) == (part in parts)
        shown, written = (
            json.loads(re.findall("<action>(.*?)</action>", str(text))[0])["action"]
            for text in (asked, answer)
        )
        assert list(shown) == list(written), "the very fields, in order"
    thought = parse_response(str(Form("action", "compact", think=True).answer(records[0])), "python")
    assert not isinstance(thought, Rejection)
    old, new = re.findall("`(.*?)`", records[0].instruction)
    assert thought.think == f"Rewrite `{old}` to `{new}`.", "what the rule does, not how it was found"


def test_a_carried_state_is_part_of_the_prompt(records: list[NormalizedRecord]) -> None:
    from rulewright.evaluation import actions

    state = {"goals": ["rename"], "decisions": ["`a` first"]}
    carried = records[0].model_copy(
        update={"metadata": records[0].metadata.model_copy(update={"state_prev": state})}
    )
    asked = Form("action", "full").prompt(carried)
    assert "<state>" in asked[-1]["content"] and "`a` first" in asked[-1]["content"]
    assert asked == actions.item(carried, "full").prompt, "asked alike when it is measured"
    assert "<state>" not in Form("action", "full").prompt(records[0])[-1]["content"]
    broken = {
        **carried.model_dump(),
        "metadata": {**carried.metadata.model_dump(), "state_prev": {"history": [1]}},
    }
    with pytest.raises(ValueError, match="not a state"):
        NormalizedRecord.model_validate(broken)


def test_what_does_not_fit_is_counted(records: list[NormalizedRecord], tokenizer: Any) -> None:
    form = Form("edit", "compact")
    lengths = [len(row["input_ids"]) for row in _encode(records, tokenizer, form)[0]]
    bound = sorted(lengths)[len(lengths) // 2] - 1
    assert min(lengths) <= bound < max(lengths)
    rows, counts = _encode(records, tokenizer, form, bound)
    assert counts.n_rows == len(rows) == sum(n <= bound for n in lengths)
    assert counts.dropped == {"too_long": sum(n > bound for n in lengths)}
    assert all(any(label != IGNORED for label in row["labels"]) for row in rows)


def test_a_record_without_action_is_counted(records: list[NormalizedRecord], tokenizer: Any) -> None:
    bare = records[0].model_copy(update={"metadata": records[0].metadata.model_copy(update={"action": None})})
    broken = records[1].model_copy(
        update={"metadata": records[1].metadata.model_copy(update={"action": "{"})}
    )
    rows, counts = _encode([bare, broken, records[2]], tokenizer, Form("action", "compact"))
    assert len(rows) == 1 and counts.dropped == {"bad_json": 1, "no_action": 1}


def test_tokens_are_made_once(records: list[NormalizedRecord], tokenizer: Any, tmp_path: Path) -> None:
    form = Form("edit", "compact")
    path = tmp_path / "train.arrow"
    first = tokenize(records, Encoder(tokenizer, form, 512), path, "train")
    stamp = path.stat().st_mtime_ns
    again = tokenize([], Encoder(tokenizer, form, 512), path, "train")
    assert again == first and path.stat().st_mtime_ns == stamp


@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=300),
    size=st.integers(1, 16),
    n_batches=st.integers(1, 60),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_bucketed_order(lengths: list[int], size: int, n_batches: int, seed: int) -> None:
    order = bucketed(lengths, size, n_batches, seed)
    assert order == bucketed(lengths, size, n_batches, seed)
    assert len(order) == size * n_batches
    assert set(order) <= set(range(len(lengths)))
    per_pass = len(lengths) // size * size
    if per_pass:
        used = Counter(order[:per_pass])
        assert max(used.values()) == 1, "a pass holds no row twice"


def test_buckets_save_padding() -> None:
    lengths = [i % 100 + 1 for i in range(3000)]
    order = bucketed(lengths, 16, 180, seed=1)

    def padded(rows: list[int]) -> int:
        return sum(16 * max(lengths[row] for row in rows[i : i + 16]) for i in range(0, len(rows), 16))

    plain = random.Random(2).sample(range(3000), 2880)
    assert padded(order) < 0.65 * padded(plain)
