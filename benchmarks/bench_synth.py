"""How fast verified records are made: `pytest benchmarks/bench_synth.py --benchmark-only`."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from rulewright.synth import shards, sources, windows
from rulewright.synth.kinds import WindowKind
from rulewright.synth.settings import SynthConfig
from rulewright.synth.windows import WindowLimits

LIBRARY = sources.standard_library()


@pytest.mark.parametrize(
    ("kind", "max_chars", "max_tokens"), [("statement", 160, 80), ("function", 2_400, 700)]
)
def test_records_from_three_real_files(
    benchmark: BenchmarkFixture, tmp_path: Path, kind: WindowKind, max_chars: int, max_tokens: int
) -> None:
    paths = [LIBRARY / name for name in ("argparse.py", "tarfile.py", "typing.py")]
    shard = shards.Batch(0, tuple(sources.find(paths, ["python"])))
    config = SynthConfig(
        window=(kind,), max_chars=max_chars, max_tokens=max_tokens,
        per_file_cap=0, siblings=0, hold_out_templates=False,
    )  # fmt: skip

    def again() -> int:
        shard.path(tmp_path).unlink(missing_ok=True)
        return sum(shards.make_one((shard, tmp_path, config, 0)).values())

    made = benchmark.pedantic(again, rounds=2, iterations=1, warmup_rounds=0)
    benchmark.extra_info["records"] = made
    benchmark.extra_info["source_bytes"] = sum(path.stat().st_size for path in paths)
    assert made > 300


def test_cutting_statement_windows(benchmark: BenchmarkFixture) -> None:
    import random

    text = (LIBRARY / "argparse.py").read_text(encoding="utf-8")
    found = benchmark(
        lambda: windows.cut(text, "python", "statement", WindowLimits(160, 80), random.Random(0))
    )
    assert len(found) > 300
