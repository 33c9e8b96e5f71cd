"""CanItEdit: 105 problems with two instructions each; evaluation only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rulewright.data.drafts import Draft, Drop
from rulewright.data.settings import IngestConfig
from rulewright.data.sources import Row


def normalize(row: Row, config: IngestConfig) -> Sequence[Draft | Drop]:
    """One problem, two drafts: the descriptive and the lazy instruction."""
    name = str(row.get("full_name") or row.get("name") or row.get("id"))
    taxonomy = row.get("taxonomy")
    taxonomy = dict(taxonomy) if isinstance(taxonomy, Mapping) else {}
    kind = str(taxonomy.get("change_kind") or "")
    return [
        Draft(
            instruction=str(row.get(f"instruction_{how}") or ""),
            pre=str(row.get("before") or ""),
            post=str(row.get("after") or ""),
            group=f"canitedit:{name}",
            language="python",
            license="mit",
            tags=tuple(filter(None, ("evaluation_only", f"instr:{how}", f"change:{kind}" if kind else ""))),
            extra={
                "tests": str(row.get("tests") or ""),
                "problem": row.get("id"),
                "problem_name": name,
                "taxonomy": taxonomy,
            },
        )
        for how in ("descriptive", "lazy")
    ]
