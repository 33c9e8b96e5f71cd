"""Generation from a real (tiny, random) checkpoint."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rulewright.errors import UsageError
from rulewright.generation import Completion, GeneratorConfig, Sampling, checkpoint_facts, open_generator
from rulewright.prompts import Message

torch = pytest.importorskip("torch")

from rulewright.generation.local import LocalGenerator  # noqa: E402
from rulewright.generation.weights import fits_one_card  # noqa: E402


def ask(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


PROMPTS = [ask("a" * k) for k in (1, 40, 3, 60, 2)]


@pytest.fixture(scope="module")
def generator(checkpoint: Path) -> LocalGenerator:
    return local(checkpoint, dtype="float32")


def local(model: Path, **settings: Any) -> LocalGenerator:
    found = open_generator(GeneratorConfig(model=str(model), **settings))
    assert isinstance(found, LocalGenerator)
    return found


def texts(answers: Sequence[Sequence[Completion]]) -> list[list[str]]:
    return [[c.text for c in row] for row in answers]


def test_greedy_equals_transformers_one_by_one(generator: LocalGenerator) -> None:
    """Left padding changes nothing: each answer of a batch is the one without a batch."""
    got = generator.generate(PROMPTS, Sampling(max_new_tokens=16, n=2))
    for prompt, row in zip(PROMPTS, got, strict=True):
        ids = torch.tensor([generator.encode(prompt)])
        alone = generator.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=16, do_sample=False
        )
        assert row[0].text == generator.tokenizer.decode(alone[0, ids.shape[1] :], skip_special_tokens=True)
        assert row[1].text == row[0].text
        assert row[0].n_prompt_tokens == ids.shape[1]
    assert generator.tokenizer.padding_side == "right", "the tokenizer is left as it was"


def test_samples_do_not_depend_on_the_batch(checkpoint: Path) -> None:
    sampling = Sampling(n=3, temperature=1.0, top_p=0.95, max_new_tokens=12, seed=7)
    together = open_generator(
        GeneratorConfig(dtype="float32", model=str(checkpoint), batch_size=16)
    ).generate(PROMPTS, sampling)
    alone = open_generator(GeneratorConfig(dtype="float32", model=str(checkpoint), batch_size=1)).generate(
        list(reversed(PROMPTS)), sampling
    )
    assert texts(together) == texts(list(reversed(alone)))
    assert len({c.text for c in together[0]}) > 1
    other = Sampling(n=3, temperature=1.0, top_p=0.95, max_new_tokens=12, seed=8)
    assert texts(together) != texts(
        open_generator(GeneratorConfig(dtype="float32", model=str(checkpoint))).generate(PROMPTS, other)
    )


def test_sampling_draws_from_the_model(generator: LocalGenerator) -> None:
    """First-token frequencies of 3,000 draws against the softmax at that temperature."""
    temperature, n = 0.7, 3000
    ids = torch.tensor([generator.encode(PROMPTS[0])])
    with torch.inference_mode():
        expected = (generator.model(ids).logits[0, -1] / temperature).softmax(-1)
    [got] = generator.generate([PROMPTS[0]], Sampling(n=n, temperature=temperature, max_new_tokens=1))
    counts = Counter(c.text for c in got)
    for token in expected.topk(5).indices.tolist():
        p = float(expected[token])
        text = generator.tokenizer.decode([token], skip_special_tokens=True)
        same = sum(
            float(q)
            for t, q in enumerate(expected)
            if generator.tokenizer.decode([t], skip_special_tokens=True) == text
        )
        assert abs(counts[text] / n - same) < 5 * math.sqrt(p * (1 - p) / n) + 1e-3


def test_nucleus_keeps_only_the_top(generator: LocalGenerator) -> None:
    [got] = generator.generate([PROMPTS[0]], Sampling(n=200, temperature=1.0, top_p=1e-6, max_new_tokens=1))
    [[greedy]] = generator.generate([PROMPTS[0]], Sampling(max_new_tokens=1))
    assert {c.text for c in got} == {greedy.text}


def test_logprob_is_the_models_own(generator: LocalGenerator) -> None:
    """Also with a temperature: it is the log-probability under the model, not the sampler."""
    ids = torch.tensor([generator.encode(PROMPTS[1])])
    tokens = generator.model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False
    )
    n_new = tokens.shape[1] - ids.shape[1]
    with torch.inference_mode():
        logprobs = generator.model(tokens).logits.log_softmax(-1)[0, -n_new - 1 : -1]
    total = float(logprobs.gather(1, tokens[0, -n_new:, None]).sum())
    for sampling in (
        Sampling(max_new_tokens=8),
        Sampling(temperature=3.0, top_p=1e-6, max_new_tokens=8, seed=1),
    ):
        [_, [got]] = generator.generate([PROMPTS[3], PROMPTS[1]], sampling)
        assert got.logprob == pytest.approx(total, abs=1e-2)


def test_stop_string_is_cut_and_counted(generator: LocalGenerator) -> None:
    [[whole]] = generator.generate([PROMPTS[0]], Sampling(max_new_tokens=20))
    mark = whole.text[6:8]
    [[cut]] = generator.generate([PROMPTS[0]], Sampling(max_new_tokens=20, stop=("\0never", mark)))
    assert cut.text == whole.text[: whole.text.index(mark)]
    assert cut.finish_reason == "stop" and cut.n_tokens <= whole.n_tokens


def test_prompts_near_and_beyond_the_context(generator: LocalGenerator) -> None:
    near, beyond, short = ask("x" * 100), ask("x" * 500), ask("x")
    got = generator.generate([beyond, near, short], Sampling(max_new_tokens=40))
    assert got[0][0].finish_reason == "prompt_too_long" and "128" in got[0][0].error
    n_prompt = got[1][0].n_prompt_tokens
    assert 88 < n_prompt < 128 and got[1][0].n_tokens <= 128 - n_prompt
    assert got[2][0].n_tokens > 0


def test_training_mode_and_settings_are_given_back(generator: LocalGenerator) -> None:
    generator.model.train()
    kept = generator.model.generation_config
    generator.generate([PROMPTS[0]], Sampling(max_new_tokens=2))
    assert generator.model.training and generator.model.generation_config is kept
    generator.model.eval()


def test_an_adapter_in_training_generates_and_keeps_its_settings(checkpoint: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rulewright.generation.local import LocalGenerator

    base = AutoModelForCausalLM.from_pretrained(checkpoint)
    base.generation_config.repetition_penalty = 5.0
    model = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    model.train()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tuned = LocalGenerator(model, tokenizer, "compact", "in training", dtype="float32")
    plain = open_generator(GeneratorConfig(dtype="float32", model=str(checkpoint)))
    sampling = Sampling(max_new_tokens=16)
    # A fresh adapter changes nothing, and the base's repetition penalty must not either.
    assert texts(tuned.generate(PROMPTS, sampling)) == texts(plain.generate(PROMPTS, sampling))
    assert model.training and base.generation_config.repetition_penalty == 5.0
    loss = model(
        torch.tensor([tuned.encode(PROMPTS[0])]), labels=torch.tensor([tuned.encode(PROMPTS[0])])
    ).loss
    loss.backward()


def test_an_adapter_folder_is_a_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(checkpoint)
    model = peft.get_peft_model(
        base, peft.LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
    )
    model.save_pretrained(tmp_path / "adapter")
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(tmp_path / "adapter")
    assert not (tmp_path / "adapter" / "config.json").exists()
    with local(tmp_path / "adapter", dtype="float32") as tuned:
        ids = torch.tensor([tuned.encode(PROMPTS[1])])
        [[got]] = tuned.generate([PROMPTS[1]], Sampling(max_new_tokens=8))
        wanted = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False
        )
        assert got.text == tuned.tokenizer.decode(wanted[0, ids.shape[1] :], skip_special_tokens=True)
        names = [name for name, _ in tuned.model.named_parameters()]
        assert len(names) > 10 and not any("lora" in name for name in names), "adapters are merged"


def test_the_number_format_follows_from_the_processor(checkpoint: Path) -> None:
    from rulewright.generation.cpu import multiplies_bf16

    able = torch.cpu.get_capabilities()
    if able["architecture"] == "x86_64":
        assert multiplies_bf16() == bool(able["avx512_bf16"] or able["amx_bf16"])
    generator = local(checkpoint, device="cpu")
    assert generator.model.dtype == (torch.bfloat16 if multiplies_bf16() else torch.float32)
    [[got]] = generator.generate([PROMPTS[0]], Sampling(max_new_tokens=4))
    assert got.n_tokens > 0 and got.logprob is not None and got.logprob < 0


def test_the_style_is_the_checkpoints(checkpoint: Path, generator: LocalGenerator, tmp_path: Path) -> None:
    assert generator.style == "compact"
    facts = checkpoint_facts(GeneratorConfig(model=str(checkpoint)))
    assert facts["style"] == "compact" and facts["task"] == "edit" and len(facts["digest"]) == 16
    assert checkpoint_facts(GeneratorConfig(model=str(checkpoint), style="full"))["style"] == "full"


def test_thinking_is_as_the_checkpoint_was_trained(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    template = (folder / "chat_template.jinja").read_text()
    closed = "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
    (folder / "chat_template.jinja").write_text(
        template.replace("assistant\n{% endif %}", f"assistant\n{closed}{{% endif %}}")
    )
    asked = {}
    for noted in (None, False):
        for wanted in (None, False, True):
            (folder / "rulewright.json").write_text(
                json.dumps({"prompt_style": "compact", "thinking": noted})
            )
            spec = GeneratorConfig(model=str(folder), thinking=wanted)
            with local(folder, thinking=wanted) as model:
                asked[noted, wanted] = model.tokenizer.decode(model.encode(PROMPTS[1])).endswith("</think>")
            conflict = wanted is not None and wanted != noted
            assert ("was trained with" in capsys.readouterr().err) == conflict
            assert checkpoint_facts(spec)["thinking"] == (noted if wanted is None else wanted)
    assert asked == {
        (None, None): False, (None, False): True, (None, True): False,
        (False, None): True, (False, False): True, (False, True): False,
    }  # fmt: skip


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such checkpoint folder"):
        open_generator(GeneratorConfig(model="models/absent"))
    with pytest.raises(UsageError, match="no model is named"):
        open_generator(GeneratorConfig())
    with pytest.raises(UsageError, match="holds no checkpoint"):
        open_generator(GeneratorConfig(model=str(tmp_path)))
    (tmp_path / "checkpoint-10").mkdir()
    (tmp_path / "checkpoint-10" / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"did you mean .*checkpoint-10"):
        open_generator(GeneratorConfig(model=str(tmp_path)))
    with pytest.raises(UsageError, match="cannot be loaded"):
        open_generator(GeneratorConfig(model=str(tmp_path / "checkpoint-10")))


def test_a_folder_without_its_tokenizer_does_not_answer(checkpoint: Path, tmp_path: Path) -> None:
    """transformers makes an empty tokenizer there: with a template, prompts would be nonsense."""
    shutil.copytree(checkpoint, tmp_path / "model")
    (tmp_path / "model/tokenizer.json").unlink()
    (tmp_path / "model/tokenizer_config.json").unlink()
    assert (tmp_path / "model/chat_template.jinja").exists()
    with pytest.raises(UsageError, match=r"model cannot be loaded \(no tokenizer\.json"):
        local(tmp_path / "model")


def test_a_hub_name_without_a_hub_fails_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for offline, endpoint, reason in (
        (True, "https://huggingface.co", "HF_HUB_OFFLINE is set"),
        (False, "http://127.0.0.1:9", "127.0.0.1 cannot be reached: Connection refused"),
    ):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        with pytest.raises(UsageError, match="is not a local folder") as caught:
            open_generator(GeneratorConfig(model="nobody-at-all/no-such-model"))
        assert reason in caught.value.message
        assert "hf download nobody-at-all/no-such-model" in caught.value.hint
        assert "rulewright fetch smollm2" in caught.value.hint


def test_impossible_sampling_is_refused() -> None:
    for wrong in ({"n": 0}, {"temperature": -1}, {"top_p": 0}, {"top_p": 1.5}, {"max_new_tokens": 0}):
        with pytest.raises(ValueError, match="got"):
            Sampling(**wrong)


def test_importing_generation_needs_no_torch(root: Path) -> None:
    code = (
        "import sys, rulewright.generation, rulewright.generation.endpoint;"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


@pytest.mark.parametrize(("size", "fits"), [(50, True), (52, False), (0, False)])
def test_a_small_model_stays_on_one_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, fits: bool
) -> None:
    """An adapter counts as its base, optimizer states do not count, and what is not here does not fit."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (100, 200))
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    base.mkdir()
    adapter.mkdir()
    (base / "config.json").write_text("{}")
    (base / "optimizer.pt").write_bytes(bytes(500))
    for part in range(2 if size else 0):
        (base / f"model-{part}.safetensors").write_bytes(bytes(size // 2))
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    assert fits_one_card(str(base)) is fits_one_card(str(adapter)) is fits
    assert not fits_one_card(str(tmp_path / "nowhere"))
