"""Completions from a transformers checkpoint in this process.

Invariant: sample `i` of a prompt is a function of the seed, the prompt and `i` (up to
the last bits of floating point), whatever else is in the batch: each row draws its own
Gumbel noise and takes the maximum, which is exact sampling. So a resumed run asks for
what is missing and gets the same answers.

On a CPU the answers come from our own loop (`decode`), elsewhere and for unusual models from
transformers' `generate`. Prompts are padded on the left (on the right they would give wrong
answers, silently), and the checkpoint's own sampling defaults (top-k, repetition penalty) are left out: only
what `Sampling` says is done.
"""

# ruff: noqa: N806  (tensors carry shape suffixes: B rows, L tokens of prompt and answer, T new tokens)
from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self

from rulewright import console
from rulewright.digests import text_number
from rulewright.errors import RulewrightError, UsageError, needed
from rulewright.generation import chat
from rulewright.generation.base import GPU_ROWS, Completion, Generator, Prompt, Sampling
from rulewright.generation.gguf import checkpoint
from rulewright.generation.notes import tokenizer_source
from rulewright.generation.open import GeneratorConfig, require_languages, resolve_style, resolve_thinking
from rulewright.generation.weights import (
    cannot_load,
    declared_positions,
    fits_one_card,
    load_model,
    load_tokenizer,
    multiplies_bf16,
    require_embeddings,
    try_out,
)
from rulewright.languages import Language
from rulewright.prompts import Style

if TYPE_CHECKING:
    import torch

    from rulewright.generation.constrain import Grammars
    from rulewright.generation.decode import Decoder
    from rulewright.generation.sampler import TokenChooser

    _Held = tuple[Grammars, Sequence[Language]] | None

# One row of a batch: index of the prompt, index of the sample, token ids, tokens it may add.
_Row = tuple[int, int, list[int], int]


class LocalGenerator(Generator):
    """A loaded model and its tokenizer.

    Args:
        model: a causal language model of transformers, on its device.
        tokenizer: its tokenizer, its chat template adapted (`chat`); its padding side is not touched.
        style: of the prompts it was trained on.
        name: for people and run files.
        batch_size: sequences at once, halved when memory runs out; 0: 16, or what a CPU does best.
        dtype: that a CPU multiplies in, as in `GeneratorConfig`; elsewhere the model's own.
        for_good: the model only answers from now on, and may be rebuilt for that.
        constrain: as in `GeneratorConfig`.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        style: Style = "full",
        name: str = "model",
        batch_size: int = 0,
        dtype: str = "auto",
        for_good: bool = False,
        constrain: str = "none",
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.name, self.style, self._batch_size = name, style, batch_size
        self._limit = declared_positions(model) or 1 << 30
        self._n_words = model.get_input_embeddings().num_embeddings
        self._eos = _eos_ids(model, tokenizer)
        self._pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self._eos)
        self._wanted_dtype, self._for_good = dtype, for_good
        self._decoder: Decoder | None = None
        self._constrain = constrain
        self._grammars: Grammars | None = None

    @classmethod
    def load(cls, spec: GeneratorConfig) -> Self:
        """Load a checkpoint (a plain folder, a LoRA adapter, a GGUF file) for inference."""
        with needed("torch with transformers", "a local checkpoint", "train"):
            import torch
            from transformers.utils import logging

            from rulewright.generation.cpu import settle_adapters
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        source = checkpoint(spec.model)
        device = _device(spec.device, source)
        options = {"dtype": _dtype(spec.dtype, device), **_placement(spec, device)}
        try:
            tokenizer = load_tokenizer(tokenizer_source(source))
            model = load_model(source, **options)
        except Exception as error:
            raise cannot_load(spec.model, error, "is it complete?") from error
        if "device_map" not in options:
            model = model.to(torch.device(device))
        require_embeddings(model, tokenizer, spec.model)
        try_out(model, spec.model)
        if not spec.load_in_4bit:
            settle_adapters(model)
        model.eval()
        if tokenizer.chat_template:
            chat.adapt(tokenizer, spec.model, resolve_thinking(spec.model, spec.thinking))
        style = resolve_style(spec)
        return cls(model, tokenizer, style, spec.model, spec.batch_size, spec.dtype, True, spec.constrain)

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt: messages through the chat template, a string as it is."""
        if isinstance(prompt, str):
            return list(self.tokenizer(prompt)["input_ids"])
        if not self.tokenizer.chat_template:
            raise UsageError(
                f"{self.name}: its tokenizer has no chat template",
                "use a chat model, or a prompt for base models (eval canitedit --prompt base)",
            )
        text = chat.ask(self.tokenizer, prompt)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def stream(
        self, prompts: Sequence[Prompt], sampling: Sampling, languages: Sequence[Language] | None = None
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Yield each prompt's completions once all its samples are there."""
        held = self._held(languages)
        # Greedy answers are all the same: one is computed, and given n times.
        n = sampling.n if sampling.temperature > 0 else 1
        ready: dict[int, dict[int, Completion]] = {}
        rows: list[_Row] = []
        for i, prompt in enumerate(prompts):
            ids = self.encode(prompt)
            room = self._limit - len(ids)
            if room < 1 or not ids:
                error = f"{len(ids)} tokens; the model takes {self._limit}"
                yield i, [Completion("", 0, "prompt_too_long", len(ids), error=error)] * sampling.n
                continue
            if max(ids) >= self._n_words:
                error = f"it holds {self.tokenizer.convert_ids_to_tokens(max(ids))!r}, which is not embedded"
                yield i, [Completion("", 0, "refused", len(ids), error=error)] * sampling.n
                continue
            rows += [(i, k, ids, min(sampling.max_new_tokens, room)) for k in range(n)]
        decoder = self._open_decoder() if rows else None
        if decoder is not None:
            decoder.share([row[2] for row in rows])
        for batch in self._batches(rows, decoder):
            if decoder is not None:
                completions = self._decode(decoder, batch, prompts, sampling, held)
            else:
                completions = self._run(batch, prompts, sampling, held)
            for row, completion in zip(batch, completions, strict=True):
                samples = ready.setdefault(row[0], {})
                samples[row[1]] = completion
                if len(samples) == n:
                    del ready[row[0]]
                    done = [samples[k] for k in range(n)]
                    yield row[0], done if n == sampling.n else done * sampling.n

    def _open_decoder(self) -> Decoder | None:
        """Our own loop over the model as it is now; `None` where it does not suit the model."""
        from rulewright.generation import cpu, decode

        if self._decoder is not None:
            return self._decoder
        if not self._for_good:
            dtype = _dtype(self._wanted_dtype, "cpu")
            return decode.open_decoder(self.model, self._eos, self._pad, dtype)
        if not cpu.has_twin(self.model) or not decode.suits(self.model):
            return None
        cpu.pack(self.model)
        self._decoder = decode.Decoder(self.model, self._eos, self._pad)
        return self._decoder

    def _batches(self, rows: list[_Row], decoder: Decoder | None) -> Iterator[list[_Row]]:
        """Rows of one budget and similar length together, the longest first (memory fails early)."""
        ordered = sorted(rows, key=lambda row: (-row[3], -len(row[2]), row[0], row[1]))
        for _, same_budget in groupby(ordered, key=lambda row: row[3]):
            owed = list(same_budget)
            while owed:
                n = self._batch_size or GPU_ROWS
                if decoder is not None and not self._batch_size:
                    n = decoder.rows_at_once(len(owed[0][2]) + owed[0][3])
                batch, owed = owed[:n], owed[n:]
                yield batch

    def _decode(
        self, decoder: Decoder, batch: list[_Row], prompts: Sequence[Prompt], sampling: Sampling, held: _Held
    ) -> list[Completion]:
        from rulewright.generation.decode import Row
        from rulewright.generation.sampler import StopStrings

        start = time.monotonic()
        chooser = self._chooser(batch, prompts, sampling, held)
        rows = [Row(ids, budget) for _, _, ids, budget in batch]
        stops = StopStrings(self.tokenizer, sampling.stop) if sampling.stop else None
        decoder.run(rows, chooser, stops.ends if stops else None)
        seconds = round(time.monotonic() - start, 3)
        return [
            self._finish(asked, row.tokens, row.logprobs, sampling, seconds)
            for asked, row in zip(batch, rows, strict=True)
        ]

    def _chooser(
        self, batch: list[_Row], prompts: Sequence[Prompt], sampling: Sampling, held: _Held
    ) -> TokenChooser:
        from rulewright.generation.sampler import TokenChooser

        seeds = [_row_seed(sampling.seed, prompts[i], k) for i, k, _, _ in batch]
        if held is None:
            return TokenChooser(sampling.temperature, sampling.top_p, seeds)
        from rulewright.generation.constrain import HeldChooser

        matchers = [held[0].matcher(held[1][i]) for i, _, _, _ in batch]
        return HeldChooser(sampling.temperature, sampling.top_p, seeds, matchers)

    def _held(self, languages: Sequence[Language] | None) -> _Held:
        """The grammars, and the language of each prompt; `None` where answers are free."""
        if self._constrain == "none":
            return None
        from rulewright.generation.constrain import Grammars

        if self._grammars is None:
            n_words = self.model.config.get_text_config().vocab_size
            self._grammars = Grammars(self.tokenizer, n_words, self._eos)
        return self._grammars, require_languages(languages)

    def _run(
        self, batch: list[_Row], prompts: Sequence[Prompt], sampling: Sampling, held: _Held
    ) -> list[Completion]:
        import torch

        try:
            return self._generate(batch, prompts, sampling, held)
        except torch.cuda.OutOfMemoryError as error:
            if len(batch) == 1:
                raise RulewrightError(
                    f"{self.name}: out of GPU memory on a single prompt of {len(batch[0][2])} tokens",
                    "lower --max-new-tokens, use --set generator.load_in_4bit=true, or an endpoint",
                ) from error
        torch.cuda.empty_cache()
        half = (len(batch) + 1) // 2
        self._batch_size = min(self._batch_size or half, half)
        console.decided("batch size", self._batch_size, "GPU memory ran out")
        return [
            *self._run(batch[:half], prompts, sampling, held),
            *self._run(batch[half:], prompts, sampling, held),
        ]

    def _generate(
        self, batch: list[_Row], prompts: Sequence[Prompt], sampling: Sampling, held: _Held
    ) -> list[Completion]:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        from rulewright.generation.sampler import Sampler, StopStrings

        start = time.monotonic()
        device = self.model.get_input_embeddings().weight.device
        width = max(len(row[2]) for row in batch)
        padded = [[self._pad] * (width - len(ids)) + ids for _, _, ids, _ in batch]
        masks = [[0] * (width - len(ids)) + [1] * len(ids) for _, _, ids, _ in batch]
        sampler = Sampler(self._chooser(batch, prompts, sampling, held), len(batch))
        criteria = [StopStrings(self.tokenizer, sampling.stop, width)] if sampling.stop else []
        wanted = GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False,
            max_new_tokens=batch[0][3],
            eos_token_id=self._eos,
            pad_token_id=self._pad,
            use_cache=True,
        )
        # `no_grad`, not inference mode: the model may be in the middle of its training.
        with self._answering(wanted), torch.no_grad():
            out_BL = self.model.generate(
                input_ids=torch.tensor(padded, device=device),
                attention_mask=torch.tensor(masks, device=device),
                generation_config=wanted,
                logits_processor=LogitsProcessorList([sampler]),
                stopping_criteria=StoppingCriteriaList(criteria),
            )
        seconds = round(time.monotonic() - start, 3)
        logprobs_BT = sampler.logprobs()
        return [
            self._finish(row, new, logprobs, sampling, seconds)
            for row, new, logprobs in zip(
                batch, out_BL[:, width:].tolist(), logprobs_BT.tolist(), strict=True
            )
        ]

    @contextmanager
    def _answering(self, wanted: Any) -> Iterator[None]:
        """Evaluation mode and our generation settings, for the model and what an adapter wraps.

        What the settings leave open is otherwise filled in from the checkpoint's own.
        """
        owners = [self.model]
        if hasattr(self.model, "get_base_model"):
            owners.append(self.model.get_base_model())
        kept = [owner.generation_config for owner in owners]
        was_training = self.model.training
        self.model.eval()
        for owner in owners:
            owner.generation_config = wanted
        try:
            yield
        finally:
            for owner, own in zip(owners, kept, strict=True):
                owner.generation_config = own
            self.model.train(was_training)

    def _finish(
        self, row: _Row, new: list[int], logprobs: list[float], sampling: Sampling, seconds: float
    ) -> Completion:
        """Cut at the end token and at the first stop string; count and name the end."""
        end = next((t for t, token in enumerate(new) if token in self._eos), None)
        n_tokens = len(new) if end is None else end + 1
        text = self.tokenizer.decode(
            new[:n_tokens], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        cut = min((at for at in map(text.find, sampling.stop) if at >= 0), default=None)
        if cut is not None:
            n_tokens = self._tokens_up_to(new[:n_tokens], sampling.stop)
            text = text[:cut]
        stopped = end is not None or cut is not None
        return Completion(
            text=text,
            n_tokens=n_tokens,
            finish_reason="stop" if stopped else "length",
            n_prompt_tokens=len(row[2]),
            logprob=round(sum(logprobs[:n_tokens]), 4),
            seconds=seconds,
        )

    def _tokens_up_to(self, tokens: list[int], stop: tuple[str, ...]) -> int:
        """How many tokens it took until a stop string was complete."""
        low, high = 1, len(tokens)
        while low < high:
            middle = (low + high) // 2
            text = self.tokenizer.decode(tokens[:middle], skip_special_tokens=True)
            if any(mark in text for mark in stop):
                high = middle
            else:
                low = middle + 1
        return low


def _row_seed(seed: int, prompt: Prompt, sample: int) -> int:
    """63 bits from the seed, the prompt and the index of the sample."""
    text = json.dumps([seed, sample, prompt], ensure_ascii=False, sort_keys=True)
    return text_number(text) >> 1


def _eos_ids(model: Any, tokenizer: Any) -> list[int]:
    """Every token that ends a turn: the checkpoint may name several."""
    found: set[int] = set()
    for value in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        found.update([value] if isinstance(value, int) else value or [])
    if not found:
        raise UsageError("the checkpoint names no end-of-text token", "set eos_token in its tokenizer")
    return sorted(found)


def _device(wanted: str, source: str) -> str:
    import torch

    if wanted != "auto":
        if wanted.startswith(("cuda", "map")) and not torch.cuda.is_available():
            raise UsageError(f"device {wanted}: no CUDA device here", "use --set generator.device=cpu")
        return wanted
    if torch.cuda.is_available():
        return "cuda" if torch.cuda.device_count() == 1 or fits_one_card(source) else "map"
    return "cpu"


def _dtype(wanted: str, device: str) -> torch.dtype:
    import torch

    if wanted != "auto":
        dtype: torch.dtype = getattr(torch, wanted)
        return dtype
    on_gpu = device != "cpu"
    if multiplies_bf16(on_gpu):
        return torch.bfloat16
    return torch.float16 if on_gpu else torch.float32


def _placement(spec: GeneratorConfig, device: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if device == "map":
        options["device_map"] = "auto"
    if spec.load_in_4bit:
        options["quantization_config"] = nf4()
        options.setdefault("device_map", {"": device})
    return options


def nf4() -> Any:
    """4-bit base weights, as in QLoRA (arXiv 2305.14314): NF4, double quantisation, bf16 compute."""
    with needed("bitsandbytes", "4-bit weights", "qlora"):
        import bitsandbytes  # noqa: F401
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_quant_storage=torch.bfloat16,
    )
