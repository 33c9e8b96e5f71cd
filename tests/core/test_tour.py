"""The tour: everything computed, right, quick, and readable anywhere."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rulewright import cli, tour
from rulewright.verdict import Verdict

TOUR = [sys.executable, "-m", "rulewright", "tour"]


def shown(*flags: str, cwd: Path, **variables: str) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **variables}
    done = subprocess.run(
        [*TOUR, *flags], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def on_a_terminal(**variables: str) -> str:
    """What the tour writes where its output is a terminal."""
    ours, its = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    process = subprocess.Popen(TOUR, stdout=its, env={**environment, "TERM": "xterm", **variables})
    os.close(its)
    text = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not chunk:
            break
        text += chunk
    os.close(ours)
    assert process.wait(60) == 0
    return text.decode()


def test_the_rule_is_learned_and_right_and_the_near_misses_are_not() -> None:
    example = tour.read()
    mined, (learned, *misses) = tour.compute(example)
    assert mined.tier == "train"
    assert learned.outcome.verdict is Verdict.OK and learned.grpo.success
    assert sum(outcome.n_matches for outcome in learned.elsewhere) >= 3
    assert any(place.wanted is None for place in example.elsewhere), "one place where nothing may change"
    assert len(misses) == 3 and not any(miss.grpo.success for miss in misses)
    assert len({miss.outcome.verdict for miss in misses}) == 3
    # Every correct answer earns more than every incorrect one, and parts add up.
    for answer in misses:
        assert answer.grpo.value is not None and learned.grpo.value is not None
        assert answer.grpo.value < learned.grpo.value
        assert answer.srl.value is not None and learned.srl.value is not None
        assert answer.srl.value < learned.srl.value


def test_another_example_gives_another_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = Path(tour.__file__).with_name("tour.yaml").read_text(encoding="utf-8")
    other = tmp_path / "tour.yaml"
    other.write_text(text.replace("assertEqual", "checkSame"))
    monkeypatch.setattr(tour, "EXAMPLE", other)
    _, (learned, *_) = tour.compute(tour.read())
    assert "self.checkSame($A, $B)" in json.dumps(learned.action.rules)


@pytest.mark.parametrize("width", [60, 80])
def test_the_page_fits_and_its_parts_add_up(width: int, tmp_path: Path) -> None:
    text = shown(cwd=tmp_path, COLUMNS=str(width))
    assert "\x1b" not in text, "a pipe gets no colors"
    prose = [line for line in text.splitlines() if not re.match(r"  [-+ ] |  .*→", line)]
    too_wide = [line for line in prose if len(line) > width]
    assert not too_wide
    rows = re.findall(
        r"^  (learned|too wide|too narrow|beside it) +((?:-?\d+\.\d\d +){3})(-?\d+\.\d\d)", text, re.M
    )
    assert len(rows) == 8, "four answers, two rewards"
    for _, parts, value in rows:
        assert abs(sum(map(float, parts.split())) - float(value)) < 0.021
    for command in re.findall(r"^  rulewright (.+)$", text, re.M):
        name = next(n for k in (2, 1) if (n := " ".join(command.split()[:k])) in cli.COMMANDS)
        assert name
    assert not list(tmp_path.iterdir()), "a tour leaves nothing behind"


def test_color_on_a_terminal_only_where_it_is_wanted() -> None:
    assert "\x1b[32m" in on_a_terminal()
    assert "\x1b" not in on_a_terminal(NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(TERM="dumb")


def test_it_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from rulewright import cli; code = cli.main(['tour', '--json'])\n"
        "heavy = ('torch', 'transformers', 'huggingface_hub')\n"
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and done.stderr.strip().endswith("[]")
    assert {answer["name"] for answer in json.loads(done.stdout)["answers"]} >= {"learned", "too wide"}
