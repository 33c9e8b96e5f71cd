"""What the user can get wrong in a training configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rulewright.config import read_file
from rulewright.data.mix import MixEntry
from rulewright.errors import ConfigError
from rulewright.srl.train_srl import SrlConfig
from rulewright.training.config import SftConfig, TinyConfig, TrainConfig, check, style_of
from rulewright.training.policy_config import PolicyConfig

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*/stage[01]*.yaml"))
MIX = [MixEntry(path="x.jsonl")]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_shipped_configuration_is_valid(path: Path) -> None:
    config = SftConfig(**read_file(SftConfig, path))
    check(config)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_shipped_trainer_option_is_one_of_trl(path: Path) -> None:
    SftConfig(**read_file(SftConfig, path)).trl_options()


def test_all_mistakes_are_told_at_once() -> None:
    config = SftConfig(
        tiny=TinyConfig(hidden_size=30, n_heads=4, max_positions=64),
        max_length_tokens=128,
        quantize="nf4",
        bucket=True,
        trainer={"packing": True, "seed": 3},
    )
    with pytest.raises(ConfigError) as caught:
        check(config)
    message = caught.value.message
    for part in (
        "`mix` is empty",
        "lora",
        "hidden_size",
        "max_length_tokens (128)",
        "`bucket`",
        "trainer.seed",
    ):
        assert part in message
    assert len(message.splitlines()) >= 6


@pytest.mark.parametrize("option", [{"save_only_model": True}, {"save_total_limit": 1}])
def test_what_leaves_nothing_to_go_on_from_is_refused(option: dict[str, Any]) -> None:
    """A checkpoint without an optimizer would be gone on from with a new one, and another rate."""
    config = SftConfig(model="m", mix=[MixEntry(path="x")], trainer=option)
    with pytest.raises(ConfigError, match=f"trainer.{next(iter(option))}"):
        check(config)


def test_model_and_tiny_exclude_each_other() -> None:
    for config in (SftConfig(mix=MIX), SftConfig(mix=MIX, model="m", tiny=TinyConfig())):
        with pytest.raises(ConfigError, match="either `model`"):
            check(config)


@pytest.mark.parametrize(("style", "think"), [("full", False), ("brief", True)])
def test_an_answer_without_what_the_prompt_asks_for_is_refused(style: Any, think: bool) -> None:
    config = SftConfig(mix=MIX, model="m", task="action", prompt_style=style, think=think)
    with pytest.raises(ConfigError, match="contradict each other"):
        check(config)


def test_what_would_keep_no_step_is_refused() -> None:
    evaluated = {"mix": MIX, "dev": MIX, "model": "m", "eval_every_steps": 10}
    for changes, match in (
        ({"keep": "best_loss", "eval_every_steps": 0}, "need evaluations"),
        ({"keep": "best_success", "dev": []}, "need evaluations"),
        ({"patience": 2}, "better by what"),
        ({"keep": "best_loss", "trainer": {"save_steps": 15}}, "must be `eval_every_steps`"),
        (
            {"trainer": {"model_init_kwargs": {"dtype": "float16"}}},
            "model_init_kwargs.dtype is set elsewhere",
        ),
        ({"trainer": {"hub_token": "hf_secret"}}, "it is a secret"),
    ):
        with pytest.raises(ConfigError, match=match):
            check(SftConfig(**{**evaluated, **changes}))
    check(SftConfig(**evaluated, keep="best_loss", patience=2, trainer={"save_steps": 10}))


def test_where_evaluations_choose_the_step_theirs_may_not_differ() -> None:
    last, best = (SftConfig(mix=MIX, model="m", keep=keep).is_free for keep in ("last", "best_loss"))
    assert last("eval_every_steps") and last("eval_limit") and last("trainer.report_to")
    assert not best("eval_every_steps") and not best("eval_limit") and best("trainer.report_to")
    assert not last("trainer.learning_rate") and not last("keep")
    for name in ("dev", "trainer.per_device_eval_batch_size", "trainer.eval_packing", "trainer.eval_delay"):
        assert last(name) and not best(name)


def test_a_server_may_be_elsewhere_when_a_run_goes_on() -> None:
    config = SrlConfig()
    assert config.is_free("server.base_url") and not config.is_free("rollouts")


def test_the_dev_set_of_grpo_is_the_same_for_every_seed(
    data: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rulewright.training import job, policy
    from rulewright.training import train_grpo as module

    seen: list[list[str]] = []

    def note(config: Any, tasks: Any, inputs: Any) -> dict[str, Any]:
        seen.append([tasks.dev.group(row) + tasks.dev.reference(row) for row in range(len(tasks.dev))])
        return {}

    monkeypatch.setattr(job, "settled", lambda *_: None)
    monkeypatch.setattr(policy, "run_policy", note)
    for seed in (1, 2):
        module.train_grpo(
            module.GrpoConfig(
                mix=[MixEntry(path=data("train"))], dev=[MixEntry(path=data("dev"))], eval_rows=6, limit=4,
                seed=seed, workers=1, out=tmp_path / "x",
            )
        )  # fmt: skip
    assert len(seen[0]) == 6 and seen[0] == seen[1]


def test_four_bit_weights_are_counted_as_what_they_stand_for() -> None:
    """Two of them are stored in a byte; PEFT and transformers know them by the name of their class."""
    torch, peft = pytest.importorskip("torch"), pytest.importorskip("peft")
    from rulewright.training import models

    class Params4bit(torch.nn.Parameter):  # type: ignore[name-defined]
        pass

    made = peft.get_peft_model(
        torch.nn.Sequential(torch.nn.Linear(8, 6, bias=False)), peft.LoraConfig(r=2, target_modules=["0"])
    )
    plain = models.count(made)
    assert plain == (48 + 28, 28)
    layer = made.base_model.model[0].base_layer
    layer.weight = Params4bit(torch.zeros(24, 1, dtype=torch.uint8), requires_grad=False)
    assert models.count(made) == plain


def test_unknown_trainer_option_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"lerning_rate.*did you mean 'learning_rate'"):
        SftConfig(trainer={"lerning_rate": 1.0}).trl_options()


@pytest.mark.parametrize("config_class", [SftConfig, PolicyConfig])
def test_owned_options_are_real_ones(config_class: type[TrainConfig]) -> None:
    trl = pytest.importorskip("trl")
    known = {field.name for field in dataclasses.fields(getattr(trl, config_class.trl_class))}
    assert set(config_class.owned) <= known


def test_a_typo_in_the_file_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "sft.yaml"
    path.write_text("task: edit\nmix:\n  - path: a.jsonl\n    wieght: 2\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"sft\.yaml:4: unknown key 'mix\.0\.wieght'; did you mean 'weight'"
    ):
        read_file(SftConfig, path)


def test_style_follows_the_checkpoint() -> None:
    assert style_of(SftConfig(model="m"), "compact") == "compact"
    assert style_of(SftConfig(model="m"), None) == "brief"
    assert style_of(SftConfig(model="m"), "full") == "full"
    assert style_of(SftConfig(model="m", think=True), "brief") == "full"
    assert style_of(SftConfig(model="m", think=False), "full") == "brief"
    assert style_of(SftConfig(tiny=TinyConfig()), None) == "compact"
    assert style_of(SftConfig(model="m", prompt_style="full"), "compact") == "full"
