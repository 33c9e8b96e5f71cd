"""Items from held-out templates on the standard library; no data is needed.

A template that `synth` holds out for dev or test is applied only to files of that split. Its negatives
are real code on which the template's own rule finds nothing.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Final

from rulewright.data.drafts import Drop
from rulewright.data.splits import split_of
from rulewright.evaluation.rulebench.items import BenchItem, Fixer, items_of
from rulewright.mining.inputs import EditRow
from rulewright.synth import sources, templates, windows
from rulewright.synth.make import Maker
from rulewright.synth.shards import held_out
from rulewright.synth.speech import Speech

SOURCE: Final = "templates"
"""What the items name as their source."""
_LIMITS = windows.WindowLimits(max_chars=600, max_tokens=200)
_PER_TEMPLATE = 60


def items(rate: float) -> list[BenchItem]:
    """Make the items of all held-out Python templates.

    Args:
        rate: share of the templates that are held out, as `synth --hold-out-rate`.
    """
    kept = {t.name: t for t in templates.packaged() if t.language == "python" and held_out(t.name, rate)}
    maker = Maker(
        "python", list(kept.values()), (), ("single", "negative"), Speech("plain", 0), most=_PER_TEMPLATE
    )
    edits: list[EditRow] = []
    noops: dict[Fixer, list[str]] = defaultdict(list)
    for file in sources.find([sources.standard_library()], ["python"]):
        text, split = sources.read(file), split_of(file.group)
        if isinstance(text, Drop) or split == "train":
            continue
        rng = random.Random(file.name)
        usable = {name for name in kept if held_out(name, rate) == split}
        for window in windows.cut(text, "python", "statement", _LIMITS, rng):
            for edit in maker.edits(window.text, (), rng, usable.__contains__):
                name = edit.sources[0]
                if edit.shape == "negative":
                    noops[SOURCE, name, "python"].append(edit.pre)
                else:
                    edits.append(
                        EditRow(
                            f"{name}:{len(edits)}", SOURCE, "python", kept[name].phrasings[0],
                            edit.pre, edit.post, name, file.name, file.license,
                        )
                    )  # fmt: skip
    return items_of(edits, noops)
