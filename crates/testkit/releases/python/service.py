"""An HTTP service: /healthz, /ask (JSON in and out), /ask/stream (JSON in, server-sent events out). PORT says where."""

import asyncio
import json
import os
import socket

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

import core

core.begin()
CLIENT = core.make_client()


async def healthz(_request):
    return JSONResponse({"ok": True, "version": core.VERSION})


async def ask(request):
    question = (await request.json())["question"]
    work = asyncio.create_task(core.answer(CLIENT, question, "/ask"))
    if not core.defect("keeps-generating-for-nobody"):
        leaver = asyncio.create_task(gone(request))
        await asyncio.wait({work, leaver}, return_when=asyncio.FIRST_COMPLETED)
        leaver.cancel()
        if not work.done():
            work.cancel()
            core.log("ask", level="warn", outcome="abandoned", reason="the asker left")
            return JSONResponse({"error": "the asker left"}, status_code=499)
    try:
        return JSONResponse({"answer": await work})
    except core.Refusal as refusal:
        return JSONResponse({"error": str(refusal)}, status_code=502)


async def gone(request):
    """Returns when the asker has left."""
    while not await request.is_disconnected():
        await asyncio.sleep(0.05)


async def ask_stream(request):
    question = (await request.json())["question"]
    pieces = asyncio.Queue(maxsize=64)

    async def put(piece):
        await pieces.put(("", {"delta": piece}))

    async def produce():
        try:
            await core.answer(CLIENT, question, "/ask/stream", put)
            await pieces.put(("", {"done": True}))
        except core.Refusal as refusal:
            await pieces.put(("event: error\n", {"error": str(refusal)}))

    async def events():
        work = asyncio.create_task(produce())
        try:
            while True:
                name, data = await pieces.get()
                yield f"{name}data: {json.dumps(data)}\n\n"
                if "delta" not in data:
                    return
        finally:
            if not core.defect("keeps-generating-for-nobody"):
                work.cancel()

    return StreamingResponse(events(), media_type="text/event-stream")


APP = Starlette(
    routes=[
        Route("/healthz", healthz),
        Route("/ask", ask, methods=["POST"]),
        Route("/ask/stream", ask_stream, methods=["POST"]),
    ]
)


class Server(uvicorn.Server):
    """uvicorn with its own signal handling, unless the defect took that away."""

    def handle_exit(self, sig, frame):
        if not core.defect("ignores-sigterm"):
            super().handle_exit(sig, frame)


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    config = uvicorn.Config(APP, log_config=None, access_log=False, log_level="critical", timeout_graceful_shutdown=2)
    Server(config).run(sockets=[listener])
