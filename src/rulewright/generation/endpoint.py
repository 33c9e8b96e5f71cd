"""Completions from an OpenAI-compatible endpoint: vLLM, llama.cpp, SGLang, a paid API.

Chat messages go to `/chat/completions`, a string to `/completions`. The plan calls this
`VLLMClient`. Answers arrive in any order; each is yielded as soon as it is there.
"""

from __future__ import annotations

import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from types import NoneType
from typing import Any, Final

from rulewright import console
from rulewright.engine.grammar import action_grammar
from rulewright.errors import RulewrightError, UsageError, few
from rulewright.generation.base import Completion, FinishReason, Generator, Prompt, Sampling
from rulewright.generation.open import GeneratorConfig, require_languages, resolve_style
from rulewright.generation.transport import EndpointStopped, Failure, Transport
from rulewright.languages import Language

_FINISH: Final[dict[str, FinishReason]] = {
    "stop": "stop", "eos": "stop", "end_turn": "stop", "stop_sequence": "stop", "tool_calls": "stop",
    "length": "length", "max_tokens": "length", "content_filter": "content_filter",
}  # fmt: skip
_TOO_LONG: Final = re.compile(
    r"context.{0,20}(length|window|size)|maximum.{0,20}(context|tokens)|too long|too many tokens", re.I
)
_NEWER_BOUND: Final = "max_completion_tokens"
# So many refusals at the start, with nothing answered, mean that the requests are wrong, not the prompts.
_REFUSED_AT_START: Final = 5


class EndpointGenerator(Generator):
    """Requests to one model at one endpoint, several at once."""

    def __init__(self, spec: GeneratorConfig) -> None:
        self._spec = spec
        self.style = resolve_style(spec)
        self.transport = Transport(
            spec.base_url,
            os.environ.get(spec.api_key_env, "") if spec.api_key_env else "",
            spec.timeout_s,
            spec.max_retries,
            spec.max_wait_s,
            spec.concurrency,
        )
        names = [spec.model] if spec.model else self.transport.models()
        if len(names) != 1:
            listed = few(names, 8) or "none"
            raise UsageError(
                f"{self.transport.base_url} offers {len(names)} models: {listed}", "name one: --model"
            )
        if not spec.model:
            console.decided("model", names[0], "the only one at the endpoint")
        self.name = names[0]
        self._bound = "max_tokens"
        """The parameter that bounds an answer."""

    def close(self) -> None:
        self.transport.close()

    def stream(
        self, prompts: Sequence[Prompt], sampling: Sampling, languages: Sequence[Language] | None = None
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Yield each prompt's completions as they arrive.

        Raises:
            EndpointStopped: HTTP 401, 402 or 403: nothing more is asked; what was
                yielded before stands.
            UsageError: the model does not exist, or the first requests are all refused.
        """
        held = self._spec.constrain != "none"
        grammars: Sequence[Language | None] = require_languages(languages) if held else [None] * len(prompts)
        asking = _Asking(
            len(prompts), self._spec.concurrency, lambda i: self._ask(prompts[i], sampling, grammars[i])
        )
        n_answered = n_refused = 0
        with closing(asking):
            for index, completions in asking:
                refused = any(c.finish_reason == "refused" for c in completions)
                n_refused, n_answered = n_refused + refused, n_answered + (not refused)
                if n_refused >= _REFUSED_AT_START and not n_answered:
                    raise UsageError(
                        f"{self.transport.base_url}: the first {n_refused} requests were refused: "
                        f"{completions[0].error}",
                        "the endpoint refuses such requests: check --model, generator.extra_body",
                    )
                yield index, completions

    def _ask(self, prompt: Prompt, sampling: Sampling, language: Language | None) -> list[Completion]:
        """Ask for `n` completions; servers that give fewer at a time are asked again."""
        got: list[Completion] = []
        while len(got) < sampling.n:
            start = time.monotonic()
            answer = self._request(prompt, sampling, len(got), language)
            seconds = round(time.monotonic() - start, 3)
            if isinstance(answer, Failure):
                got += [self._failed(answer)] * (sampling.n - len(got))
                break
            choices = answer["choices"]
            given = answer.get("usage")
            usage: dict[str, Any] = given if isinstance(given, dict) else {}
            # The usage of the whole request is shared out among its choices.
            spent = _count(usage.get("completion_tokens"))
            n_prompt = 0 if got else _count(usage.get("prompt_tokens"))
            for i, choice in enumerate(choices[: sampling.n - len(got)]):
                share = spent // len(choices) + (i < spent % len(choices))
                got.append(_completion(choice, share, n_prompt, seconds))
        return got

    def _request(
        self, prompt: Prompt, sampling: Sampling, n_got: int, language: Language | None
    ) -> dict[str, Any] | Failure:
        body: dict[str, Any] = {
            "model": self.name,
            self._bound: sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "n": sampling.n - n_got,
            "seed": sampling.seed + n_got,
        }
        if body["n"] == 1:
            del body["n"]
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if self._spec.thinking is not None:
            body["chat_template_kwargs"] = {"enable_thinking": self._spec.thinking}
        if language is not None:
            body["structured_outputs"] = {"grammar": action_grammar(language)}
        if isinstance(prompt, str):
            path, body["prompt"] = "/completions", prompt
        else:
            path, body["messages"] = "/chat/completions", list(prompt)
        body |= self._spec.extra_body
        body = {key: value for key, value in body.items() if value is not None}
        answer = self.transport.post(path, body)
        if isinstance(answer, Failure) and self._bound in body and _NEWER_BOUND in answer.detail:
            # Servers of models that think take it by another name.
            body[_NEWER_BOUND] = body.pop(self._bound)
            self._bound = _NEWER_BOUND
            answer = self.transport.post(path, body)
        if isinstance(answer, dict) and not _has_choices(answer):
            # Rare, and seen from gateways under load: worth one more attempt, then a failure.
            answer = self.transport.post(path, body)
            if isinstance(answer, dict) and not _has_choices(answer):
                return Failure(0, "the answer has no choices", permanent=False)
        return answer

    def _failed(self, failure: Failure) -> Completion:
        if failure.status == 404:
            try:
                offered = few(self.transport.models(), 8) or "nothing"
            except RulewrightError:
                offered = "no list of models either: is this the right URL?"
            raise UsageError(
                f"{self.transport.base_url}: {failure.detail} (model {self.name!r})", f"it offers: {offered}"
            )
        if failure.permanent and _TOO_LONG.search(failure.detail):
            return Completion("", 0, "prompt_too_long", error=failure.detail)
        where = f"{self.transport.base_url}: " if not failure.status else ""
        said = f"{where}{failure.detail}"
        return Completion("", 0, "refused" if failure.permanent else "error", error=said)


class _Asking:
    """Answers to questions 0 … n − 1 as they come, from a few threads.

    The threads are daemons, so that an interrupt need not wait for a slow server, and they
    run ahead of the reader by a few answers only: what is not yet saved can be lost.
    """

    def __init__(self, n: int, n_threads: int, ask: Callable[[int], list[Completion]]) -> None:
        self._n, self._ask = n, ask
        self._owed = iter(range(n))
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._failed = threading.Event()
        """One answer ends the run: whoever reads may not know yet, but nobody asks any more."""
        self._ready: queue.Queue[tuple[int, list[Completion] | BaseException]] = queue.Queue(n_threads)
        for _ in range(min(n, n_threads)):
            threading.Thread(target=self._work, daemon=True, name="endpoint").start()

    def __iter__(self) -> Iterator[tuple[int, list[Completion]]]:
        for _ in range(self._n):
            index, answer = self._ready.get()
            if isinstance(answer, BaseException):
                self.close()
                # What is there already is handed over before a failure ends the run.
                while not self._ready.empty():
                    index, other = self._ready.get()
                    if not isinstance(other, BaseException):
                        yield index, other
                raise answer
            yield index, answer

    def _work(self) -> None:
        while not (self._stopped.is_set() or self._failed.is_set()):
            with self._lock:
                index = next(self._owed, None)
            if index is None:
                return
            answer: list[Completion] | BaseException
            try:
                answer = self._ask(index)
            except BaseException as error:  # raised again where the answers are read
                self._failed.set()
                answer = error
            while not self._stopped.is_set():
                try:
                    self._ready.put((index, answer), timeout=0.2)
                    break
                except queue.Full:
                    continue

    def close(self) -> None:
        """Ask nothing more."""
        self._stopped.set()


def _has_choices(answer: dict[str, Any]) -> bool:
    choices = answer.get("choices")
    return isinstance(choices, list) and bool(choices) and all(map(_is_choice, choices))


def _is_choice(choice: object) -> bool:
    """Whether it holds an answer, be it empty: one without is the server's failure, not the model's."""
    if not isinstance(choice, dict):
        return False
    message = choice.get("message")
    if isinstance(message, dict):
        return isinstance(message.get("content"), (str, list, NoneType))
    return isinstance(choice.get("text"), str)


def _completion(choice: dict[str, Any], n_tokens: int, n_prompt: int, seconds: float) -> Completion:
    message = choice.get("message")
    if isinstance(message, dict):
        text = _text(message.get("content"))
        reasoning = _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
    else:
        message, text, reasoning = {}, _text(choice.get("text")), ""
    reason = _FINISH.get(str(choice.get("finish_reason") or "stop"), "stop")
    instead = "" if text.strip() else _instead(message, reasoning, reason)
    return Completion(text, n_tokens, reason, n_prompt, reasoning=reasoning, error=instead, seconds=seconds)


def _instead(message: dict[str, Any], reasoning: str, reason: FinishReason) -> str:
    """What a server sent instead of a text."""
    if refusal := _text(message.get("refusal")):
        return f"the model declines: {' '.join(refusal.split())[:200]}"
    if message.get("tool_calls"):
        return "a call of a tool, and no text"
    if reason == "content_filter":
        return "the server's filter of contents took the answer"
    if reasoning and reason == "length":
        return "all tokens went into reasoning; raise --max-new-tokens"
    return "reasoning alone, and no answer" if reasoning else "an empty answer"


def _count(value: object) -> int:
    """A number of tokens, where the server tells one."""
    return int(value) if isinstance(value, (int, float)) and value > 0 else 0


def _text(value: object) -> str:
    """Content is a string, nothing, or (some servers) a list of text parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(part.get("text") or "" for part in value if isinstance(part, dict))
    return ""


VLLMClient = EndpointGenerator
"""The plan's name for it."""

__all__ = ["EndpointGenerator", "EndpointStopped", "VLLMClient"]
