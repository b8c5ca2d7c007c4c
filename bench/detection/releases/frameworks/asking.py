"""What the attempts of one ask share, and the log lines about them."""

import contextvars
import email.utils
import json
import os
import re
import sys
import time
from datetime import datetime, timezone

BASE_URL = os.environ["COMETAPI_BASE_URL"]
API_KEY = os.environ["COMETAPI_API_KEY"]
MODEL = os.environ["SUPPORT_MODEL"]
VERSION = os.environ["APP_VERSION"]
TIMEOUT = float(os.environ.get("LLM_TIMEOUT", "3"))  # of one read
IDLE = float(os.environ.get("LLM_IDLE", "3"))  # without content
DEADLINE = float(os.environ.get("LLM_DEADLINE", "10"))  # of one ask, all attempts together
LINGER = 0.5  # after finish_reason
FINAL_CODES = {"invalid_request", "model_not_found", "insufficient_quota", "credit_balance_exhausted"}
SYSTEM = "You are a support assistant. Answer briefly."


class Refusal(Exception):
    """There is no answer; the text may be shown to users."""


class Ask:
    def __init__(self, question, route):
        self.question = question
        self.route = route
        self.ends = time.monotonic() + DEADLINE
        self.attempts = 0
        self.status = None
        self.request_id = None
        self.content_type = ""
        self.finish = None

    def remaining(self):
        return self.ends - time.monotonic()

    def messages(self):
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": self.question}]

    def log(self, event, **fields):
        line = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "event": event,
            "version": VERSION,
            "route": self.route,
            "status": self.status or "network_error",
            "request_id": self.request_id,
            "attempt": self.attempts,
            **fields,
        }
        print(json.dumps(line), file=sys.stderr, flush=True)

    def heard(self, status, headers):
        """Notes what an attempt came back with."""
        self.attempts += 1
        self.status = status
        self.request_id = next((value for name, value in headers.items() if "request-id" in name.lower()), None)
        self.content_type = headers.get("content-type", "")

    def error_code(self, body):
        """Returns the code of an error reply; takes its request id from the message when no header has it."""
        try:
            error = json.loads(body)["error"]
            named = re.search(r"request id: ([\w-]+)", str(error.get("message")))
            self.request_id = self.request_id or (named and named.group(1))
            return error.get("code")
        except (ValueError, LookupError, TypeError, AttributeError):
            return None

    def must_stream(self):
        if not self.content_type.startswith("text/event-stream"):
            raise Refusal("the model's API did not stream")

    def is_whole(self, text):
        """Returns the text of a reply that came to its natural end."""
        if self.finish != "stop":
            raise Refusal("the model's answer is not whole")
        if not isinstance(text, str) or not text.strip():
            raise Refusal("the model's answer is empty")
        return text


CURRENT = contextvars.ContextVar("ask")


async def seen(response):
    """A hook of the HTTP client below the library: logs each attempt, and stops the library's retries where they are hopeless."""
    ask = CURRENT.get()
    ask.heard(response.status_code, response.headers)
    code = None
    if response.status_code >= 300:
        code = ask.error_code(await response.aread())
    ask.log("attempt", code=code)
    wait = wait_asked_for(response.headers)
    if code in FINAL_CODES or (wait is not None and wait > ask.remaining()):
        response.headers["x-should-retry"] = "false"


def wait_asked_for(headers):
    """Returns the seconds that the provider asked us to wait, if it did in a form that can be read."""
    asked = headers.get("retry-after", "")
    try:
        return float(asked) if asked.strip().isdigit() else email.utils.parsedate_to_datetime(asked).timestamp() - time.time()
    except ValueError:
        return None
