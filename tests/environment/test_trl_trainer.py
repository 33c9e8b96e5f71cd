"""`TrlEnvironment` in TRL's own GRPOTrainer: a model plays episodes, and earns what the contract pays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.environment.test_adapters import ANSWERS, RECORDS, wanted

from rulewright.adapters import episodes, trl
from rulewright.environment import Weights

pytest.importorskip("trl")

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer, chat_template_utils

from rulewright.training.config import TinyConfig
from rulewright.training.tiny import make_model, make_tokenizer

DONE = "Done."
EPISODES = (["general"], ["first", "second"], ["negated", "general"], ["prose"])
N_ANSWERS, N_STEPS = 8, 2

Message = dict[str, Any]
Form = Callable[[str], Message]


def as_answer(text: str) -> Message:
    """What a model of ours writes: a block in its text."""
    return {"role": "assistant", "content": text}


def as_call(text: str) -> Message:
    """What a model writes that was taught tools."""
    call = {"name": "apply_rule", "arguments": {"answer": text}}
    return {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": call}]}


def conversations(prompt: list[Message], form: Form) -> Iterator[list[Message]]:
    """The episodes as chats: prompt, answer, what came of it, next answer …"""
    for names in EPISODES:
        environment = trl.TrlEnvironment()
        environment.reset(record=RECORDS[0])
        chat = list(prompt)
        for name in names:
            if "<action>" not in ANSWERS[name]:
                chat.append({"role": "assistant", "content": ANSWERS[name]})
                break
            result = environment.apply_rule(ANSWERS[name])
            chat += [form(ANSWERS[name]), {"role": "tool", "name": "apply_rule", "content": result}]
        else:
            chat.append({"role": "assistant", "content": DONE})
        yield chat


def tokenizer_of(texts: list[str], form: Form) -> Any:
    """A tokenizer for some texts: with a template of ours, or with one that knows tools, of Qwen3's."""
    made = make_tokenizer(texts, [], TinyConfig(vocab_size=500, max_positions=2048))
    if form is as_answer:
        return trl.answering(made)
    made.chat_template = chat_template_utils.qwen3_instruct_2507_chat_template
    made.add_special_tokens({"eos_token": "<|im_end|>"})
    return made


def learned(texts: list[str], n_prompt: int, tokenizer: Any) -> Any:
    """A small model that knows by heart how some texts go on after their prompt, in tokens."""
    config = TinyConfig(hidden_size=64, n_layers=2, n_heads=2, mlp_size=128, max_positions=2048)
    model = make_model(tokenizer, config, 0)
    batch = tokenizer(
        texts, return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False
    )
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    labels[:, :n_prompt] = -100
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(150):
        loss = model(**batch, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


@pytest.mark.parametrize(("form", "n_chats"), [(as_answer, 4), (as_call, 1)])
def test_grpo_plays_episodes_and_is_paid_by_the_contract(form: Form, n_chats: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    (tmp_path / "records.jsonl").write_text(RECORDS[0] + "\n", encoding="utf-8")
    trl.write_rows([tmp_path / "records.jsonl"], tmp_path / "rows.jsonl", "compact")
    row = json.loads((tmp_path / "rows.jsonl").read_text(encoding="utf-8"))
    chats = list(conversations(row["prompt"], form))[:n_chats]
    tools = None if form is as_answer else [trl.TrlEnvironment.apply_rule]
    tokenizer = tokenizer_of(["a"], form)
    for _ in range(2):  # the second is made of what the template writes
        texts = [tokenizer.apply_chat_template(chat, tools=tools, tokenize=False) for chat in chats]
        tokenizer = tokenizer_of(texts * 10, form)
    asked = tokenizer.apply_chat_template(row["prompt"], tools=tools, add_generation_prompt=True)
    played: list[tuple[list[str], float]] = []

    def watch(completions: list[Any], environments: list[Any], record: list[str], **_: Any) -> list[float]:
        """Beside the environment's own reward: play each episode again without TRL, and compare."""
        for said, environment, line in zip(completions, environments, record, strict=True):
            calls = [call for message in said for call in message.get("tool_calls") or ()]
            answers = [call["function"]["arguments"]["answer"] for call in calls][: episodes.MAX_STEPS]
            due = wanted(line, answers) if answers else Weights().invalid
            assert environment.get_reward() == pytest.approx(due)
            played.append((answers, due))
        return [0.0] * len(completions)

    trainer = GRPOTrainer(
        model=learned(texts, len(asked["input_ids"]), tokenizer),
        reward_funcs=[watch],
        train_dataset=Dataset.from_list([row] * 4),
        processing_class=tokenizer,
        environment_factory=trl.TrlEnvironment,
        args=GRPOConfig(
            output_dir=str(tmp_path / "out"), use_cpu=True, bf16=False, report_to="none", save_strategy="no",
            max_steps=N_STEPS, logging_steps=1, num_generations=N_ANSWERS, gradient_checkpointing=False,
            per_device_train_batch_size=N_ANSWERS, max_completion_length=400, learning_rate=1e-4,
            max_tool_calling_iterations=episodes.MAX_STEPS, scale_rewards="none", temperature=0.8,
            disable_tqdm=True,
        ),
    )  # fmt: skip
    trainer.train()
    logged = [row["rewards/TrlEnvironment/mean"] for row in trainer.state.log_history if "reward" in row]
    paid = torch.tensor([due for _, due in played]).view(N_STEPS, N_ANSWERS)
    assert logged == pytest.approx(paid.mean(dim=1).tolist(), abs=1e-5)
    assert any(ANSWERS["general"] in answers for answers, _ in played), "what it learned comes through"
    assert n_chats == 1 or any(len(answers) > 1 for answers, _ in played), "no episode had a second action"


def test_a_template_without_tools_is_refused_by_trl_until_it_is_answering() -> None:
    tokenizer = make_tokenizer(["a b"] * 20, [], TinyConfig(vocab_size=300))
    assert not chat_template_utils.supports_tool_calling(tokenizer)
    trl.answering(tokenizer)
    assert chat_template_utils.supports_tool_calling(tokenizer)
    assert chat_template_utils.is_chat_template_prefix_preserving(tokenizer)


@pytest.mark.parametrize(
    ("text", "called"),
    [
        (f"<think>Why?</think>\n{ANSWERS['general']}", True),
        (ANSWERS["general"] * 2, True),  # two blocks are for the environment to refuse
        ("<action>cut", True),
        ("I would use `is`.", False),
    ],
)
def test_the_whole_answer_is_what_is_called_with(text: str, called: bool) -> None:
    tokenizer = trl.answering(make_tokenizer([text] * 20, [], TinyConfig(vocab_size=300)))
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "x"}], add_generation_prompt=True)
    ids = tokenizer(text + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    message = chat_template_utils.parse_response(tokenizer, ids, prefix=asked["input_ids"], tools=[])
    if called:
        assert [call["function"]["arguments"] for call in message["tool_calls"]] == [{"answer": text}]
    else:
        assert "tool_calls" not in message and message["content"] == text
