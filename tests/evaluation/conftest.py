"""A real HTTP server in place of a model, records of a few kinds of edits, and a way to run commands."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.loopback import Reply, Request, json_reply, serving

from rulewright.data.schemas import NormalizedRecord, RecordMetadata, record_id


def unpacked(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text)))


def read_page(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The columns and all items of a page."""
    held = dict(re.findall(r'<script type="text/plain" id="(\w+)">([^<]*)</script>', path.read_text()))
    index = unpacked(held.pop("index"))
    return index, [item for number in range(len(held)) for item in unpacked(held[f"block{number}"])]


@dataclass
class Oracle:
    """Answers every request with `answer(last user message, request body)`; a number is an HTTP error."""

    url: str = ""
    answer: Callable[[str, dict[str, Any]], str | int] = lambda text, body: ""
    n_requests: int = 0
    prompts: list[str] = field(default_factory=list)


@pytest.fixture
def oracle() -> Iterator[Oracle]:
    state = Oracle()

    def answer(request: Request) -> Reply:
        body = request.json()
        state.n_requests += 1
        text = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
        state.prompts.append(text)
        said = state.answer(text, body)
        if isinstance(said, int):
            return json_reply({"error": {"message": "as told"}}, said)
        choice = {"text": said, "message": {"content": said}, "finish_reason": "stop"}
        return json_reply({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 3}})

    with serving(answer) as url:
        state.url = f"{url}/v1"
        yield state


def _rule(pattern: str, fix: str) -> str:
    return f"id: r\nlanguage: Python\nrule:\n  pattern: {pattern}\nfix: {fix}\n"


def _wire(rule_yaml: str) -> str:
    action = {"type": "ast_grep", "language": "python", "mode": "yaml", "rule_yaml": rule_yaml, "notes": ""}
    return json.dumps({"action": action})


def _record(i: int, family: str, pre: str, post: str, rule_yaml: str) -> NormalizedRecord:
    instruction = f"Edit {i}: {family}."
    return NormalizedRecord(
        instruction=instruction,
        pre=pre,
        post=post,
        language="python",
        tags=["synth", f"family:{family}"],
        metadata=RecordMetadata(
            id=record_id(instruction, pre, post, "python"),
            source="made",
            license="apache-2.0",
            group=f"group{i % 4}",
            action=_wire(rule_yaml),
            provenance={"family": family},
        ),
    )


@pytest.fixture(scope="session")
def records() -> list[NormalizedRecord]:
    """Twelve edits of two families in four groups, each with its gold action."""
    made = []
    for i in range(12):
        if i % 2:
            pre = f"def f{i}(x):\n    if x == None:\n        return {i}\n    return x\n"
            post = pre.replace("x == None", "x is None")
            made.append(_record(i, "is-none", pre, post, _rule("$A == None", "$A is None")))
        else:
            pre = f"total{i} = add({i}, 1)\nother = add(2, total{i})\n"
            post = pre.replace("add(", "plus(")
            made.append(_record(i, "rename-call", pre, post, _rule("add($$$A)", "plus($$$A)")))
    return made


@pytest.fixture
def record_file(tmp_path: Path, records: list[NormalizedRecord]) -> Path:
    path = tmp_path / "test.jsonl"
    path.write_text("".join(record.to_json() + "\n" for record in records))
    return path


@pytest.fixture
def record_of(records: list[NormalizedRecord]) -> Callable[[str], NormalizedRecord]:
    """The record that a prompt is about."""
    return lambda prompt: next(r for r in records if r.instruction in prompt)
