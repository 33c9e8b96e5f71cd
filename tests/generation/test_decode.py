"""The loop for CPUs against transformers' `generate`, token by token."""

# ruff: noqa: N806  (tensors carry shape suffixes: B rows, V vocabulary)
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from rulewright.generation import cpu, decode  # noqa: E402
from rulewright.generation.sampler import TokenChooser, draw, first_most  # noqa: E402

EOS, PAD, WORDS = 2, 0, 500
KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM, {}),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM, {"head_dim": 24}),
    # Keys are wider than values, and every head has its own.
    "deepseek": (
        transformers.DeepseekV3Config,
        transformers.DeepseekV3ForCausalLM,
        {
            "kv_lora_rank": 16,
            "q_lora_rank": None,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 16,
            "v_head_dim": 16,
            "num_key_value_heads": 4,
            "first_k_dense_replace": 3,
            "n_group": 1,
            "topk_group": 1,
        },
    ),
}


def small(kind: str = "llama", **changes: Any) -> Any:
    torch.manual_seed(3)
    config, model, own = KINDS[kind]
    values = {
        "vocab_size": WORDS, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
        "tie_word_embeddings": True, "initializer_range": 0.3, "eos_token_id": EOS, "pad_token_id": PAD,
    }  # fmt: skip
    return model(config(**{**values, **own, **changes})).eval()


def prompts(shared: int) -> list[list[int]]:
    """Prompts of many lengths that begin with the same tokens; two are equal."""
    generator = torch.Generator().manual_seed(5)
    head = torch.randint(3, WORDS, (shared,), generator=generator).tolist()
    tails = [
        torch.randint(3, WORDS, (n,), generator=generator).tolist() for n in (1, 30, 4, 9, 60, 2, 17, 30)
    ]
    return [head + tail for tail in [*tails, tails[3]]]


def alone(model: Any, prompt: list[int], budget: int) -> list[int]:
    ids = torch.tensor([prompt])
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=budget, do_sample=False, eos_token_id=EOS
    )
    return out[0, len(prompt) :].tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [0, 25])
def test_greedy_tokens_are_those_of_generate(kind: str, shared: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "PREFILL_TOKENS", 64)  # the prompts are computed in several parts
    monkeypatch.setattr(decode, "BLOCK", 5)  # and their keys and values grow several times
    model = small(kind)
    asked = prompts(shared)
    budgets = [5 + 7 * (i % 4) for i in range(len(asked))]
    wanted = [alone(model, prompt, budget) for prompt, budget in zip(asked, budgets, strict=True)]
    # Make some of the answers end by themselves: another end token, which some of them write.
    end = wanted[1][3]
    wanted = [row[: row.index(end) + 1] if end in row else row for row in wanted]
    assert len({len(row) for row in wanted}) > 3
    decoder = decode.Decoder(model, [EOS, end], PAD)
    decoder.share(asked)
    assert len(decoder.prefix) == (shared if shared else 0)
    rows = [decode.Row(prompt, budget) for prompt, budget in zip(asked, budgets, strict=True)]
    decoder.run(rows, TokenChooser(0.0, 1.0, range(len(rows))))
    assert [row.tokens for row in rows] == wanted


def test_logprobs_are_the_models_own() -> None:
    model = small()
    asked = prompts(12)
    decoder = decode.Decoder(model, [EOS], PAD)
    decoder.share(asked)
    rows = [decode.Row(prompt, 10) for prompt in asked]
    decoder.run(rows, TokenChooser(0.8, 0.9, range(len(rows))))
    for row in rows:
        with torch.no_grad():
            logits = model(torch.tensor([row.prompt + row.tokens])).logits[0].log_softmax(-1)
        found = logits[len(row.prompt) - 1 : -1].gather(1, torch.tensor(row.tokens)[:, None]).squeeze(1)
        assert torch.allclose(found, torch.tensor(row.logprobs), atol=1e-4)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    model = small()
    asked = prompts(20)

    def sampled(order: list[int]) -> dict[int, list[int]]:
        decoder = decode.Decoder(model, [EOS], PAD)
        decoder.share([asked[i] for i in order])
        rows = [decode.Row(asked[i], 12) for i in order]
        decoder.run(rows, TokenChooser(1.0, 0.95, [100 + i for i in order]))
        return {i: row.tokens for i, row in zip(order, rows, strict=True)}

    together = sampled(list(range(len(asked))))
    backwards = sampled(list(reversed(range(len(asked)))))
    assert together == backwards == {i: sampled([i])[i] for i in together}
    assert together[3] != together[8], "equal prompts draw by their own seeds"


def test_answers_that_are_alike_so_far_are_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve answers to each of three prompts: what each draws alone, in fewer and more rows as they part."""
    monkeypatch.setattr(decode, "BLOCK", 4)
    model = small(initializer_range=0.2)
    asked = [prompt for prompt in prompts(20)[:3] for _ in range(12)]
    budgets = [3 + i % 12 for i in range(len(asked))]
    widths = []

    def answered(which: list[int]) -> list[list[int]]:
        decoder = decode.Decoder(model, [EOS], PAD)
        decoder.share([asked[i] for i in which])
        rows = [decode.Row(asked[i], budgets[i]) for i in which]
        chooser = TokenChooser(0.25, 1.0, [7 * i for i in which])
        with monkeypatch.context() as patch:
            forward = model.forward

            def counted(*args: Any, **options: Any) -> Any:
                widths.append(len(options["input_ids"]))
                return forward(*args, **options)

            patch.setattr(model, "forward", counted)
            decoder.run(rows, chooser)
        return [row.tokens for row in rows]

    alone = [answered([i])[0] for i in range(len(asked))]
    widths.clear()
    assert answered(list(range(len(asked)))) == alone
    steps = [len({(i // 12, *row[:n]) for i, row in enumerate(alone) if len(row) > n}) for n in range(1, 14)]
    assert widths == [3, *(n for n in steps if n)]
    assert steps[0] < 18 < max(steps) < 36, "some part at once, some later, some end together"


def test_what_ends_an_answer_is_asked_for_each_token() -> None:
    model = small()
    decoder = decode.Decoder(model, [EOS], PAD)
    asked = prompts(0)
    decoder.share(asked)
    rows = [decode.Row(prompt, 9) for prompt in asked]
    decoder.run(rows, TokenChooser(0.0, 1.0, range(len(rows))), lambda tokens: len(tokens) == 3)
    assert {len(row.tokens) for row in rows} == {3}


@pytest.mark.skipif(not cpu.multiplies_bf16(), reason="the processor does not multiply bfloat16")
def test_packed_bf16_scores_as_bf16_does() -> None:
    """Log-probabilities of the same tokens, against the plain bf16 model and against float32."""
    model = small()
    twin = cpu.answering_twin(model, torch.bfloat16)
    cpu.pack(twin)
    assert sum(isinstance(layer, cpu.PackedLinear) for layer in twin.modules()) == 3 * 7 + 1
    decoder = decode.Decoder(twin, [EOS], PAD)
    asked = prompts(15)
    decoder.share(asked)
    rows = [decode.Row(prompt, 12) for prompt in asked]
    decoder.run(rows, TokenChooser(1.0, 1.0, range(len(rows))))
    distances = {}
    half = cpu.answering_twin(model, torch.bfloat16)
    for name, other in (("bf16", half), ("float32", model)):
        total = n = 0.0
        for row in rows:
            with torch.no_grad():
                logits = other(torch.tensor([row.prompt + row.tokens])).logits[0].float().log_softmax(-1)
            found = logits[len(row.prompt) - 1 : -1].gather(1, torch.tensor(row.tokens)[:, None]).squeeze(1)
            total += float((found - torch.tensor(row.logprobs)).abs().sum())
            n += len(row.tokens)
        distances[name] = total / n
    assert distances["bf16"] < 0.1 and distances["float32"] < 0.1, distances


def test_a_twin_answers_as_the_adapter_in_training_and_leaves_it_alone() -> None:
    peft = pytest.importorskip("peft")
    base = small()
    model = peft.get_peft_model(
        base, peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    )
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    base.forward = lambda *_, **__: pytest.fail("a trainer's forward was asked")
    assert cpu.has_twin(model) and decode.suits(base)
    twin = cpu.answering_twin(model, torch.float32)
    del base.forward
    ids = torch.tensor([prompts(0)[4]])
    with torch.no_grad():
        assert torch.allclose(twin(ids).logits, model.eval()(ids).logits, atol=1e-4)
        assert not torch.allclose(twin(ids).logits, model.unload()(ids).logits, atol=1e-2)
    assert twin.lm_head.weight is twin.model.embed_tokens.weight
    assert not any("lora" in name for name, _ in twin.named_parameters())
    assert not any(value.requires_grad for value in twin.parameters())
    for name, value in model.state_dict().items():
        assert name not in before or torch.equal(before[name], value)


def nearly_nothing() -> Any:
    """LoRA of random directions whose changes are far smaller than the weights' last bits in bfloat16."""
    import peft

    model = peft.get_peft_model(
        small().bfloat16(), peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    )
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data *= 1e-3
    return model


def test_what_an_adapter_learned_is_not_rounded_away() -> None:
    """Merged in bfloat16, little of a short training would be left, and the base would answer."""
    pytest.importorskip("peft")
    model = nearly_nothing()
    adapted = {
        name: layer for name, layer in model.base_model.model.named_modules() if hasattr(layer, "base_layer")
    }
    assert cpu.rounded_away(list(adapted.values()), torch.bfloat16) > 0.9
    assert cpu.rounded_away(list(adapted.values()), torch.float32) == 0
    twin = cpu.answering_twin(model, torch.bfloat16)
    cpu.pack(twin)
    generator = torch.Generator().manual_seed(0)
    kept = []
    for name, layer in adapted.items():
        x = torch.randn(512, layer.in_features, generator=generator).bfloat16()
        exact = x.float() @ layer.get_delta_weight("default").detach().T.float()
        with torch.no_grad():
            found = twin.get_submodule(name)(x).float() - layer.get_base_layer()(x).float()
        kept.append(float((found * exact).sum() / exact.square().sum()))
    assert min(kept) > 0.8 and max(kept) < 1.2, kept
    decoder = decode.open_decoder(model, [EOS], PAD, torch.bfloat16)
    assert decoder is not None
    rows = [decode.Row(prompt, 3) for prompt in prompts(0)]
    decoder.share([row.prompt for row in rows])
    decoder.run(rows, TokenChooser(0.0, 1.0, range(len(rows))))
    assert all(row.tokens for row in rows)


def test_old_weights_are_freed_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that fills a card is opened with its adapter where there is no room for a second one."""
    import weakref

    peft = pytest.importorskip("peft")
    small().bfloat16().save_pretrained(tmp_path / "base")
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    lora = peft.LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    peft.get_peft_model(base, lora).save_pretrained(tmp_path / "adapter")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "adapter")
    old = [weakref.ref(layer.base_layer) for layer in model.modules() if hasattr(layer, "base_layer")]
    left, put = [], model.set_submodule

    def watched(name: str, layer: Any) -> None:
        left.append(sum(one() is not None for one in old))
        put(name, layer)

    monkeypatch.setattr(model, "set_submodule", watched)
    cpu.settle_adapters(model)
    assert left == list(range(len(old), 0, -1))


def test_a_large_adapter_is_merged_in_bf16_too() -> None:
    peft = pytest.importorskip("peft")
    lora = peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    twin = cpu.answering_twin(peft.get_peft_model(small().bfloat16(), lora), torch.bfloat16)
    assert not any(isinstance(layer, cpu.AdaptedLinear) for layer in twin.modules())


def test_models_that_the_loop_does_not_know_are_left_to_generate() -> None:
    peft = pytest.importorskip("peft")
    config = transformers.MistralConfig(
        vocab_size=WORDS, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, sliding_window=8,
    )  # fmt: skip
    assert not decode.suits(transformers.MistralForCausalLM(config))
    assert not decode.suits(small().to("meta"))
    # Its attention has sinks, which no other one computes.
    flint = transformers.FlintConfig(
        vocab_size=WORDS, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, head_dim=16, layer_types=["full_attention"], num_experts=2,
        num_experts_per_tok=1, moe_intermediate_size=16,
    )  # fmt: skip
    assert not decode.suits(transformers.FlintForCausalLM(flint))
    assert decode.suits(small())
    dora = peft.get_peft_model(small(), peft.LoraConfig(r=2, target_modules=["q_proj"], use_dora=True))
    whole = peft.get_peft_model(
        small(), peft.LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"])
    )
    assert not cpu.has_twin(dora) and not cpu.has_twin(whole)


def test_the_largest_logit_is_found_as_argmax_finds_it() -> None:
    generator = torch.Generator().manual_seed(0)
    for n_words in (3, 128, 129, 1000):
        logits_BV = torch.randint(0, 40, (50, n_words), generator=generator).float()  # many ties
        assert torch.equal(first_most(logits_BV, logits_BV.amax(-1, keepdim=True)), logits_BV.argmax(-1))


def test_lots_are_drawn_by_weight_and_never_without_weight() -> None:
    generator = torch.Generator().manual_seed(0)
    weights_V = torch.rand(1000, generator=generator) ** 8
    weights_V[::3] = 0
    lots_B = torch.linspace(0, 1 - 1e-12, 200_000, dtype=torch.float64)

    def drawn(weights: Any, lots: Any) -> Any:
        return draw(weights[None], lots, torch.zeros(len(lots), dtype=torch.long))

    assert (weights_V[drawn(weights_V, lots_B[::100])] > 0).all()
    counts = torch.zeros(1000)
    for part in lots_B.split(20_000):
        counts += torch.bincount(drawn(weights_V, part), minlength=1000)
    assert torch.allclose(counts / len(lots_B), weights_V / weights_V.sum(), atol=2e-5)
    edge_V = torch.tensor([0.0] * 300 + [1.0, 0.0])
    assert drawn(edge_V, torch.tensor([0.0, 0.5, 1 - 2**-53], dtype=torch.float64)).tolist() == [300] * 3


def test_lots_are_drawn_from_the_weights_that_they_name() -> None:
    weights_UV = torch.eye(3).repeat(1, 100)[:, :290]
    tokens = draw(weights_UV, torch.rand(60, dtype=torch.float64), torch.arange(60) % 3)
    assert (tokens % 3).tolist() == [i % 3 for i in range(60)]
