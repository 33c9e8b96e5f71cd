"""Benchmarks of the data layer: against a plain `datasets.map` pipeline, and at scale.

    python -m pytest benchmarks/bench_data.py --benchmark-only
    python benchmarks/bench_data.py corpus EDITS.jsonl OUT.jsonl --gigabytes 2
    python benchmarks/bench_data.py scale OUT.jsonl --kill-after 120
    python benchmarks/bench_data.py compare EDITS.jsonl

`EDITS.jsonl` has CommitPackFT's columns. `corpus` multiplies it by renaming identifiers, so
that the copies are no near-duplicates.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ast_grep_py import SgRoot

from rulewright.data import clean, licenses
from rulewright.data.schemas import NormalizedRecord, record_id
from rulewright.languages import Language, language_of_path

_INGEST = (sys.executable, "-m", "rulewright", "ingest", "commitpackft")
_KEYWORDS = set(
    """abstract any as assert async await boolean break byte case catch chan char class const constructor
    continue debugger declare def default defer del delete do double elif else enum except export
    exports extends fallthrough false final finally float for from func function get global go goto
    if implements import in instanceof int interface is lambda let long map module namespace native
    new nonlocal not null number None of or and package pass print private protected public raise
    range readonly require return select self cls set short static string struct super switch
    synchronized this throw throws transient True False true try type typeof undefined var void
    volatile while with yield""".split()  # noqa: SIM905  (a list literal would be 90 lines)
)


def corpus(edits: Path, out: Path, gigabytes: float) -> None:
    """Write `gigabytes` of edits: real ones, with identifiers renamed in every further copy."""
    rows = [json.loads(line) for line in edits.open(encoding="utf-8")]
    written = copy = 0
    with out.open("w", encoding="utf-8") as stream:
        while written < gigabytes * 1e9:
            for row in rows:
                line = json.dumps(_renamed(row, copy) if copy else row, ensure_ascii=False) + "\n"
                stream.write(line)
                written += len(line.encode())
                if written >= gigabytes * 1e9:
                    break
            copy += 1


def _renamed(row: dict[str, Any], copy: int) -> dict[str, Any]:
    rng = random.Random(copy)
    known: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        word = match.group()
        if word in _KEYWORDS or len(word) < 3:
            return word
        if word not in known:
            known[word] = f"{word}{copy}" if rng.random() < 0.7 else word
        return known[word]

    def text(value: str) -> str:
        return re.sub(r"[A-Za-z_]\w*", rename, value)

    return {
        **row,
        "old_contents": text(row["old_contents"]),
        "new_contents": text(row["new_contents"]),
        "commit": hashlib.sha1(f"{row['commit']}{copy}".encode()).hexdigest(),
        "repos": ",".join(f"{repo}{copy}" for repo in row["repos"].split(",")),
    }


class Watch:
    """Memory and CPU time of a process and its children, sampled (Linux)."""

    def __init__(self, pid: int) -> None:
        self.samples: list[tuple[int, int]] = []
        """Anonymous memory in bytes: of the process, of all."""
        self._cpu: dict[int, float] = {}
        self._pid, self._stop = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            pids = [self._pid, *_children(self._pid)]
            sizes = [_anonymous(pid) for pid in pids]
            self.samples.append((sizes[0], sum(sizes)))
            self._cpu.update({pid: _cpu_of(pid, self._cpu.get(pid, 0.0)) for pid in pids})

    def stop(self) -> float:
        """CPU seconds of all."""
        self._stop.set()
        self._thread.join()
        return sum(self._cpu.values())


def _anonymous(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _cpu_of(pid: int, known: float) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return known
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def scale(path: Path, workers: int, kill_after_s: float) -> dict[str, Any]:
    """Ingest a large file, killed once on the way if asked; give rates and memory over time."""
    out = Path(tempfile.mkdtemp(dir=path.parent))
    command = [*_INGEST, "--input", str(path), "--out", str(out), "--workers", str(workers),
               "--rejects", "reasons"]  # fmt: skip
    began, cpu_s = time.monotonic(), 0.0
    samples: list[tuple[int, int]] = []
    for timeout, extra in ((kill_after_s or None, []), (None, ["--resume"])):
        process = subprocess.Popen([*command, *extra])
        watch = Watch(process.pid)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        cpu_s += watch.stop()
        samples += watch.samples
        if process.returncode == 0:
            break
    seconds = time.monotonic() - began
    metadata = json.loads((out / "commitpackft.metadata.json").read_text())
    disk = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    shutil.rmtree(out)
    tenth = -(-len(samples) // 10)
    size, rows = path.stat().st_size, metadata["rows_in"]
    return {
        "exit": process.returncode, "gigabytes": round(size / 1e9, 3), "rows": rows,
        "records": metadata["num_records"], "dropped": metadata["dropped"], "sha256": metadata["sha256"],
        "killed_after_s": kill_after_s, "workers": workers, "seconds": round(seconds, 1),
        "rows_per_s": round(rows / seconds, 1), "cpu_s": round(cpu_s, 1),
        "rows_per_cpu_s": round(rows / cpu_s, 1), "megabytes_per_cpu_s": round(size / 1e6 / cpu_s, 2),
        "output_gb": round(disk / 1e9, 3),
        **{
            f"peak_{name}_mb_by_tenth": [
                round(max(s[i] for s in samples[start : start + tenth]) / 1e6)
                for start in range(0, len(samples), tenth)
            ]
            for i, name in enumerate(("main", "all"))
        },
    }  # fmt: skip


def plain_record(row: dict[str, Any]) -> NormalizedRecord | None:
    """A row checked and normalized as `data.clean` does, written plainly; `None` if dropped."""
    subject = " ".join(row["subject"].split())
    pre, post = (
        text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        for text in (row["old_contents"], row["new_contents"])
    )
    license = licenses.normalize(row["license"])
    language = language_of_path(row["new_file"])
    if not (subject and pre.strip() and post.strip()) or language == "other":
        return None
    if [line.rstrip() for line in pre.rstrip().split("\n")] == [
        line.rstrip() for line in post.rstrip().split("\n")
    ]:
        return None
    if not licenses.allowed(license, licenses.PERMISSIVE) or max(len(pre), len(post)) > 50_000:
        return None
    if any(
        re.search("[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd\ud800-\udfff]", text) for text in (subject, pre, post)
    ):
        return None
    if any(len(line) > 1_000 for text in (pre, post) for line in text.split("\n")):
        return None
    if clean._GENERATED_TEXT.search(pre[:1_500]) or clean._GENERATED_PATH.search(row["new_file"]):
        return None
    if re.search(r"^(<{7} |>{7} |={7}$)", post, re.MULTILINE):
        return None
    parsed = _plain_language(language, pre, post)
    if parsed is None:
        return None
    language, tags = parsed
    repo = clean.canonical_repo(row["repos"].split(","))
    name = record_id(subject, pre, post, language)
    metadata = {
        "id": name, "source": "commitpackft", "license": license, "group": repo or row["commit"],
        "commit": row["commit"], "repo": repo or None, "path": row["new_file"],
    }  # fmt: skip
    return NormalizedRecord.model_validate(
        {
            "instruction": subject,
            "pre": pre,
            "post": post,
            "language": language,
            "tags": tags,
            "metadata": metadata,
        }
    )


def _plain_language(language: Language, pre: str, post: str) -> tuple[Language, list[str]] | None:
    after = _plain_errors(post, language)
    if not after:
        return language, []
    found = [(language, _plain_errors(pre, language), after)]
    for other in clean._ALTERNATIVES.get(language, ()):
        found.append((other, _plain_errors(pre, other), _plain_errors(post, other)))
    language, before, after = min(found, key=lambda rates: rates[1] + rates[2])
    if min(before, after) > 0.2 or (before == 0 and after > 0):
        return None
    return language, ["parse_errors"] if after > 0 else []


def _plain_errors(code: str, language: Language) -> float:
    root = SgRoot(code, language).root()
    n_wrong = sum(len(node.text()) or 1 for node in root.find_all(kind="ERROR"))
    empty = root.find_all({"rule": {"regex": "^$"}})
    n_wrong += sum(node.is_leaf() and node.kind() not in ("", "\n") for node in empty)
    return n_wrong / len(code)


def plain_pipeline(path: Path, processes: int, near: bool) -> int:
    """The same work as one would write it with `datasets`: map, filter, MinHash LSH, to_json."""
    import datasets
    from datasketch import MinHash, MinHashLSH

    from rulewright.data.splits import split_of

    def normalize(row: dict[str, Any]) -> dict[str, Any]:
        made = plain_record(row)
        if made is None:
            return {"line": "", "split": "", "signature": []}
        signature: list[int] = []
        if near:
            words = re.findall(r"\w+|[^\w\s]", made.pre) + re.findall(r"\w+|[^\w\s]", made.post)
            sketch = MinHash(num_perm=252, seed=1, scheme="affine32")
            sketch.update_batch({" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)})
            signature = sketch.hashvalues.tolist()
        return {"line": made.to_json(), "split": split_of(made.metadata.group), "signature": signature}

    folder = Path(tempfile.mkdtemp())
    data = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache"))
    data = data.map(normalize, num_proc=processes, remove_columns=data.column_names)
    data = data.filter(lambda row: bool(row["line"]), num_proc=processes)
    kept = list(range(len(data)))
    if near:
        index = MinHashLSH(threshold=0.7, num_perm=252)
        kept = []
        for i, row in enumerate(data):
            sketch = MinHash(num_perm=252, seed=1, hashvalues=row["signature"], scheme="affine32")
            if not index.query(sketch):
                index.insert(str(i), sketch)
                kept.append(i)
    data.select(kept).to_json(str(folder / "out.jsonl"))
    shutil.rmtree(folder)
    return len(kept)


def ours(path: Path, workers: int, near: bool) -> int:
    """The same through `ingest`, in a process of its own."""
    out = Path(tempfile.mkdtemp())
    subprocess.run(
        [*_INGEST, "--input", str(path), "--out", str(out),
         "--workers", str(workers), "--near-threshold", "0.7" if near else "2"],
        check=True, capture_output=True,
    )  # fmt: skip
    n: int = json.loads((out / "commitpackft.metadata.json").read_text())["num_records"]
    shutil.rmtree(out)
    return n


def compare(path: Path, processes: int, rounds: int) -> dict[str, Any]:
    """Both pipelines in turn, so that both meet the same machine; the best of each counts."""
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    n_rows = sum(1 for _ in path.open("rb"))
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    cpu: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(rounds):
        for name in times:
            began, used = time.monotonic(), _cpu()
            if name == "ours":
                ours(path, processes, True)
            else:
                command = [sys.executable, __file__, "plain", str(path), "--workers", str(processes)]
                subprocess.run(command, check=True, capture_output=True)
            times[name].append(time.monotonic() - began)
            cpu[name].append(_cpu() - used)
    best = {name: min(seconds) for name, seconds in times.items()}
    least = {name: min(seconds) for name, seconds in cpu.items()}
    return {
        "rows": n_rows, "processes": processes, "rounds": rounds,
        **{f"{name}_rows_per_s": round(n_rows / seconds, 1) for name, seconds in best.items()},
        "ratio": round(best["plain"] / best["ours"], 2),
        **{f"{name}_cpu_s": round(seconds, 1) for name, seconds in least.items()},
        "cpu_ratio": round(least["plain"] / least["ours"], 2),
    }  # fmt: skip


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="module")
def edits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 edits of about 4 kB."""
    path = tmp_path_factory.mktemp("bench") / "edits.jsonl"
    with path.open("w") as stream:
        for i in range(300):
            body = "".join(f"def f{i}_{k}(x):\n    return x * {k} + {i}\n\n\n" for k in range(60))
            row = {
                "commit": f"{i:040x}", "old_file": "a.py", "new_file": "a.py", "old_contents": body,
                "new_contents": body.replace("x * 7", "7 * x"), "subject": f"Swap the factors of number {i}",
                "message": "", "lang": "Python", "license": "mit", "repos": f"o/r{i}",
            }  # fmt: skip
            stream.write(json.dumps(row) + "\n")
    return path


def test_ingest(benchmark: Any, edits: Path) -> None:
    assert benchmark.pedantic(ours, (edits, 2, True), rounds=2) > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["corpus", "scale", "compare", "plain"])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kill-after", type=float, default=0, help="scale: kill -9 after so many seconds")
    options = parser.parse_args()
    if options.what == "corpus":
        edits, out = options.paths
        corpus(edits, out, options.gigabytes)
    elif options.what == "scale":
        print(json.dumps(scale(options.paths[0], options.workers, options.kill_after)))
    elif options.what == "plain":
        print(plain_pipeline(options.paths[0], options.workers, near=True))
    else:
        print(json.dumps(compare(options.paths[0], options.workers, options.rounds)))


if __name__ == "__main__":
    main()
