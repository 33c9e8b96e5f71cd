"""A decoding loop for CPUs that avoids the redundant work of `generate`.

- The beginning that all prompts share (system prompt, examples) is computed once.
- Answers to one prompt are one row of the batch as long as they are identical. If a model is
  certain of most tokens, eight answers cost little more than one.
- Keys and values are written where they stay, in blocks that grow now and then; `generate` copies all
  of them for every token.
- A row that has ended leaves the batch.

Invariant: greedy tokens are those of `generate` (in float32 exactly; in bfloat16 up to its
rounding), and what a row draws depends on its seed and its prompt only.
"""

# ruff: noqa: N803, N806  (tensors carry shape suffixes)
# B answers, U rows of the batch (distinct texts), L columns of suffixes, C of the cache, V words
from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from rulewright.difftext import common_start
from rulewright.generation import cpu
from rulewright.generation.base import cpu_rows
from rulewright.generation.sampler import TokenChooser
from rulewright.generation.weights import of_layers

_HIDDEN: Final = -1e9
"""Added to the score of a column that a query must not see."""
PREFILL_TOKENS: Final = 2048
"""Prompt tokens at once: larger products are no faster, and their operands leave the cache."""
BLOCK: Final = 32
"""Columns that keys and values grow by. They are multiplied whole, the unused ones hidden: products
of a part of a block take several times as long as those of the block."""
_WORTH_SHARING: Final = 8
"""Shorter common beginnings are not computed apart."""


@dataclass
class Row:
    """One answer: its prompt, its limits, and its tokens so far.

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
    if not model._supports_sdpa:  # ours replaces sdpa's: it has no sinks, caps or biases of its own
        return False
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
    """The decoding loop over a model in training, with its current weights; `None` if the model is not
    supported.

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
    """Generates token ids for prompts of token ids.

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
        return cpu_rows(2 * n_layers * n_heads * size * self._dtype.itemsize * n_tokens)

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
        while state.owners:
            order = [at for owners in state.owners for at in owners]
            source = [u for u, owners in enumerate(state.owners) for _ in owners]
            tokens, logprobs = chooser.choose(state.logits_UV, order, source)
            ways: list[dict[int, list[int]]] = [{} for _ in state.owners]
            chosen = zip(order, source, tokens.tolist(), logprobs.tolist(), strict=True)
            for at, u, token, logprob in chosen:
                row = rows[at]
                row.tokens.append(token)
                row.logprobs.append(logprob)
                ended = token in self._eos or len(row.tokens) == row.budget
                if not ended and not (stopped and stopped(row.tokens)):
                    ways[u].setdefault(token, []).append(at)
            state.go_on(self._model, ways)

    def _prefilled(self, rows: list[Row]) -> _State:
        """Keys, values and next logits of all prompts."""
        n_prefix = len(self.prefix)
        owners: dict[tuple[int, ...], list[int]] = {}
        for at, row in enumerate(rows):
            owners.setdefault(tuple(row.prompt[n_prefix:]), []).append(at)
        suffixes = sorted(owners, key=len, reverse=True)
        longest = max(row.budget for row in rows)
        state = _State(suffixes, owners, n_prefix, longest, self._dtype)
        for part in _parts(suffixes):
            state.put(*self._compute(part))
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


_Text = tuple[int, int, list[int]]
"""The row that a text goes on from, the token that it goes on with, and the answers that it is of."""


class _Room(DynamicLayer):
    """One layer's keys and values, with some rows and columns to spare.

    Args:
        states: some keys and values, whose heads and widths need not be alike (DeepSeek's are not).
        n_rows: how many rows there are to begin with.
        length: how many of the columns will be filled to begin with.
        most: rows that there can be.
    """

    def __init__(
        self, states: tuple[torch.Tensor, torch.Tensor], n_rows: int, length: int, most: int
    ) -> None:
        super().__init__()
        keys, values = states
        self.all = (_grown(keys[:0], n_rows, length + BLOCK), _grown(values[:0], n_rows, length + BLOCK))
        self.n_rows, self.length, self.most = n_rows, length, most
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True

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

    def get_seq_length(self) -> int:
        return self.length

    def become(self, n_rows: int, copies_2N: torch.Tensor) -> None:
        """Copy some rows to where others were or none is yet; have room for the next column.

        Args:
            n_rows: how many rows there are then.
            copies_2N: from where, and to where; no row is both.
        """
        have, n_columns = len(self.all[0]), self.n_columns()
        spare = BLOCK if self.length == n_columns else 0
        if n_rows > have or spare:
            rows = max(n_rows, min(2 * have, self.most) if n_rows > have else self.n_rows)
            keys, values = (states[: self.n_rows] for states in self.all)
            self.all = (_grown(keys, rows, n_columns + spare), _grown(values, rows, n_columns + spare))
        self.n_rows = n_rows
        if copies_2N.shape[1]:
            source, target = copies_2N
            for states in self.all:
                states[target, :, : self.length] = states[source, :, : self.length]


class _State:
    """A batch under way: the distinct texts so far, whose they are, and what comes next.

    Args:
        suffixes: prompts without what they all share, the longest first.
        owners: whose prompt each is.
        n_prefix: tokens of what they share.
        budget: tokens of the longest answer.
        dtype: of what is added to the scores.
    """

    def __init__(
        self,
        suffixes: list[tuple[int, ...]],
        owners: dict[tuple[int, ...], list[int]],
        n_prefix: int,
        budget: int,
        dtype: torch.dtype,
    ) -> None:
        width = n_prefix + len(suffixes[0])
        self._width, self._most = width, sum(map(len, owners.values()))
        self._layers: list[_Room] = []
        self._mask_UC = torch.full((len(suffixes), width + budget + BLOCK), _HIDDEN, dtype=dtype)
        for u, suffix in enumerate(suffixes):
            self._mask_UC[u, :n_prefix] = 0
            self._mask_UC[u, width - len(suffix) : width] = 0
        self._positions_U1 = torch.tensor([[n_prefix + len(suffix)] for suffix in suffixes])
        self._n_prefix, self._n_put = n_prefix, 0
        self.owners = [owners[suffix] for suffix in suffixes]
        """Which answers each row is the text of."""
        self.logits_UV: torch.Tensor = torch.empty(0)

    def put(self, logits_UV: torch.Tensor, layers: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Take in what was computed of the next prompts, aligned at the right."""
        if not self._n_put:
            n_rows = len(self.owners)
            self.logits_UV = logits_UV.new_empty(n_rows, logits_UV.shape[1])
            self._layers = [_Room(states, n_rows, self._width, self._most) for states in layers]
        rows = slice(self._n_put, self._n_put + len(logits_UV))
        self._n_put = rows.stop
        self.logits_UV[rows] = logits_UV
        end = self._width
        start = end - (layers[0][0].shape[2] - self._n_prefix)
        for room, computed in zip(self._layers, layers, strict=True):
            for states, found in zip(room.all, computed, strict=True):
                states[rows, :, : self._n_prefix] = found[:, :, : self._n_prefix]
                states[rows, :, start:end] = found[:, :, self._n_prefix :]

    def go_on(self, model: Any, ways: list[dict[int, list[int]]]) -> None:
        """Take the next tokens in, and compute the logits after them.

        Args:
            ways: of each row, the answers that take a token; a row that several tokens
                follow becomes several, one that none follows is gone.
        """
        n_rows = sum(map(len, ways))
        if not n_rows:
            self.owners = []
            return
        # The first text that goes on from a row stays in its place, the others go where there is room.
        texts: dict[int, _Text] = {}
        moved: list[_Text] = []
        for u, found in enumerate(ways):
            for token, owners in found.items():
                if u < n_rows and u not in texts:
                    texts[u] = (u, token, owners)
                else:
                    moved.append((u, token, owners))
        free = [u for u in range(n_rows) if u not in texts]
        texts |= zip(free, moved, strict=True)
        sources, tokens, self.owners = map(list, zip(*(texts[u] for u in range(n_rows)), strict=True))
        copies_2N = torch.tensor([[u for u, _, _ in moved], free])
        for room in self._layers:
            room.become(n_rows, copies_2N)
        self._mask_UC, self._positions_U1 = self._mask_UC[sources], self._positions_U1[sources]
        self._mask_UC[:, self._layers[0].length] = 0
        out = model(
            input_ids=torch.tensor(tokens)[:, None],
            position_ids=self._positions_U1,
            attention_mask=self._mask_UC[:, None, None, : self._layers[0].n_columns()],
            past_key_values=Cache(layers=self._layers),
            use_cache=True,
        )
        self._positions_U1 = self._positions_U1 + 1
        self.logits_UV = out.logits[:, -1]


def _grown(states: torch.Tensor, n_rows: int, n_columns: int) -> torch.Tensor:
    """Rows of keys or values, with zeros around them: what is hidden is multiplied, and must not hold NaN."""
    have, n_heads, had, width = states.shape
    grown = states.new_zeros(n_rows, n_heads, n_columns, width)
    if have:
        grown[:have, :, :had] = states
    return grown


def _shape(config: Any) -> tuple[int, int, int]:
    """Layers, key-value heads, and the width of a head."""
    text = config.get_text_config()
    heads = of_layers(text, "num_key_value_heads") or of_layers(text, "num_attention_heads")
    size = of_layers(text, "head_dim") or text.hidden_size // of_layers(text, "num_attention_heads")
    return text.num_hidden_layers, heads, size


def _parts(suffixes: list[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    """Cut a list that is sorted by length into parts of bounded size."""
    start = 0
    while start < len(suffixes):
        n = max(1, PREFILL_TOKENS // len(suffixes[start]))
        yield suffixes[start : start + n]
        start += n
