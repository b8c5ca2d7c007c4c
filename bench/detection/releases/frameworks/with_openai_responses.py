"""The two calls on openai-python, by the Responses API."""

import openai

from asking import API_KEY, BASE_URL, MODEL, SYSTEM, TIMEOUT, Refusal, seen

http = openai.DefaultAsyncHttpxClient(event_hooks={"response": [seen]}, timeout=TIMEOUT, follow_redirects=False)
client = openai.AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, timeout=TIMEOUT, max_retries=2, http_client=http)


def request(ask):
    return {"model": MODEL, "instructions": SYSTEM, "input": ask.question}


async def complete(ask):
    response = await client.responses.create(**request(ask))
    if response.status != "completed":
        raise Refusal("the model's answer is not whole")
    messages = [item for item in response.output if item.type == "message"]
    parts = [part for message in messages for part in message.content]
    if any(part.type == "refusal" for part in parts):
        raise Refusal("the model refused")
    ask.finish = "stop"
    return "".join(part.text for part in parts if part.type == "output_text")


async def stream(ask):
    events = await client.responses.create(**request(ask), stream=True)
    ask.must_stream()
    try:
        async for event in events:
            if event.type == "response.output_text.delta":
                yield event.delta
            elif event.type == "response.refusal.delta":
                raise Refusal("the model refused")
            elif event.type in ("response.failed", "response.incomplete", "error"):
                raise Refusal("the model's answer is not whole")
            elif event.type == "response.completed":
                ask.finish = "stop"
                return
    finally:
        await events.close()
