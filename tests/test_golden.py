"""Texts that the user reads, word for word: help pages, messages, one report page.

The wanted texts lie in `tests/golden`. After a change that is meant, `pytest tests/test_golden.py
--write-golden` writes them anew; read the difference before it is committed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rulewright import cli

PAGES = (
    "apply", "compare", "configs", "doctor", "ingest", "init", "merge", "show", "stats", "verify",
)  # fmt: skip
"""Commands whose help is kept: one of each sort, without defaults that name this machine."""
RULE = "id: r\nlanguage: python\nrule:\n  pattern: $A == None\nfix: $A is None\n"
FILES = {
    "code.py": "x == None\n",
    "rule.yml": RULE,
    "kind.yml": RULE.replace("pattern: $A == None", "kind: comparison_operatr"),
    "key.yml": RULE.replace("fix:", "fixx:"),
    "open.yml": RULE.replace("pattern: $A == None", "pattern: $A"),
    "variable.yml": RULE.replace("$A is None", "$B is None"),
    "tabs.yml": "id: r\n\tlanguage: python\n",
    "twice.yml": RULE + "fix: $A\n",
    "empty.jsonl": "",
    "broken.jsonl": '{"pre": "a", "post": "b"}\n{"pre": "a", \n',
    "web.jsonl": "<!DOCTYPE html><html><body>Not found</body></html>\n",
    "pointer.jsonl": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
    "other.jsonl": '{"left": "a", "right": "b"}\n',
    "typo.yaml": "limitt: 3\nlanguages: [python]\n",
    "type.yaml": "limit: many\n",
    "steps.yaml": "task: action\nmix:\n  - path: nowhere.jsonl\n    wieght: 2\ntrainer:\n  max_stepps: 3\n",
}
MISTAKES = (
    "trian sft", "train stf", "apply", "apply rule.yml", "apply rule.yml nowhere.py",
    "apply nowhere.yml code.py",
    "apply kind.yml code.py", "apply key.yml code.py", "apply open.yml code.py", "apply variable.yml code.py",
    "apply tabs.yml code.py", "apply twice.yml code.py", "apply rule.yml code.py --only code.py:7 --write",
    "verify empty.jsonl", "verify broken.jsonl", "ingest jsonl --input web.jsonl --out data",
    "ingest jsonl --input pointer.jsonl --out data", "ingest jsonl --input other.jsonl --out data",
    "ingest comitpackft", "ingest jsonl --name canitedit --input broken.jsonl", "synth --config typo.yaml",
    "synth --config type.yaml", "synth --limt 3", "train sft --config steps.yaml", "stats nowhere",
    "compare nowhere1 nowhere2", "show code.py", "init --config nowhere.yaml", "serve --model nowhere",
    "ingest fixtures --input rule.yml --out data",
)  # fmt: skip

Same = Callable[[str, str], None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small files, right and wrong, as the current one; 80 columns."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


def outcome(argv: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and everything printed; places of this machine as `HERE`."""
    try:
        code = cli.main(argv.split())
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    printed = capsys.readouterr()
    text = re.sub(re.escape(str(Path.cwd())), "HERE", printed.out + printed.err)
    return code, text


@pytest.mark.parametrize("name", PAGES)
def test_the_help_of_a_command(
    name: str, same: Same, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = outcome(f"{name} --help", capsys)
    assert code == 0
    same(f"help/{name.replace(' ', '-')}.txt", text)


def test_the_messages_of_mistakes(same: Same, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for argv in MISTAKES:
        code, text = outcome(argv, capsys)
        assert code in (1, 2), f"rulewright {argv}: {code}\n{text}"
        assert "Traceback" not in text
        told.append(f"$ rulewright {argv}\n{text}(exit code {code})\n")
    same("messages.txt", "\n".join(told))


def estimate(value: float, n: int) -> dict[str, object]:
    return {
        "value": value,
        "low": value - 0.1,
        "high": value + 0.1,
        "n": n,
        "n_groups": 10,
        "method": "bootstrap",
    }


def test_a_report_page(same: Same, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for model, value in (("stage1", 0.5), ("srl", 0.625)):
        run = folder / "runs" / f"actions_{model}"
        run.mkdir(parents=True)
        rows = [
            {"task": f"t{i}", "sample": 0, "group": f"g{i % 10}", "family": "is-none", "language": "python",
             "verdict": "ok" if i < 40 * value else "no_match", "success": float(i < 40 * value),
             "valid": 1.0,
             "changed": 1.0, "change_similarity": value, "success_unflagged": float(i < 40 * value)}
            for i in range(40)
        ]  # fmt: skip
        names = ("success", "success_unflagged", "valid", "changed", "change_similarity")
        result = {
            "benchmark": "actions", "run": f"runs/actions_{model}", "n_tasks": 40, "n_samples": 40,
            "n_infra": 0,
            "skipped": {}, "metrics": {name: estimate(value, 40) for name in names}, "pass_at": {},
            "verdicts": {"ok": int(40 * value), "no_match": 40 - int(40 * value)}, "by": {}, "cost": {},
        }  # fmt: skip
        (run / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (run / "result.json").write_text(json.dumps(result))
        (run / "run.json").write_text("{}")
        (run / "config.json").write_text(json.dumps({"model": f"models/{model}", "seed": 0}))
    code, text = outcome("report stage2 --evals runs --processed none --models none --out page.md", capsys)
    assert code == 0, text
    page = (folder / "page.md").read_text(encoding="utf-8")
    same("stage2.md", re.sub(r"\d{4}-\d\d-\d\d[ T][\d:.+Z]*", "DATE", page).replace(str(folder), "HERE"))
