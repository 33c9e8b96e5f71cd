"""The pinned command line in bulk: what the engine must equal, and its rival in speed.

Many (rule, code) pairs go through one `ast-grep scan -U`: every file has one rule of its
own (`files:`), so a run is one pass per pair. One rule only per pair; several documents
are several rounds.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rulewright.actions.action import Rule
from rulewright.engine import cli
from rulewright.errors import RulewrightError
from rulewright.languages import Language, suffix_of


class Pair(NamedTuple):
    """One rule and one text; `rule_id` must be unique within a batch."""

    rule: Rule
    language: Language
    code: str
    rule_id: str


# Glob matching is quadratic in the number of rules.
CHUNK: Final = 200


def scan_single(pair: Pair) -> str | None:
    """One `ast-grep scan -U` on one file; `None` where it refuses the rule (exit code 8).

    Raises:
        RulewrightError: any other failure, with its exit code.
    """
    with tempfile.TemporaryDirectory(prefix="rulewright-") as name:
        folder = Path(name)
        file = f"code{suffix_of(pair.language)}"
        _write(folder, [({"id": pair.rule_id, "language": pair.language, **pair.rule}, file, pair.code)])
        done = _run(folder)
        if done.returncode == 8:
            return None
        if done.returncode != 0:
            raise RulewrightError(f"ast-grep ended with {done.returncode}: {done.stderr[-300:]!r}")
        return (folder / "work" / file).read_bytes().decode("utf-8")


def scan_batch(pairs: Sequence[Pair]) -> list[str]:
    """Apply each rule to its code, all in a few processes; the rules must be valid.

    Raises:
        RulewrightError: ast-grep refused one of them, or failed.
    """
    results: list[str] = []
    for start in range(0, len(pairs), CHUNK):
        results += _chunk(pairs[start : start + CHUNK])
    return results


def _chunk(pairs: Sequence[Pair]) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="rulewright-") as name:
        folder = Path(name)
        items = []
        for number, pair in enumerate(pairs):
            file = f"{number}{suffix_of(pair.language)}"
            head = {"id": pair.rule_id, "language": pair.language}
            items.append(({**head, **pair.rule, "files": [f"**/{file}"]}, file, pair.code))
        _write(folder, items)
        done = _run(folder)
        if done.returncode != 0:
            raise RulewrightError(f"ast-grep ended with {done.returncode}: {done.stderr[-300:]!r}")
        return [(folder / "work" / file).read_bytes().decode("utf-8") for _, file, _ in items]


def _write(folder: Path, items: Sequence[tuple[dict[str, object], str, str]]) -> None:
    (folder / "work").mkdir()
    # `.git` and `sgconfig.yml` of folders above must not be found.
    (folder / "work" / "sgconfig.yml").write_text("ruleDirs: []\n")
    documents = [json.dumps(document, ensure_ascii=False) for document, _, _ in items]
    (folder / "rules.yml").write_text("\n---\n".join(documents), encoding="utf-8")
    for _, file, code in items:
        (folder / "work" / file).write_bytes(code.encode("utf-8"))


def _run(folder: Path) -> subprocess.CompletedProcess[bytes]:
    options = ["-U", "--no-ignore", "hidden", "-j", "1", "."]
    done = subprocess.run(
        [cli.binary(), "scan", "--rule", str(folder / "rules.yml"), *options],
        cwd=folder / "work", stdin=subprocess.DEVNULL, capture_output=True, env=cli.ENVIRONMENT,
        check=False, timeout=600,
    )  # fmt: skip
    if b"panicked at" in done.stderr:
        # A panic in one of its threads can still end with 0, and files left undone.
        raise RulewrightError("ast-grep panicked", "apply the pairs singly to find the one")
    return done
