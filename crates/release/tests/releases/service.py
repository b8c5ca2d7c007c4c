"""A service that does what the prompt says."""
import json, os, socket, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.whole(200 if self.path == "/healthz" else 404, b"ok")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = body.get("question") or body.get("input") or body["messages"][0]["content"]
        print("asked", flush=True)
        print("release=2.4.0 asked", file=sys.stderr, flush=True)
        if prompt == "die":
            os._exit(3)
        if prompt == "abort":
            os.abort()
        if prompt == "hang":
            time.sleep(600)
        if prompt == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if prompt == "redirect":
            self.whole(307, b"", {"location": "http://127.0.0.1:1/"})
            return
        if prompt == "500":
            self.whole(500, b"it is broken")
            return
        if prompt == "half":
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.end_headers()
            self.wfile.write(b'{"answer": "ha')
            self.close_connection = True
            return
        if self.path == "/ask":
            answers = {"null": b'{"answer": null}', "html": b"<html>", "not ok": b'{"ok": false, "answer": "sorry"}',
                       "latin": b'{"answer": "caf\xe9"}'}
            said = {"answer": "echo " + prompt, "tenant": self.headers.get("x-tenant")}
            self.whole(200, answers.get(prompt, json.dumps(said).encode()))
        elif self.path == "/stream":
            events = [{"delta": "a"}, {"other": 1}, {"delta": prompt}]
            lines = ["data: %s\n\n" % json.dumps(event) for event in events]
            if prompt == "error":
                lines.append('event: error\ndata: {"message": "no"}\n\n')
            elif prompt != "no end":
                lines.append('data: {"done": true}\n\n')
            self.chunks(lines, prompt)
        elif self.path == "/text":
            self.chunks(["plain ", "text"], prompt)
        elif self.path == "/v1/chat/completions":
            self.chat(body, prompt)
        elif self.path == "/v1/responses":
            text = {"type": "output_text", "text": "hello"}
            self.whole(200, json.dumps({"status": "completed", "output": [{"content": [text]}]}).encode())
        else:
            self.whole(404, b"no such path " + self.path.encode())

    def chat(self, body, prompt):
        if self.headers.get("authorization") != "Bearer sk-gateway":
            self.whole(401, b'{"error": {"message": "bad key"}}')
        elif not body["stream"]:
            choice = {"message": {"content": "hi " + body["model"]}, "finish_reason": "stop"}
            self.whole(200, json.dumps({"choices": [choice]}).encode())
        else:
            pieces = [{"delta": {"content": "h"}}, {"delta": {"content": "i"}}, {"delta": {}, "finish_reason": "stop"}]
            if prompt == "laundered":
                pieces.pop()
            lines = ["data: %s\n\n" % json.dumps({"choices": [piece]}) for piece in pieces]
            if prompt == "error":
                lines = lines[:1] + ['data: {"error": {"message": "x"}}\n\n']
            self.chunks(lines + ["data: [DONE]\n\n"], prompt)

    def whole(self, status, body, headers={}):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunks(self, pieces, prompt):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            if prompt == "cut" and piece is pieces[-1]:
                self.close_connection = True
                return
            if prompt == "stall" and piece is pieces[-1]:
                time.sleep(600)
            if prompt == "die late" and piece is pieces[-1]:
                os._exit(4)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece.encode()))
        self.wfile.write(b"0\r\n\r\n")


print("started", file=sys.stderr)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
