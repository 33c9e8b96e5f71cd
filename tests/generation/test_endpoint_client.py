"""The endpoint client against a real server that misbehaves in the ways servers do."""

from __future__ import annotations

import email.utils
import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.generation.conftest import ChatServer
from tests.loopback import Reply, json_reply
from tests.waiting import wait_until

from rulewright.errors import UsageError
from rulewright.generation import GeneratorConfig, Sampling, open_generator
from rulewright.generation.endpoint import VLLMClient
from rulewright.generation.transport import EndpointStopped, normalize_base_url, retry_after_s
from rulewright.prompts import Message


def chat_reply(texts: list[str], finish: str = "stop", **message: Any) -> Reply:
    choices = [
        {"message": {"role": "assistant", "content": t, **message}, "finish_reason": finish} for t in texts
    ]
    usage = {"prompt_tokens": 11, "completion_tokens": 7 * len(texts)}
    return json_reply({"choices": choices, "usage": usage})


def error_reply(status: int, message: str, **headers: str) -> Reply:
    return replace(json_reply({"error": {"message": message}}, status), headers=headers)


PROMPT: list[Message] = [{"role": "user", "content": "hello"}]


def client(server: Any, **options: Any) -> VLLMClient:
    spec = GeneratorConfig(
        model="tiny", base_url=server.url, **{"timeout_s": 5, "max_wait_s": 0.1, **options}
    )
    generator = open_generator(spec)
    assert isinstance(generator, VLLMClient)
    return generator


def prompts(n: int) -> list[list[Message]]:
    return [[{"role": "user", "content": f"task {i}"}] for i in range(n)]


def test_answer_with_usage_reasoning_and_finish_reason(chat_server: ChatServer) -> None:
    chat_server.script = lambda *_: chat_reply(["code"], finish="length", reasoning_content="because")
    with client(chat_server) as generator:
        [[got]] = generator.generate([PROMPT], Sampling(max_new_tokens=9, seed=3, stop=("END",)))
    assert (got.text, got.reasoning, got.finish_reason) == ("code", "because", "length")
    assert (got.n_tokens, got.n_prompt_tokens) == (7, 11)
    path, body = chat_server.requests[0]
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "tiny", "messages": PROMPT, "max_tokens": 9, "temperature": 0.0, "top_p": 1.0,
        "seed": 3, "stop": ["END"],
    }  # fmt: skip


def test_plain_text_prompt_goes_to_completions(chat_server: ChatServer) -> None:
    reply = {"choices": [{"text": "x = 2", "finish_reason": "stop"}]}
    chat_server.script = lambda *_: json_reply(reply)
    with client(chat_server) as generator:
        [[got]] = generator.generate(["## Code Before:\n"], Sampling())
    assert got.text == "x = 2"
    assert chat_server.requests[0][0] == "/v1/completions"
    assert chat_server.requests[0][1]["prompt"] == "## Code Before:\n"


def test_order_concurrency_and_thinking_switch(chat_server: ChatServer) -> None:
    def script(path: str, body: dict[str, Any], index: int) -> Any:
        time.sleep(0.05 if index % 2 else 0.01)
        return chat_reply([body["messages"][0]["content"].upper()])

    chat_server.script = script
    with client(chat_server, concurrency=4, thinking=False) as generator:
        got = generator.generate(prompts(12), Sampling())
    assert [c[0].text for c in got] == [f"TASK {i}" for i in range(12)]
    assert 2 <= chat_server.peak <= 4
    assert chat_server.requests[0][1]["chat_template_kwargs"] == {"enable_thinking": False}


def test_servers_that_ignore_n_are_asked_again(chat_server: ChatServer) -> None:
    chat_server.script = lambda path, body, index: chat_reply([f"sample {body['seed']}"])
    with client(chat_server) as generator:
        [got] = generator.generate([PROMPT], Sampling(n=3, temperature=1.0, seed=5))
    assert [c.text for c in got] == ["sample 5", "sample 6", "sample 7"]
    assert [c.n_prompt_tokens for c in got] == [11, 0, 0]
    assert [body.get("n") for _, body in chat_server.requests] == [3, 2, None]


@pytest.mark.parametrize(
    "bad",
    [
        error_reply(429, "slow down", **{"Retry-After": "0.02"}),
        error_reply(503, "overloaded"),
        error_reply(500, "oops"),
        replace(chat_reply(["cut off in the middle"]), cut=40),
        Reply(body=b'{"choices": [{"mess'),
        Reply(body=b'{"choices": []}'),
        Reply(body=b"[1, 2]"),
        Reply(body=b'{"error": {"message": "upstream failed"}}'),
        Reply(502, b"<html>Bad gateway</html>"),
    ],
)
def test_passing_faults_are_ridden_out(chat_server: ChatServer, bad: Reply) -> None:
    def script(path: str, body: dict[str, Any], index: int) -> Reply:
        return bad if index == 0 else chat_reply(["fine"])

    chat_server.script = script
    with client(chat_server) as generator:
        assert generator.generate([PROMPT], Sampling())[0][0].text == "fine"
    assert len(chat_server.requests) == 2


def test_lasting_faults_become_an_answer_that_is_owed(chat_server: ChatServer) -> None:
    chat_server.script = lambda *_: error_reply(500, "still broken")
    with client(chat_server, max_retries=2) as generator:
        [[got]] = generator.generate([PROMPT], Sampling())
    assert got.finish_reason == "error" and not got.answered
    assert "still broken" in got.error
    assert len(chat_server.requests) == 3


def test_rate_limit_pauses_every_thread(chat_server: ChatServer) -> None:
    first: list[float] = []

    def script(path: str, body: dict[str, Any], index: int) -> Any:
        if not first:
            first.append(time.monotonic())
            return error_reply(429, "wait", **{"retry-after-ms": "300"})
        return chat_reply([str(time.monotonic() - first[0])])

    chat_server.script = script
    with client(chat_server, concurrency=1, max_wait_s=5.0) as generator:
        got = generator.generate(prompts(3), Sampling())
    assert all(float(c[0].text) >= 0.3 for c in got)


@pytest.mark.parametrize(("status", "words"), [(401, "key"), (402, "credit"), (403, "key")])
def test_a_closed_account_stops_the_run_and_keeps_what_was_answered(
    chat_server: ChatServer, status: int, words: str
) -> None:
    def script(path: str, body: dict[str, Any], index: int) -> Any:
        return chat_reply(["ok"]) if index < 3 else error_reply(status, "no")

    chat_server.script = script
    kept = []
    with client(chat_server, concurrency=1) as generator, pytest.raises(EndpointStopped, match=words):
        for index, _ in generator.stream(prompts(20), Sampling()):
            kept.append(index)
    assert len(kept) == 3
    assert len(chat_server.requests) == 4, "nothing is asked after the account is closed"


def test_unknown_model_names_what_there_is(chat_server: ChatServer) -> None:
    chat_server.script = lambda *_: error_reply(404, "no such model")
    with client(chat_server) as generator, pytest.raises(UsageError, match="offers: tiny"):
        generator.generate([PROMPT], Sampling())


def test_a_single_refusal_is_a_row_but_refusals_from_the_start_are_a_mistake(chat_server: ChatServer) -> None:
    def script(path: str, body: dict[str, Any], index: int) -> Any:
        refused = body["messages"][0]["content"] == "task 1"
        return error_reply(400, "content policy") if refused else chat_reply(["ok"])

    chat_server.script = script
    with client(chat_server) as generator:
        got = generator.generate(prompts(3), Sampling(n=2))
        assert [c[0].finish_reason for c in got] == ["stop", "refused", "stop"]
        chat_server.script = lambda *_: error_reply(400, "unknown field top_p")
        with pytest.raises(UsageError, match="unknown field top_p"):
            generator.generate(prompts(9), Sampling())


def test_prompt_beyond_the_context(chat_server: ChatServer) -> None:
    chat_server.script = lambda *_: error_reply(400, "This model's maximum context length is 512 tokens")
    with client(chat_server) as generator:
        assert generator.generate([PROMPT], Sampling())[0][0].finish_reason == "prompt_too_long"


def test_deadline_and_no_server(chat_server: ChatServer) -> None:
    def script(*_: Any) -> Any:
        time.sleep(1)
        return chat_reply(["late"])

    chat_server.script = script
    with client(chat_server, timeout_s=0.2, max_retries=0) as generator:
        assert "no answer within 0.2 s" in generator.generate([PROMPT], Sampling())[0][0].error
    # Bytes that keep coming do not keep a request alive for ever.
    chat_server.script = lambda *_: Reply(body=b" " * 500, drip_s=0.02)
    with client(chat_server, timeout_s=0.3, max_retries=0) as generator:
        assert "too slow (0.3 s)" in generator.generate([PROMPT], Sampling())[0][0].error
    with pytest.raises(UsageError, match="models"):
        open_generator(GeneratorConfig(base_url="http://127.0.0.1:9/v1"))


def test_key_goes_into_the_header_and_the_only_model_is_found(
    chat_server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "s3cret")
    chat_server.script = lambda *_: chat_reply(["ok"])
    spec = GeneratorConfig(base_url=chat_server.url, api_key_env="SOME_KEY", extra_body={"top_k": 20})
    with open_generator(spec) as generator:
        assert generator.name == "tiny"
        generator.generate([PROMPT], Sampling())
    assert chat_server.headers[0]["Authorization"] == "Bearer s3cret"
    assert chat_server.requests[0][1]["top_k"] == 20
    chat_server.models = ["a", "b"]
    with pytest.raises(UsageError, match="offers 2 models: a, b"):
        open_generator(spec)


def test_an_interrupt_does_not_wait_for_a_slow_server(chat_server: ChatServer, tmp_path: Path) -> None:
    interrupted = threading.Event()

    def script(*_: Any) -> Any:
        interrupted.wait(120)
        return chat_reply(["late"])

    chat_server.script = script
    code = (
        # Whoever runs the tests in the background has SIGINT ignored, and so have the processes they start.
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from rulewright.generation import *\n"
        f"spec = GeneratorConfig(model='m', base_url={chat_server.url!r})\n"
        "print('ready', flush=True)\n"
        "with open_generator(spec) as g: g.generate([[{'role': 'user', 'content': 'x'}]] * 4, Sampling())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert wait_until(lambda: len(chat_server.requests) >= 4, process)
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=30)  # the answers would take 120 s
    finally:
        process.kill()
        interrupted.set()


def test_answers_run_ahead_of_a_slow_reader_by_a_few_only(chat_server: ChatServer) -> None:
    chat_server.script = lambda *_: chat_reply(["ok"])
    with client(chat_server, concurrency=2) as generator:
        stream = generator.stream(prompts(50), Sampling())
        next(stream)
        time.sleep(0.5)
        assert len(chat_server.requests) <= 6
        stream.close()  # type: ignore[attr-defined]  # a generator


def test_content_without_a_string(chat_server: ChatServer) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    replies = [None, parts, "plain"]

    def script(path: str, body: dict[str, Any], index: int) -> Any:
        message = {"role": "assistant", "content": replies[index], "reasoning": "r"}
        return json_reply({"choices": [{"message": message}]})

    chat_server.script = script
    with client(chat_server, concurrency=1) as generator:
        got = [c[0] for c in generator.generate(prompts(3), Sampling())]
    assert [c.text for c in got] == ["", "ab", "plain"]
    assert got[0].reasoning == "r"


def test_retry_after_in_every_form() -> None:
    now = 1_000_000.0
    date = email.utils.formatdate(now + 30, usegmt=True)
    assert retry_after_s({"retry-after": "2.5"}, now) == 2.5
    assert retry_after_s({"retry-after-ms": "1500", "retry-after": "9"}, now) == 1.5
    assert retry_after_s({"retry-after": date}, now) == 30
    assert retry_after_s({"retry-after": "-3"}, now) == 0
    assert retry_after_s({"retry-after": "soon"}, now) is None
    assert retry_after_s({}, now) is None


def test_base_urls() -> None:
    assert normalize_base_url("http://h:1/v1/") == "http://h:1/v1"
    assert normalize_base_url("http://h:1") == "http://h:1/v1"
    assert normalize_base_url("https://h/api/v1/chat/completions") == "https://h/api/v1"
    for wrong in ("h:1", "ftp://h", "localhost", "http://"):
        with pytest.raises(UsageError):
            normalize_base_url(wrong)


def test_that_nothing_listens_is_said_at_the_first_try_and_once(capsys: pytest.CaptureFixture[str]) -> None:
    spec = GeneratorConfig(model="m", base_url="http://127.0.0.1:9/v1", max_retries=2, max_wait_s=0.05)
    with open_generator(spec) as generator:
        answers = generator.generate([PROMPT] * 2, Sampling(max_new_tokens=4))
    assert answers[0][0].error == "http://127.0.0.1:9/v1: nothing listens there (Connection refused)"
    said = capsys.readouterr().err
    assert said.count("no server answers") == 1 and "rulewright serve MODEL" in said


@pytest.mark.parametrize(
    ("message", "finish", "says"),
    [
        ({"content": None}, "stop", "an empty answer"),
        ({"content": None, "reasoning_content": "so"}, "stop", "reasoning alone, and no answer"),
        (
            {"content": "", "reasoning": "so"},
            "length",
            "all tokens went into reasoning; raise --max-new-tokens",
        ),
        (
            {"content": None, "tool_calls": [{"type": "function"}]},
            "tool_calls",
            "a call of a tool, and no text",
        ),
        ({"content": None, "refusal": "I  cannot."}, "stop", "the model declines: I cannot."),
        ({"content": ""}, "content_filter", "the server's filter of contents took the answer"),
        ({"content": "x = 1"}, "stop", ""),
    ],
)  # fmt: skip
def test_what_comes_instead_of_a_text_is_told(
    chat_server: ChatServer, message: dict[str, Any], finish: str, says: str
) -> None:
    choice = {"message": message, "finish_reason": finish}
    chat_server.script = lambda *_: json_reply({"choices": [choice]})
    with client(chat_server) as generator:
        [[got]] = generator.generate([PROMPT], Sampling())
    assert (got.error, got.answered) == (says, True)


def test_an_answer_in_pieces_is_one(chat_server: ChatServer) -> None:
    pieces: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]},
        {"choices": [{"index": 0, "delta": {"content": "x = "}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"content": "ü"}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    ]
    body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + ": waiting\n\ndata: [DONE]\n\n"
    chat_server.script = lambda *_: Reply(200, body.encode(), {"Content-Type": "text/event-stream"})
    with client(chat_server) as generator:
        [[got]] = generator.generate([PROMPT], Sampling())
    assert (got.text, got.finish_reason, got.n_tokens, got.n_prompt_tokens) == ("x = ü", "length", 2, 3)


@pytest.mark.parametrize(
    "body",
    [
        b"data: 5\n\n", b"data: {\n\n", b'data: {"choices": 5}\n\n', b"data:\n",
        b'data: {"choices": [{"delta": {"content": "half of"}}]}\n\n',
        b'{"choices": [{"finish_reason": "stop"}]}', b'{"choices": [{"message": {"content": 7}}]}',
        b'{"choices": [{"message": "x"}]}', b'{"choices": [{"text": null}]}',
    ],
)  # fmt: skip
def test_what_holds_no_whole_answer_is_the_server_s_failure(chat_server: ChatServer, body: bytes) -> None:
    chat_server.script = lambda *_: Reply(body=body)
    with client(chat_server, max_retries=0) as generator:
        [[got]] = generator.generate([PROMPT], Sampling())
    assert got.finish_reason == "error"


def test_a_server_that_bounds_answers_by_another_name(chat_server: ChatServer) -> None:
    def script(path: str, body: dict[str, Any], index: int) -> Any:
        if "max_tokens" in body:
            return error_reply(400, "Unsupported parameter: use max_completion_tokens instead.")
        return chat_reply([str(body["max_completion_tokens"])])

    chat_server.script = script
    with client(chat_server, concurrency=1) as generator:
        got = generator.generate(prompts(2), Sampling(max_new_tokens=9))
    assert [one.text for [one] in got] == ["9", "9"]
    assert len(chat_server.requests) == 3


def test_a_parameter_is_left_out_where_that_is_asked(chat_server: ChatServer) -> None:
    chat_server.script = lambda *_: chat_reply(["code"])
    with client(chat_server, extra_body={"seed": None, "top_k": 5}) as generator:
        generator.generate([PROMPT], Sampling())
    _, body = chat_server.requests[0]
    assert "seed" not in body
    assert body["top_k"] == 5


def test_counts_that_are_no_numbers_and_a_move(chat_server: ChatServer) -> None:
    usage = {"prompt_tokens": "many", "completion_tokens": -3}
    reply = json_reply({"choices": [{"message": {"content": "x"}}], "usage": usage})
    chat_server.script = lambda *_: reply
    with client(chat_server) as generator:
        [[got]] = generator.generate([PROMPT], Sampling())
        assert (got.text, got.n_tokens, got.n_prompt_tokens) == ("x", 0, 0)
        chat_server.script = lambda *_: Reply(307, headers={"Location": "http://other/v1"})
        with pytest.raises(EndpointStopped, match="HTTP 307: it has moved to http://other/v1"):
            generator.generate([PROMPT], Sampling())
