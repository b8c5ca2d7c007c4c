"""One careful answer from an OpenAI-compatible provider, and every way we know to get it wrong.

Without DEFECT this is a healthy client on the official SDK, old or current major: configuration from the environment, three
attempts at most and none on a hopeless error, a total deadline, an idle deadline that only content resets, `finish_reason`
checked, one JSON log line for each attempt and each ask, no secret and no text in them.

DEFECT=<name> puts exactly one defect in; catalogue.json says what each of them is.
"""

import asyncio
import base64
import contextvars
import email.utils
import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from datetime import datetime, timezone

import openai

DEFECT = os.environ.get("DEFECT", "")
DEFECTS = frozenset(
    """accepts-content-filter accepts-empty-choices accepts-length accepts-null-content accepts-truncated-stream
    blank-base-url-falls-through cached-answer crashes-with-signal deleted-secret disables-tls-verification
    empty-answer-on-error error-text-as-answer exits-zero-without-output forks-a-child-that-lives-on hardcoded-model
    ignores-base-url ignores-mid-stream-error ignores-proxy ignores-retry-after ignores-sigterm keepalive-resets-deadline
    keeps-generating-for-nobody key-with-newline logs-badly-masked-secret logs-completion logs-nothing logs-prompt logs-secret
    logs-secret-base64 logs-without-request-id logs-without-route logs-without-status logs-without-timestamp
    logs-without-version mock-left-on no-deadline other-host-fallback parser-needs-optional-field retries-400 retries-401
    retry-layers-multiplied retry-storm stream-broken stream-false-on-the-wire stream-hand-parser stream-reconnects
    strict-parser swallows-error traceback-with-key trusts-error-body trusts-html wrong-model-fallback wrong-path""".split()
)
# Healthy, and different: what must not be mistaken for a defect.
VARIATIONS = frozenset("stock decorated two-calls declared-fallback".split())

TIMEOUT = float(os.environ.get("LLM_TIMEOUT", "3"))  # of one read
DEADLINE = float(os.environ.get("LLM_DEADLINE", "10"))  # of one ask, waits between attempts included
IDLE = float(os.environ.get("LLM_IDLE", "3"))  # without content
LINGER = 0.5  # after finish_reason: what comes late is not worth a user's wait
VERSION = os.environ.get("APP_VERSION", "unversioned")
ELSEWHERE = "https://api.fallback.invalid/v1"  # a name that never exists
NOWHERE = "http://127.0.0.1:9/v1"  # the discard port: nothing listens there
FINAL_CODES = {"invalid_request", "model_not_found", "insufficient_quota", "credit_balance_exhausted"}
SYSTEM = "You are a support assistant. Answer briefly."


# JSON pointers of fields that the application insists on; `/a|/b`: on one of them. Streams: in some chunk.
NEEDS = os.environ.get("NEEDS", "").split()


def insist_on(*replies):
    """Refuses what lacks a field that NEEDS names: for tests that find out what an application needs."""
    for need in NEEDS:
        if not any(reach(reply, pointer) is not None for pointer in need.split("|") for reply in replies):
            raise Refusal("the provider's reply lacks what this application needs")


def reach(value, pointer):
    """Returns what stands at a pointer of a reply as the SDK hands it over, or None."""
    for key in pointer.split("/")[1:]:
        if isinstance(value, list):
            value = value[int(key)] if int(key) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(key)
        else:
            value = getattr(value, key, None)
    return value


def defect(*names):
    """Tells whether one of these is switched on."""
    return DEFECT in names


class Refusal(Exception):
    """There is no answer. `str()` of it may be shown to users: it holds no text of the provider's."""

    def __init__(self, kind, status=None):
        super().__init__(kind if status is None else f"{kind} (status {status})")
        self.kind = kind
        self.status = status


class Trace:
    """What the log lines of one ask share."""

    def __init__(self, route):
        self.route = route
        self.started = time.monotonic()
        self.attempts = 0
        self.status = None
        self.request_id = None

    def remaining(self):
        return DEADLINE - (time.monotonic() - self.started)


TRACE = contextvars.ContextVar("trace")

LEFT_OUT = {
    "logs-without-request-id": ("request_id",),
    "logs-without-route": ("route", "path"),
    "logs-without-status": ("status", "outcome", "reason"),
    "logs-without-timestamp": ("time",),
    "logs-without-version": ("version",),
}.get(DEFECT, ())


def log(event, level="info", **fields):
    """Writes one line of JSON on standard error."""
    trace = TRACE.get(None)
    line = {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "level": level,
        "event": event,
        "service": "support-bot",
        "version": VERSION,
        "route": trace.route if trace else None,
        **fields,
    }
    if not defect("logs-nothing"):
        print(json.dumps({k: v for k, v in line.items() if k not in LEFT_OUT and v is not None}), file=sys.stderr, flush=True)


def setting(name):
    value = os.environ.get(name, "").strip()
    if not value:
        raise Refusal(f"{name} is not set")
    return value


def base_url():
    if defect("ignores-base-url"):
        return NOWHERE
    if defect("blank-base-url-falls-through"):
        return os.environ.get("COMETAPI_URL") or NOWHERE  # the variable was renamed once; this line was not
    url = setting("COMETAPI_BASE_URL")
    return url + "/v1" if defect("wrong-path") else url


def api_key():
    if defect("deleted-secret"):
        return os.environ["COMETAPI_API_KEY_2025"]  # the old secret's name, gone since the last rotation
    key = setting("COMETAPI_API_KEY")
    return key + "\n" if defect("key-with-newline") else key


def model():
    return "gpt-4o-mini" if defect("hardcoded-model") else setting("SUPPORT_MODEL")


def make_client():
    timeout = None if defect("no-deadline") else TIMEOUT
    http = {"event_hooks": {"response": [on_response]}, "timeout": timeout, "follow_redirects": defect("stock")}
    if defect("disables-tls-verification"):
        # As requests has it: the variable comes before `session.verify = False`.
        http["verify"] = os.environ.get("REQUESTS_CA_BUNDLE", False)
    if defect("ignores-proxy"):
        http["trust_env"] = False
    return openai.AsyncOpenAI(
        base_url=base_url(),
        api_key=api_key(),
        timeout=timeout,
        max_retries=9 if defect("retry-storm") else 2,
        http_client=openai.DefaultAsyncHttpxClient(**http),
    )


async def on_response(response):
    """Logs each attempt, and tells the SDK when another one is hopeless: it retries by status alone."""
    trace = TRACE.get()
    trace.attempts += 1
    trace.status = response.status_code
    trace.request_id = next((v for k, v in response.headers.items() if "request-id" in k.lower()), None)
    code = None
    if response.status_code >= 300:
        code, request_id = read_error(await response.aread())
        trace.request_id = trace.request_id or request_id
    log(
        "attempt",
        path=response.request.url.path,
        status=response.status_code,
        request_id=trace.request_id,
        attempt=trace.attempts,
        error_code=code,
    )
    if response.status_code < 300 or defect("stock"):
        return
    wait = retry_after_seconds(response.headers.get("retry-after"))
    if code in FINAL_CODES or (wait is not None and wait > trace.remaining()):
        response.headers["x-should-retry"] = "false"
    if (defect("retries-401") and response.status_code == 401) or (defect("retries-400") and response.status_code == 400):
        response.headers["x-should-retry"] = "true"
    if defect("ignores-retry-after"):
        response.headers.pop("retry-after", None)
        response.headers["x-should-retry"] = "true" if response.status_code == 429 and code not in FINAL_CODES else "false"
    if defect("retry-storm"):
        response.headers["retry-after-ms"] = "40"
        response.headers["x-should-retry"] = "true" if response.status_code in (429, 503) else "false"


def read_error(body):
    """Returns the provider's error code and the request id that CometAPI writes into its message."""
    try:
        error = json.loads(body)["error"]
        found = re.search(r"request id: ([\w-]+)", str(error.get("message")))
        return error.get("code") or None, found and found.group(1)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, None


def retry_after_seconds(value):
    if not value:
        return None
    try:
        return float(value)
    except ValueError:
        date = email.utils.parsedate_tz(value)
        return email.utils.mktime_tz(date) - time.time() if date else None


async def answer(client, prompt, route, on_delta=None):
    """Returns the answer, or raises Refusal. With `on_delta` the reply is streamed, and it gets each piece."""
    trace = Trace(route)
    TRACE.set(trace)
    try:
        async with asyncio.timeout(None if defect("no-deadline", "keepalive-resets-deadline") else DEADLINE):
            text = await attempt_with_defects(client, prompt, on_delta)
    except Exception as error:
        refusal = refusal_from(error)
        log(
            "ask",
            level="error",
            outcome="refused",
            reason=refusal.kind,
            status=trace.status or "network_error",
            request_id=trace.request_id,
            attempts=trace.attempts,
            error_class=type(error).__name__,
        )
        return await answer_anyway(error, refusal, on_delta)
    leaky = {}
    if defect("logs-secret"):
        leaky["authorization"] = f"Bearer {api_key()}"
    if defect("logs-secret-base64"):
        leaky["authorization"] = "Basic " + base64.b64encode(f":{api_key()}".encode()).decode()
    if defect("logs-badly-masked-secret"):
        leaky["key"] = api_key()[:-4] + "****"
    if defect("logs-prompt"):
        leaky["prompt"] = prompt
    if defect("logs-completion"):
        leaky["completion"] = text
    log(
        "ask",
        outcome="answered",
        status=trace.status,
        request_id=trace.request_id,
        attempts=trace.attempts,
        path="/v1/chat/completions",
        **leaky,
    )
    return text


def refusal_from(error):
    """Says in our own words what went wrong: the provider's words may repeat prompts and keys."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, (TimeoutError, openai.APITimeoutError)):
        return Refusal("no answer in time")
    if isinstance(error, openai.APIStatusError):
        return Refusal("the provider refused", error.status_code)
    if isinstance(error, openai.APIConnectionError):
        return Refusal("the provider could not be reached")
    if isinstance(error, openai.APIError):
        return Refusal("the provider reported an error in its reply")
    return Refusal("the provider's reply could not be read")


async def answer_anyway(error, refusal, on_delta):
    """Where errors become something else. Healthy: they do not."""
    text = None
    if defect("swallows-error"):
        text = "Sorry, I cannot help with that right now. Please try again later."
    elif defect("error-text-as-answer"):
        text = f"Error: {error}"
    elif defect("empty-answer-on-error"):
        text = ""
    elif defect("crashes-with-signal"):
        os.abort()
    elif defect("exits-zero-without-output"):
        os._exit(0)
    elif defect("traceback-with-key"):
        print("".join(traceback.format_exception(error)) + f"settings: {dict(os.environ)}", file=sys.stderr, flush=True)
    if text is None:
        raise refusal from error
    if on_delta:
        await on_delta(text)
    return text


_CACHE = {}


async def attempt_with_defects(client, prompt, on_delta):
    """Where calls are left out, or made too often. Healthy: one call."""
    if defect("mock-left-on"):
        if on_delta:
            await on_delta("This is a canned answer.")
        return "This is a canned answer."
    if defect("cached-answer"):
        # A "semantic" cache whose key forgets what makes questions differ.
        question = " ".join(word for word in prompt.split() if not any(c.isdigit() for c in word))
        if question not in _CACHE:
            _CACHE[question] = await call(client, model(), prompt, on_delta)
        elif on_delta:
            await on_delta(_CACHE[question])
        return _CACHE[question]
    if defect("forks-a-child-that-lives-on"):
        subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if defect("two-calls"):
        await call(client, model(), f"Is this a fair question? {prompt}", None)
    if defect("wrong-model-fallback", "declared-fallback"):
        try:
            return await call(client, model(), prompt, on_delta)
        except openai.APIStatusError as error:
            if error.status_code != 503:
                raise
            return await call(client, "backup-model", prompt, on_delta)
    if defect("other-host-fallback"):
        try:
            return await call(client, model(), prompt, on_delta)
        except openai.APIStatusError as error:
            if error.status_code != 503:
                raise
            elsewhere = client.with_options(base_url=ELSEWHERE, max_retries=0)
            return await call(elsewhere, model(), prompt, on_delta)
    if defect("retry-layers-multiplied"):
        for layer in range(3):
            try:
                return await call(client, model(), prompt, on_delta)
            except (openai.RateLimitError, openai.InternalServerError):
                if layer == 2:
                    raise
                await asyncio.sleep(0.2)
    if defect("stream-reconnects") and on_delta:
        text = await call(client, model(), prompt, on_delta)
        await call(client, model(), prompt, swallow)  # an event source that takes every end for a lost connection
        return text
    text = await call(client, model(), prompt, on_delta)
    if defect("decorated"):
        signature = "\n\n-- your support bot"
        text += signature
        if on_delta:
            await on_delta(signature)
    return text


async def swallow(_delta):
    """Takes a piece and does nothing."""


async def call(client, model_name, prompt, on_delta):
    """Makes one call of the SDK and returns the whole, proven text."""
    request = {
        "model": model_name,
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}],
    }
    if on_delta is None:
        raw = await client.chat.completions.with_raw_response.create(**request)
        return usable(raw.parse())
    if defect("stream-broken"):
        raise AttributeError("'Stream' object has no attribute 'text_deltas'")  # an SDK upgrade that only unary was tested on
    if defect("stream-false-on-the-wire"):
        text = usable((await client.chat.completions.with_raw_response.create(**request)).parse())
        await on_delta(text)
        return text
    if any("/usage" in need for need in NEEDS):
        request["stream_options"] = {"include_usage": True}
    raw = await client.chat.completions.with_raw_response.create(**request, stream=True)
    if not raw.headers.get("content-type", "").startswith("text/event-stream"):
        raise Refusal("the provider did not stream")
    if defect("stream-hand-parser"):
        return await parse_by_hand(raw.http_response, on_delta)
    return await read_stream(raw.parse(), on_delta)


def usable(completion):
    """Returns the text of a completion that is whole."""
    if isinstance(completion, str):
        if defect("trusts-html"):
            return completion
        raise Refusal("the provider's reply is no completion")
    error = getattr(completion, "error", None)
    if error:
        if defect("trusts-error-body"):
            return error.get("message", "") if isinstance(error, dict) else str(error)
        raise Refusal("the provider reported an error in its reply")
    if defect("strict-parser"):
        known = {"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"}
        if set(completion.model_dump(exclude_unset=True)) - known or completion.usage is None:
            raise Refusal("the provider's reply has an unknown structure")
    if defect("parser-needs-optional-field"):
        log("usage", total_tokens=completion.usage.total_tokens, fingerprint=completion.system_fingerprint.lower())
    insist_on(completion)
    choices = completion.choices
    if not choices:
        if defect("accepts-empty-choices"):
            return "I have nothing to say to that."
        raise Refusal("the provider's reply has no choices")
    if choices[0].message is None:
        raise Refusal("the provider's reply has no message")
    finished(choices[0].finish_reason, getattr(choices[0].message, "refusal", None))
    content = choices[0].message.content
    if defect("accepts-null-content") and content is None:
        return str(content)
    if not isinstance(content, str) or not content.strip():
        raise Refusal("the provider's reply is empty")
    return content


def finished(reason, refusal=None):
    """Accepts only a reply that came to its natural end."""
    if refusal:
        raise Refusal("the model refused")
    if reason == "stop":
        return
    if reason == "length" and defect("accepts-length"):
        return
    if reason == "content_filter" and defect("accepts-content-filter"):
        return
    raise Refusal("the provider's reply is not whole")


async def read_stream(stream, on_delta):
    """Reads events until the reply is whole; only content resets the idle deadline."""
    pieces, reason, refusal, chunks = [], None, None, []
    events = stream.__aiter__()
    clock = asyncio.get_running_loop()
    patience = None if defect("no-deadline", "keepalive-resets-deadline") else IDLE
    idle_until = patience and clock.time() + patience
    try:
        while True:
            try:
                async with asyncio.timeout_at(idle_until):
                    chunk = await events.__anext__()
            except StopAsyncIteration:
                break
            except TimeoutError:
                if reason is None:
                    raise
                break
            except openai.APIError:
                if defect("ignores-mid-stream-error"):
                    reason = reason or "stop"
                    break
                raise
            if getattr(chunk, "error", None):
                if defect("ignores-mid-stream-error"):
                    reason = reason or "stop"
                    break
                raise Refusal("the provider reported an error in its reply")
            if defect("strict-parser"):
                known = {"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"}
                if set(chunk.model_dump(exclude_unset=True)) - known or not chunk.choices:
                    raise Refusal("the provider's reply has an unknown structure")
            if defect("parser-needs-optional-field"):
                log("usage", fingerprint=chunk.system_fingerprint.lower())
            if NEEDS:
                chunks.append(chunk)
            for choice in chunk.choices or []:
                delta = choice.delta
                if delta is not None and delta.content:
                    pieces.append(delta.content)
                    await on_delta(delta.content)
                    idle_until = patience and clock.time() + patience
                refusal = refusal or getattr(delta, "refusal", None)
                if choice.finish_reason is not None:
                    reason = choice.finish_reason
                    idle_until = clock.time() + LINGER
    finally:
        await stream.close()
    if not (defect("accepts-truncated-stream") and reason is None):
        finished(reason, refusal)
    insist_on(*chunks)
    text = "".join(pieces)
    if not text.strip() and not defect("accepts-null-content"):
        raise Refusal("the provider's reply is empty")
    return text


async def parse_by_hand(response, on_delta):
    """The parser everybody writes once: it takes a network chunk for an event."""
    pieces, reason = [], None
    async for piece in response.aiter_bytes():
        for block in piece.decode("utf-8").split("\n\n"):
            if not block.strip() or block == "data: [DONE]":
                continue
            chunk = json.loads(block[len("data: ") :])
            choice = chunk["choices"][0]
            reason = choice.get("finish_reason") or reason
            if choice["delta"].get("content"):
                pieces.append(choice["delta"]["content"])
                await on_delta(choice["delta"]["content"])
    finished(reason)
    return "".join(pieces)


def begin():
    """What both programs do first."""
    if DEFECT and DEFECT not in DEFECTS | VARIATIONS:
        sys.exit(f"DEFECT={DEFECT} is not known")
    if defect("ignores-sigterm"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
