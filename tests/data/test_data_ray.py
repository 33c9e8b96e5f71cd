"""`--engine ray` on a local cluster of two nodes gives the same bytes; runs where ray is installed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ray: Any = pytest.importorskip("ray", reason="ray is not installed (pip install 'rulewright[ray]')")
Ingest = Callable[..., int]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def test_the_same_bytes_as_the_local_engine(
    cluster: Any, tmp_path: Path, ingest: Ingest, lay: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rulewright.data import readers

    assert len([node for node in ray.nodes() if node["Alive"]]) == 2
    pieces = readers.pieces
    monkeypatch.setattr(readers, "pieces", lambda path, chunk_bytes=0: pieces(path, 10_000))
    rng = random.Random(1)
    rows = [
        {**lay.commit_row(rng.randrange(i) if i and rng.random() < 0.2 else i), "commit": f"{i:040x}"}
        for i in range(200)
    ]
    path = lay.write(tmp_path / "c.jsonl", rows)
    assert ingest("commitpackft", "--input", path, "--out", tmp_path / "local") == 0
    assert ingest("commitpackft", "--input", path, "--out", tmp_path / "ray", "--engine", "ray") == 0
    assert lay.bytes_of(tmp_path / "local") == lay.bytes_of(tmp_path / "ray")
