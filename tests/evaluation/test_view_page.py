"""`rulewright view` and `edit --html`: what the page holds, and how it behaves in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import browser
from tests.evaluation.conftest import read_page

from rulewright import jsonl
from rulewright.actions import Action, render_response
from rulewright.cli import main
from rulewright.data.schemas import NormalizedRecord
from rulewright.evaluation.measures import RULES
from rulewright.reports.view import Page

HOSTILE = (
    "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
    "\u202eabc\x07{{ 7 * 7 }}"
)
WIDE = "x" * 400


def answer(pattern: str, fix: str) -> str:
    return render_response(Action("python", ({"rule": {"pattern": pattern}, "fix": fix},)))


def rows_of(records: list[NormalizedRecord], right: int, say: str = "") -> list[dict[str, Any]]:
    """Rows as `eval actions` writes them: the first `right` are, then a wrong one, and what is no answer."""
    rows = []
    for i, record in enumerate(records):
        gold = ("$A == None", "$A is None") if i % 2 else ("add($$$A)", "plus($$$A)")
        row: dict[str, Any] = {
            "task": record.metadata.id, "sample": 0, "prompt_digest": "0" * 16,
            "group": record.metadata.group, "source": "made", "language": "python",
            "family": "is-none" if i % 2 else "rename-call",
            "tags": ["synth"], "detail": "", "flags": [], "n_rules": 1, "n_matches": 1, "literal": 0.0,
        }  # fmt: skip
        if i < right:
            row |= {"text": answer(*gold), "verdict": "ok", "success": 1.0}
        elif i == right:
            row |= {"text": answer(gold[0], "broken"), "verdict": "wrong_result", "success": 0.0}
        else:
            row |= {
                "text": say or "I cannot.",
                "verdict": "no_action",
                "detail": f"no <action> block {say}",
                "success": 0.0,
            }
        rows.append(row)
    return rows


def write_run(folder: Path, rows: list[dict[str, Any]], records: Path, benchmark: str = "actions") -> Path:
    jsonl.write(folder / "rows.jsonl", rows)
    jsonl.write_json(folder / "config.json", {"input": [str(records)]})
    jsonl.write_json(folder / "result.json", {"benchmark": benchmark})
    return folder


@pytest.fixture
def runs(tmp_path: Path, records: list[NormalizedRecord], record_file: Path) -> tuple[Path, Path]:
    """An earlier run with five right answers, a later one with eight and hostile texts."""
    before = write_run(tmp_path / "runs/before", rows_of(records, 5), record_file)
    return before, write_run(tmp_path / "runs/after", rows_of(records, 8, HOSTILE), record_file)


def test_a_page_holds_question_rule_diff_and_reward(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    out = tmp_path / "page.html"
    assert main(["view", str(runs[0]), str(runs[1]), "--out", str(out)]) == 0
    index, items = read_page(out)
    assert index["n"] == len(items) == 12
    assert index["columns"]["right0"] == [1] * 5 + [0] * 7
    assert index["columns"]["right1"] == [1] * 8 + [0] * 4
    first = items[1]
    assert first["instruction"] == "Edit 1: is-none."
    assert "x == None" in first["code"]
    assert "+    if x is None:" in first["wanted"] and first["answers"][0]["diff"] == first["wanted"]
    assert "pattern: $A == None" in first["answers"][0]["rule"]
    assert first["answers"][0]["rewards"]["gated"]["value"] == 1.0
    assert set(first["answers"][0]["rewards"]["gated"]) >= {"add_field", "add_string", "s_effect"}


def test_a_wrong_answer_is_executed_again_to_show_what_it_does(
    tmp_path: Path, runs: tuple[Path, Path]
) -> None:
    out = tmp_path / "page.html"
    assert main(["view", str(runs[0]), "--out", str(out)]) == 0
    _, items = read_page(out)
    wrong = items[5]["answers"][0]
    assert wrong["verdict"] == "wrong_result"
    assert "+    if broken:" in wrong["diff"] and wrong["diff"] != items[5]["wanted"]
    assert 0 < wrong["reward"] < 0.9


def test_nothing_that_is_shown_reaches_the_markup(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    out = tmp_path / "page.html"
    assert main(["view", str(runs[1]), "--out", str(out)]) == 0
    page = out.read_text()
    assert "hacked" not in page and "onerror" not in page
    assert "default-src 'none'" in page
    assert "unsafe-inline" not in page
    assert not re.findall(r"(?:src|href)=", page)


def test_limit_and_data_that_lies_elsewhere(
    tmp_path: Path, runs: tuple[Path, Path], record_file: Path
) -> None:
    (runs[0] / "config.json").unlink()
    out = tmp_path / "page.html"
    assert main(["view", str(runs[0]), "--limit", "3", "--out", str(out)]) == 0
    index, items = read_page(out)
    assert index["n"] == 3 and not items[0]["code"]
    assert main(["view", str(runs[0]), "--data", str(record_file), "--out", str(out)]) == 0
    assert all(item["code"] for item in read_page(out)[1])


def test_a_run_is_found_from_elsewhere_by_the_folder_above_it(
    tmp_path: Path, records: list[NormalizedRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "project"
    jsonl.write(home / "data/test.jsonl", [record.to_json() for record in records])
    run = write_run(home / "runs/eval/x", rows_of(records, 5), Path("data/test.jsonl"))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert main(["view", str(run), "--out", "page.html"]) == 0
    assert all(item["code"] for item in read_page(Path("page.html"))[1])


def test_records_and_steps_and_rows_are_all_taken(
    tmp_path: Path,
    record_file: Path,
    runs: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "page.html"
    assert main(["view", str(record_file), "--out", str(out)]) == 0
    index, items = read_page(out)
    assert index["columns"]["right0"] == [1] * 12 and items[0]["kind"] == "record"
    assert main(["teacher", "run", "--tasks", str(record_file), "--teacher", "miner", "--out", "raw"]) == 0
    assert main(["view", "raw/miner.jsonl", "--out", str(out)]) == 0
    index, items = read_page(out)
    assert index["n"] == 12 and items[0]["kind"] == "trajectory step" and items[0]["answers"][0]["rule"]
    capsys.readouterr()
    assert main(["show", f"{runs[1]}/rows.jsonl:6"]) == 0
    shown = capsys.readouterr().out
    assert "Edit 5: is-none." in shown and "+    if x is None:" in shown and "reward, gated" in shown


def test_edits_and_the_rules_mined_from_them_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither has the fields of a record: an edit has no instruction, a row of the miner no verdict."""
    edits = tmp_path / "edits.jsonl"
    pre, post = "if x == None:\n    go()\n", "if x is None:\n    go()\n"
    jsonl.write(edits, [{"id": "one", "pre": pre, "post": post, "language": "python"}])
    assert main(["eval", "mining", str(edits), "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert main(["show", str(edits)]) == 0
    assert "+if x is None:" in capsys.readouterr().out
    assert main(["show", f"{tmp_path / 'run'}/rows.jsonl"]) == 0
    shown = capsys.readouterr().out
    assert "rule:" in shown and "+if x is None:" in shown and "verdict: ok" in shown


@pytest.mark.parametrize("as_text", [True, False])
def test_a_row_that_verify_takes_is_shown_with_its_action(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_text: bool
) -> None:
    action = {
        "action": {
            "type": "ast_grep", "language": "python", "mode": "yaml",
            "rule_yaml": "id: r\nlanguage: Python\nrule: {pattern: $A == None}\nfix: $A is None\n",
        }
    }  # fmt: skip
    row = {"pre": "a == None\n", "post": "a is None\n", "language": "python"}
    path = tmp_path / "rows.jsonl"
    jsonl.write(path, [row | {"action": json.dumps(action) if as_text else action}])
    assert main(["verify", str(path)]) == 0
    assert main(["show", str(path)]) == 0
    assert "verdict: ok" in capsys.readouterr().out


def test_an_answer_that_is_code_shows_its_own_diff_and_no_reward_of_rules(
    tmp_path: Path, records: list[NormalizedRecord], record_file: Path
) -> None:
    record = records[1]
    said = record.pre.replace("x == None", "x is not None")
    row = {"task": record.metadata.id, "sample": 0, "text": f"Here:\n```python\n{said}```\n", "detail": "",
           "verdict": "wrong_result", "exact": 0.0, "group": "g", "language": "python"}  # fmt: skip
    out = tmp_path / "page.html"
    assert (
        main(["view", str(write_run(tmp_path / "run", [row], record_file, "edits")), "--out", str(out)]) == 0
    )
    _, [item] = read_page(out)
    shown = item["answers"][0]
    assert item["kind"] == "code" and "+    if x is not None:" in shown["diff"]
    assert shown["right"] is False and shown["rewards"] == {} and "rule" not in shown


def test_rulebench_shows_what_an_answer_does_to_each_sibling(tmp_path: Path) -> None:
    edits = tmp_path / "edits.jsonl"
    jsonl.write(
        edits,
        [
            {"pre": f"value = stale_name({name}, 1)\n", "post": f"value = fresh_name({name}, 1)\n",
             "language": "python", "source": "s", "group": "g", "instruction": "Use fresh_name."}
            for name in ("alpha", "beta", "gamma", "delta")
        ],
    )  # fmt: skip
    run = tmp_path / "bench"
    assert main(["bench", "rules", "--miner", "--input", str(edits), "--out", str(run)]) == 0
    out = tmp_path / "page.html"
    assert main(["view", str(run), "--out", str(out)]) == 0
    _, [item] = read_page(out)
    [row] = jsonl.read(run / "rows.jsonl")
    tried = item["answers"][0]["tried"]
    siblings = [one["right"] for one in tried if one["name"].startswith("sibling")]
    assert sum(siblings) / len(siblings) == RULES.find("siblings exact").read(row)  # type: ignore[union-attr]
    assert [one["name"] for one in tried if "must stay" in one["name"]]


def test_siblings_and_negatives_of_a_record_are_tried_and_paid(
    tmp_path: Path, records: list[NormalizedRecord]
) -> None:
    record = records[1]
    beside = {
        "siblings": [{"pre": "a == None\n", "post": "a is None\n"}],
        "negatives": ["None == a\n", "a = None\n"],
    }
    held = json.loads(record.to_json())
    held["metadata"] |= beside
    jsonl.write(tmp_path / "records.jsonl", [held])
    rows = rows_of([records[0], record], 2)[1:]
    narrow = {**rows[0], "sample": 1, "text": answer("x == None", "x is None")}
    wrong = {
        **rows[0],
        "sample": 2,
        "text": answer("x == None", "y"),
        "verdict": "wrong_result",
        "success": 0.0,
    }
    out = tmp_path / "page.html"
    run = write_run(tmp_path / "run", [*rows, narrow, wrong], tmp_path / "records.jsonl")
    assert main(["view", str(run), "--out", str(out)]) == 0
    general, literal, bad = [item["answers"][0] for item in read_page(out)[1]]
    assert [one["right"] for one in general["tried"]] == [True, True, True]
    assert [one["verdict"] for one in literal["tried"]] == ["no change", "right", "right"]
    assert "+a is None" in literal["tried"][0]["wanted"]
    assert general["rewards"]["gated"]["add_generality"] == 0
    assert literal["rewards"]["gated"]["add_generality"] < 0
    assert bad["reward"] < literal["reward"] < general["reward"]
    assert {one["verdict"] for one in bad["tried"]} == {"not tried"} and "+a is None" in bad["tried"][0][
        "wanted"
    ]


@pytest.mark.parametrize("name", ["nothing", "empty.jsonl"])
def test_what_is_no_run_is_named(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    assert main(["view", str(tmp_path / name), "--out", str(tmp_path / "page.html")]) == 2
    assert name in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


GOOD = {"instruction": "i", "pre": "x\n", "post": "y\n", "language": "python", "metadata": {"id": "good"}}


@pytest.mark.parametrize(
    "bad",
    [
        "not JSON",
        "[]",
        json.dumps({**GOOD, "pre": 1}),
        json.dumps({**GOOD, "metadata": [1]}),
        json.dumps({"pre_code": "x\n", "teacher": {}, "env": [1]}),
        json.dumps({"other": "keys"}),
    ],
)
def test_a_bad_line_is_named_and_does_not_bar_the_page(
    tmp_path: Path, bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "rows.jsonl.txt", tmp_path / "page.html"
    file.write_text(f"{bad}\n{json.dumps(GOOD)}\n{json.dumps({**GOOD, 'metadata': None, 'id': 'other'})}\n")
    assert main(["view", str(file), "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert "1 line left out: " in said and f"{file}:1: " in said and "2 items" in said
    assert main(["show", f"{file}:1"]) != 0
    assert f"{file}:1: " in capsys.readouterr().err


def test_data_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text(json.dumps(GOOD) + "\n")
    assert main(["view", str(file), "--data", "nowhere.jsonl", "--out", str(tmp_path / "page.html")]) == 2
    assert "nowhere.jsonl: no such data file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b"\xff\xfe", "cannot be read (not UTF-8")]
)
def test_an_action_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file, rule = tmp_path / "records.jsonl", tmp_path / "rule.yml"
    file.write_text(json.dumps(GOOD) + "\n")
    if content is not None:
        rule.write_bytes(content)
    assert main(["show", str(file), "--action", str(rule)]) == 2
    assert f"{rule}: {said}" in capsys.readouterr().err


def test_edit_html_shows_a_change_by_hand_over_files(tmp_path: Path) -> None:
    old, new, more = tmp_path / "old.py", tmp_path / "new.py", tmp_path / "more.py"
    old.write_text("def f(a):\n    return a == None\n")
    new.write_text("def f(a):\n    return a is None\n")
    more.write_text("def g(b, c):\n    return b == None or c == None\n")
    out = tmp_path / "change.html"
    assert main(["edit", "--like", str(old), str(new), str(more), "--html", str(out)]) == 0
    index, items = read_page(out)
    [item] = [one for one in items if one["name"].endswith("more.py")]
    shown = item["answers"][0]
    assert "is None" in shown["rule"] and "+    return b is None or c is None" in shown["diff"]
    assert "line 2" in shown["facts"] and shown["verdict"] == "possible" and shown["right"] is None
    assert index["good"] == "sure" and str(more) in index["titles"]
    assert "== None" in more.read_text()


# ---- in a browser ----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    program = browser.find()
    if program is None:
        pytest.skip(
            "no Chromium here (Debian: apt-get install chromium): the page was not tried in a browser"
        )
    with browser.Browser(program, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


READY = "document.documentElement?.dataset.ready === 'yes'"
OVERFLOWS = """[...document.querySelectorAll('body *')].filter((e) => {
  const box = e.getBoundingClientRect();
  if (!box.width || box.right <= innerWidth + 1) return false;
  for (let up = e.parentElement; up; up = up.parentElement) {
    const flow = getComputedStyle(up).overflowX;
    if (flow !== 'visible') return false;
  }
  return true;
}).map((e) => e.outerHTML.slice(0, 80))"""


def opened(tab: browser.Browser, page: Path, width: int, anchor: str = "") -> None:
    tab.complaints.clear()
    tab.size(width, 800)
    tab.open(page.as_uri() + anchor, READY)


def choose(tab: browser.Browser, label: str, text: str) -> str:
    """Choose an option by its beginning; give the summary line."""
    tab.run(
        f"""(() => {{
          const all = [...document.querySelectorAll('#filters label')];
          const box = all.find((label) => label.textContent.startsWith({label!r}));
          const select = box.querySelector('select');
          select.value = [...select.options].find((o) => o.textContent.startsWith({text!r})).value;
          select.dispatchEvent(new Event('change'));
        }})()"""
    )
    return str(tab.run("document.getElementById('summary').textContent"))


@pytest.fixture
def page(tmp_path: Path, runs: tuple[Path, Path]) -> Path:
    out = tmp_path / "page.html"
    assert main(["view", str(runs[0]), str(runs[1]), "--out", str(out)]) == 0
    return out


def test_filters_search_and_comparison_work(chromium: browser.Browser, page: Path) -> None:
    opened(chromium, page, 1400)
    summary = chromium.run("document.getElementById('summary').textContent")
    assert summary == "12 items · 8 of 12 right · 3 gained, 0 lost"
    assert choose(chromium, "Verdict", "no_action").startswith("3 of 12 items")
    choose(chromium, "Verdict", "any")
    assert choose(chromium, "Gained", "gained").startswith("3 of 12 items")
    choose(chromium, "Gained", "any")
    assert choose(chromium, "Family", "is-none").startswith("6 of 12 items")
    choose(chromium, "Family", "any")
    chromium.run(
        "(() => { const q = document.getElementById('query'); q.value = 'total4 PLUS'; q.oninput(); })()"
    )
    chromium.wait("document.getElementById('summary').textContent.startsWith('1 of 12 items')")
    assert "q=total4" in chromium.run("location.hash")
    assert chromium.complaints == []


def test_an_item_shows_its_parts_in_colors(chromium: browser.Browser, page: Path) -> None:
    opened(chromium, page, 1400, "#item=1")
    text = chromium.run("document.getElementById('item').innerText")
    for part in ("Edit 1: is-none.", "Rule", "What it does", "Reward by part", "gated", "ok"):
        assert part in text
    assert chromium.run("document.querySelectorAll('#item pre.code .key').length") > 2
    assert chromium.run("document.querySelector('#item pre.code .hole').textContent") == "$A"
    assert chromium.run("document.querySelector('#item .line.add mark').textContent") == "is"
    chromium.run("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'j'}))")
    chromium.wait("document.getElementById('item').innerText.includes('Edit 2')")
    assert chromium.complaints == []


@pytest.mark.parametrize(
    ("language", "code", "colored"),
    [
        ("ruby", "unless x # end\n  y = 'do'\nelsif", "unless elsif"),
        ("php", "foreach ($a as $b) # use\n  echo 'if';", "foreach as echo"),
        ("csharp", "foreach (var x in y) // using", "foreach var in"),
        ("kotlin", "fun f() = when (x) // val", "fun when"),
    ],
)
def test_words_of_more_languages_are_colored(
    chromium: browser.Browser, page: Path, language: str, code: str, colored: str
) -> None:
    opened(chromium, page, 1400, "#item=1")
    call = f"((to) => {{ to.append(paint({json.dumps(code)}, {json.dumps(language)})); return to; }})"
    words = f"[...{call}(el('pre')).querySelectorAll('.word')].map((one) => one.textContent).join(' ')"
    assert chromium.run(words) == colored
    assert chromium.complaints == []


def test_hostile_texts_stay_texts(chromium: browser.Browser, page: Path) -> None:
    opened(chromium, page, 1400, "#item=10")
    text = chromium.run("document.getElementById('item').innerText")
    assert "<script>window.hacked = 1</script>" in text and "{{ 7 * 7 }}" in text
    assert "\\u202e" in text and "\\u0007" in text and "\u202e" not in text
    assert chromium.run("typeof window.hacked") == "undefined"
    assert chromium.run("document.querySelectorAll('#item img, #item script').length") == 0
    assert chromium.complaints == []


def test_where_there_is_no_answer_none_is_said_to_do_nothing(
    chromium: browser.Browser, tmp_path: Path
) -> None:
    (tmp_path / "edits.jsonl").write_text(json.dumps(GOOD) + "\n")
    assert main(["view", str(tmp_path / "edits.jsonl"), "--out", str(tmp_path / "page.html")]) == 0
    opened(chromium, tmp_path / "page.html", 1400, "#item=0")
    text = chromium.run("document.getElementById('item').innerText")
    assert "no answer" in text and "What was wanted" in text and "Nothing changes" not in text


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1400])
def test_nothing_overflows(
    chromium: browser.Browser, tmp_path: Path, records: list[NormalizedRecord], width: int, dark: bool
) -> None:
    """Long words, names, verdicts and lines, in the list and in an item, by day and by night."""
    record = records[1].model_copy(
        update={"instruction": WIDE, "pre": f"{WIDE} = 1\nx == None\n", "post": f"{WIDE} = 1\nx is None\n"}
    )
    jsonl.write(tmp_path / "records.jsonl", [record.to_json(), *(one.to_json() for one in records[2:])])
    rows = rows_of([record, *records[2:]], 3, WIDE)
    rows[0] |= {"family": WIDE, "group": WIDE, "verdict": "wrong_result", "success": 0.0, "detail": WIDE}
    run = write_run(tmp_path / f"runs/{'long-name-' * 12}", rows, tmp_path / "records.jsonl")
    page = tmp_path / "page.html"
    assert main(["view", str(run), str(run), "--out", str(page)]) == 0
    chromium.dark(dark)
    opened(chromium, page, width)
    assert chromium.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(19, 24, 30)" if dark else "rgb(255, 255, 255)"
    )
    assert chromium.run(OVERFLOWS) == []
    chromium.run("document.getElementById('more').click()")
    assert chromium.run(OVERFLOWS) == []
    chromium.run("document.querySelector('.row').click()")
    chromium.wait("document.querySelector('#item .instruction')")
    chromium.run("document.querySelectorAll('#item details').forEach((d) => { d.open = true; })")
    chromium.wait("document.querySelectorAll('#item details pre, #item details table').length > 1")
    assert chromium.run(OVERFLOWS) == []
    assert chromium.run("document.documentElement.scrollWidth <= innerWidth")
    chromium.dark(False)
    assert chromium.complaints == []


def test_a_phone_shows_the_list_then_the_item_then_the_list(chromium: browser.Browser, page: Path) -> None:
    opened(chromium, page, 360)
    visible = "['list', 'item'].filter((id) => document.getElementById(id).offsetHeight > 0)"
    assert chromium.run(visible) == ["list"]
    chromium.run("document.querySelector('.row').click()")
    chromium.wait("document.querySelector('#item .instruction')")
    assert chromium.run(visible) == ["item"]
    chromium.run("document.getElementById('back').click()")
    assert chromium.run(visible) == ["list"]
    assert chromium.complaints == []


def test_many_items_stay_usable(chromium: browser.Browser, tmp_path: Path) -> None:
    """Of twenty thousand only the rows in sight exist; the last one is reached, a search finds one text."""
    made = Page("many", ["run"])
    for i in range(20_000):
        answer_: dict[str, Any] = {
                   "verdict": "ok" if i % 3 else "no_match", "right": bool(i % 3), "detail": "",
                   "text": f"answer {i}", "diff": "", "rewards": {}, "facts": {}, "tried": [],
                   "reward": i % 10 / 10}  # fmt: skip
        item = {"kind": "row", "instruction": f"Edit {i}", "language": "python", "code": f"value_{i} = {i}\n",
                "wanted": "", "answers": [answer_]}  # fmt: skip
        made.add(f"task{i}", f"task{i}", {"family": f"family{i % 7}"}, item)
    made.write(tmp_path / "page.html")
    opened(chromium, tmp_path / "page.html", 1400)
    assert chromium.run("document.querySelectorAll('.row').length") < 60
    chromium.run("document.getElementById('list').scrollTop = 1e9")
    chromium.wait("[...document.querySelectorAll('.row')].some((r) => r.textContent.includes('Edit 19999'))")
    assert chromium.run("document.querySelectorAll('.row').length") < 60
    assert choose(chromium, "Verdict", "no_match").startswith("6,667 of 20,000 items · 0 of 6,667 right")
    choose(chromium, "Verdict", "any")
    chromium.run(
        "(() => { const q = document.getElementById('query'); q.value = 'value_17321'; q.oninput(); })()"
    )
    chromium.wait("document.getElementById('summary').textContent === '1 of 20,000 items · 1 of 1 right'")
    assert chromium.complaints == []


def test_lines_of_one_name_are_all_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = {"instruction": "x", "language": "python", "pre": "a\n", "post": "b\n"}
    for name in ("id", "task_id"):
        path = tmp_path / f"{name}.jsonl"
        jsonl.write(path, [{name: "one", **same}, {name: "one", **same, "post": "c\n"}])
        assert main(["view", str(path), "--out", str(tmp_path / "view.html")]) == 0
        assert "2 items" in capsys.readouterr().err
