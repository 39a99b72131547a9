"""A TCP proxy between agent and central that is as bad as a network can be, and heals when told to."""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

_CHUNK: Final = 16 * 1024
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER with a time of 0: close() sends RST (socket(7))
_LOOK_AGAIN_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Weather:
    """How the line behaves; the default is fine.

    `delay_s` holds each piece up, `bytes_per_s` bounds the rate (0: unbounded), `cut_after` resets a connection that
    carried so many bytes (0: never), `swallows` takes everything and passes nothing on (half-open), `refuses` resets
    each new connection at once.
    """

    delay_s: float = 0.0
    bytes_per_s: int = 0
    cut_after: int = 0
    swallows: bool = False
    refuses: bool = False


FINE: Final = Weather()


class Proxy:
    """Forwards to `port` on this machine; `weather` may change at any time and holds for open connections too."""

    def __init__(self, port: int, tasks: asyncio.TaskGroup) -> None:
        self._target = port
        self._tasks = tasks
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.weather = FINE
        self.connections = 0

    @property
    def url(self) -> str:
        """The origin that a device is told."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def open(self) -> None:
        """Begin to listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    def close(self) -> None:
        """Stop listening and reset what is open."""
        assert self._server is not None
        self._server.close()
        self.weather = FINE
        self.reset()

    def reset(self) -> None:
        """Reset every open connection."""
        for writer in tuple(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.weather.refuses:
            _reset(writer)
            return
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            self._writers.discard(writer)
            _reset(writer)
            return
        self._writers.add(far_writer)
        carried = [0]
        there = self._tasks.create_task(self._carry(reader, far_writer, carried))
        back = self._tasks.create_task(self._carry(far_reader, writer, carried))
        try:
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((there, back), timeout=1.0)
        finally:
            for task in (there, back):
                task.cancel()
            for each in (writer, far_writer):
                self._writers.discard(each)
                _reset(each)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, carried: list[int]) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_CHUNK):
                await self._weathered(len(piece))
                carried[0] += len(piece)
                if self.weather.cut_after and carried[0] >= self.weather.cut_after:
                    return
                writer.write(piece)
                await writer.drain()

    async def _weathered(self, size: int) -> None:
        while self.weather.swallows:
            await asyncio.sleep(_LOOK_AGAIN_S)
        if self.weather.delay_s:
            await asyncio.sleep(self.weather.delay_s)
        if self.weather.bytes_per_s:
            await asyncio.sleep(size / self.weather.bytes_per_s)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, so that nothing that waits in a buffer still arrives."""
    plain = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@contextlib.asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    """Run a proxy to a port of this machine as long as the block lasts."""
    async with asyncio.TaskGroup() as tasks:
        proxy = Proxy(port, tasks)
        await proxy.open()
        try:
            yield proxy
        finally:
            proxy.close()


def random_weather(chance: random.Random) -> Weather:
    """Return bad weather of one kind, mild enough that something gets through now and then."""
    kinds = (
        lambda: Weather(delay_s=chance.uniform(0.005, 0.2)),
        lambda: Weather(bytes_per_s=chance.randint(3_000, 60_000)),
        lambda: Weather(cut_after=chance.randint(300, 20_000)),
        lambda: Weather(swallows=True),
        lambda: Weather(refuses=True),
        lambda: Weather(delay_s=chance.uniform(0.005, 0.05), cut_after=chance.randint(2_000, 40_000)),
    )
    return chance.choice(kinds)()
