"""Call the pinned ast-grep command line for features that the engine does not port.

It runs in an empty folder with a rule file that we write, a fixed argv and one source file. A model's
text reaches it only as JSON data. It returns edits as byte ranges.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

from rulewright.actions.action import Rule
from rulewright.errors import RulewrightError, why
from rulewright.languages import Language, suffix_of
from rulewright.verdict import RuleFailed, Verdict

SUPPORTED: Final = (0, 51)
REQUIRED: Final = {
    package: f"{package}>={SUPPORTED[0]}.{SUPPORTED[1]},<{SUPPORTED[0]}.{SUPPORTED[1] + 1}"
    for package in ("ast-grep-cli", "ast-grep-py")
}
"""The command line and the binding, each as pip takes it."""
REINSTALL: Final = (
    f"pip install --force-reinstall '{REQUIRED['ast-grep-cli']}'; `rulewright doctor` tells whether it works"
)
VERSION_SECONDS: Final = 10
MAX_OUTPUT_BYTES: Final = 64 * 1024 * 1024
CPU_SECONDS: Final = 20
WALL_SECONDS: Final = 300
ENVIRONMENT: Final = {"RUST_BACKTRACE": "0", "NO_COLOR": "1", "PATH": os.defpath}


class CliEdit(NamedTuple):
    """A replacement that the command line reports, in characters."""

    start: int
    end: int
    text: str
    match_start: int
    match_end: int


@lru_cache(maxsize=1)
def binary() -> str:
    """Path of `ast-grep`, that of this environment first.

    Raises:
        RulewrightError: there is none.
    """
    beside = Path(sys.executable).parent / "ast-grep"
    found = str(beside) if beside.exists() else shutil.which("ast-grep")
    if found is None:
        raise RulewrightError("no `ast-grep` executable", f"pip install '{REQUIRED['ast-grep-cli']}'")
    return found


def start(*words: str, **how: Any) -> subprocess.Popen[bytes]:
    """Start ast-grep without input; arguments as for `Popen`. The only place that starts it.

    Raises:
        RulewrightError: it is missing, or cannot be started.
    """
    try:
        return subprocess.Popen([binary(), *words], stdin=subprocess.DEVNULL, **how)
    except OSError as error:
        raise RulewrightError(f"{binary()}: cannot be started ({why(error)})", REINSTALL) from error


@lru_cache(maxsize=1)
def said_version(program: str) -> str:
    """The version that ast-grep says it has; `program` is `binary()`.

    Raises:
        RulewrightError: it cannot be started, or says something else.
    """
    with start("--version", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT) as running:
        try:
            told = running.communicate(timeout=VERSION_SECONDS)[0].decode("utf-8", "replace").strip()
        except subprocess.TimeoutExpired:
            running.kill()
            raise RulewrightError(
                f"{program}: gave no answer within {VERSION_SECONDS} s", REINSTALL
            ) from None
    name, _, version = told.partition(" ")
    if running.returncode or name != "ast-grep" or not version[:1].isdigit():
        last = told.splitlines()[-1] if told else f"exit {running.returncode}"
        raise RulewrightError(f"{program}: is not a working ast-grep: {last[:200]}", REINSTALL)
    return version


def versions() -> dict[str, str]:
    """Versions of the binding and the command line that are used, by package."""
    return {"ast-grep-py": metadata.version("ast-grep-py"), "ast-grep-cli": said_version(binary())}


def is_supported(version: str) -> bool:
    """Whether a version is of the release whose results are taken as they are.

    >>> is_supported("0.51.3"), is_supported("0.5.1"), is_supported("absent")
    (True, False, False)
    """
    return version.split(".")[:2] == [str(part) for part in SUPPORTED]


def check_version(allow_other: bool = False) -> None:
    """Refuse to judge with an ast-grep of another minor version, or without one.

    Raises:
        RulewrightError: naming what is installed and why it matters.
    """
    for package, version in versions().items():
        if not is_supported(version) and not allow_other:
            wanted = ".".join(str(part) for part in SUPPORTED)
            raise RulewrightError(
                f"{package} {version} is installed, expected {wanted}.x: "
                "rules can give different results in different releases",
                f"pip install '{REQUIRED[package]}', "
                "or allow another version explicitly and do not compare the figures",
            )


class CliScan(NamedTuple):
    """What the command line found: matches, and their replacements, nested ones included."""

    n_matches: int
    edits: list[CliEdit]
    message: str = ""
    """Of the first match, with the variables of the rule's `message` filled in."""


def scan(rule: Rule, language: Language, source: str, rule_id: str) -> CliScan:
    """Match a rule against a text.

    Raises:
        RuleFailed: the command line refuses the rule, breaks down on it, or uses too much processor time.
        RulewrightError: it ends in another way, or not at all.
    """
    with _ran([(rule, rule_id)], language, source, "--json=stream") as (_, output):
        return _edits(output.read_bytes(), source)


def update(rules: Sequence[tuple[Rule, str]], language: Language, source: str) -> str:
    """The text that one pass of `ast-grep scan -U` makes of a text with rules and their ids.

    Raises:
        RuleFailed: the command line refuses the rule, breaks down on it, or uses too much processor time.
        RulewrightError: it ends in another way, or not at all.
    """
    with _ran(rules, language, source, "-U") as (code, _):
        return code.read_bytes().decode("utf-8")


@contextmanager
def _ran(
    rules: Sequence[tuple[Rule, str]], language: Language, source: str, option: str
) -> Iterator[tuple[Path, Path]]:
    """Scan a text with rules, in an empty folder of its own: its file, and what ast-grep put out.

    With bounds on processor time, output and the clock.
    """
    documents = [
        json.dumps({"id": rule_id, "language": language, **rule}, ensure_ascii=False)
        for rule, rule_id in rules
    ]
    # Empty files are skipped silently; there is nothing in them to match.
    with tempfile.TemporaryDirectory(prefix="rulewright-") as name:
        rule_file, output, work = (Path(name, part) for part in ("rule.yml", "out", "work"))
        rule_file.write_text("\n---\n".join(documents), encoding="utf-8")
        work.mkdir()
        (work / "sgconfig.yml").write_text("ruleDirs: []\n")
        code = work / f"code{suffix_of(language)}"
        code.write_bytes(source.encode("utf-8"))
        words = ["scan", "--rule", str(rule_file), option, "--no-ignore", "hidden", "-j", "1", str(code)]
        with output.open("wb") as stream:
            process = start(*words, cwd=work, stdout=stream, stderr=subprocess.PIPE, env=ENVIRONMENT)
            if hasattr(resource, "prlimit"):  # Linux; elsewhere the clock alone bounds it
                # At the first bound it gets SIGXCPU: a SIGKILL comes from elsewhere.
                resource.prlimit(process.pid, resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (MAX_OUTPUT_BYTES, MAX_OUTPUT_BYTES))
            try:
                _, complaint = process.communicate(timeout=WALL_SECONDS)
            except subprocess.TimeoutExpired as error:
                process.kill()
                process.communicate()
                # It waits for something, or the machine is busy: the rule used no such time.
                raise RulewrightError(f"ast-grep gave no answer within {WALL_SECONDS} s") from error
        _check_exit(process.returncode, complaint.decode("utf-8", "replace"))
        yield code, output


def _check_exit(code: int, complaint: str) -> None:
    if "panicked at" in complaint:
        # A panic in one of its threads can still end with 0, and files left undone.
        raise RuleFailed("ast-grep panicked", Verdict.CRASHED)
    if code in (0, 1):
        return
    if code == 8:
        lines = [line.strip(" ╰▻│├") for line in complaint.splitlines() if line.strip()]
        raise RuleFailed(lines[-1] if lines else "refused without a reason")
    if code == -signal.SIGXCPU:
        raise RuleFailed(f"ast-grep used more than {CPU_SECONDS} s of processor time", Verdict.TIMEOUT)
    if code in (101, -signal.SIGABRT, -signal.SIGSEGV, -signal.SIGXFSZ):
        raise RuleFailed(f"ast-grep ended with {code}", Verdict.CRASHED)
    last = complaint.strip().splitlines()
    raise RulewrightError(
        f"ast-grep ended with {code}: {last[-1] if last else ''}", "see `rulewright doctor`"
    )


def _edits(output: bytes, source: str) -> CliScan:
    # From an offset in UTF-8 to one in characters.
    begins: Sequence[int] = range(len(source))
    if not source.isascii():
        begins = [at for at, byte in enumerate(source.encode("utf-8")) if byte & 0xC0 != 0x80]
    to_chars = partial(bisect_left, begins)
    edits = []
    n_matches = 0
    message = ""
    for line in output.splitlines():
        item: dict[str, Any] = json.loads(line)
        n_matches += 1
        message = message or str(item.get("message") or "")
        if "replacement" not in item:
            continue
        span, place = item["range"]["byteOffset"], item["replacementOffsets"]
        edits.append(
            CliEdit(
                to_chars(place["start"]), to_chars(place["end"]), item["replacement"],
                to_chars(span["start"]), to_chars(span["end"]),
            )
        )  # fmt: skip
    edits.sort(key=lambda edit: (edit.match_start, -edit.match_end))
    return CliScan(n_matches, edits, message)
