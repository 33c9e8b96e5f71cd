"""Records that differ in their number, and files of them."""

from __future__ import annotations

from pathlib import Path

from rulewright.data import NormalizedRecord, record_id


def record(i: int, source: str = "made", **changes: object) -> NormalizedRecord:
    pre, post = f"a_{i} = {i} == None\n", f"a_{i} = {i} is None\n"
    metadata = {
        "id": record_id("do", pre, post, "python"),
        "source": source,
        "license": "mit",
        "group": f"g{i}",
    }
    value = {"instruction": "do", "pre": pre, "post": post, "language": "python", "metadata": metadata}
    return NormalizedRecord.model_validate({**value, **changes})


def sources(tmp_path: Path, *sizes: int) -> list[str]:
    paths = []
    for k, size in enumerate(sizes):
        path = tmp_path / f"s{k}.jsonl"
        rows = [record(1_000 * k + i, tags=["odd"] if i % 2 else []).to_json() for i in range(size)]
        path.write_text("".join(row + "\n" for row in rows))
        paths.append(str(path))
    return paths
