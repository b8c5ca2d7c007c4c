"""The two calls on LiteLLM's SDK."""

import json

import httpx
import litellm

from asking import API_KEY, BASE_URL, CURRENT, MODEL, TIMEOUT, Refusal, seen


async def keep_finish(response):
    """LiteLLM says "stop" where the provider said nothing, so what the provider said is read here."""
    if response.headers.get("content-type", "").startswith("application/json"):
        try:
            CURRENT.get().finish = json.loads(await response.aread())["choices"][0]["finish_reason"]
        except (ValueError, LookupError, TypeError):
            CURRENT.get().finish = None


litellm.telemetry = False
litellm.suppress_debug_info = True
litellm.aclient_session = httpx.AsyncClient(event_hooks={"response": [seen, keep_finish]}, timeout=TIMEOUT, follow_redirects=False)
options = {"model": f"openai/{MODEL}", "api_base": BASE_URL, "api_key": API_KEY, "timeout": TIMEOUT, "max_retries": 2}


async def complete(ask):
    reply = await litellm.acompletion(**options, messages=ask.messages())
    choice = reply.choices[0]
    if (choice.message.provider_specific_fields or {}).get("refusal"):
        raise Refusal("the model refused")
    return choice.message.content


async def stream(ask):
    reply = await litellm.acompletion(**options, messages=ask.messages(), stream=True)
    ask.must_stream()
    async for chunk in reply:
        for choice in chunk.choices:
            delta = choice.delta
            if getattr(delta, "refusal", None) or (delta.provider_specific_fields or {}).get("refusal"):
                raise Refusal("the model refused")
            # Not `choice.finish_reason`: that is "stop" as well when a stream just ends.
            ask.finish = reply.received_finish_reason
            if delta.content or choice.finish_reason:
                yield delta.content
    ask.finish = reply.received_finish_reason
