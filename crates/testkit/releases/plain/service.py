"""A healthy service on the standard library alone: /healthz and /ask. PORT says where; LLM_DEADLINE is the total deadline in seconds."""

import http.client
import json
import os
import re
import signal
import socketserver
import sys
import threading
import urllib.parse
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = os.environ.get("APP_VERSION", "")
DEADLINE = float(os.environ.get("LLM_DEADLINE", "2"))


class Refusal(Exception):
    """The reason that a user may see."""


class Call:
    """What goes over the wire; a defective release changes it."""

    def __init__(self, question):
        self.base = urllib.parse.urlsplit(os.environ["COMETAPI_BASE_URL"])
        self.path = self.base.path.rstrip("/") + "/chat/completions"
        self.headers = {
            "authorization": "Bearer " + os.environ["COMETAPI_API_KEY"],
            "content-type": "application/json",
            "accept": "application/json",
            "user-agent": "support-bot/" + VERSION,
        }
        self.document = {
            "model": os.environ["SUPPORT_MODEL"],
            "messages": [{"role": "user", "content": question}],
        }

    def send(self, until):
        """Makes the one attempt; `until` closes the connection when the total deadline is over."""
        connection = http.client.HTTPConnection(self.base.hostname, self.base.port, timeout=DEADLINE)
        try:
            connection.connect()
            until.socket = connection.sock
            connection.request("POST", self.path, json.dumps(self.document), self.headers)
            response = connection.getresponse()
            return response.status, response.getheader("x-request-id") or "", response.read()
        finally:
            connection.close()


class Until:
    """The total deadline: ends whatever waits on the socket."""

    def __init__(self):
        self.socket = None
        self.over = False
        self.timer = threading.Timer(DEADLINE, self.end)
        self.timer.daemon = True
        self.timer.start()

    def end(self):
        self.over = True
        try:
            self.socket.shutdown(2)
        except (AttributeError, OSError):
            pass


def log(**fields):
    line = {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "version": VERSION,
        "route": "/ask",
        "upstream": "/v1/chat/completions",
    }
    print(json.dumps(line | fields), file=sys.stderr, flush=True)


def answer(question, call=Call):
    status, request_id, until = None, None, Until()
    try:
        status, request_id, body = call(question).send(until)
        if until.over:
            raise Refusal("the model took too long")
        if not request_id:
            # In an error's message, or the reply's own.
            named = re.search(rb'(?:request id: |"id": ?")([A-Za-z0-9_-]{6,64})', body)
            request_id = named and named.group(1).decode()
        text = read(status, body)
    except Refusal as refusal:
        log(status=status, request_id=request_id, outcome="refused", reason=str(refusal))
        raise
    except (OSError, http.client.HTTPException) as error:
        reason = "the model took too long" if until.over else "the connection to the model broke"
        log(status=status, request_id=request_id, outcome="refused", reason=reason, error=type(error).__name__)
        raise Refusal(reason) from None
    finally:
        until.timer.cancel()
    log(status=status, request_id=request_id, outcome="answered", chars=len(text))
    return text


def read(status, body):
    if status != 200:
        raise Refusal(f"the model's API answered {status}")
    try:
        choice = json.loads(body)["choices"][0]
        message = choice["message"]
        text, finish = message["content"], choice["finish_reason"]
    except (ValueError, LookupError, TypeError):
        raise Refusal("the reply is no completion") from None
    if finish != "stop" or message.get("refusal"):
        raise Refusal("the completion is not whole")
    if not isinstance(text, str) or not text.strip():
        raise Refusal("the completion is empty")
    return text


class Handler(BaseHTTPRequestHandler):
    call = Call

    def do_GET(self):
        self.reply(200, {"ok": True, "version": VERSION})

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))["question"]
        try:
            self.reply(200, {"answer": answer(question, self.call), "version": VERSION})
        except Refusal as refusal:
            self.reply(502, {"error": str(refusal), "version": VERSION})

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
    daemon_threads = False
    request_queue_size = 64

    def server_bind(self):
        # Without the look-up of this machine's name, which may take long.
        socketserver.TCPServer.server_bind(self)


def serve(handler=Handler):
    server = Server(("127.0.0.1", int(os.environ["PORT"])), handler)
    # What is under way is answered first.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    server.server_close()


if __name__ == "__main__":
    serve()
