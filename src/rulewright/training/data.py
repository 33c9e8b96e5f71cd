"""Records → token ids and labels, once, on disk; and the order in which they are trained.

Invariant: the tokens of prompt and answer are those of inference (the prompt is tokenized by itself),
labels cover exactly the answer and its end token, and records that do not fit are counted with their
reason.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from rulewright import console, jsonl
from rulewright.actions import Rejection, describe_action, render_response
from rulewright.actions.codec import parse_action
from rulewright.data.schemas import NormalizedRecord
from rulewright.generation import chat
from rulewright.prompts import Message, Style, edit_answer, edit_prompt, record_prompt
from rulewright.state.state import StateUpdate
from rulewright.training.config import Task
from rulewright.verdict import Verdict

IGNORED: Final = -100
"""The label of a token that counts for nothing in the loss (PyTorch's convention)."""
_CHUNK: Final = 512


@dataclass(frozen=True)
class Form:
    """How a record becomes a prompt and an answer; the answer has the parts that the prompt asks for."""

    task: Task
    style: Style
    think: bool | None = None
    """Begin an action with what its rules do, in words; `None`: where the style asks for it."""

    def prompt(self, record: NormalizedRecord) -> list[Message]:
        if self.task == "edit":
            return edit_prompt(record.instruction, record.pre, record.language, self.style)
        return record_prompt(record, self.style)

    def answer(self, record: NormalizedRecord) -> str | Rejection:
        """What the model should write; a `Rejection` where the record's action cannot be read."""
        if self.task == "edit":
            return edit_answer(record.post, record.language, self.style)
        asked = self.style == "full"
        return action_answer(record, asked if self.think is None else self.think, asked)


def action_answer(record: NormalizedRecord, think: bool = False, update: bool = False) -> str | Rejection:
    """The wire form of a record's action, in mode `yaml` or as the action was written.

    Args:
        record: with an action.
        think: begin with what the rules do, in words.
        update: end with a state update; one that changes nothing, since the action does it all.
    """
    if record.metadata.action is None:
        return Rejection(Verdict.NO_ACTION, "the record has no action")
    action = parse_action(record.metadata.action, record.language)
    if isinstance(action, Rejection):
        return action
    return render_response(
        action, describe_action(action) if think else "", StateUpdate() if update else None
    )


@dataclass
class Counts:
    """What became of the records."""

    n_records: int = 0
    n_rows: int = 0
    n_tokens: int = 0
    """Of the rows that are trained on, prompt and answer."""
    n_answer_tokens: int = 0
    longest: int = 0
    """Prompt and answer together, of the rows that are trained on."""
    longest_answer: int = 0
    """Of all records, those left out for their length too."""
    dropped: dict[str, int] | None = None
    """Reason to count: `too_long`, `not_embedded`, or an action's verdict."""


class Encoder:
    """Tokenizes records; keeps count."""

    def __init__(self, tokenizer: Any, form: Form, max_length: int, n_words: int | None = None) -> None:
        """`n_words`: tokens that the model embeds; `None`: all."""
        self._tokenizer, self._form, self._max_length = tokenizer, form, max_length
        self._n_words = n_words
        self.counts = Counts()
        self._dropped: Counter[str] = Counter()

    def rows(self, records: Iterable[NormalizedRecord]) -> Iterator[dict[str, list[int]]]:
        """Yield `{"input_ids", "labels"}` for every record that can be trained on."""
        stream = iter(records)
        while chunk := list(islice(stream, _CHUNK)):
            self.counts.n_records += len(chunk)
            answered = []
            for record in chunk:
                answer = self._form.answer(record)
                if isinstance(answer, Rejection):
                    self._dropped[answer.verdict.value] += 1
                else:
                    answered.append((self._form.prompt(record), answer))
            yield from self._encode(answered)
        self.counts.dropped = dict(sorted(self._dropped.items()))

    def _encode(self, pairs: Sequence[tuple[list[Message], str]]) -> Iterator[dict[str, list[int]]]:
        if not pairs:
            return
        prompts = [chat.ask(self._tokenizer, prompt) for prompt, _ in pairs]
        answers = [
            chat.answer(self._tokenizer, prompt, text, answer)
            for (prompt, answer), text in zip(pairs, prompts, strict=True)
        ]
        prompt_ids = self._tokenizer(prompts, add_special_tokens=False, verbose=False)["input_ids"]
        answer_ids = self._tokenizer(answers, add_special_tokens=False, verbose=False)["input_ids"]
        for head, tail in zip(prompt_ids, answer_ids, strict=True):
            counts, n = self.counts, len(head) + len(tail)
            counts.longest_answer = max(counts.longest_answer, len(tail))
            if n > self._max_length:
                self._dropped["too_long"] += 1
                continue
            if self._n_words is not None and max(*head, *tail) >= self._n_words:
                self._dropped["not_embedded"] += 1
                continue
            counts.n_rows += 1
            counts.n_tokens += n
            counts.n_answer_tokens += len(tail)
            counts.longest = max(counts.longest, n)
            yield {"input_ids": [*head, *tail], "labels": [IGNORED] * len(head) + list(tail)}


def write_tokens(rows: Iterable[dict[str, list[int]]], path: Path) -> None:
    """Write rows to an Arrow file that appears only when complete."""
    from datasets import Features, Sequence, Value
    from datasets.arrow_writer import ArrowWriter

    integers = Sequence(Value("int32"))
    features = Features({"input_ids": integers, "labels": integers, "length": Value("int32")})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with ArrowWriter(path=str(part), features=features) as writer:
        for row in rows:
            writer.write({**row, "length": len(row["input_ids"])})
        writer.finalize()
    part.replace(path)


def tokenize(records: Iterable[NormalizedRecord], encoder: Encoder, path: Path, what: str) -> Counts:
    """Tokenize to `path`, or take what an earlier part of the run has written there."""
    noted = path.with_suffix(".json")
    if path.exists() and noted.exists():
        return Counts(**json.loads(noted.read_text(encoding="utf-8")))
    write_tokens(encoder.rows(records), path)
    jsonl.write_json(noted, asdict(encoder.counts))
    counts = encoder.counts
    parts = [
        f"{counts.n_rows:,} of {counts.n_records:,} records",
        f"{counts.n_tokens:,} tokens ({counts.n_answer_tokens:,} of them answers)",
        f"longest {counts.longest:,}",
    ]
    parts += [f"{n:,} left out: {reason}" for reason, n in (counts.dropped or {}).items()]
    console.say(f"{what}: " + ", ".join(parts))
    return counts


def bucketed(lengths: Sequence[int], batch_size: int, n_batches: int, seed: int) -> list[int]:
    """An order of row numbers whose batches hold rows of similar length.

    Every pass shuffles all rows, sorts them by length within windows of 50 batches, and
    shuffles the batches: the order is random, padding small.

    Args:
        lengths: of the rows, in tokens.
        batch_size: rows of one optimizer step, all processes together.
        n_batches: how many batches are wanted; passes follow one another.
        seed: of the order.
    """
    order: list[int] = []
    epoch = 0
    while len(order) < n_batches * batch_size:
        rng = random.Random(f"{seed} {epoch}")
        rows = list(range(len(lengths)))
        rng.shuffle(rows)
        window = 50 * batch_size
        batches = []
        for start in range(0, len(rows), window):
            near = sorted(rows[start : start + window], key=lambda row: lengths[row])
            batches += [near[i : i + batch_size] for i in range(0, len(near), batch_size)]
        # A last batch that is not full would shift all later ones against their buckets.
        batches = [batch for batch in batches if len(batch) == batch_size] or [
            [rows[i % len(rows)] for i in range(batch_size)]
        ]
        rng.shuffle(batches)
        order += [row for batch in batches for row in batch]
        epoch += 1
    return order[: n_batches * batch_size]
