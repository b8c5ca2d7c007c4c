"""A support bot without an SDK: /healthz, /ask (JSON in and out), /ask/stream (JSON in, server-sent events out). PORT says where."""

import email.utils
import json
import os
import random
import re
import signal
import sys
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import wire

BASE_URL = os.environ["COMETAPI_BASE_URL"]
API_KEY = os.environ["COMETAPI_API_KEY"]
MODEL = os.environ["SUPPORT_MODEL"]
VERSION = os.environ["APP_VERSION"]
TIMEOUT = float(os.environ.get("LLM_TIMEOUT", "3"))  # of one read
IDLE = float(os.environ.get("LLM_IDLE", "3"))  # without content
DEADLINE = float(os.environ.get("LLM_DEADLINE", "10"))  # of one ask, all attempts together
ATTEMPTS = 3
RETRYABLE = {408, 409, 429, 500, 502, 503, 504, 529}
FINAL_CODES = {"invalid_request", "model_not_found", "insufficient_quota", "credit_balance_exhausted"}
ANSWER_LIMIT = 1 << 20
SYSTEM = "You are a support assistant. Answer briefly."


class Refusal(Exception):
    """There is no answer; the text may be shown to users."""


class Ask:
    """What the attempts of one ask share."""

    def __init__(self, question, route):
        self.question = question
        self.route = route
        self.ends = time.monotonic() + DEADLINE
        self.attempts = 0
        self.status = None
        self.request_id = None

    def remaining(self):
        return self.ends - time.monotonic()

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


def call(ask, streamed):
    """Returns a reply with status 200, after as many attempts as make sense."""
    document = {
        "model": MODEL,
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ask.question}],
    }
    if streamed:
        document["stream"] = True
    headers = {
        "authorization": f"Bearer {API_KEY}",
        "content-type": "application/json",
        "accept": "text/event-stream" if streamed else "application/json",
        "user-agent": f"support-bot/{VERSION}",
    }
    url = BASE_URL.rstrip("/") + "/chat/completions"
    pause = 0.3
    while True:
        ask.attempts += 1
        ask.status = None
        try:
            reply = wire.post(url, json.dumps(document), headers, min(TIMEOUT, max(0.05, ask.remaining())))
        except wire.Broken as broken:
            ask.log("attempt", error=str(broken))
            wait, reason = pause, "the model could not be reached"
        else:
            ask.status = reply.status
            ask.request_id = request_id_in(reply.headers)
            if reply.status == 200:
                ask.log("attempt")
                return reply
            code = error_code(ask, reply)
            ask.log("attempt", code=code)
            reason = f"the model's API answered {reply.status}"
            if reply.status not in RETRYABLE or code in FINAL_CODES:
                raise Refusal(reason)
            wait = wait_asked_for(reply.headers)
            if wait is None:
                wait = pause
        if ask.attempts >= ATTEMPTS or wait >= ask.remaining():
            raise Refusal(reason)
        time.sleep(wait + random.random() * 0.1)
        pause *= 2


def request_id_in(headers):
    return next((value for name, value in headers.items() if "request-id" in name), None)


def error_code(ask, reply):
    """Returns the code of an error reply; takes its request id from the message when no header has it."""
    try:
        body = whole_body(ask, reply)
        error = json.loads(body)["error"]
        named = re.search(r"request id: ([\w-]+)", str(error.get("message")))
        ask.request_id = ask.request_id or (named and named.group(1))
        return error.get("code")
    except (Refusal, ValueError, LookupError, TypeError, AttributeError):
        return None


def wait_asked_for(headers):
    """Returns the seconds that the provider asked us to wait, if it did in a form that can be read."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        asked = headers.get("retry-after", "")
        if asked.strip().isdigit():
            return float(asked)
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except ValueError:
        return None


def whole_body(ask, reply):
    body = b""
    try:
        while True:
            piece = reply.read()
            if not piece:
                return body
            body += piece
            if ask.remaining() <= 0:
                raise Refusal("the model took too long")
            if len(body) > ANSWER_LIMIT:
                raise Refusal("the model's reply is too large")
    except wire.Broken:
        raise Refusal("the connection to the model broke") from None
    finally:
        reply.close()


def answer(ask):
    """Returns the text of a whole completion."""
    body = whole_body(ask, call(ask, streamed=False))
    try:
        reply = json.loads(body)
        if reply.get("error"):
            raise Refusal("the model's API reported an error")
        choice = reply["choices"][0]
        message = choice["message"]
        text = message["content"]
        ask.request_id = ask.request_id or reply.get("id")
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Refusal("the model's reply is no completion") from None
    if message.get("refusal"):
        raise Refusal("the model refused")
    if choice.get("finish_reason") != "stop":
        raise Refusal("the model's answer is not whole")
    if not isinstance(text, str) or not text.strip():
        raise Refusal("the model's answer is empty")
    return text


def events(ask, reply):
    """Yields the data of each event; only the caller's content resets the idle deadline."""
    rest, data = b"", []
    while True:
        try:
            piece = reply.read()
        except wire.Broken:
            raise Refusal("the connection to the model broke") from None
        if not piece:
            return
        rest += piece
        *lines, rest = rest.split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []
        if ask.remaining() <= 0 or time.monotonic() > ask.idle_until:
            raise Refusal("the model took too long")


def answer_in_pieces(ask, emit):
    """Hands each piece of text to `emit`; returns when the answer is whole."""
    reply = call(ask, streamed=True)
    ask.idle_until = time.monotonic() + IDLE
    finish, said = None, ""
    try:
        if not reply.headers.get("content-type", "").startswith("text/event-stream"):
            raise Refusal("the model's API did not stream")
        for event in events(ask, reply):
            if event == b"[DONE]":
                break
            chunk = json.loads(event)
            if chunk.get("error"):
                raise Refusal("the model's API reported an error")
            for choice in chunk["choices"]:
                delta = choice["delta"]
                if delta.get("refusal"):
                    raise Refusal("the model refused")
                if delta.get("content"):
                    said += delta["content"]
                    emit(delta["content"])
                    ask.idle_until = time.monotonic() + IDLE
                finish = choice.get("finish_reason") or finish
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Refusal("the model's reply is no stream of completions") from None
    finally:
        reply.close()
    if finish != "stop":
        raise Refusal("the model's answer is not whole")
    if not said.strip():
        raise Refusal("the model's answer is empty")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(200, {"ok": True, "version": VERSION})

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))["question"]
        ask = Ask(question, self.path)
        if self.path == "/ask":
            self.ask(ask)
        else:
            self.ask_stream(ask)

    def ask(self, ask):
        try:
            text = answer(ask)
        except Refusal as refusal:
            ask.log("ask", outcome="refused", reason=str(refusal))
            self.reply(502, {"error": str(refusal)})
        else:
            ask.log("ask", outcome="answered")
            self.reply(200, {"answer": text})

    def ask_stream(self, ask):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            answer_in_pieces(ask, lambda piece: self.send({"delta": piece}))
        except Refusal as refusal:
            ask.log("ask", outcome="refused", reason=str(refusal))
            self.wfile.write(b"event: error\n")
            self.send({"error": str(refusal)})
        except OSError:
            ask.log("ask", outcome="abandoned", reason="the asker left")
        else:
            ask.log("ask", outcome="answered")
            self.send({"done": True})

    def send(self, document):
        self.wfile.write(f"data: {json.dumps(document)}\n\n".encode())
        self.wfile.flush()

    def reply(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
