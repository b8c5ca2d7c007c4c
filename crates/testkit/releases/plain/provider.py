"""A provider that misbehaves: HOW names it. Writes its port on standard output, and ends with its standard input."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler

import service

HOW = os.environ["HOW"]


def completion(text):
    return {
        "id": "chatcmpl-plain0000000001",
        "object": "chat.completion",
        "created": 1764000000,
        "model": "test-model",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, "refusal": None}, "logprobs": None, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
    }


def responses(text):
    return {
        "id": "resp_plain0000000001",
        "object": "response",
        "created_at": 1764000000,
        "status": "completed",
        "model": "test-model",
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
        ],
        "usage": {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18},
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        sent = self.rfile.read(int(self.headers["content-length"]))
        question = json.loads(sent)["messages"][0]["content"]
        credential = self.headers.get("authorization", "")
        if HOW == "html":
            return self.reply(200, "text/html", b"<html><body>Maintenance</body></html>")
        if HOW == "garbage":
            return self.reply(200, "application/json", bytes(range(256)))
        if HOW == "responses":
            return self.reply(200, "application/json", json.dumps(responses(question)).encode())
        if "invalid" in credential and HOW != "any-key":
            error = {"message": "Invalid token", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}
            if HOW == "echo":
                error = {"message": f"Incorrect key: {credential}", "type": credential, "param": question, "code": credential}
            return self.reply(401, "application/json", json.dumps({"error": error}).encode())
        document = completion(question)
        headers = {"x-request-id": "req-plain-0000000001"}
        if HOW == "echo":
            # The key, the prompt and the completion in names of fields, in ids, in headers.
            key = credential.removeprefix("Bearer ")
            document[key] = {question: key}
            document["id"] = key
            document["model"] = question
            headers = {"x-request-id": key, "x-" + key: question, "x-upstream-request-id": question}
        if HOW == "error-echo":
            error = {"message": f"no quota for {credential}", "type": credential, "param": question, "code": credential}
            return self.reply(500, credential, json.dumps({"error": error}).encode(), {"x-request-id": credential})
        self.reply(200, "application/json", json.dumps(document).encode(), headers)

    def reply(self, status, kind, body, headers=None):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


if __name__ == "__main__":
    server = service.Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
