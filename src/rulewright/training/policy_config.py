"""The configuration and the tasks of a policy training: `train srl` and `train grpo`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import Field

from rulewright import console, jsonl
from rulewright.config import FileOnly
from rulewright.errors import ConfigError
from rulewright.generation.vllm_server import ServerConfig
from rulewright.srl.sampling import SamplingConfig
from rulewright.srl.scoring import Scorer
from rulewright.training.config import OWNED, TrainConfig

Mode = Literal["greedy", "sampled"]
Keep = Literal["best", "last", "start"]
MODES: Final[tuple[Mode, ...]] = ("greedy", "sampled")

DEFAULTS: Final[dict[str, Any]] = {
    # Rewards are on one scale already; dividing by a group's deviation blows small differences up.
    "scale_rewards": "none",
    "loss_type": "dapo",
    "beta": 0.0,
    # A cut answer counts with what it earns: rambling is pushed down. True: it leaves its group.
    "mask_truncated_completions": False,
    "num_generations": 8,
    "per_device_train_batch_size": 8,
    "max_completion_length": 512,
    "logging_steps": 1,
    "save_steps": 20,
}
WORTH_JOINING: Final = 0.2
"""Rollouts of one prompt are computed as one row where that saves at least this share of the tokens."""
POLICY_OWNED: Final = OWNED | {
    "eval_on_start": "nothing: the start is always evaluated",
    "eval_delay": "eval_every_steps",
    "num_generations_eval": "eval_samples",
    "per_device_eval_batch_size": "nothing: dev tasks are answered, and as many at once as fit",
    "eval_use_gather_object": "nothing: dev tasks are answered, and as many at once as fit",
    "save_strategy": "save_steps",
    "remove_unused_columns": "nothing: rewards are looked up by a column",
    "reward_weights": "nothing: there is one reward",
    "multi_objective_aggregation": "nothing: there is one reward",
    "chat_template_kwargs": "thinking",
    "train_sampling_strategy": "trainer.shuffle_dataset",
    "average_tokens_across_devices": "trainer.loss_type: dapo counts the tokens of all processes",
    "label_smoothing_factor": "nothing: a policy has no labels",
    "include_num_input_tokens_seen": "nothing: tokens are in the metrics",
    "max_tool_calling_iterations": "nothing: no tools are called",
    "log_multimodal": "nothing: tasks are text",
    "pad_to_multiple_of": "nothing: micro-batches are trimmed to what their rows need",
    "ds3_gather_for_generation": "nothing: policies are not trained in shards",
}


class PolicyConfig(TrainConfig):
    """Fields of every policy training."""

    model: str = "models/sft_stage1_astgrep"
    """Checkpoint to start from: a folder, an adapter, a GGUF file or a hub name."""
    out: Path = Path("models/srl_stage2")
    """Output folder of the best checkpoint; the run's files are in run/ below."""
    reports: Path = Path("reports/srl")
    """Metrics and curves, copied from the run."""
    max_prompt_tokens: int = Field(default=4096, ge=1)
    """Maximum length of a prompt; tasks with longer prompts are dropped and counted."""
    eval_rows: int = Field(default=128, ge=1)
    """Maximum number of dev tasks to evaluate."""
    eval_samples: int = Field(default=1, ge=1)
    """Sampled answers per dev task, in addition to the greedy one."""
    eval_every_steps: int = Field(default=20, ge=1)
    """Optimizer steps between evaluations."""
    keep: Keep = "best"
    """Which step is published. best: the step with the highest dev reward, not counting the start; start:
    the same, but the start counts too; last: the last step."""
    workers: int = Field(default=2, ge=1)
    """Processes that execute the model's actions, per training process."""
    deadline_s: float = Field(default=5.0, gt=0)
    """CPU seconds after which an action counts as a timeout."""
    generate_at_once: int = Field(default=0, ge=0)
    """Rollouts that one process generates together; fewer need less memory for keys and values; 0: all."""
    rollouts: Literal["transformers", "server"] = "transformers"
    """Where answers are sampled: in this process with transformers, or on a vLLM server (`server:`; needs
    `lora`)."""
    server: FileOnly[ServerConfig] = ServerConfig()
    """`rollouts: server`: base_url, concurrency, timeout_s, max_retries, max_logprob_gap, …"""
    sampling: FileOnly[SamplingConfig] = SamplingConfig()
    """Dynamic sampling: enabled, epsilon, criterion, max_rounds, max_flat_batches."""

    trl_class = "GRPOConfig"
    owned = POLICY_OWNED

    def is_free(self, key: str) -> bool:
        # Where a server is, and how it is asked, is checked by its answers.
        return key.startswith("server.") or super().is_free(key)

    def trl_options(self) -> dict[str, Any]:
        options = super().trl_options()
        weigh = [name for name in sorted(options) if name.startswith("vllm_importance_sampling_")]
        if weigh and self.rollouts != "server" and not options.get("use_vllm"):
            raise ConfigError(
                "\n".join(f"trainer.{name} weighs the rollouts of a server" for name in weigh),
                "leave it out, or set `rollouts: server`",
            )
        return options


def rollouts_at_once(limit: int, n: int) -> int:
    """How many of `n` rollouts are generated together, where `generate_at_once` is `limit`."""
    return min(limit or n, n)


class Tasks(NamedTuple):
    """What is trained and evaluated on."""

    train: Scorer
    dev: Scorer
    reward: str
    """Name of the reward, for logs."""
    rejected: Sequence[Mapping[str, Any]] = ()
    """Lines that cannot be used, with place and reason."""

    def set_aside(self, folder: Path) -> None:
        """Write the rejected lines next to the run, and report their number."""
        path = folder / "rejected.jsonl"
        path.unlink(missing_ok=True)
        if self.rejected:
            jsonl.write(path, self.rejected)
            console.say(f"{len(self.rejected)} lines cannot be used; see {path}")
