"""A Qwen3 that is small enough for a CPU, and its tokenizer, both created by the run.

What makes 0.2 million parameters copy code is the tokenizer: names, runs of blanks and
single marks are always cut apart, so that a name has the same tokens wherever it stands
(`x`, `.x`, `(x`), and the vocabulary is small, so that every token is seen often. Measured
in docs/reference/training.md: with GPT-2's cut the same model reaches a third of the exact matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import chain
from typing import Any, Final

from rulewright.difftext import common_start
from rulewright.training.config import TinyConfig

PAD: Final = "<|pad|>"
END: Final = "<|end|>"
_ROLES: Final = ("<|system|>", "<|user|>", "<|assistant|>")
# An escaped mark (\n inside a string or JSON) | letters | one digit | underscores | a line break with
# the next line's indent | blanks | any other single mark.
PIECES: Final = r"\\[nt\"\\]|[A-Za-z]+|[0-9]|_+|\n *| +|[^A-Za-z0-9_\s]"
CHAT_TEMPLATE: Final = (
    "{%- for message in messages %}"
    "{{- '<|' + message.role + '|>' + message.content }}"
    "{%- if message.role == 'assistant' %}{{- '<|end|>' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)


def frame(answers: Sequence[str]) -> list[str]:
    """The beginning and the end that all answers share, each to be one token.

    >>> frame(['<action>{"rule": "id: a"}</action>', '<action>{"rule": "id: b"}</action>'])
    ['<action>{"rule": "id: ', '"}</action>']
    """
    if len(answers) < 2:
        return []
    start = answers[0][: common_start(answers)]
    # Cut inside no word: what follows the last blank may differ in answers not seen here.
    start = start[: start.rfind(" ") + 1]
    backward = [answer[::-1] for answer in answers]
    end = backward[0][: common_start(backward)][::-1]
    end = re.sub(r"^[A-Za-z0-9_]+", "", end)
    return [text for text in (start, end) if len(text) > 3]


def make_tokenizer(texts: Iterable[str], answers: Sequence[str], config: TinyConfig) -> Any:
    """Make a byte-level BPE tokenizer with a chat template.

    Args:
        texts: what it will have to write and read.
        answers: texts in the wire form of actions; what all of them share becomes a token.
        config: the vocabulary's size.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = [PAD, END, *_ROLES]
    frames = frame(answers)
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size - len(frames),
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        min_frequency=2,
    )
    without_frames = (reduce(lambda text, part: text.replace(part, ""), frames, a) for a in answers)
    made.train_from_iterator(chain(texts, without_frames), trainer)
    made.add_tokens([AddedToken(text, special=False, normalized=False) for text in frames])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=PAD,
        eos_token=END,
        model_max_length=config.max_positions,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(tokenizer: Any, config: TinyConfig, seed: int) -> Any:
    """Make a Qwen3 with random weights, float32, as large as the vocabulary asks for."""
    from transformers import Qwen3Config, Qwen3ForCausalLM, set_seed

    set_seed(seed)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=config.n_heads,
            head_dim=config.hidden_size // config.n_heads,
            intermediate_size=config.mlp_size,
            max_position_embeddings=config.max_positions,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )
