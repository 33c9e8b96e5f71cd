"""Send one JSON request to an endpoint, with retries, Retry-After and deadlines.

Invariant: `post` gives the server's JSON object, or a `Failure` that says whether
another attempt could help. It never hangs past its deadline, never reads without bound,
and never repeats what a key or an empty account forbids: that raises `EndpointStopped`.
"""

from __future__ import annotations

import email.utils
import hashlib
import json
import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from rulewright import __version__, console
from rulewright.errors import RulewrightError, UsageError
from rulewright.generation.base import LOOPBACK

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
RETRIED_STATUS: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
HUB_FAILURES: Final = (httpx.HTTPError, OSError, ValueError)
"""What the hub's client raises: HTTP, offline mode and missing files (an `OSError` each), wrong names."""
_FIRST_WAIT_S: Final = 0.5
_NUMBER: Final = re.compile(r"^\[Errno -?\d+\] ")


class EndpointStopped(RulewrightError):
    """The endpoint takes no more requests from us: a wrong key, or no money left."""


@dataclass(frozen=True)
class Failure:
    """A request without an answer."""

    status: int
    """HTTP status; 0 where there was none (connection, deadline, damaged body)."""
    detail: str
    permanent: bool
    """The server refuses this request as such: asking again cannot help."""


class Transport:
    """An HTTP client for one endpoint, shared by all threads.

    Args:
        base_url: up to and including `/v1`.
        api_key: sent as a bearer token; empty: none.
        timeout_s: for one whole request and answer.
        max_retries: further attempts after the first.
        max_wait_s: longest single wait, also when the server asks for more.
        connections: most open at once.
        seed: of the jitter.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str = "",
        timeout_s: float = 600.0,
        max_retries: int = 6,
        max_wait_s: float = 120.0,
        connections: int = 8,
        seed: int = 0,
    ) -> None:
        self.base_url = normalize_base_url(base_url)
        headers = {"User-Agent": f"rulewright/{__version__}"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._timeout_s, self._max_retries, self._max_wait_s = timeout_s, max_retries, max_wait_s
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=min(30.0, timeout_s)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # A proxy of the environment cannot reach a server on this machine.
            trust_env=httpx.URL(self.base_url).host not in LOOPBACK,
        )
        self._seed = seed
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._said_unreachable = False

    def close(self) -> None:
        self._client.close()

    def post(self, path: str, body: Mapping[str, Any], plain: bool = False) -> dict[str, Any] | Failure:
        """Send a request until it is answered, refused, or out of retries.

        Args:
            path: after the base URL.
            body: of the request, sent as JSON.
            plain: the answer is no JSON, and is given as `{"text": …}`.
        """
        payload = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        jitter = random.Random(f"{self._seed}:{hashlib.sha256(payload).hexdigest()}")
        failure = Failure(0, "not tried", permanent=False)
        for attempt in range(self._max_retries + 1):
            while (left_s := self._not_before - time.monotonic()) > 0:
                time.sleep(left_s)  # the server wants no requests from any of our threads
            answer, asked_s = self._try("POST", path, payload, plain)
            if isinstance(answer, dict) or answer.permanent:
                return answer
            failure = answer
            if attempt == self._max_retries:
                break
            backoff_s = _FIRST_WAIT_S * 2**attempt * (0.75 + jitter.random() / 2)
            wait_s = min(asked_s if asked_s is not None else backoff_s, self._max_wait_s)
            with self._lock:
                # A rate limit is for the key, not for one request: all threads pause together.
                if failure.status in (429, 503, 529):
                    self._not_before = max(self._not_before, time.monotonic() + wait_s)
            if wait_s >= 10:
                console.say(f"{self.base_url}: HTTP {failure.status or 'failure'}; waiting {wait_s:.0f} s")
            time.sleep(wait_s)
        return failure

    def models(self) -> list[str]:
        """Names that the endpoint offers.

        Raises:
            UsageError: it cannot be reached, or does not speak the protocol.
        """
        return [str(card["id"]) for card in self.model_cards()]

    def model_cards(self) -> list[dict[str, Any]]:
        """What the endpoint says of each model that it offers: `id`, and with vLLM `root` and `parent`.

        Raises:
            UsageError: it cannot be reached, or does not speak the protocol.
        """
        answer, _ = self._try("GET", "/models", None)
        if isinstance(answer, Failure):
            raise UsageError(
                f"{self.base_url}/models: {answer.detail}",
                "is the server running, and does the URL end in /v1? If it does not list its models, "
                "give --model",
            )
        listed = answer.get("data")
        return [item for item in listed or [] if isinstance(item, dict) and "id" in item]

    def _try(
        self, method: str, path: str, payload: bytes | None, plain: bool = False
    ) -> tuple[dict[str, Any] | Failure, float | None]:
        """One attempt: the answer or a failure, and the wait that the server asks for."""
        deadline = time.monotonic() + self._timeout_s
        try:
            with self._client.stream(
                method, self.base_url + path, content=payload, headers={"Content-Type": "application/json"}
            ) as response:
                raw = _read(response, deadline)
        except httpx.TimeoutException:
            return Failure(0, f"no answer within {self._timeout_s:g} s", permanent=False), None
        except httpx.ConnectError as error:
            with self._lock:
                said, self._said_unreachable = self._said_unreachable, True
            if not said:  # at the first try: else it would show only after all the others
                console.say(
                    f"{self.base_url}: no server answers; is it running (`rulewright serve MODEL`), "
                    "and is the address right? Trying again for a while"
                )
            reason = _NUMBER.sub("", str(error))[:250]
            return Failure(0, f"nothing listens there ({reason})", permanent=False), None
        except httpx.HTTPError as error:
            return Failure(0, f"{type(error).__name__}: {error}"[:300], permanent=False), None
        if raw is None:
            detail = f"answer too slow ({self._timeout_s:g} s) or larger than {MAX_ANSWER_BYTES} bytes"
            return Failure(0, detail, permanent=False), None
        if response.status_code == 200:
            return {"text": raw.decode("utf-8", "replace")} if plain else _json_object(raw), None
        return self._refusal(response, raw), retry_after_s(response.headers, time.time())

    def _refusal(self, response: httpx.Response, raw: bytes) -> Failure:
        status, detail = response.status_code, _message(raw)
        if status in (401, 402, 403) or (status == 429 and "insufficient_quota" in detail):
            what = "the account is out of credit" if status in (402, 429) else "the key is not accepted"
            raise EndpointStopped(
                f"{self.base_url}: HTTP {status}: {what} ({detail})",
                "the key is read from OPENAI_API_KEY, or the variable that generator.api_key_env names; "
                "fix it, then run the same command again",
            )
        if response.is_redirect:
            raise EndpointStopped(
                f"{self.base_url}: HTTP {status}: it has moved to {response.headers['location'][:200]}",
                "name the address that it has now as the base URL",
            )
        return Failure(status, f"HTTP {status}: {detail}", permanent=status not in RETRIED_STATUS)


def normalize_base_url(url: str) -> str:
    """Check a URL and end it in a path: a bare host gets `/v1`.

    >>> normalize_base_url("http://127.0.0.1:8000/")
    'http://127.0.0.1:8000/v1'
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UsageError(f"base URL {url!r}: {error}", "e.g. http://127.0.0.1:8000/v1") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UsageError(f"base URL {url!r}: expected http(s)://host…", "e.g. http://127.0.0.1:8000/v1")
    stripped = url.rstrip("/").removesuffix("/chat/completions")
    return stripped + "/v1" if parsed.path in ("", "/") else stripped


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the server asks us to wait: `retry-after-ms`, `Retry-After` (seconds or date)."""
    milliseconds = headers.get("retry-after-ms", "")
    try:
        return max(0.0, float(milliseconds) / 1000)
    except ValueError:
        pass
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError):
        return None


def _read(response: httpx.Response, deadline: float) -> bytes | None:
    """Read the body within the deadline and the bound; a server may drip bytes forever."""
    parts: list[bytes] = []
    size = 0
    for part in response.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES or time.monotonic() > deadline:
            return None
    return b"".join(parts)


def _json_object(raw: bytes) -> dict[str, Any] | Failure:
    try:
        value = _joined(raw) if raw.startswith(b"data:") else json.loads(raw)
    except (ValueError, RecursionError, AttributeError, TypeError):
        return Failure(0, f"the answer is not JSON, but '{_message(raw[:400])[:80]}'", permanent=False)
    if isinstance(value, Failure):
        return value
    if not isinstance(value, dict):
        return Failure(0, f"the answer is a JSON {type(value).__name__}, not an object", permanent=False)
    # Some gateways wrap an upstream failure in a 200.
    if "choices" not in value and "data" not in value and "error" in value:
        return Failure(0, f"error in the answer: {_message(raw)}", permanent=False)
    return value


def _joined(raw: bytes) -> dict[str, Any] | Failure:
    """The answer that a server sends in pieces, though it was not asked to: `data: {…}`, one a line."""
    text = raw.decode("utf-8", "replace")
    whole: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for line in text.splitlines():
        if not line.startswith("data:") or line[5:].strip() == "[DONE]":
            continue
        piece = json.loads(line[5:])
        whole |= {key: value for key, value in piece.items() if value}
        for given in piece.get("choices") or ():
            choice = choices.setdefault(given.get("index") or 0, {"message": {}})
            choice["finish_reason"] = given.get("finish_reason") or choice.get("finish_reason")
            for key, value in (given.get("delta") or {"content": given.get("text")}).items():
                if isinstance(value, str):
                    choice["message"][key] = choice["message"].get(key, "") + value
    ended = text.rstrip().endswith("[DONE]") or all(choice["finish_reason"] for choice in choices.values())
    if not ended:
        return Failure(0, "the answer breaks off", permanent=False)
    return whole | {"choices": [choices[index] for index in sorted(choices)]}


def _message(raw: bytes) -> str:
    """The server's own words, on one line."""
    text = raw.decode("utf-8", "replace")
    try:
        value = json.loads(text)
        error = value.get("error", value) if isinstance(value, dict) else value
        if isinstance(error, dict):
            parts = [error.get("code"), error.get("type"), error.get("message") or error.get("detail")]
            text = ": ".join(str(part) for part in parts if part) or text
        elif isinstance(error, str):
            text = error
    except (ValueError, RecursionError):
        pass
    return " ".join(console.clean(text).split())[:300]
