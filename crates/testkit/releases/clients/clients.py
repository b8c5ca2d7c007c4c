"""Asks once in each mode at each base URL, with the client that is named, as ten lines of everyday code do it.

    clients.py CLIENT MODEL PROMPT URL...

Writes one JSON document: for each URL and mode the answer, or the error. The key is in API_KEY.
"""

import asyncio
import json
import os
import sys

client, model, prompt, *urls = sys.argv[1:]
key = os.environ["API_KEY"]
headers = {"Authorization": f"Bearer {key}"}


def body(stream):
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": prompt}]}


def text_of(lines):
    pieces = []
    for line in lines:
        if line.startswith("data:") and line[5:].strip() != "[DONE]":
            for choice in json.loads(line[5:])["choices"]:
                pieces.append(choice["delta"].get("content") or "")
    return "".join(pieces)


def openai(url, stream):
    from openai import OpenAI

    made = OpenAI(base_url=url, api_key=key, max_retries=0).chat.completions.create(**body(stream))
    if not stream:
        return made.choices[0].message.content
    return "".join(choice.delta.content or "" for chunk in made for choice in chunk.choices)


def langchain(url, stream):
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model=model, base_url=url, api_key=key, max_retries=0)
    messages = body(stream)["messages"]
    return "".join(piece.content for piece in chat.stream(messages)) if stream else chat.invoke(messages).content


def litellm(url, stream):
    # Otherwise it fetches a list of prices first, from a host that is no provider.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    made = litellm.completion(api_base=url, api_key=key, max_retries=0, **{**body(stream), "model": f"openai/{model}"})
    if not stream:
        return made.choices[0].message.content
    return "".join(choice.delta.content or "" for chunk in made for choice in chunk.choices)


def httpx(url, stream):
    import httpx

    if not stream:
        return httpx.post(f"{url}/chat/completions", headers=headers, json=body(stream)).json()["choices"][0]["message"]["content"]
    with httpx.stream("POST", f"{url}/chat/completions", headers=headers, json=body(stream)) as reply:
        return text_of(reply.iter_lines())


def requests(url, stream):
    import requests

    reply = requests.post(f"{url}/chat/completions", headers=headers, json=body(stream), stream=stream)
    if not stream:
        return reply.json()["choices"][0]["message"]["content"]
    return text_of(line.decode() for line in reply.iter_lines())


def aiohttp(url, stream, trust_env=False):
    import aiohttp

    async def ask():
        async with aiohttp.ClientSession(trust_env=trust_env) as session:
            async with session.post(f"{url}/chat/completions", headers=headers, json=body(stream)) as reply:
                if not stream:
                    return (await reply.json())["choices"][0]["message"]["content"]
                return text_of([line.decode() async for line in reply.content])

    return asyncio.run(ask())


def aiohttp_trust_env(url, stream):
    return aiohttp(url, stream, trust_env=True)


def urllib(url, stream):
    from urllib.request import Request, urlopen

    request = Request(f"{url}/chat/completions", json.dumps(body(stream)).encode(), {**headers, "Content-Type": "application/json"})
    with urlopen(request) as reply:
        if not stream:
            return json.load(reply)["choices"][0]["message"]["content"]
        return text_of(line.decode() for line in reply)


def attempt(url, stream):
    try:
        return {"answer": globals()[client](url, stream)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


print(json.dumps([attempt(url, stream) for url in urls for stream in (False, True)]))
