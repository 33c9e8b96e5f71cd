"""How fast verified records are made: `pytest benchmarks/bench_synth.py --benchmark-only`."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from rulewright.synth import shards, sources, windows
from rulewright.synth.kinds import SHAPES, Shape, WindowKind
from rulewright.synth.windows import WindowLimits

LIBRARY = sources.standard_library()


def options(kind: WindowKind, limits: WindowLimits, shapes: tuple[Shape, ...]) -> shards.SynthOptions:
    return shards.SynthOptions(
        seed=0, windows=(kind,), limits=limits, shapes=shapes, families=(), template_files=(),
        packaged=True, wording="rich", phrasings=0, per_window=3, hold_out_rate=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "limits"), [("statement", WindowLimits(160, 80)), ("function", WindowLimits(2_400, 700))]
)
def test_records_from_three_real_files(
    benchmark: BenchmarkFixture, tmp_path: Path, kind: WindowKind, limits: WindowLimits
) -> None:
    paths = [LIBRARY / name for name in ("argparse.py", "tarfile.py", "typing.py")]
    shard = shards.Batch(0, tuple(sources.find(paths, ["python"])))
    chosen = options(kind, limits, SHAPES)

    def again() -> int:
        shards.path_of(tmp_path, shard).unlink(missing_ok=True)
        return sum(shards.make_one((shard, tmp_path, chosen)).values())

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
