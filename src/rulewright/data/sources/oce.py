"""OpenCodeEdit: two layouts of the same set, general and ShareGPT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rulewright.data.drafts import Draft, Drop
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row

_HEADINGS: Final = frozenset({"## Code Before:", "## Instruction:", "## Code After:"})


def normalize(row: Row, config: IngestConfig) -> Sequence[Draft | Drop]:
    """One row, one draft; its `commit` names two seed commits, and the smaller one groups it."""
    commits = tuple(sorted({c.strip() for c in str(row.get("commit") or "").split(",") if c.strip()}))
    kind = str(row.get("instr_type") or "")
    if "instruct_purify" in row:
        instruction = str(row["instruct_purify"] or "")
        pre, post = str(row.get("code_before_purify") or ""), str(row.get("code_after_purify") or "")
    else:
        said = row.get("messages")
        users = [
            one
            for one in (said if isinstance(said, Sequence) else ())
            if isinstance(one, Mapping) and one.get("role") in ("user", "human")
        ]
        instruction = str(users[-1].get("content") or "") if users else ""
        pre, post = str(row.get("old_code") or ""), str(row.get("new_code") or "")
        # The user's message may hold the code as well; the instruction is what stands around it.
        instruction = _without_code(instruction, pre)
    return [
        Draft(
            instruction=instruction,
            pre=pre,
            post=post,
            group=commits[0] if commits else f"oce:{instruction[:80]}",
            language="python",
            license=str(row.get("license") or config.license),
            commits=commits,
            tags=tuple(part for part in (f"instr:{kind}" if kind else "",) if part),
        )
    ]


def _without_code(text: str, code: str) -> str:
    """The instruction within a user's message, which may hold the code to edit as well."""
    for quoted in (f"```python\n{code}\n```", code):  # the two forms of the published script
        head = f"## Code Before:\n{quoted}\n## Instruction:\n"
        if text.startswith(head):
            return text.removeprefix(head).rpartition("\n## Code After:")[0].strip()
    if code.strip() and code in text:
        before, _, after = text.partition(code)
        text = before.rstrip().removesuffix("```python").removesuffix("```") + after.lstrip().removeprefix(
            "```"
        )
    return "\n".join(line for line in text.strip().splitlines() if line.strip() not in _HEADINGS).strip()
