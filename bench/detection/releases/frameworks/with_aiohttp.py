"""The two calls on aiohttp alone."""

import asyncio
import json
import random

import aiohttp

from asking import API_KEY, BASE_URL, FINAL_CODES, MODEL, TIMEOUT, Refusal, wait_asked_for

ATTEMPTS = 3
RETRYABLE = {408, 409, 429, 500, 502, 503, 504, 529}
URL = BASE_URL.rstrip("/") + "/chat/completions"
HEADERS = {"authorization": f"Bearer {API_KEY}"}


async def call(ask, session, **more):
    """Returns a reply with status 200, after as many attempts as make sense."""
    document = {"model": MODEL, "messages": ask.messages(), **more}
    pause = 0.3
    while True:
        wait = None
        try:
            reply = await session.post(URL, json=document, headers=HEADERS, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError) as error:
            ask.heard(None, {})
            ask.log("attempt", error=type(error).__name__)
            reason = "the model could not be reached"
        else:
            ask.heard(reply.status, reply.headers)
            if reply.status == 200:
                ask.log("attempt")
                return reply
            code = ask.error_code(await reply.read())
            ask.log("attempt", code=code)
            reason = f"the model's API answered {reply.status}"
            if reply.status not in RETRYABLE or code in FINAL_CODES:
                raise Refusal(reason)
            wait = wait_asked_for(reply.headers)
        if wait is None:
            wait = pause
        if ask.attempts >= ATTEMPTS or wait >= ask.remaining():
            raise Refusal(reason)
        await asyncio.sleep(wait + random.random() * 0.1)
        pause *= 2


def session():
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=TIMEOUT))


async def complete(ask):
    async with session() as client:
        reply = await call(ask, client)
        body = json.loads(await reply.read())
    if body.get("error"):
        raise Refusal("the model's API reported an error")
    choice = body["choices"][0]
    if choice["message"].get("refusal"):
        raise Refusal("the model refused")
    ask.finish = choice.get("finish_reason")
    return choice["message"]["content"]


async def stream(ask):
    async with session() as client:
        reply = await call(ask, client, stream=True)
        ask.must_stream()
        data = []
        async for line in reply.content:
            line = line.rstrip(b"\r\n")
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            if line or not data:
                continue
            event, data = b"\n".join(data), []
            if event == b"[DONE]":
                return
            chunk = json.loads(event)
            if chunk.get("error"):
                raise Refusal("the model's API reported an error")
            for choice in chunk["choices"]:
                delta = choice["delta"]
                if delta.get("refusal"):
                    raise Refusal("the model refused")
                ask.finish = choice.get("finish_reason") or ask.finish
                if delta.get("content") or choice.get("finish_reason"):
                    yield delta.get("content")
