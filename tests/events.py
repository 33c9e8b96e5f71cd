"""What a tracker's files say, read without the tracker."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard's files in a folder say: step to value, by name."""
    events = pytest.importorskip("tensorboardX.proto.event_pb2")
    found: dict[str, dict[int, float]] = {}
    for path in folder.glob("events.*"):
        raw = path.read_bytes()
        while raw:
            (n,) = struct.unpack("<Q", raw[:8])
            event = events.Event.FromString(raw[12 : 12 + n])
            raw = raw[16 + n :]
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found
