"""Puts every case to openai-python and says what it made of it: one JSON line a case, after the SDK's version.

Reads the cases from standard input, as {"base": ..., "cases": [{"id", "surface", "mode", "retries", "reason"}]}. Each stream
is read twice: by iterating over it, and by the SDK's stream helper. What is still under way when nothing has ended for a while hangs.
"""

import asyncio
import json
import os
import sys

import openai

# Cases under way at once; well below what a loopback server and two cores can take.
WIDTH = 16
# Nothing at all has ended in so many turns of this length: what is left hangs. They are turns and not a time, because a loaded
# machine slows both; together they are well above the two seconds for which the SDK waits before it asks again.
QUIET_TURNS = 50
TURN_SECONDS = 0.15

TERMINAL = {"response.completed", "response.incomplete", "response.failed"}


class InCaller(Exception):
    """An error in the code that reads the reply, not in the SDK."""


class Reading:
    """Marks the caller's own code, as the SDK's documentation writes it."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is not None and not isinstance(error, GeneratorExit):
            raise InCaller(type(error).__name__) from error


def written(text):
    """Writes the text as UTF-8, which every caller does in the end."""
    return text.encode().decode() if isinstance(text, str) else text


def usage_of(usage, names):
    return None if usage is None else [getattr(usage, name, None) for name in names]


CHAT_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")
RESPONSES_USAGE = ("input_tokens", "output_tokens", "total_tokens")


def read_completion(completion):
    choice = completion.choices[0]
    calls = [[call.id, call.function.name, call.function.arguments] for call in choice.message.tool_calls or []]
    return {
        "text": written(choice.message.content),
        "calls": calls,
        "finish": choice.finish_reason,
        "usage": usage_of(completion.usage, CHAT_USAGE),
    }


def read_response(response):
    calls = [[item.call_id, item.name, item.arguments] for item in response.output if item.type == "function_call"]
    return {
        "text": written(response.output_text),
        "calls": calls,
        "finish": response.status,
        "usage": usage_of(response.usage, RESPONSES_USAGE),
    }


async def chat_unary(client):
    completion = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello"}])
    with Reading():
        return read_completion(completion)


async def chat_stream(client):
    stream = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    answer = {"text": "", "calls": [], "finish": None, "usage": None}
    calls = {}
    async for chunk in stream:
        with Reading():
            if chunk.usage is not None:
                answer["usage"] = usage_of(chunk.usage, CHAT_USAGE)
            if not chunk.choices:
                continue
            choice = chunk.choices[0]
            if choice.delta.content:
                answer["text"] += choice.delta.content
            for delta in choice.delta.tool_calls or []:
                call = calls.setdefault(delta.index, [None, None, ""])
                call[0] = delta.id or call[0]
                call[1] = delta.function.name or call[1]
                call[2] += delta.function.arguments or ""
            answer["finish"] = choice.finish_reason or answer["finish"]
    with Reading():
        return {**answer, "text": written(answer["text"]), "calls": list(calls.values())}


async def chat_helper(client):
    completions = client.chat.completions
    if not hasattr(completions, "stream"):
        completions = client.beta.chat.completions
    async with completions.stream(model="m", messages=[{"role": "user", "content": "Hello"}]) as stream:
        async for _event in stream:
            pass
        completion = await stream.get_final_completion()
    with Reading():
        return read_completion(completion)


async def responses_unary(client):
    response = await client.responses.create(model="m", input="Hello")
    with Reading():
        return read_response(response)


async def responses_stream(client):
    stream = await client.responses.create(model="m", input="Hello", stream=True)
    answer = {"text": "", "calls": [], "finish": None, "usage": None}
    async for event in stream:
        with Reading():
            if event.type == "response.output_text.delta":
                answer["text"] += event.delta
            elif event.type == "error":
                answer["finish"] = "error"
            elif event.type in TERMINAL:
                answer["finish"] = event.response.status
                answer["usage"] = usage_of(event.response.usage, RESPONSES_USAGE)
    return answer


async def responses_helper(client):
    async with client.responses.stream(model="m", input="Hello") as stream:
        async for _event in stream:
            pass
        response = await stream.get_final_response()
    with Reading():
        return read_response(response)


READERS = {
    ("chat", "unary"): {"plain": chat_unary},
    ("chat", "stream"): {"plain": chat_stream, "helper": chat_helper},
    ("responses", "unary"): {"plain": responses_unary},
    ("responses", "stream"): {"plain": responses_stream, "helper": responses_helper},
}


async def put(reader, client, reason):
    try:
        return {"outcome": "returned", "answer": await reader(client)}
    except InCaller as error:
        return {"outcome": "crashed", "class": str(error)}
    except Exception as error:
        outcome = "refused" if isinstance(error, openai.OpenAIError) else "escaped"
        kind = type(error)
        home = kind.__module__.split(".")[0]
        name = kind.__name__ if outcome == "refused" or home == "builtins" else f"{home}.{kind.__name__}"
        return {"outcome": outcome, "class": name, "tells": reason is None or reason in str(error)}


async def main():
    order = json.load(sys.stdin)
    print(openai.__version__)
    shared = openai.AsyncOpenAI(base_url=order["base"], api_key="sk-none", timeout=300)
    slots = asyncio.Semaphore(WIDTH)

    def say(case, how, result):
        sys.stdout.write(json.dumps({"id": case["id"], "how": how, **result}, default=str) + "\n")

    async def run(case, how, reader):
        async with slots:
            client = shared.with_options(
                base_url=f"{order['base']}/{how}/{case['id']}/v1", max_retries=2 if case["retries"] else 0
            )
            result = await put(reader, client, case["reason"])
            say(case, how, result)

    tasks = {}
    for case in order["cases"]:
        for how, reader in READERS[case["surface"], case["mode"]].items():
            tasks[asyncio.ensure_future(run(case, how, reader))] = (case, how)
    left = set(tasks)
    quiet = 0
    while left and quiet < QUIET_TURNS:
        done, left = await asyncio.wait(left, timeout=TURN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        quiet = 0 if done else quiet + 1
        for task in done:
            task.result()
    for task in left:
        say(*tasks[task], {"outcome": "hangs"})
    sys.stdout.flush()
    # Calls that hang would keep the process.
    os._exit(0)


asyncio.run(main())
