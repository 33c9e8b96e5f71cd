"""One sandbox a tier for the whole session; a tier that this machine lacks is skipped with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from rulewright.sandbox.runner import Sandbox, open_sandbox
from rulewright.sandbox.tiers import SandboxRefused

# Hostile programs: nothing but the sandbox may ever load them.
collect_ignore_glob = ["attacks/*"]


def open_or_skip(tier: str, workers: int = 1) -> Sandbox:
    try:
        return open_sandbox(tier, workers=workers)
    except SandboxRefused as refused:
        pytest.skip(f"{tier} does not work here: {refused.message}")


@pytest.fixture(scope="session", params=["bubblewrap", "landlock"])
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Each contained tier in turn."""
    with open_or_skip(request.param) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def best() -> Iterator[Sandbox]:
    """The tier that `auto` takes here."""
    with open_or_skip("auto") as sandbox:
        yield sandbox


@pytest.fixture
def opener() -> Callable[..., Sandbox]:
    """Open another sandbox of a tier, or skip the test."""
    return open_or_skip
