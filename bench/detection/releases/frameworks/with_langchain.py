"""The two calls on LangChain (langchain-openai)."""

import openai
from langchain_openai import ChatOpenAI

from asking import API_KEY, BASE_URL, MODEL, TIMEOUT, Refusal, seen

http = openai.DefaultAsyncHttpxClient(event_hooks={"response": [seen]}, timeout=TIMEOUT, follow_redirects=False)
chat = ChatOpenAI(model=MODEL, base_url=BASE_URL, api_key=API_KEY, timeout=TIMEOUT, max_retries=2, http_async_client=http)


async def complete(ask):
    message = await chat.ainvoke(ask.messages())
    if message.additional_kwargs.get("refusal"):
        raise Refusal("the model refused")
    ask.finish = message.response_metadata.get("finish_reason")
    return message.content


async def stream(ask):
    async for chunk in chat.astream(ask.messages()):
        ask.must_stream()
        if chunk.additional_kwargs.get("refusal"):
            raise Refusal("the model refused")
        finish = chunk.response_metadata.get("finish_reason")
        ask.finish = finish or ask.finish
        if chunk.content or finish:
            yield chunk.content
