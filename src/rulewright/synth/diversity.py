"""How varied a set of synthesized records is: counts and quantiles, no judgment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rulewright import console
from rulewright.state.state import count_tokens
from rulewright.stats import quantile


class Diversity:
    """Counts records by what varies. `add` each, then `summary` or `page`."""

    def __init__(self) -> None:
        self.n = 0
        self.templates: Counter[str] = Counter()
        self.by: dict[str, Counter[str]] = {
            name: Counter() for name in ("language", "family", "shape", "window", "sites", "kind", "license")
        }
        self.instructions: set[str] = set()
        self.actions: set[str] = set()
        self.codes: set[int] = set()
        self.phrasings: set[tuple[str, int]] = set()
        self.groups: set[str] = set()
        self.lengths: dict[str, list[int]] = {"pre tokens": [], "instruction tokens": [], "action tokens": []}

    def add(self, row: Mapping[str, Any]) -> None:
        self.n += 1
        made = row["metadata"]["provenance"]
        self.templates.update(made["templates"])
        counts = {
            "language": row["language"],
            "family": made["family"],
            "shape": made["shape"],
            "window": made["window"],
            "sites": str(made["sites"]) if made["sites"] < 5 else "5+",
            "kind": "instance" if "instance" in row["tags"] else "constant",
            "license": row["metadata"]["license"],
        }
        for name, value in counts.items():
            self.by[name][value] += 1
        self.instructions.add(row["instruction"])
        self.actions.add(row["metadata"]["action"])
        self.phrasings.update((name, made["phrasing"]) for name in made["templates"])
        self.groups.add(row["metadata"]["group"])
        self.lengths["pre tokens"].append(count_tokens(row["pre"]))
        self.lengths["instruction tokens"].append(count_tokens(row["instruction"]))
        self.lengths["action tokens"].append(count_tokens(row["metadata"]["action"]))

    def summary(self) -> dict[str, Any]:
        """Plain numbers, for `--json` and the file beside the data."""
        top = self.templates.most_common(1)
        return {
            "n": self.n,
            "templates": len(self.templates),
            "largest_template": top[0][0] if top else "",
            "largest_template_rate": round(top[0][1] / self.n, 4) if top else 0.0,
            "groups": len(self.groups),
            "distinct_instructions": len(self.instructions),
            "distinct_actions": len(self.actions),
            "distinct_phrasings": len(self.phrasings),
            **{name: dict(counts.most_common()) for name, counts in self.by.items()},
            "per_template": dict(self.templates.most_common()),
            **{name.replace(" ", "_"): _quantiles(values) for name, values in self.lengths.items()},
        }

    def page(self, splits: Mapping[str, int], negatives: int) -> str:
        told = self.summary()
        split_text = ", ".join(f"{name} {n:,}" for name, n in splits.items())
        head = [
            f"{self.n:,} verified records ({split_text}); {negatives:,} with nothing to do, kept apart",
            f"{told['templates']} templates, the largest {told['largest_template']} with "
            f"{told['largest_template_rate']:.1%}; {told['groups']:,} groups",
            f"{told['distinct_instructions']:,} distinct instructions from "
            f"{told['distinct_phrasings']:,} phrasings; "
            f"{told['distinct_actions']:,} distinct actions",
        ]
        rows = [
            [name, value, f"{n:,}", f"{n / max(self.n, 1):.1%}"]
            for name in ("language", "shape", "window", "kind", "sites")
            for value, n in self.by[name].most_common()
        ]
        lengths = [[name, *_quantiles(values).values()] for name, values in self.lengths.items()]
        return "\n".join(
            [
                *head,
                "",
                console.table(["by", "value", "records", "share"], rows),
                "",
                console.table(["length", "p10", "p50", "p90", "max"], lengths),
            ]
        )


def _quantiles(values: Sequence[int]) -> dict[str, int]:
    ordered = sorted(values) or [0]
    shares = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "max": 1.0}
    return {name: quantile(ordered, share) for name, share in shares.items()}
