"""`PolicyTrainer`: TRL's GRPOTrainer with dynamic sampling that refills (TRL has none).

A batch is generated and scored; groups whose rewards differ are kept; fresh prompts
replace the others, for a bounded number of rounds. All ranks do equally many rounds,
each keeps its own whole groups, and every decision is taken on gathered counts. Groups
left flat at the end fill the batch but count for nothing: their tokens leave the loss
and, where it divides by all tokens (`dapo`, our default, `cispo`, `vespo`), its denominator.
Losses that divide by answers count them there, so their steps are shorter.

An answer that was cut at `max_completion_length` counts with its reward, usually that of an invalid
answer, so long answers become less likely. With TRL's `mask_truncated_completions` it is removed from its
group. TRL alone keeps its reward in the mean and removes its tokens from the loss; then the others only
become more likely.

Methods of TRL that are overridden say why; most are private, so TRL is pinned, and a release that
changes them fails in `tests/srl/test_policy_trainer.py`.
"""

# ruff: noqa: N803, N806  (shape suffixes: B rollouts, G rollouts of one prompt, P prompt and C completion tokens)
from __future__ import annotations

import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from accelerate.utils import gather_object
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import RepeatSampler, pad

from rulewright import console
from rulewright.errors import RulewrightError
from rulewright.generation.decode import Decoder, Row, open_decoder
from rulewright.generation.sampler import TokenChooser
from rulewright.generation.weights import fixed_positions
from rulewright.prompts import Style
from rulewright.srl.sampling import PromptStream, SamplingConfig, is_informative
from rulewright.srl.scoring import Scored, Scorer, summarize
from rulewright.training import fast
from rulewright.training.micro_batches import COMPLETION, PROMPT, micro_batches
from rulewright.training.policy_config import rollouts_at_once
from rulewright.training.rollouts import Gap, ServedPolicy
from rulewright.training.shared_prefix import can_share, pack
from rulewright.verdict import INVALID, Verdict

STREAM_FILE: Final = "refill.json"
"""In a checkpoint folder: where the stream of fresh prompts stood."""

_Group = dict[str, torch.Tensor]


class _Order(RepeatSampler):
    """TRL's order of prompts, with the pass over them that a resumed run is in.

    TRL draws an order a pass from one generator, which begins anew with the process.
    """

    def __init__(self, order: RepeatSampler, passes: Callable[[], int]) -> None:
        super().__init__(
            order.data_source, order.mini_repeat_count, order.batch_size, order.repeat_count, order.shuffle,
            order.seed,
        )  # fmt: skip
        self._passes = passes

    def __iter__(self) -> Iterator[int]:
        if self.shuffle:
            self.generator.manual_seed(self.seed)
            for _ in range(self._passes()):
                torch.randperm(self.num_samples, generator=self.generator)
        yield from super().__iter__()


class ScorerReward:
    """A `Scorer` as TRL's reward function; keeps what was scored for the trainer.

    Args:
        name: for the logs.
        scorer: gives the rewards.
        trainer: whose tokens are read; it may leave cut answers without a reward, and so out of their group.
    """

    def __init__(self, name: str, scorer: Scorer, trainer: PolicyTrainer) -> None:
        self.__name__ = name
        self._scorer, self._trainer = scorer, trainer
        self.scored: list[Scored] = []
        self.cut: list[bool] = []
        self.values: list[float | None] = []
        self.n_tokens = 0

    def __call__(
        self, completion_ids: Sequence[Sequence[int]], row: Sequence[int], **_: Any
    ) -> list[float | None]:
        trainer, tokenizer = self._trainer, self._trainer._tokenizer
        ends = {*trainer.eos_token_ids, tokenizer.pad_token_id}
        # Read here, as every evaluation does: where a tokenizer says how answers are read, thoughts and
        # whatever looks like a call of a tool are missing from what TRL has read.
        texts = tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
        n_tokens = [len(ids) for ids in completion_ids]
        with trainer.clocked("reward"):
            self.scored = self._scorer.score(row, texts, n_tokens)
        self.cut = [ids[-1] not in ends for ids in completion_ids]
        self.n_tokens = sum(n_tokens)
        self.values = [
            None if cut and trainer.mask_truncated_completions else item.value
            for item, cut in zip(self.scored, self.cut, strict=True)
        ]
        return self.values


class _NotePlace(TrainerCallback):
    """Writes what `restore` takes up into a checkpoint, before that counts as complete."""

    def __init__(self, trainer: PolicyTrainer) -> None:
        self._trainer = trainer

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if args.should_save:
            trainer = self._trainer
            place = {
                "position": trainer.stream.position,
                "n_prompts": trainer.n_prompts,
                "flat_batches": trainer.flat_batches,
                "n_updates": trainer.n_updates,
            }
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            (folder / STREAM_FILE).write_text(json.dumps(place), encoding="utf-8")


@dataclass
class _Round:
    """What one process generated for a batch, over all rounds."""

    scored: list[Scored] = field(default_factory=list)
    n_kept: int = 0
    n_flat: int = 0
    n_kept_with_cut: int = 0
    n_cut: int = 0
    n_tokens: int = 0


class PolicyTrainer(GRPOTrainer):
    """GRPO on a `Scorer`, with dynamic sampling.

    Args:
        scorer: tasks and their rewards; row `i` of `train_dataset` is its task `i` in column `row`.
        sampling: what is kept and how often it is refilled.
        reward_name: for the logs.
        prompt_style: of the checkpoint.
        generate_at_once: rollouts that are generated together, at most; 0: all of a batch.
        served: the policy behind a server, which generates instead.
    """

    def __init__(
        self,
        *,
        scorer: Scorer,
        sampling: SamplingConfig,
        reward_name: str,
        prompt_style: Style,
        generate_at_once: int = 0,
        served: ServedPolicy | None = None,
        args: GRPOConfig,
        callbacks: Sequence[TrainerCallback] = (),
        **options: Any,
    ) -> None:
        self.thinking: bool | None = None
        """The chat template's switch, where the run sets it; noted with the checkpoint."""
        self.reward = ScorerReward(reward_name, scorer, self)
        self.sampling, self.prompt_style = sampling, prompt_style
        self.generate_at_once = generate_at_once
        self.served = served
        callbacks = [_NotePlace(self), *callbacks]
        super().__init__(reward_funcs=[self.reward], args=args, callbacks=callbacks, **options)
        if served is not None:
            # TRL weighs a server's rollouts as those of its own vLLM, and computes what they are judged by.
            self.use_vllm = self.vllm_importance_sampling_correction = True
        self.shares_prefixes = can_share(self.model)
        self._counts_positions = fixed_positions(self.model) is not None
        fast.speed_up(self, self.temperature)
        self.decodes_itself = self.args.device.type == "cpu"
        """Whether rollouts come from our own loop where it suits the model and the sampling."""
        self.stream = PromptStream(len(self.train_dataset), args.seed)
        self.n_prompts = 0
        """Prompts generated for so far, refills included, all ranks together."""
        self.flat_batches = 0
        """Batches in a row without a single informative group."""
        self.n_updates = 0
        """Batches that had at least one."""
        self._buffered_inputs: list[dict[str, Any]] | None = None
        self._seconds: Counter[str] = Counter()
        """Spent on the batch at hand, by part; wall time."""

    @contextmanager
    def clocked(self, part: str) -> Iterator[None]:
        """Count the time of the block to a part of the batch at hand."""
        start = time.monotonic()
        yield
        # Float sums, in a Counter for its zero.
        self._seconds[part] += time.monotonic() - start  # type: ignore[assignment]

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: Any, num_generations: int,
        *rest: Any, **options: Any,
    ) -> tuple[list[list[int]], Any]:  # fmt: skip
        """Generate in parts: TRL would hold the keys and values of a whole batch at once.

        A part that memory does not suffice for is halved: every rank has all weights, and generates alone.
        """
        if self.served is not None:
            with self.clocked("generation"):
                return self.served.generate(self, prompt_ids)
        if self.use_vllm or images is not None:
            return super()._generate_single_turn(
                prompt_ids, images, multimodal_fields, num_generations, *rest, **options
            )
        completions: list[list[int]] = []
        with self.clocked("generation"):
            decoder = self.open_decoder()
            if decoder is not None:
                return self._decode(decoder, prompt_ids), None
            while len(completions) < len(prompt_ids):
                n = rollouts_at_once(self.generate_at_once, len(prompt_ids))
                part = prompt_ids[len(completions) : len(completions) + n]
                try:
                    with self._checkpointing_kept():
                        found, _ = super()._generate_single_turn(
                            part, None, multimodal_fields, num_generations
                        )
                except torch.OutOfMemoryError:
                    if len(part) == 1:
                        raise
                else:
                    completions += found
                    continue
                torch.cuda.empty_cache()
                self.generate_at_once = (len(part) + 1) // 2
                console.decided("generated at once", self.generate_at_once, "GPU memory ran out")
        return completions, None

    @contextmanager
    def _checkpointing_kept(self) -> Iterator[None]:
        """Leave activation checkpointing as it was, also where generation fails.

        TRL switches it off to generate, and on again only if that went well
        (`trl.models.utils._unwrap_model_for_generation`).
        """
        model = self.accelerator.unwrap_model(self.model_wrapped)
        was_on = _is_checkpointing(model)
        try:
            yield
        finally:
            if was_on and not _is_checkpointing(model):
                model.gradient_checkpointing_enable(
                    gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs
                )

    def open_decoder(self) -> Decoder | None:
        """Our own loop, on a CPU and for plain sampling; it copies the weights as they are now."""
        args = self.args
        unusual = args.top_k or args.min_p or args.repetition_penalty != 1.0 or args.generation_kwargs
        if (
            unusual
            or args.cache_implementation
            or args.use_transformers_continuous_batching
            or not self.decodes_itself
        ):
            return None
        model = self.accelerator.unwrap_model(self.model_wrapped)
        dtype = torch.bfloat16 if args.bf16 else model.get_input_embeddings().weight.dtype
        return open_decoder(model, self.eos_token_ids, self._tokenizer.pad_token_id, dtype)

    def _decode(self, decoder: Decoder, prompt_ids: list[list[int]]) -> list[list[int]]:
        """Sample by the process's random stream, which checkpoints keep; equal prompts in one batch."""
        decoder.share(prompt_ids)
        rows = [Row(ids, self.max_completion_length) for ids in prompt_ids]
        seeds: list[int] = torch.randint(1 << 62, (len(rows),)).tolist()
        order = sorted(range(len(rows)), key=lambda i: (-len(prompt_ids[i]), prompt_ids[i]))
        longest = max(map(len, prompt_ids)) + self.max_completion_length
        n = rollouts_at_once(self.generate_at_once, decoder.rows_at_once(longest))
        for start in range(0, len(order), n):
            part = order[start : start + n]
            chooser = TokenChooser(self.temperature, self.top_p, [seeds[i] for i in part])
            decoder.run([rows[i] for i in part], chooser)
        return [row.tokens for row in rows]

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, logits_to_keep: int,
        batch_size: int | None = None, compute_entropy: bool = False, compute_aux_loss: bool = False,
        **media: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:  # fmt: skip
        """Log-probabilities of the completions; what rollouts of a prompt share is computed once."""
        if self.served is not None and model.training and not torch.is_grad_enabled():
            model.eval()  # dropout is no part of the policy that the server has
            try:
                return self._get_per_token_logps_and_entropies(
                    model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy,
                    compute_aux_loss, **media,
                )  # fmt: skip
            finally:
                model.train()
        shares = (
            self.shares_prefixes and not compute_aux_loss and all(part is None for part in media.values())
        )
        if shares and batch_size and batch_size < len(input_ids):
            # A whole generation batch (`beta`, several iterations): no more at once than is trained at once.
            parts = [
                self._get_per_token_logps_and_entropies(
                    model, ids_BL, mask_BL, logits_to_keep, compute_entropy=compute_entropy
                )
                for ids_BL, mask_BL in zip(
                    input_ids.split(batch_size), attention_mask.split(batch_size), strict=True
                )
            ]
            logps, entropies, _ = zip(*parts, strict=True)
            return torch.cat(logps), torch.cat(entropies) if compute_entropy else None, None
        packed = pack(input_ids, attention_mask, logits_to_keep) if shares else None
        if packed is None:
            if self._counts_positions:
                model = _from_own_start(model)
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy,
                compute_aux_loss, **media,
            )  # fmt: skip
        with self.accelerator.autocast():
            outputs = model(
                input_ids=packed.input_ids_GL,
                attention_mask=packed.attends_GL,
                position_ids=packed.position_ids_GL,
                shift_labels=packed.labels_GL,
                fused_lm_head=True,
            )
        entropies_BC = packed.spread(outputs.entropy) if compute_entropy else None
        return packed.spread(outputs.log_probs), entropies_BC, None

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Generate until enough groups differ in reward: TRL trains on whatever comes."""
        wanted = len(inputs) // self.num_generations
        kept: list[_Group] = []
        flat: list[_Group] = []
        made = _Round()
        n_rounds = 0
        while True:
            n_rounds += 1
            batch = super()._generate_and_score_completions(inputs)
            if self.served is not None:
                self._judge_served(batch, self.served)
            made.scored += self.reward.scored
            made.n_cut += sum(self.reward.cut)
            made.n_tokens += self.reward.n_tokens
            for group, rewards, has_cut in self._groups(batch, len(inputs)):
                informative = is_informative(rewards, self.sampling)
                (kept if informative else flat).append(group)
                made.n_kept_with_cut += informative and has_cut
            missing = self._most(wanted - len(kept)) if self.sampling.enabled else 0
            if missing <= 0 or n_rounds >= self.sampling.max_rounds:
                break
            # Draw prompts for another round, each repeated for its group.
            rows = self.stream.take(missing, self.accelerator.process_index, self.accelerator.num_processes)
            inputs = [dict(self.train_dataset[row]) for row in rows for _ in range(self.num_generations)]
        made.n_kept, made.n_flat = len(kept), len(flat)
        self._log_sampling(made, n_rounds)
        return self._joined(kept, flat, wanted)

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        """Generate where it is due; give the next micro-batch, without padding that it does not need."""
        n = self.args.steps_per_generation
        if self._step % (n * self.num_iterations) == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            self._buffered_inputs = micro_batches(
                batch, n, self.args.gradient_accumulation_steps, self.num_generations
            )
        return self._buffered_inputs[self._step % n]

    # Groups

    def _groups(self, batch: dict[str, Any], n_local: int) -> Iterable[tuple[_Group, list[float], bool]]:
        """Cut a batch into its groups, each with its rewards and whether an answer was cut.

        Samples without a reward leave the loss.
        """
        values = [math.nan if value is None else value for value in self.reward.values]
        rewards_B = torch.tensor(values, dtype=torch.float32, device=self.accelerator.device)
        unknown = [
            key for key, value in batch.items()
            if torch.is_tensor(value) and value.ndim and key not in PROMPT | COMPLETION | {"advantages"}
        ]  # fmt: skip
        if unknown:
            raise RulewrightError(
                f"dynamic sampling does not know how to join {', '.join(unknown)}",
                "train on text only, or switch it off: --set sampling.enabled=false",
            )
        mask_BC = batch["completion_mask"].clone()
        mask_BC[torch.isnan(rewards_B)] = 0
        tensors = {k: v for k, v in batch.items() if torch.is_tensor(v) and v.ndim}
        tensors |= {"completion_mask": mask_BC, "rewards": rewards_B}
        for start in range(0, n_local, self.num_generations):
            cut = slice(start, start + self.num_generations)
            group = {key: value[cut] for key, value in tensors.items()}
            yield group, rewards_B[cut].tolist(), any(self.reward.cut[cut])

    def _judge_served(self, batch: dict[str, Any], served: ServedPolicy) -> None:
        """End the run where a server answers with something other than the policy; weigh what it gave.

        TRL's figures leave out what the server could not score; if that is everything, it shows nothing.
        """
        written_BC = batch["completion_mask"].bool()
        scored_BC = written_BC & ~batch["sampling_per_token_logps"].isnan()
        counts = torch.stack([written_BC.sum(), scored_BC.sum()])
        n_written, n_scored = self.accelerator.gather(counts).view(-1, 2).sum(dim=0).tolist()
        found = self._metrics["train"]
        mean, largest = (found[f"sampling/sampling_logp_difference/{kind}"][-1] for kind in ("mean", "max"))
        unscored = n_written and not n_scored
        served.judge(Gap(math.nan if unscored else mean, largest, n_scored), self.state.global_step)
        if not self.args.vllm_importance_sampling_correction:
            batch["importance_sampling_ratio"] = torch.ones_like(batch["importance_sampling_ratio"])

    def _most(self, n: int) -> int:
        """The largest of a number over all ranks, so that all decide alike."""
        return int(self.accelerator.gather(torch.tensor([n], device=self.accelerator.device)).max().item())

    def _joined(self, kept: list[_Group], flat: list[_Group], wanted: int) -> dict[str, Any]:
        """One batch of `wanted` groups, with its number of loss tokens over all ranks."""
        chosen = kept[:wanted]
        if self.sampling.enabled and self._most(len(kept)):
            fillers = [{**g, "completion_mask": torch.zeros_like(g["completion_mask"])} for g in flat]
        else:
            fillers = flat  # a whole batch of flat groups: no gradient, but a loss that is defined
        chosen += fillers[: wanted - len(chosen)]
        batch: dict[str, Any] = {
            key: join_padded([group[key] for group in chosen], key, self._tokenizer.pad_token_id)
            for key in chosen[0]
        }
        rewards_B = batch.pop("rewards")
        if self.scale_rewards == "batch":
            batch["advantages"] = self._batch_scaled(rewards_B)
        batch["num_items_in_batch"] = self.accelerator.gather(batch["completion_mask"].sum()).sum()
        return batch

    def _batch_scaled(self, rewards_B: torch.Tensor) -> torch.Tensor:
        """Advantages divided by the deviation over the batch that is trained on, not over one round."""
        everywhere_B = self.accelerator.gather(rewards_B)
        valid_B = everywhere_B[~torch.isnan(everywhere_B)]
        deviation = valid_B.std() if len(valid_B) > 1 else torch.zeros((), device=rewards_B.device)
        mean_B = (
            rewards_B.view(-1, self.num_generations).nanmean(dim=1).repeat_interleave(self.num_generations)
        )
        return torch.nan_to_num((rewards_B - mean_B) / (deviation + 1e-4), nan=0.0)

    # What is logged, and when to stop

    def _log_sampling(self, made: _Round, n_rounds: int) -> None:
        everywhere: list[_Round] = gather_object([made])
        n_kept = sum(one.n_kept for one in everywhere)
        n_groups = n_kept + sum(one.n_flat for one in everywhere)
        n_rollouts = n_groups * self.num_generations
        self.n_prompts += n_groups
        metrics = self._metrics["train"]
        found = _averages([answer for one in everywhere for answer in one.scored])
        n_before = len(metrics["sampling/rounds"])
        for name in {*found, *(name for name in metrics if name.startswith("verdict/"))}:
            if name.startswith("verdict/"):  # where nobody fared so, the share is 0, and counts in the mean
                metrics[name] += [0.0] * (n_before - len(metrics[name]))
            metrics[name].append(found.get(name, 0.0))
        metrics["unfiltered/clipped_ratio"].append(sum(one.n_cut for one in everywhere) / n_rollouts)
        metrics["sampling/kept_rate"].append(n_kept / n_groups)
        metrics["sampling/kept_clipped_rate"].append(
            sum(one.n_kept_with_cut for one in everywhere) / max(1, n_kept)
        )
        metrics["sampling/rounds"].append(float(n_rounds))
        metrics["sampling/prompts"] = [float(self.n_prompts)]
        metrics["sampling/rollouts"].append(float(n_rollouts))
        metrics["sampling/tokens"].append(float(sum(one.n_tokens for one in everywhere)))
        for part, seconds in self._seconds.items():
            metrics[f"seconds/{part}"].append(seconds)
        self._seconds.clear()
        self.flat_batches = 0 if n_kept else self.flat_batches + 1
        self.n_updates += bool(n_kept)
        if self.flat_batches >= self.sampling.max_flat_batches:
            self.control.should_training_stop = True

    # Checkpoints

    def _get_train_sampler(self, dataset: Any = None) -> _Order:
        """TRL's order, which it would begin anew in a run that is resumed in a later pass."""
        return _Order(super()._get_train_sampler(dataset), lambda: int(self.state.epoch or 0))

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the trained adapter only: TRL's frozen copy of a continued one (`beta` > 0) is made again.

        Every process has all weights: no engine of DeepSpeed is asked; before the first step there is none.
        """
        folder = output_dir or self.args.output_dir
        self._save(folder)
        if self.args.should_save:
            shutil.rmtree(Path(folder) / "ref", ignore_errors=True)

    def restore(self, checkpoint: Path) -> None:
        """Take up the stream of prompts, and what was counted, where a checkpoint was saved."""
        state = json.loads((checkpoint / STREAM_FILE).read_text(encoding="utf-8"))
        self.stream.position = state["position"]
        self.n_prompts = state["n_prompts"]
        self.flat_batches = state["flat_batches"]
        self.n_updates = state["n_updates"]


def _from_own_start(model: Any) -> Callable[..., Any]:
    """A model that counts positions from each row's own first token, as it does when it generates.

    TRL leaves that to the model. To rotary embeddings it is all the same; learned positions would be
    those of the padding too.
    """

    def forward(**inputs: Any) -> Any:
        positions_BL = (inputs["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
        return model(position_ids=positions_BL, **inputs)

    return forward


def _is_checkpointing(model: torch.nn.Module) -> bool:
    return any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


def _averages(answers: Sequence[Scored]) -> dict[str, float]:
    """Unfiltered means: of everything that was generated, not of what was kept."""
    found = summarize(answers)
    if not found.n:
        return {"unfiltered/infra_rate": 1.0}
    shares = {word: n / found.n for word, n in found.verdicts.items() if word != Verdict.INFRA}
    means = {
        "unfiltered/reward": found.mean_reward,
        "unfiltered/success_rate": found.success_rate,
        "unfiltered/valid_rate": sum(share for word, share in shares.items() if word not in INVALID),
        "unfiltered/infra_rate": found.n_infra / len(answers),
    }
    if found.general_rate is not None:
        means["unfiltered/general_rate"] = found.general_rate
    means |= {f"parts/{name}": value for name, value in found.parts.items()}
    return means | {f"verdict/{word}": share for word, share in shares.items()}


def join_padded(pieces: list[torch.Tensor], key: str, pad_token_id: int) -> torch.Tensor:
    """Rows of several batches as one, padded as TRL pads them; what is no sequence is joined as it is."""
    if key not in PROMPT | COMPLETION or pieces[0].ndim < 2:
        return torch.cat(pieces)
    fill = pad_token_id if key in ("prompt_ids", "completion_ids") else 0
    return pad([row for piece in pieces for row in piece], fill, "left" if key in PROMPT else "right")
