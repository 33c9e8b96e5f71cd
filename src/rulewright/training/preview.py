"""Show a few training rows before training starts, and which share of their tokens has a label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, Final

from rulewright import console
from rulewright.errors import RulewrightError
from rulewright.srl.scoring import Scorer
from rulewright.training.data import IGNORED, Counts

N_ROWS: Final = 3
MAX_CHARS: Final = 600
"""Of one piece; a longer one is shown without its middle."""


def show_rows(rows: Iterable[Mapping[str, Any]], counts: Counts, tokenizer: Any) -> None:
    """Show some rows with what is trained on marked, and the share of tokens that is.

    Args:
        rows: with `input_ids` and `labels`.
        counts: of all rows.
        tokenizer: that made them.
    """
    for number, row in enumerate(islice(rows, N_ROWS), 1):
        pieces = marked(row, tokenizer)
        n = sum(label != IGNORED for label in row["labels"])
        console.say(
            f"row {number} of {counts.n_rows:,}: {len(row['labels']):,} tokens, "
            f"{n:,} trained on {console.LEGEND}"
        )
        console.say("".join(console.highlight(_short(text), trained) for text, trained in pieces))
    share = counts.n_answer_tokens / max(1, counts.n_tokens)
    console.say(f"trained on: {counts.n_answer_tokens:,} of {counts.n_tokens:,} tokens ({100 * share:.1f} %)")


def marked(row: Mapping[str, Any], tokenizer: Any) -> list[tuple[str, bool]]:
    """The text of a row in pieces, each with whether it is trained on."""
    pairs = zip(row["input_ids"], row["labels"], strict=True)
    return [
        (tokenizer.decode([token for token, _ in piece]), trained)
        for trained, piece in groupby(pairs, key=lambda pair: pair[1] != IGNORED)
    ]


def require_labels(rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to train on rows in which no token counts.

    Args:
        rows: as the trainer has them, packed where that is asked for.

    Raises:
        RulewrightError: no token of any row is trained on.
    """
    if not any(label != IGNORED for row in rows for label in row["labels"]):
        raise RulewrightError(
            f"no token of {len(rows):,} rows would be trained on",
            "raise max_length_tokens, or look at the rows above",
        )


def show_tasks(scorer: Scorer, prompts: Sequence[Mapping[str, Any]], tokenizer: Any) -> None:
    """Show some prompts of rollouts, each with the answer or text that earns the full reward.

    Args:
        scorer: the tasks.
        prompts: with `prompt` (messages) and `row`, as they are generated for.
        tokenizer: that writes them.
    """
    from rulewright.generation import chat

    for number, task in enumerate(islice(prompts, N_ROWS), 1):
        console.say(f"prompt {number} of {len(prompts):,}, and its reference {console.LEGEND}")
        asked = chat.ask(tokenizer, task["prompt"])
        console.say(
            console.highlight(_short(asked), False)
            + console.highlight(_short(scorer.reference(task["row"])), True)
        )


def _short(text: str) -> str:
    text = console.clean(text)
    if len(text) <= MAX_CHARS:
        return text
    half = MAX_CHARS // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters …]\n{text[-half:]}"
