"""The two calls on httpx alone, by the Responses API."""

import asyncio
import json
import random
import ssl

import httpx

from asking import API_KEY, BASE_URL, FINAL_CODES, MODEL, SYSTEM, TIMEOUT, Refusal, wait_asked_for

ATTEMPTS = 3
RETRYABLE = {408, 409, 429, 500, 502, 503, 504, 529}
URL = BASE_URL.rstrip("/") + "/responses"
HEADERS = {"authorization": f"Bearer {API_KEY}"}
TLS = ssl.create_default_context()  # made once: it takes longer than all else of a call


async def call(ask, client, **more):
    """Returns a reply with status 200, after as many attempts as make sense."""
    document = {"model": MODEL, "instructions": SYSTEM, "input": ask.question, **more}
    pause = 0.3
    while True:
        wait = None
        try:
            reply = await client.send(client.build_request("POST", URL, json=document, headers=HEADERS), stream=True)
        except httpx.HTTPError as error:
            ask.heard(None, {})
            ask.log("attempt", error=type(error).__name__)
            reason = "the model could not be reached"
        else:
            ask.heard(reply.status_code, reply.headers)
            if reply.status_code == 200:
                ask.log("attempt")
                return reply
            code = ask.error_code(await reply.aread())
            ask.log("attempt", code=code)
            reason = f"the model's API answered {reply.status_code}"
            if reply.status_code not in RETRYABLE or code in FINAL_CODES:
                raise Refusal(reason)
            wait = wait_asked_for(reply.headers)
        if wait is None:
            wait = pause
        if ask.attempts >= ATTEMPTS or wait >= ask.remaining():
            raise Refusal(reason)
        await asyncio.sleep(wait + random.random() * 0.1)
        pause *= 2


def session():
    return httpx.AsyncClient(timeout=TIMEOUT, verify=TLS)


async def complete(ask):
    async with session() as client:
        reply = await call(ask, client)
        body = json.loads(await reply.aread())
    if body.get("error"):
        raise Refusal("the model's API reported an error")
    if body["status"] != "completed":
        raise Refusal("the model's answer is not whole")
    text = ""
    for item in body["output"]:
        for part in item["content"] if item["type"] == "message" else []:
            if part["type"] == "refusal":
                raise Refusal("the model refused")
            text += part["text"]
    ask.finish = "stop"
    return text


async def stream(ask):
    async with session() as client:
        reply = await call(ask, client, stream=True)
        ask.must_stream()
        async for event in events(reply):
            kind = event.get("type")
            if event.get("error") or kind in ("error", "response.failed", "response.incomplete"):
                raise Refusal("the model's API reported an error")
            if kind == "response.refusal.delta":
                raise Refusal("the model refused")
            if kind == "response.output_text.delta":
                yield event["delta"]
            if kind == "response.completed":
                ask.finish = "stop"
                return


async def events(reply):
    """Yields the document of each server-sent event."""
    rest, data = b"", []
    async for piece in reply.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield json.loads(b"\n".join(data))
                data = []
