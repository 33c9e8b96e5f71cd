"""A decoding loop for CPUs: what `generate` does, without what it does for nothing.

- The beginning that all prompts share (system prompt, examples) is computed once, and a
  prompt once, whatever number of samples is wanted of it.
- Keys and values are written where they stay, in blocks that grow now and then; `generate` copies all
  of them for every token.
- A row that has ended leaves the batch.

Invariant: greedy tokens are those of `generate` (in float32 exactly; in bfloat16 up to its
rounding), and what a row draws depends on its seed and its prompt only.
"""

# ruff: noqa: N803, N806  (tensors carry shape suffixes)
# B rows, U prompts, L columns of suffixes, C of the cache, G key-value heads, D width of a head, V words
from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from rulewright.difftext import common_start
from rulewright.generation import cpu
from rulewright.generation.sampler import TokenChooser

_HIDDEN: Final = -1e9
"""Added to the score of a column that a query must not see."""
PREFILL_TOKENS: Final = 2048
"""Prompt tokens at once: larger products are no faster, and their operands leave the cache."""
_ROWS: Final = 128
"""Rows of a batch, at most: more are no faster on the processors that we know."""
_CACHE_BYTES: Final = 1 << 30
"""Keys and values of a batch, at most."""
BLOCK: Final = 32
"""Columns that keys and values grow by. They are multiplied whole, the unused ones hidden: products
of a part of a block take several times as long as those of the block."""
_WORTH_SHARING: Final = 8
"""Shorter common beginnings are not computed apart."""


@dataclass
class Row:
    """What one answer is made from, and what has come of it.

    Args:
        prompt: token ids.
        budget: tokens it may add, at least 1.
    """

    prompt: list[int]
    budget: int
    tokens: list[int] = field(default_factory=list)
    """The answer, with its end token where it has one."""
    logprobs: list[float] = field(default_factory=list)
    """Of the tokens, under the model's own distribution (temperature 1)."""


def suits(model: Any) -> bool:
    """Whether the loop knows this model: on a CPU, with plain causal attention in all layers."""
    if any(parameter.device.type != "cpu" for parameter in model.parameters()):
        return False
    config = model.config
    if config.is_encoder_decoder or config._attn_implementation not in ("sdpa", "eager", cpu.ATTENTION):
        return False
    layers = DynamicCache(config=config).layers
    known = {"input_ids", "position_ids", "attention_mask", "past_key_values", "logits_to_keep"}
    return (
        len(layers) == config.get_text_config().num_hidden_layers
        and all(type(layer) is DynamicLayer for layer in layers)
        and known <= set(inspect.signature(type(model).forward).parameters)
    )


def open_decoder(model: Any, eos: Sequence[int], pad: int, dtype: torch.dtype) -> Decoder | None:
    """The loop over a model in training as it stands now; `None` where the loop does not suit it.

    Args:
        model: a causal language model, or PEFT's LoRA around one; it is left as it is.
        eos: tokens that end an answer.
        pad: stands where a prompt is shorter than its neighbors.
        dtype: to multiply in.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not cpu.has_twin(model) or not suits(base):
        return None
    twin = cpu.answering_twin(model, dtype)
    cpu.pack(twin)
    return Decoder(twin, eos, pad)


class Decoder:
    """Answers token ids with token ids.

    Args:
        model: what `cpu.answering_twin` made, or a model that was loaded to answer; `suits` holds.
        eos: tokens that end an answer.
        pad: stands where a prompt is shorter than its neighbors.
    """

    def __init__(self, model: Any, eos: Sequence[int], pad: int) -> None:
        self._model, self._eos, self._pad = model, frozenset(eos), pad
        model.set_attn_implementation(cpu.register())
        self._dtype = model.get_input_embeddings().weight.dtype
        self.prefix: list[int] = []
        self._prefix_layers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def rows_at_once(self, n_tokens: int) -> int:
        """How many rows of so many tokens, prompt and answer, one batch should have."""
        n_layers, n_heads, size = _shape(self._model.config)
        per_token = 2 * n_layers * n_heads * size * self._dtype.itemsize
        return max(1, min(_ROWS, _CACHE_BYTES // (per_token * n_tokens)))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def share(self, prompts: Sequence[list[int]]) -> None:
        """Compute the beginning that all these prompts share; they, and no others, are asked next."""
        shared = list(prompts[0][: common_start(prompts)])
        # The logits of a prompt's last token are wanted: it is always computed.
        del shared[min(map(len, prompts)) - 1 :]
        self.prefix = shared if len(shared) >= _WORTH_SHARING else []
        self._prefix_layers = []
        if self.prefix:
            cache = DynamicCache(config=self._model.config)
            ids_1L = torch.tensor([self.prefix])
            self._model(input_ids=ids_1L, past_key_values=cache, use_cache=True, logits_to_keep=1)
            self._prefix_layers = [(layer.keys, layer.values) for layer in cache.layers]

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def run(
        self, rows: list[Row], chooser: TokenChooser, stopped: Callable[[list[int]], bool] | None = None
    ) -> None:
        """Complete all rows, in place.

        Args:
            rows: answers to be made; their prompts are among those that were shared.
            chooser: chooses tokens; its row `i` is `rows[i]`.
            stopped: whether these new tokens hold something that ends the answer.
        """
        state = self._prefilled(rows)
        while True:
            tokens, logprobs = chooser.choose(state.logits_BV, state.order)
            for at, token, logprob in zip(state.order, tokens.tolist(), logprobs.tolist(), strict=True):
                rows[at].tokens.append(token)
                rows[at].logprobs.append(logprob)
            kept = [
                i
                for i, row in enumerate(rows[at] for at in state.order)
                if row.tokens[-1] not in self._eos
                and len(row.tokens) < row.budget
                and not (stopped and stopped(row.tokens))
            ]
            if not kept:
                return
            if len(kept) < len(state.order):
                tokens = tokens[state.keep(kept)]
            state.logits_BV = state.step(self._model, tokens)

    def _prefilled(self, rows: list[Row]) -> _State:
        """Keys, values and next logits of all rows; each prompt is computed once."""
        n_prefix = len(self.prefix)
        ways: dict[tuple[int, ...], list[int]] = {}
        for at, row in enumerate(rows):
            ways.setdefault(tuple(row.prompt[n_prefix:]), []).append(at)
        suffixes = sorted(ways, key=len, reverse=True)
        width = n_prefix + len(suffixes[0])
        state = _State(self._model.config, rows, width, self._dtype)
        for part in _parts(suffixes):
            logits_UV, layers = self._compute(part)
            state.put(part, [ways[suffix] for suffix in part], n_prefix, logits_UV, layers)
        return state

    def _compute(
        self, suffixes: list[tuple[int, ...]]
    ) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
        """Next logits [U, V], and keys and values of all layers, the prefix's first, padding after it."""
        n, width, n_prefix = len(suffixes), max(map(len, suffixes)), len(self.prefix)
        ids_UL = torch.tensor([[self._pad] * (width - len(suffix)) + list(suffix) for suffix in suffixes])
        pads_U1 = torch.tensor([[width - len(suffix)] for suffix in suffixes])
        columns_1L = torch.arange(width)[None]
        positions_UL = (columns_1L - pads_U1).clamp(min=0) + n_prefix
        cache = DynamicCache(config=self._model.config)
        for layer, (keys, values) in zip(cache.layers, self._prefix_layers, strict=bool(self.prefix)):
            layer.update(keys.expand(n, -1, -1, -1), values.expand(n, -1, -1, -1))
        mask = None
        if n_prefix or bool(pads_U1.any()):
            # Every query sees itself, padding too: a row of nothing but hidden columns has no softmax.
            causal_LL = torch.ones(width, width, dtype=torch.bool).tril()
            seen_ULL = causal_LL & ((columns_1L >= pads_U1)[:, None] | torch.eye(width, dtype=torch.bool))
            seen_ULC = torch.cat([torch.ones(n, width, n_prefix, dtype=torch.bool), seen_ULL], dim=2)
            mask = torch.zeros(seen_ULC.shape, dtype=self._dtype).masked_fill_(~seen_ULC, _HIDDEN)[:, None]
        out = self._model(
            input_ids=ids_UL,
            position_ids=positions_UL,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1], [(layer.keys, layer.values) for layer in cache.layers]


class _Room(DynamicLayer):
    """One layer's keys and values, with some columns to spare.

    Args:
        shape: rows, key-value heads, columns, width of a head.
        length: how many of the columns will be filled to begin with.
    """

    def __init__(self, shape: tuple[int, int, int, int], length: int, dtype: torch.dtype) -> None:
        super().__init__()
        # Spare columns are hidden, but multiplied: they must not hold NaN.
        self.all = (torch.zeros(shape, dtype=dtype), torch.zeros(shape, dtype=dtype))
        self.n_rows, self.length = shape[0], length
        self.dtype, self.device, self.is_initialized = dtype, torch.device("cpu"), True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new column; give all columns, also those to spare."""
        n, at = self.n_rows, self.length
        self.length += 1
        keys, values = self.all
        keys[:n, :, at] = key_states[:, :, 0]
        values[:n, :, at] = value_states[:, :, 0]
        return keys[:n], values[:n]

    def n_columns(self) -> int:
        return self.all[0].shape[2]

    def grow(self) -> None:
        """Take in another block of columns, and let go of rows that have ended."""
        keys, values = self.all
        spare = keys.new_zeros(self.n_rows, keys.shape[1], BLOCK, keys.shape[3])
        self.all = (
            torch.cat([keys[: self.n_rows], spare], dim=2),
            torch.cat([values[: self.n_rows], spare], dim=2),
        )

    def get_seq_length(self) -> int:
        return self.length

    def keep(self, holes: torch.Tensor, movers: torch.Tensor, n_rows: int) -> None:
        """Move the rows at the end into the rows that are free."""
        self.n_rows = n_rows
        if len(holes):
            for states in self.all:
                states[holes, :, : self.length] = states[movers, :, : self.length]


class _State:
    """A batch under way: whose rows are left, what they have seen, what comes next."""

    def __init__(self, config: Any, rows: list[Row], width: int, dtype: torch.dtype) -> None:
        n_layers, n_heads, size = _shape(config)
        shape = (len(rows), n_heads, width + BLOCK, size)
        self._layers = [_Room(shape, width, dtype) for _ in range(n_layers)]
        columns = width + max(row.budget for row in rows) + BLOCK
        self._mask_BC = torch.full((len(rows), columns), _HIDDEN, dtype=dtype)
        self._mask_BC[:, :width] = 0
        self._positions_B1 = torch.tensor([[len(row.prompt)] for row in rows])
        self.order = list(range(len(rows)))
        """Which row of the beginning each row is."""
        self.logits_BV: torch.Tensor = torch.empty(0)

    def put(
        self,
        suffixes: list[tuple[int, ...]],
        owners: list[list[int]],
        n_prefix: int,
        logits_UV: torch.Tensor,
        layers: list[tuple[torch.Tensor, torch.Tensor]],
    ) -> None:
        """Copy what was computed of some prompts to their rows, aligned at the right."""
        at_B = torch.tensor([at for rows in owners for at in rows])
        from_B = torch.tensor([u for u, rows in enumerate(owners) for _ in rows])
        if not len(self.logits_BV):
            self.logits_BV = logits_UV.new_empty(len(self.order), logits_UV.shape[1])
        self.logits_BV[at_B] = logits_UV[from_B]
        end = self._layers[0].length
        start = end - (layers[0][0].shape[2] - n_prefix)
        for room, computed in zip(self._layers, layers, strict=True):
            for states, found in zip(room.all, computed, strict=True):
                states[at_B, :, :n_prefix] = found[from_B, :, :n_prefix]
                states[at_B, :, start:end] = found[from_B, :, n_prefix:]
        for suffix, rows in zip(suffixes, owners, strict=True):
            self._mask_BC[rows, n_prefix : end - len(suffix)] = _HIDDEN

    def keep(self, kept: list[int]) -> torch.Tensor:
        """Drop all rows but these; the last ones move into the gaps.

        Returns:
            Where each row that is left was before.
        """
        n = len(kept)
        left = set(kept)
        holes = [i for i in range(n) if i not in left]
        movers = [i for i in kept if i >= n]
        for room in self._layers:
            room.keep(torch.tensor(holes), torch.tensor(movers), n)
        source = list(range(n))
        for hole, mover in zip(holes, movers, strict=True):
            source[hole] = mover
        index_B = torch.tensor(source)
        self._mask_BC, self._positions_B1 = self._mask_BC[index_B], self._positions_B1[index_B]
        self.order = [self.order[i] for i in source]
        return index_B

    def step(self, model: Any, tokens_B: torch.Tensor) -> torch.Tensor:
        """Take one token a row in; give the logits of the next, [B, V]."""
        at = self._layers[0].length
        if at == self._layers[0].n_columns():
            for room in self._layers:
                room.grow()
        self._mask_BC[:, at] = 0
        out = model(
            input_ids=tokens_B[:, None],
            position_ids=self._positions_B1,
            attention_mask=self._mask_BC[:, None, None, : self._layers[0].n_columns()],
            past_key_values=Cache(layers=self._layers),
            use_cache=True,
        )
        self._positions_B1 = self._positions_B1 + 1
        logits_BV: torch.Tensor = out.logits[:, -1]
        return logits_BV


def _shape(config: Any) -> tuple[int, int, int]:
    """Layers, key-value heads, and the width of a head."""
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return text.num_hidden_layers, heads, size


def _parts(suffixes: list[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    """Cut a list that is sorted by length into parts of bounded size."""
    start = 0
    while start < len(suffixes):
        n = max(1, PREFILL_TOKENS // len(suffixes[start]))
        yield suffixes[start : start + n]
        start += n
