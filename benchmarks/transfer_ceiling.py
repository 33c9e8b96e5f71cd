"""What choosing among the miner's candidates could reach, beside what it does reach.

    python benchmarks/transfer_ceiling.py fixture_groups.jsonl [more.jsonl …]

Rows as for `rulewright eval mining`, with `group`. Printed for each file, by halves of its
groups (by hash): transfer from one example with and without the gate, and how often any
candidate of the example, or of the others, would have been exact. Minutes on one core.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from rulewright import console
from rulewright.evaluation.mining import fate, groups, transferable
from rulewright.mining import inputs
from rulewright.mining.inputs import EditRow
from rulewright.mining.learn.generalize import Example, PreparedExample
from rulewright.mining.learn.mine import mine

SEED: Final = 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    for file in parser.parse_args().files:
        halves = (Counter[str](), Counter[str]())
        for key, group in groups(list(inputs.Stream([file])), SEED).items():
            one_of_two = hashlib.sha256("\0".join(key).encode()).digest()[0] % 2
            halves[one_of_two].update(_counts(group))
        console.emit(f"{file.stem}")
        names = sorted({name for half in halves for name in half if not name.startswith("n ")})
        rows = [[name, *(_rate(half, name) for half in halves)] for name in names]
        console.emit(console.table(["measure", "one half", "other half"], rows))
    return 0


def _rate(half: Counter[str], name: str) -> str:
    n = half["n one"] if name.startswith("one") else half["n many"]
    if name.endswith("precision"):
        exact, wrong = (half[name.replace("precision", fate)] for fate in ("exact", "wrong"))
        return f"{exact / max(1, exact + wrong):.3f} of {exact + wrong}"
    return f"{half[name] / max(1, n):.3f} of {n}"


def _counts(group: list[EditRow]) -> Counter[str]:
    """Over the ordered pairs of a group, and over its examples against all others."""
    count: Counter[str] = Counter()
    prepared = [PreparedExample(Example(e.pre, e.post, e.language, e.id)) for e in group]
    mined = [mine(e.pre, e.post, e.language) for e in group]
    candidates = {found.key: found for p in prepared for found in p.best}
    fates = {key: [p.fate(candidate) for p in prepared] for key, candidate in candidates.items()}
    own = [{found.key for found in p.best} for p in prepared]
    for target in range(len(group)):
        others = [i for i in range(len(group)) if i != target]
        for source in others:
            count["n one"] += 1
            rule = mined[source]
            for gate, claims in (("gated", transferable(rule)), ("all", rule.figures.n_rules == 1)):
                count[f"one, {gate}: {fate(rule.action if claims else None, group[target])}"] += 1
            reached = any(fates[k][target] == fates[k][source] == "exact" for k in own[source])
            count["one, any candidate: exact"] += reached
        if len(group) > 2:
            count["n many"] += 1
            keys = set().union(*(own[i] for i in others))
            right = [k for k in keys if fates[k][target] == "exact"]
            unspoken = [k for k in right if all(fates[k][i] != "wrong" for i in others)]
            supported = [k for k in unspoken if sum(fates[k][i] in ("exact", "partial") for i in others) > 1]
            for name, found in (
                ("any", right),
                ("uncontradicted", unspoken),
                ("supported by two", supported),
            ):
                count[f"many, {name}: exact"] += bool(found)
    for gate in ("gated", "all"):
        count[f"one, {gate}: precision"] += 0
    return count


if __name__ == "__main__":
    sys.exit(main())
