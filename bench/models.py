"""CPU of a streamed model call: our adapters against a bare httpx2 read of the same bytes, in one run (the ratio is the result).

    python bench/models.py [--calls N] [--json FILE]

The scripted server runs in a process of its own, so that only the client's CPU is counted. 50 deltas a stream.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx2

from quarterdeck.models import Models, ProviderConfig
from quarterdeck.models.chat import chat_body
from quarterdeck.models.profiles import Profile
from quarterdeck.models.responses import responses_body
from quarterdeck.models.transport import encode
from quarterdeck.protocol.actions import ActionKind, Permit
from quarterdeck.protocol.models import ModelRequest, TextDelta
from quarterdeck.testing import ScriptedModel, text

DELTAS = 50
REQUEST = ModelRequest(model="bench/m", input=({"type": "message", "role": "user", "content": "go"},))
PATHS = {"chat": "/chat/completions", "responses": "/responses"}


class FreePermits:
    """A permit costs nothing here: the store's part is measured elsewhere."""

    async def consume(self, permit: Permit, kind: ActionKind) -> None:
        return None


def serve(pipe: Connection) -> None:
    """Serve 50-delta streams until the pipe closes."""
    turn = text("word, word, " * DELTAS, piece=12)
    with ScriptedModel(lambda body: turn) as server:
        pipe.send(server.base_url)
        try:
            pipe.recv()
        except EOFError:
            return


async def cpu_ms(call: Callable[[], Awaitable[int]], calls: int) -> float:
    """Return this process's CPU in ms per call; the median of five rounds."""
    rounds = []
    await call()
    for _ in range(5):
        start = time.process_time()
        for _ in range(calls):
            assert await call() >= DELTAS
        rounds.append((time.process_time() - start) * 1000 / calls)
    return statistics.median(rounds)


async def measure(base_url: str, calls: int) -> dict[str, Any]:
    """Return CPU per call, ours and bare, for both wires."""
    results: dict[str, Any] = {"deltas": DELTAS}
    for wire, path in PATHS.items():
        build = chat_body(REQUEST, "m", Profile(), "x") if wire == "chat" else responses_body(REQUEST, "m", Profile())
        models = Models({"bench": ProviderConfig("bench", wire, base_url, local=True)}, FreePermits())  # type: ignore[arg-type]
        client = httpx2.AsyncClient(trust_env=False)

        async def bare(client: httpx2.AsyncClient = client, path: str = path, body: bytes = encode(build)) -> int:
            pieces = b""
            async with client.stream("POST", base_url + path, content=body, headers={"content-type": "application/json"}) as response:
                async for piece in response.aiter_bytes():
                    pieces += piece
            return pieces.count(b"data:")

        async def ours(models: Models = models) -> int:
            permit = Permit("r", 1, 1, 1, "model.call", "d", "n")
            return sum([isinstance(event, TextDelta) async for event in models.stream(permit, REQUEST)])

        floor, full = await cpu_ms(bare, calls), await cpu_ms(ours, calls)
        results[wire] = {"bare_httpx2_cpu_ms": round(floor, 3), "quarterdeck_cpu_ms": round(full, 3), "ratio": round(full / floor, 2)}
        await models.aclose()
        await client.aclose()
    return results


def main() -> None:
    """Print the table as JSON, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(there,), daemon=True)
    server.start()
    try:
        results = asyncio.run(measure(here.recv(), args.calls))
    finally:
        here.send("stop")
        server.join(5)
    answer = json.dumps(results, indent=2)
    print(answer)
    if args.json:
        args.json.write_text(answer + "\n")


if __name__ == "__main__":
    main()
