"""How long the page of `rulewright view` takes to load, to filter, to scroll and to search; pictures of it.

    python benchmarks/bench_view.py [--n 100000]           # seconds in headless Chromium
    python benchmarks/bench_view.py --pictures docs/guide  # view-wide.png, view-phone.png

Rows are synthetic: two runs on `n` edits, each with code, a rule and its diff of its own.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import browser

from rulewright import console, jsonl
from rulewright.actions import Action, render_response
from rulewright.cli import main as rulewright

READY: Final = "document.documentElement?.dataset.ready === 'yes'"
SUMMARY: Final = "document.getElementById('summary').textContent"
# Name, sentence, code before and after, the rule's pattern and fix; {n} makes each text another.
EDITS: Final = (
    ("is-none", "Compare with `None` by identity.",
     "if cache_{n} == None:\n    cache_{n} = load({n})\n",
     "if cache_{n} is None:\n    cache_{n} = load({n})\n",
     "$A == None", "$A is None"),
    ("rename-call", "Call `fetch_rows` instead of `get_rows`.",
     "rows = get_rows(table_{n}, limit={n})\nprint(rows)\n",
     "rows = fetch_rows(table_{n}, limit={n})\nprint(rows)\n",
     "get_rows($$$ARGS)", "fetch_rows($$$ARGS)"),
    ("default-mode", "Reading is the default mode: leave it out.",
     "with open(path_{n}, 'r') as file:\n    use(file)\n",
     "with open(path_{n}) as file:\n    use(file)\n",
     "open($F, 'r')", "open($F)"),
)  # fmt: skip
WRONG: Final = (("no_match", "the pattern matches nothing here"), ("no_action", "no <action> block"))
SCROLL: Final = """new Promise((done) => {
  const box = document.getElementById('list'), times = [];
  let last = performance.now();
  const step = (now) => {
    times.push(now - last);
    last = now;
    box.scrollTop += 6400;
    if (times.length < 120) return requestAnimationFrame(step);
    times.sort((a, b) => a - b);
    done([times[60], times[119]]);
  };
  requestAnimationFrame(step);
})"""


def write_runs(folder: Path, n: int) -> tuple[Path, Path]:
    """Two runs on the same edits, the later one better."""
    lot = random.Random(0)
    records, runs = [], ([], [])  # type: ignore[var-annotated]
    for i in range(n):
        family, sentence, pre, post, pattern, fix = EDITS[i % len(EDITS)]
        gold = render_response(Action("python", ({"rule": {"pattern": pattern}, "fix": fix},)))
        name, sides = f"{i:020x}", [side.replace("{n}", str(i)) for side in (pre, post)]
        metadata = {"id": name, "source": "made", "license": "mit", "group": f"group{i % 40}", "action": gold}
        records.append({"instruction": sentence, "pre": sides[0], "post": sides[1], "language": "python",
                        "metadata": metadata})  # fmt: skip
        for rows, rate in zip(runs, (0.5, 0.7)):
            row: dict[str, Any] = {
                "task": name, "sample": 0, "text": gold, "verdict": "ok", "detail": "", "success": 1.0,
                "flags": [], "n_rules": 1, "n_matches": 1, "language": "python", "family": family,
                "source": "made", "group": f"group{i % 40}", "prompt_digest": "0" * 16,
                "n_tokens": 70, "finish_reason": "stop",
            }  # fmt: skip
            if lot.random() > rate:
                verdict, detail = lot.choice(WRONG)
                text = (
                    gold.replace(pattern, "other($A)")
                    if verdict == "no_match"
                    else "I would change the code."
                )
                row |= {"verdict": verdict, "detail": detail, "success": 0.0, "text": text}
            rows.append(row)
    jsonl.write(folder / "records.jsonl", records)
    names = folder / "stage1", folder / "srl"
    for path, rows in zip(names, runs):
        jsonl.write(path / "rows.jsonl", rows)
        jsonl.write_json(path / "config.json", {"input": [str(folder / "records.jsonl")]})
        jsonl.write_json(path / "result.json", {"benchmark": "actions"})
    return names


def choose(tab: browser.Browser, label: str, value: str) -> float:
    """Set a filter; give the milliseconds until the list is drawn."""
    return float(
        tab.run(
            f"""(() => {{
              const all = [...document.querySelectorAll('#filters label')];
              const select = all.find((one) => one.textContent.startsWith({label!r})).querySelector('select');
              select.value = {value!r};
              const start = performance.now();
              select.dispatchEvent(new Event('change'));
              return performance.now() - start;
            }})()"""
        )
    )


def measure(tab: browser.Browser, page: Path, width: int, height: int) -> list[object]:
    """One row of the table."""
    tab.size(width, height)
    load = tab.open(page.as_uri(), READY)
    median, worst = tab.run(SCROLL)
    chosen = choose(tab, "Gained", "lost")
    choose(tab, "Gained", "")
    start = time.monotonic()
    tab.run("(() => { const q = document.getElementById('query'); q.value = 'in no text'; q.oninput(); })()")
    tab.wait(f"{SUMMARY}.startsWith('0 of') && !{SUMMARY}.includes('searching')")
    search = time.monotonic() - start
    heap = tab.run("performance.memory.usedJSHeapSize / 1e6")
    frames = f"{median:.0f}, {worst:.0f} ms"
    return [f"{width} px", f"{load:.2f} s", frames, f"{chosen:.0f} ms", f"{search:.1f} s", f"{heap:.0f} MB"]


def pictures(tab: browser.Browser, page: Path, out: Path) -> None:
    """One picture as on a desk, one as on a phone by night."""
    tab.size(1400, 820)
    tab.open(f"{page.as_uri()}#change=gained", READY)
    tab.picture(out / "view-wide.png")
    tab.dark(True)
    tab.size(360, 740)
    tab.open(f"{page.as_uri()}#change=gained&item=1", READY)
    tab.picture(out / "view-phone.png")
    tab.dark(False)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    program = browser.find()
    if program is None:
        console.say("no Chromium here: apt-get install chromium")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        runs = write_runs(Path(folder), 400 if options.pictures else options.n)
        before = time.process_time()
        rulewright(["view", *map(str, runs), "--out", str(page)])
        cpu_s = time.process_time() - before
        with browser.Browser(program, Path(folder) / "profile") as tab:
            if options.pictures:
                pictures(tab, page, options.pictures)
                return 0
            rows = [measure(tab, page, *size) for size in ((1400, 900), (360, 740))]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    console.say(f"{options.n:,} items of two runs: built in {cpu_s:.0f} s of one core, {peak:.1f} GB")
    head = ["width", "load", "frame: median, worst", "filter", "search of all texts", "heap"]
    console.emit(console.table(head, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
