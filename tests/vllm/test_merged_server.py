"""A full checkpoint behind vLLM: the result of `rulewright merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.srl.test_train_srl import edits
from tests.vllm.conftest import serving

from rulewright.cli import main
from rulewright.generation import GeneratorConfig, Sampling, open_generator
from rulewright.prompts import action_prompt

PROMPTS = [action_prompt(instruction, pre, "python", style="compact") for instruction, pre, _, _ in edits()]


def test_a_merged_adapter_is_served(adapter: Path, tmp_path: Path, count: Any) -> None:
    out = tmp_path / "merged"
    assert main(["merge", str(adapter), str(out)]) == 0
    answers = []
    with open_generator(GeneratorConfig(model=str(adapter), dtype="bfloat16")) as generator:
        answers.append(generator.generate(PROMPTS, Sampling(max_new_tokens=120)))
    with serving(out, log=tmp_path / "log") as served:
        spec = GeneratorConfig(base_url=served.url)
        with open_generator(spec) as generator:
            assert generator.name == "merged"
            answers.append(generator.generate(PROMPTS, Sampling(max_new_tokens=120)))
    same = sum(a[0].text == b[0].text for a, b in zip(*answers, strict=True))
    count(
        f"vllm: {same} of {len(PROMPTS)} greedy answers of the merged checkpoint are those of the adapter "
        "in transformers"
    )
    assert same >= 6
