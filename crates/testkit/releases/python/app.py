"""A one-shot command: app.py [--stream] "<prompt>" prints the answer, or an error on standard error and exit status 1."""

import asyncio
import sys

import core


async def main(arguments):
    streamed = "--stream" in arguments
    prompts = [a for a in arguments if a != "--stream"]
    if len(prompts) != 1:
        print('usage: app.py [--stream] "<prompt>"', file=sys.stderr)
        return 2

    async def show(piece):
        sys.stdout.write(piece)
        sys.stdout.flush()

    try:
        async with core.make_client() as client:
            text = await core.answer(client, prompts[0], "ask/stream" if streamed else "ask", show if streamed else None)
    except core.Refusal as refusal:
        core.log("exit", level="error", reason=str(refusal))
        return 1
    print("" if streamed else text, flush=True)
    return 0


core.begin()
sys.exit(asyncio.run(main(sys.argv[1:])))
