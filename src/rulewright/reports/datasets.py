"""The data report: a pure function of `summary.json`, which `rulewright stats` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rulewright import jsonl, templates

_COLORS: Final = ("#3b6ea5", "#d08a3c", "#5a9367")


def write(summary: Path, out: Path) -> None:
    """Write summary.md, one card per source, and the plots."""
    found: dict[str, Any] = json.loads(summary.read_bytes())
    drawn = _draw(found, out) if found["total"]["n_records"] else []
    page = templates.render("datasets.md.jinja", **found, plots=drawn)
    jsonl.write_text(out / "summary.md", page)
    for name, source in found["sources"].items():
        page = templates.render("dataset_card.md.jinja", name=name, s=source, m=source["metadata"])
        jsonl.write_text(out / f"{name}.md", page)


def _draw(found: Mapping[str, Any], out: Path) -> list[dict[str, str]]:
    import matplotlib
    from matplotlib.figure import Figure

    drawn = []
    n_sources = sum(source["n_records"] > 0 for source in found["sources"].values())
    for name, alt, draw in (
        ("records", "Records by source and split", _draw_records),
        ("edit_size", "Lines changed per edit, by source", _draw_sizes),
    ):
        figure = Figure(figsize=(7, max(3.2, 1 + 0.3 * n_sources)), layout="constrained")
        draw(figure.add_subplot(), found)
        # The same figures give the same bytes.
        with (
            matplotlib.rc_context({"svg.hashsalt": "rulewright"}),
            jsonl.atomic(out / f"{name}.svg") as stream,
        ):
            figure.savefig(stream, format="svg", metadata={"Date": None})
        drawn.append({"file": f"{name}.svg", "alt": alt})
    return drawn


def _draw_records(axes: Any, found: Mapping[str, Any]) -> None:
    sources = [name for name, s in found["sources"].items() if s["n_records"]]
    left = [0] * len(sources)
    for split, color in zip(found["splits"], _COLORS, strict=True):
        counts = [found["sources"][name]["per_split"][split] for name in sources]
        axes.barh(sources, counts, left=left, color=color, label=split)
        left = [a + b for a, b in zip(left, counts, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("records")
    axes.legend(frameon=False)


def _draw_sizes(axes: Any, found: Mapping[str, Any]) -> None:
    classes = list(found["total"]["changed_lines_histogram"])
    for name, source in found["sources"].items():
        if source["n_records"]:
            shares = [source["changed_lines_histogram"].get(c, 0) / source["n_records"] for c in classes]
            axes.plot(
                classes, shares, marker="o", markersize=3, label=f"{name} (n = {source['n_records']:,})"
            )
    axes.set_xlabel("lines changed")
    axes.set_ylabel("share of the source's edits")
    axes.legend(frameon=False, fontsize=7)
