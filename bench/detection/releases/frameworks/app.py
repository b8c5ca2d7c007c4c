"""A support bot on the library that LIBRARY names: langchain, litellm or aiohttp.

    app.py                           the service: /healthz, /ask (JSON in and out), /ask/stream (server-sent events out); PORT says where
    app.py [--stream] "<prompt>"     the command: prints the answer; otherwise an exit status of 1
"""

import asyncio
import importlib
import json
import os
import signal
import sys

from aiohttp import web

from asking import CURRENT, DEADLINE, IDLE, LINGER, VERSION, Ask, Refusal

library = importlib.import_module(f"with_{os.environ['LIBRARY']}")


async def answer(ask, emit=None):
    """Returns the whole answer; hands each piece of a stream to `emit`."""
    CURRENT.set(ask)
    try:
        async with asyncio.timeout(DEADLINE):
            text = await (library.complete(ask) if emit is None else pieces(ask, emit))
        return ask.is_whole(text)
    except Refusal:
        raise
    except TimeoutError:
        raise Refusal("the model took too long") from None
    except Exception as error:
        # The library's own words may repeat prompts and keys.
        ask.log("trouble", kind=type(error).__name__)
        raise Refusal("the model gave no usable answer") from None


async def pieces(ask, emit):
    """Only content resets the deadline of silence."""
    said, source = "", library.stream(ask)
    clock = asyncio.get_running_loop()
    until = clock.time() + IDLE
    try:
        while True:
            try:
                async with asyncio.timeout_at(until):
                    piece = await anext(source)
            except StopAsyncIteration:
                return said
            except TimeoutError:
                if ask.finish is None:
                    raise
                return said
            if piece:
                said += piece
                await emit(piece)
            until = clock.time() + (IDLE if ask.finish is None else LINGER)
    finally:
        await source.aclose()


async def healthz(_request):
    return web.json_response({"ok": True, "version": VERSION})


async def on_ask(request):
    ask = Ask((await request.json())["question"], "/ask")
    try:
        text = await answer(ask)
    except Refusal as refusal:
        ask.log("ask", outcome="refused", reason=str(refusal))
        return web.json_response({"error": str(refusal)}, status=502)
    except asyncio.CancelledError:
        ask.log("ask", outcome="abandoned", reason="the asker left")
        raise
    ask.log("ask", outcome="answered")
    return web.json_response({"answer": text})


async def on_ask_stream(request):
    ask = Ask((await request.json())["question"], "/ask/stream")
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)

    async def send(document, event=""):
        await response.write(f"{event}data: {json.dumps(document)}\n\n".encode())

    try:
        await answer(ask, lambda piece: send({"delta": piece}))
    except Refusal as refusal:
        ask.log("ask", outcome="refused", reason=str(refusal))
        await send({"error": str(refusal)}, "event: error\n")
    except (asyncio.CancelledError, ConnectionError):
        ask.log("ask", outcome="abandoned", reason="the asker left")
        raise
    else:
        ask.log("ask", outcome="answered")
        await send({"done": True})
    return response


async def serve():
    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.post("/ask", on_ask), web.post("/ask/stream", on_ask_stream)])
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"])).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


async def command(words):
    ask = Ask(words[-1], "command")
    printed = []

    async def keep(piece):
        printed.append(piece)

    try:
        text = await answer(ask, keep if words[0] == "--stream" else None)
    except Refusal as refusal:
        ask.log("ask", outcome="refused", reason=str(refusal))
        return 1
    ask.log("ask", outcome="answered")
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(command(sys.argv[1:]) if sys.argv[1:] else serve()))
