"""Servers that take events and forget them: the other end of `bench.replay`, in a process of its own.

Run as `python -m bench.drains`; it prints its port. The path says how a connection is served: the device path speaks
`doorstile.v1` and keeps the chain, `/reference` takes lists of events as JSON, `/message` one event at a time.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from wire.chain import link, unsplice
from wire.codec import encode, for_central
from wire.directory import directory_digest
from wire.limits import Limits, Reconnect
from wire.messages import Ack, Events, Heartbeat, HeartbeatAck, Hello, RunAck, Welcome
from wire.transfer import DirectoryRef
from wire.vocabulary import DEVICE_PATH, SUBPROTOCOL, DirectoryMode

REFERENCE_PATH: Final = "/reference"
MESSAGE_PATH: Final = "/message"
_SERVER_MS: Final = 1_800_000_000_000


@contextlib.contextmanager
def drain() -> Iterator[str]:
    """Run the servers; give their origin, `http://127.0.0.1:PORT`."""
    process = subprocess.Popen([sys.executable, "-m", "bench.drains"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


async def _serve(connection: ServerConnection) -> None:
    path = connection.request.path if connection.request is not None else ""
    talk = {DEVICE_PATH: _doorstile, REFERENCE_PATH: _reference, MESSAGE_PATH: _message}[path]
    with contextlib.suppress(ConnectionClosed):
        await talk(connection)


async def _doorstile(connection: ServerConnection) -> None:
    decoder = for_central()
    heads: dict[str, bytes] = {}
    while True:
        message = decoder.decode(await connection.recv(decode=False))
        match message:
            case Events():
                answer: Any = _taken(message, heads)
            case Hello():
                heads = {run.run: bytes.fromhex(run.head) for run in message.runs}
                answer = _welcome(message)
            case Heartbeat():
                answer = HeartbeatAck(echo_mono_ms=message.mono_ms, server_ms=_SERVER_MS, dir_ver=0)
            case _:
                continue
        await connection.send(encode(answer), text=True)


def _taken(batch: Events, heads: dict[str, bytes]) -> Ack:
    head = heads[batch.run]
    for raw in batch.ev:
        parts = unsplice(bytes(raw))
        assert parts is not None
        head = link(head, parts[0])
    heads[batch.run] = head
    return Ack(run=batch.run, upto=batch.first + len(batch.ev) - 1, head=head.hex(), window=1 << 20)


def _welcome(hello: Hello) -> Welcome:
    held = [RunAck(run.run, run.acked, run.head) for run in hello.runs]
    return Welcome(
        session=1,
        server_ms=_SERVER_MS,
        proto=1,
        runs=held,
        limits=Limits(window=8 * 200),
        hb_s=15.0,
        ack_timeout_s=20.0,
        lease_s=43_200,
        reconnect=Reconnect(),
        dir=hello.dir or DirectoryRef("bench", 0, directory_digest(())),
        dir_mode=DirectoryMode.CURRENT,
        last_run=held[-1],
    )


async def _reference(connection: ServerConnection) -> None:
    taken = 0
    while True:
        taken += len(json.loads(await connection.recv())["ev"])
        await connection.send(json.dumps({"type": "ack", "upto": taken}))


async def _message(connection: ServerConnection) -> None:
    while True:
        event = json.loads(await connection.recv())
        await connection.send(json.dumps({"type": "ack", "upto": event["n"]}))


async def _main() -> None:
    server = await serve(
        _serve,
        "127.0.0.1",
        0,
        compression=None,
        max_size=1 << 20,
        select_subprotocol=lambda _connection, offered: Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None,
    )
    async with server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
