"""NextCoderDataset: `prompt` with an instruction and code, `completion` with the edited code, in fences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from rulewright.data.drafts import Draft, Drop
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row
from rulewright.digests import text_sha256
from rulewright.languages import normalize_language

_FENCE: Final = re.compile(
    r"^[ \t]*```[ \t]*([\w+#-]*)[^\n`]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)


def normalize(row: Row, config: IngestConfig) -> Sequence[Draft | Drop]:
    """One row, one draft: the prompt's only code block is `pre`, the text around it the instruction."""
    prompt, completion = str(row.get("prompt") or ""), str(row.get("completion") or "")
    blocks = list(_FENCE.finditer(prompt))
    if len(blocks) != 1:
        return [
            Drop("no_code" if not blocks else "several_codes", f"{len(blocks)} code blocks in the prompt")
        ]
    [block] = blocks
    answers = list(_FENCE.finditer(completion))
    if len(answers) > 1:
        return [Drop("several_codes", f"{len(answers)} code blocks in the completion")]
    post = answers[0][2] if answers else completion
    around = prompt[: block.start()].strip(), prompt[block.end() :].strip()
    instruction = "\n\n".join(part for part in around if part)
    return [
        Draft(
            instruction=instruction,
            pre=block[2] if block[2].endswith("\n") else block[2] + "\n",
            post=post if post.endswith("\n") else post + "\n",
            # Three instructions were written for one piece of code: they belong to one group.
            group=f"nextcoder:{text_sha256(block[2])[:16]}",
            language=normalize_language(block[1] or config.language),
            license=config.license,
        )
    ]
