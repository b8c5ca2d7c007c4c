"""The HTTP client below LiteLLM: lets only whole replies in. LiteLLM says `stop` where the provider gave no `finish_reason`, or one that it does not
know, reads a stream that is none as an empty one, and skips an error event whose error it does not find."""

import json

import httpx


# The reasons of the documentation: these pass through LiteLLM as they are.
KNOWN = {"stop", "length", "content_filter", "tool_calls", "function_call"}


class Cut(httpx.RemoteProtocolError):
    """The reply came, and is not whole."""


class WholeStream(httpx.AsyncByteStream):
    """Passes a stream of completions on, and fails when it ends before its end."""

    def __init__(self, stream):
        self.stream = stream
        self.rest = b""
        self.finished = False

    async def __aiter__(self):
        async for piece in self.stream:
            *lines, self.rest = (self.rest + piece).split(b"\n")
            for line in lines:
                self.read(line)
            yield piece
        if not self.finished:
            raise Cut("the stream ended before the answer did")

    def read(self, line):
        if line.startswith(b"event:") and line[6:].strip() == b"error":
            raise Cut("the provider reported an error")
        data = line[5:].strip() if line.startswith(b"data:") else b""
        if not data or (data == b"[DONE]" and self.finished):
            return
        try:
            choices = json.loads(data).get("choices") or []
        except ValueError:
            raise Cut("an event of the stream is no JSON") from None
        for reason in (choice.get("finish_reason") for choice in choices):
            if reason and reason not in KNOWN:
                raise Cut("the provider gave up")
            self.finished = self.finished or bool(reason)

    async def aclose(self):
        await self.stream.aclose()


async def only_whole(response):
    if response.status_code != 200:
        return
    is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
    if is_stream:
        response.stream = WholeStream(response.stream)
        return
    if not json.loads(response.request.content).get("stream"):
        try:
            if json.loads(await response.aread())["choices"][0]["finish_reason"] in KNOWN:
                return
        except (ValueError, LookupError, TypeError):
            pass
    await response.aread()
    response.status_code = 502
    response.headers["x-should-retry"] = "false"


def client():
    return httpx.AsyncClient(event_hooks={"response": [only_whole]}, follow_redirects=False)
