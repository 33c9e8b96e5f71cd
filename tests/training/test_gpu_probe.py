"""`benchmarks/gpu_probe.py`, which waits for a GPU, takes its steps on a CPU too."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("trl")


@pytest.mark.parametrize("setup", ["lora", "full-float32"])
def test_the_cost_of_each_kind_of_row_is_measured(
    root: Path, data: Callable[[str], str], tmp_path: Path, setup: str
) -> None:
    spec = importlib.util.spec_from_file_location("gpu_probe", root / "benchmarks/gpu_probe.py")
    assert spec and spec.loader
    probe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(probe)
    probe.make("small", tmp_path / "random", Path(data("train")), "float32")
    found = probe.steps(str(tmp_path / "random"), setup, [64, 640], ["sdpa"])
    assert [(row["tokens"], row["documents"]) for row in found] == [(64, 1), (64, 1), (640, 1), (640, 2)]
    assert all(row["seconds"] > 0 and row["planned_gib"] for row in found)
