"""The plain service with its key, prompts and completions in one place where they must not be; LEAK names the place."""

import base64
import json
import os
import sqlite3
import sys
import traceback
import urllib.parse

import service

LEAK = os.environ["LEAK"]
KEY = os.environ["COMETAPI_API_KEY"]


def said(question, text=""):
    """Everything that must not be written down, in the form that LEAK names."""
    whole = f"key={KEY} prompt={question} completion={text}"
    if "base64" in LEAK:
        return base64.b64encode(whole.encode()).decode()
    if "encoded" in LEAK:
        return urllib.parse.quote(whole, safe="")
    return whole


def write(text):
    if LEAK == "stdout":
        print(text, flush=True)
    elif LEAK == "file":
        with open(os.environ["LOG_FILE"], "a", encoding="utf-8") as log:
            log.write(text + "\n")
    elif LEAK == "sqlite":
        with sqlite3.connect("cache.db") as cache:
            cache.execute("create table if not exists calls (call text)")
            cache.execute("insert into calls values (?)", (text,))
    elif LEAK == "traceback":
        try:
            raise ValueError(text)
        except ValueError:
            traceback.print_exc()
    else:
        print(text, file=sys.stderr, flush=True)


class Call(service.Call):
    def __init__(self, question):
        super().__init__(question)
        if LEAK == "url":
            # In the path: the query of a URL is not looked at.
            self.path += "/" + urllib.parse.quote(KEY, safe="") + "?prompt=" + urllib.parse.quote(question)
        elif LEAK == "header-value":
            self.headers["x-debug"] = said(question).replace("\n", " ")
        elif LEAK == "header-name":
            self.headers["x-" + KEY] = "1"
        elif LEAK == "user-agent":
            self.headers["user-agent"] = KEY
        elif LEAK == "user-agent-cut":
            # What is kept of it ends in the middle of the key.
            self.headers["user-agent"] = "support-bot-gateway-eu-central-production/" + KEY
        elif LEAK == "model":
            self.document["model"] = KEY
        elif LEAK == "model-cut":
            self.document["model"] = "m" * 240 + KEY
        elif LEAK == "field-name":
            self.document["metadata"] = {KEY: "1", question: "2"}

    def send(self, until):
        status, request_id, body = super().send(until)
        if LEAK in ("stderr", "stdout", "file", "sqlite", "traceback", "base64", "encoded"):
            try:
                text = json.loads(body)["choices"][0]["message"]["content"]
            except (ValueError, LookupError, TypeError):
                text = ""
            write(said(self.document["messages"][0]["content"], text))
        if LEAK == "file-clean":
            with open(os.environ["LOG_FILE"], "a", encoding="utf-8") as log:
                log.write("called the provider\n")
        if LEAK == "completion":
            write(json.dumps({"reply": body.decode(errors="replace")}))
        return status, request_id, body


class Handler(service.Handler):
    call = Call

    def reply(self, status, document):
        if LEAK.startswith("error-body") and status != 200:
            document["error"] += " " + said("asked")
        if LEAK == "answer-beside" and status == 200:
            document["debug"] = {"settings": [KEY]}
        super().reply(status, document)

    def end_headers(self):
        if LEAK == "reply-header":
            self.send_header("x-debug", "upstream " + KEY)
        super().end_headers()


if __name__ == "__main__":
    if LEAK == "start":
        print("cannot start: " + said("none"), flush=True)
        print("settings: " + json.dumps(dict(os.environ)), file=sys.stderr, flush=True)
        sys.exit(1)
    service.serve(Handler)
    if LEAK == "end":
        print("stopped with " + json.dumps({"key": KEY}), file=sys.stderr, flush=True)
