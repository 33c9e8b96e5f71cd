"""One self-contained page of rows: filter, search, and each row with its rule, diff and reward.

What is shown was written by models and strangers. It goes into the page as compressed, base64-coded
JSON, and from there into text nodes only; the page's policy lets no other script, style or address in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, Final

from rulewright import console, difftext, jsonl, templates
from rulewright.actions import Action, describe_action, render_rules
from rulewright.engine import Engine
from rulewright.reports.lines import Sheet, Shown, elsewhere, judge_all, rewards
from rulewright.srl.elsewhere import TriedElsewhere
from rulewright.verdict import Outcome

Json = dict[str, Any]
BLOCK: Final = 100
"""Items that are packed, and unpacked when one of them is looked at, together."""
FACETS: Final = ("family", "source", "language", "group")
"""What a row says of its task that the page filters by."""
TITLE_CHARS: Final = 140


@dataclass
class Page:
    """Items that were added, packed: columns to filter by, and blocks with all the rest.

    Args:
        title: what the page calls itself.
        runs: names of the runs side by side.
        good: the word for what is right.
    """

    title: str
    runs: Sequence[str]
    good: str = "right"
    n: int = 0
    _blocks: list[str] = field(default_factory=list)
    _waiting: list[Json] = field(default_factory=list)
    _titles: list[str] = field(default_factory=list)
    _names: dict[str, dict[str, int]] = field(default_factory=dict)
    _columns: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, name: str, task: str, facets: Mapping[str, str], item: Json) -> None:
        """Add one item.

        Args:
            name: of the item, as its file has it.
            task: items of one task are counted together when runs are compared.
            facets: what it is filtered by.
            item: everything that is shown, with an answer (or `None`) for each run.
        """
        self.n += 1
        whole = item["instruction"] or facets.get("group") or name
        first = next((line for line in whole.splitlines() if line.strip()), name)
        self._titles.append(first[:TITLE_CHARS])
        self._put("task", self._number("task", task))
        for facet in FACETS:
            self._put(facet, self._number(facet, facets.get(facet, "")))
        for run, answer in enumerate(item["answers"]):
            said = answer or {"verdict": "", "right": None, "reward": None}
            self._put(f"verdict{run}", self._number("verdict", said["verdict"]))
            self._put(f"right{run}", -1 if said["right"] is None else int(said["right"]))
            self._put(f"reward{run}", said.get("reward"))
        self._waiting.append({"name": name, **item})
        if len(self._waiting) == BLOCK:
            self._pack()

    def _put(self, column: str, value: Any) -> None:
        self._columns.setdefault(column, []).append(value)

    def _number(self, kind: str, name: str) -> int:
        known = self._names.setdefault(kind, {})
        return known.setdefault(name, len(known))

    def _pack(self) -> None:
        if self._waiting:
            self._blocks.append(_packed(self._waiting))
            self._waiting = []

    def write(self, out: Path) -> None:
        """Write the page."""
        self._pack()
        names = {kind: list(known) for kind, known in self._names.items() if kind != "task"}
        index = {
            "title": self.title, "good": self.good, "runs": list(self.runs), "n": self.n, "block": BLOCK,
            "facets": list(FACETS), "names": names, "columns": self._columns, "titles": self._titles,
        }  # fmt: skip
        style, script = _asset("view.css"), _asset("view.js")
        page = templates.render(
            "view.html.jinja", title=self.title, style=style, script=script, style_digest=_digest(style),
            script_digest=_digest(script), index=_packed(index), blocks=self._blocks,
        )  # fmt: skip
        jsonl.write_text(out, page)


def add_line(page: Page, name: str, item: Shown, outcome: Outcome, action: Action) -> None:
    """Add one line whose answer was judged already."""
    page.add(name, name, _facets(item), _item(item, [_answer(item, outcome, action)]))


def add_sheets(page: Page, sheets: Sequence[Sheet], engine: Engine, keys: Sequence[str]) -> None:
    """Add the lines of several files side by side, those of one name as one item."""
    waiting = iter(keys)
    with console.progress("items", len(keys)) as bar:
        while some := list(islice(waiting, BLOCK)):
            read = [
                [sheet.read(sheet.rows[key]) if key in sheet.rows else None for sheet in sheets]
                for key in some
            ]
            flat = [one for line in read for one in line if one is not None]
            judged = iter(judge_all(flat, engine))
            for key, line in zip(some, read):
                answers = [None if one is None else _judged(one, *next(judged), engine) for one in line]
                first = next(one for one in line if one is not None)
                row = next(sheet.rows[key] for sheet in sheets if key in sheet.rows)
                name = str(row.get("task") or row.get("task_id") or key)
                page.add(key, name, _facets(first), _item(first, answers))
                bar.advance()


def _facets(item: Shown) -> dict[str, str]:
    provenance = item.said.get("provenance")
    inner = provenance if isinstance(provenance, dict) else {}
    said = {name: item.said.get(name) or inner.get(name) or "" for name in FACETS}
    return {name: str(value) for name, value in said.items()} | {"language": item.language}


def _item(item: Shown, answers: Sequence[Json | None]) -> Json:
    return {
        "kind": item.kind, "instruction": item.instruction, "language": item.language, "code": item.pre,
        "wanted": difftext.shown(item.pre, item.wanted, 3), "answers": list(answers),
    }  # fmt: skip


def _answer(
    item: Shown, outcome: Outcome | None, action: Action | None, tried: TriedElsewhere | None = None
) -> Json:
    verdict = str(item.said.get("verdict") or (outcome.verdict if outcome else "") or "no answer")
    right = item.right
    if right is None and item.kind != "file":
        right = outcome.ok if outcome else None
    parts = rewards(item, action, outcome, tried)
    made: Json = {
        "verdict": verdict,
        "right": right,
        "detail": str(item.said.get("detail") or (outcome.detail if outcome else "")),
        "text": item.answer,
        "diff": difftext.shown(item.pre, outcome.post if outcome else None, 3),
        "rewards": parts,
        "facts": {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in item.said.items()
            if key not in ("verdict", "detail") and value not in ("", [], None)
        },
        "tried": list(_tried(item, tried)),
    }
    if action is not None:
        made |= {"rule": render_rules(action), "words": describe_action(action)}
    if parts:
        value = parts["gated"]["value"]
        made["reward"] = None if value is None else round(value, 3)
    return made


def _judged(item: Shown, outcome: Outcome | None, action: Action | None, engine: Engine) -> Json:
    return _answer(item, outcome, action, elsewhere(item, action, outcome, engine))


def _tried(item: Shown, found: TriedElsewhere | None) -> Iterator[Json]:
    """What an answer does to the other texts of its item; where it was not tried, what it should do."""
    posts = found.posts if found and found.posts else [None] * len(item.tried)
    for one, became in zip(item.tried, posts):
        right = None if became is None else became == one.wanted
        missed = "not tried" if became is None else "no change" if became == one.pre else "wrong"
        yield {
            "name": one.name, "right": right, "verdict": "right" if right else missed,
            "diff": difftext.shown(one.pre, became, 3),
            "wanted": "" if right else difftext.shown(one.pre, one.wanted, 3),
        }  # fmt: skip


def _packed(value: Any) -> str:
    """A value as JSON, gzipped, in base64: no character of it means anything to a page."""
    raw = json.dumps(value, separators=(",", ":")).encode("ascii")
    return base64.b64encode(zlib.compress(raw, 6, wbits=31)).decode("ascii")


def _asset(name: str) -> str:
    return resources.files(templates).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
