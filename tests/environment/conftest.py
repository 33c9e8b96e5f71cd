"""One engine and one sandbox for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rulewright.engine import Engine
from rulewright.sandbox.runner import Sandbox, open_sandbox
from rulewright.sandbox.tiers import SandboxRefused


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(workers=1, deadline_s=5.0) as engine:
        yield engine


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        opened = open_sandbox(workers=2)
    except SandboxRefused as refused:
        pytest.skip(f"no sandbox works here: {refused.message}")
    with opened:
        yield opened
