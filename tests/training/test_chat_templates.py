"""Chat templates of the field: one prompt in training and generation, labels on the answer and its end."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rulewright.data.schemas import NormalizedRecord
from rulewright.errors import UsageError
from rulewright.generation import chat
from rulewright.prompts import Message, Style
from rulewright.training import tiny
from rulewright.training.config import TinyConfig
from rulewright.training.data import IGNORED, Encoder, Form

pytest.importorskip("transformers")
TEMPLATES = Path(pytest.importorskip("trl").__file__).parent / "chat_templates"

EMPTY = "<think>\n\n</think>\n\n"
CLOSED = "\n</think>\n\n"


class Expected(NamedTuple):
    """How a template is handled.

    Args:
        eos: the tokenizer's end token.
        end: what ends an answer.
        before: what training has the model write before an answer without a thought.
        system: `own` (it has the role), `fold` (into the first user turn), `empty` (an empty turn
            instead of the template's own text, where there is none).
        switch: whether thinking can be switched.
    """

    eos: str
    end: str
    before: str = ""
    system: str = "own"
    switch: bool = False


IM_END = Expected("<|im_end|>", "<|im_end|>")
EOT = Expected("<|eot_id|>", "<|eot_id|>")
GEMMA = Expected("<eos>", "<end_of_turn>\n<eos>")
GEMMA4 = Expected("<eos>", "<turn|>\n<eos>", switch=True)
OPENED = IM_END._replace(before=CLOSED, switch=True)
DEEPSEEK = Expected("<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>", CLOSED)
PHI = Expected("<|endoftext|>", "<|end|>\n<|endoftext|>")

TABLE: dict[str, Expected | str] = {
    "cohere": Expected("<|END_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    "cohere2": Expected("<|END_OF_TURN_TOKEN|>", "<|END_RESPONSE|><|END_OF_TURN_TOKEN|>"),
    "deepseek_r1_distill": DEEPSEEK,
    "deepseekv3": DEEPSEEK,
    "diffusion_gemma": GEMMA4,
    "gemma": GEMMA._replace(system="fold"),
    "gemma3": GEMMA,
    "gemma4": GEMMA4,
    "gemma4_v2": GEMMA4,
    "gemma4_v3": GEMMA4,
    "gemma4_v4": GEMMA4,
    "gemma4_v5": GEMMA4,
    "glm4moe": Expected("<|endoftext|>", "<|endoftext|>", "\n<think></think>\n", switch=True),
    "gptoss": Expected("<|return|>", "<|return|>", "<|channel|>final<|message|>"),
    "idefics3": "changes the text of answers",
    "lfm2": IM_END,
    "lfm2_2_5": IM_END,
    "lfm2_2_5_v2": IM_END,
    "lfm2_2_5_vl": IM_END,
    "lfm2_v2": IM_END,
    "llama3": EOT,
    "llama3_1": EOT,
    "llama3_2": EOT,
    "llava_next": "has no attribute 'text'",
    "muse_glimmer": Expected("<|eot|>", "<|eot|>", " to=user<|message|>", "empty"),
    "nemotron_3_5_lightning": OPENED,
    "nemotron_3_nano": OPENED,
    "nemotron_3_super": OPENED,
    "nemotron_3_ultra": OPENED,
    "phi3": PHI,
    "phi3_5": PHI,
    "qwen2_5": IM_END._replace(system="empty"),
    "qwen2_5_vl": IM_END._replace(system="empty"),
    "qwen3": IM_END._replace(before=EMPTY, switch=True),
    "qwen3_5_nothink": IM_END._replace(switch=True),
    "qwen3_5_think": OPENED,
    "qwen3_6": OPENED,
    "qwen3_8": OPENED,
    "qwen3_instruct_2507": IM_END,
    "qwen3_vl": IM_END,
    "smolvlm": "changes the text of answers",
}


@pytest.fixture(scope="module")
def plain() -> Any:
    return tiny.make_tokenizer(["print(a, b)\n", "Rename `a` to `b`."] * 2, [], TinyConfig(vocab_size=300))


@pytest.fixture(scope="module")
def model(plain: Any) -> Any:
    return tiny.make_model(plain, TinyConfig(hidden_size=8, n_layers=1, n_heads=1, mlp_size=8), 0)


def _tokenizer(plain: Any, name: str, eos: str = "<|im_end|>") -> Any:
    tokenizer = copy.deepcopy(plain)
    tokenizer.add_special_tokens({"eos_token": eos, "bos_token": "<s>"})
    tokenizer.chat_template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
    return tokenizer


def test_the_table_is_complete() -> None:
    found = {path.stem for path in TEMPLATES.glob("*.jinja")}
    assert {name for name in found if not name.endswith("_training")} == set(TABLE)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_template_is_handled_or_refused_by_name(
    plain: Any, model: Any, records: list[NormalizedRecord], name: str
) -> None:
    from rulewright.generation.local import LocalGenerator

    expected = TABLE[name]
    if isinstance(expected, str):
        with pytest.raises(UsageError, match=f"^{name}: its chat template .*{expected}"):
            chat.adapt(_tokenizer(plain, name), name)
        return
    tokenizer = _tokenizer(plain, name, expected.eos)
    chat.adapt(tokenizer, name, training=True)
    generator = LocalGenerator(model, tokenizer)
    styles: list[tuple[Style, bool]] = [("compact", False), ("brief", False), ("full", True)]
    for style, thought in styles:
        form = Form("action", style)
        (row,) = Encoder(tokenizer, form, 1 << 20).rows(records[:1])
        prompt = form.prompt(records[0])
        n = sum(label == IGNORED for label in row["labels"])
        assert row["input_ids"][:n] == generator.encode(prompt), "asked as in generation"
        assert row["labels"][n:] == row["input_ids"][n:]
        asked, target = (tokenizer.decode(ids) for ids in (row["input_ids"][:n], row["labels"][n:]))
        assert all(message["content"].strip() in asked for message in prompt)
        answer = str(form.answer(records[0]))
        if thought:
            words, _, rest = answer.removeprefix("<think>").partition("</think>\n")
            assert target.count(words) == 1 and target.endswith(rest + expected.end)
            opened = asked.rstrip().endswith("<think>")
            assert target.count("</think>") == 1 and target.count("<think>") == (0 if opened else 1)
        else:
            assert target == expected.before + answer + expected.end
        assert row["labels"][-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("name", [name for name, how in TABLE.items() if isinstance(how, Expected)])
def test_how_the_system_text_is_written(plain: Any, name: str) -> None:
    expected = TABLE[name]
    assert isinstance(expected, Expected)
    tokenizer = _tokenizer(plain, name, expected.eos)
    user: Message = {"role": "user", "content": "U-text"}
    system: Message = {"role": "system", "content": "S-text"}
    before = len(tokenizer(chat.ask(tokenizer, [user]))["input_ids"])
    chat.adapt(tokenizer, name, training=True)
    with_system, without = chat.ask(tokenizer, [system, user]), chat.ask(tokenizer, [user])
    assert with_system.count("S-text") == 1 and without.count("U-text") == 1
    assert expected.system != "fold" or "S-text\n\nU-text" in with_system
    shorter = len(tokenizer(without)["input_ids"]) < before
    assert shorter == (expected.system == "empty")
    # Whoever asks a model that was not trained here asks it as its makers do.
    asked = _tokenizer(plain, name, expected.eos)
    theirs = chat.ask(asked, [user])
    chat.adapt(asked, name)
    assert chat.ask(asked, [user]) == theirs


@pytest.mark.parametrize("name", [name for name, how in TABLE.items() if isinstance(how, Expected)])
def test_thinking_is_switched_in_the_template_itself(
    plain: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = TABLE[name]
    assert isinstance(expected, Expected)
    user: Message = {"role": "user", "content": "U"}
    seen = {}
    for thinking in (True, False):
        tokenizer = _tokenizer(plain, name, expected.eos)
        chat.adapt(tokenizer, name, thinking)
        seen[thinking] = chat.ask(tokenizer, [user])
        if expected.switch:
            by_hand = _tokenizer(plain, name, expected.eos).apply_chat_template(
                [user], tokenize=False, add_generation_prompt=True, enable_thinking=thinking
            )
            assert seen[thinking] == by_hand
    assert (seen[True] != seen[False]) == expected.switch
    assert ("has no switch" in capsys.readouterr().err) == (not expected.switch)


def test_the_saved_template_asks_alike_everywhere(plain: Any, tmp_path: Path) -> None:
    """TRL and vLLM take the template from the folder and know nothing of us."""
    from transformers import AutoTokenizer

    for name, thinking in (("gemma", None), ("qwen2_5", None), ("qwen3", False)):
        tokenizer = _tokenizer(plain, name)
        chat.adapt(tokenizer, name, thinking, training=True)
        once = tokenizer.chat_template
        chat.adapt(tokenizer, name, thinking, training=True)
        assert tokenizer.chat_template == once, "adapting twice is adapting once"
        tokenizer.save_pretrained(tmp_path / name)
        saved = AutoTokenizer.from_pretrained(tmp_path / name)
        user: Message = {"role": "user", "content": "U"}
        system: Message = {"role": "system", "content": "S"}
        for messages in ([user], [system, user]):
            ids = saved.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)[
                "input_ids"
            ]
            assert ids == tokenizer(chat.ask(tokenizer, messages), add_special_tokens=False)["input_ids"]
        chat.adapt(saved, name)
        assert saved.chat_template == once, "opened again, it stays as it was trained"
    chat.adapt(saved, "qwen3", True)
    assert "<think>" not in chat.ask(saved, [{"role": "user", "content": "U"}])


@pytest.mark.parametrize("name", ["gptoss", "llama3_2"])
def test_what_is_trained_today_is_asked_alike_tomorrow(
    plain: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These templates write the date of the day."""
    messages: list[Message] = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    expected = TABLE[name]
    assert isinstance(expected, Expected)
    untouched = _tokenizer(plain, name, expected.eos)
    trained = _tokenizer(plain, name, expected.eos)
    chat.adapt(trained, name, training=True)
    opened = copy.deepcopy(trained)
    chat.adapt(opened, name)
    assert opened.chat_template == trained.chat_template
    ours, theirs = (chat.ask(tokenizer, messages) for tokenizer in (trained, untouched))
    assert ours != theirs and ("26 Jul 2024" in ours or "2024-07-26" in ours)
    _set_clock(monkeypatch, 2031)
    assert [chat.ask(tokenizer, messages) for tokenizer in (trained, opened)] == [ours, ours]
    assert "2031" in chat.ask(untouched, messages) and "2031" not in theirs


def _set_clock(monkeypatch: pytest.MonkeyPatch, year: int) -> None:
    from datetime import datetime

    from transformers.utils import chat_template_utils

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Then:
            return cls(year, 1, 1)

    monkeypatch.setattr(chat_template_utils, "datetime", Then)


def test_of_several_templates_the_default_is_trained_with_and_saved(
    plain: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others would lie in a folder of their own beside the weights, and be published as files."""
    from transformers import AutoTokenizer

    one, several = copy.deepcopy(plain), copy.deepcopy(plain)
    several.chat_template = {
        "default": plain.chat_template,
        "tool_use": "{{ tools }}",
        "rag": "{{ documents }}",
    }
    several.save_pretrained(tmp_path / "model")
    opened = AutoTokenizer.from_pretrained(tmp_path / "model")
    for tokenizer in (one, opened):
        chat.adapt(tokenizer, "m", training=True)
    assert opened.chat_template == one.chat_template
    assert "not: rag, tool_use" in capsys.readouterr().err
    opened.save_pretrained(tmp_path / "out")
    assert not [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    opened.chat_template = {"tool_use": "{{ tools }}"}
    with pytest.raises(UsageError, match=r"m: .* named tool_use, but no default one"):
        chat.adapt(opened, "m")


def test_an_answer_that_a_template_leaves_out_is_refused(plain: Any) -> None:
    tokenizer = copy.deepcopy(plain)
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content | upper }}{% endfor %}"
    with pytest.raises(UsageError, match="odd: its chat template cannot write our prompts and answers"):
        chat.adapt(tokenizer, "odd")
    tokenizer.chat_template = None
    with pytest.raises(UsageError, match="odd: its tokenizer has no chat template"):
        chat.adapt(tokenizer, "odd")
