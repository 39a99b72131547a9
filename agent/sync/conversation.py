"""One connection while it stands: reads frames, writes frames, keeps the session's timer."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from agent.sync import exchange as ex
from agent.sync.connect import hang_up
from agent.sync.session import NORMAL_CLOSE
from wire.codec import Decoder, encode_events, for_agent
from wire.errors import RemoteProtocolError

FULL_BYTES: Final = 256 * 1024
"""With so much waiting for the wire no more events are read from the store."""
MAX_ANSWERS: Final = 256
"""With so many frames waiting for the wire none is read from it."""

Outgoing = bytes | ex.SendEvents


class Conversation:
    """Runs until the connection ends, by whichever side."""

    def __init__(
        self,
        connection: ClientConnection,
        *,
        feed: Callable[[ex.Input], None],
        now_ms: Callable[[], int],
        room: Callable[[], Awaitable[None]],
        drained: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._feed = feed
        self._now_ms = now_ms
        self._room = room
        self._drained = drained
        self._decoder: Decoder = for_agent()
        self._waiting: deque[Outgoing] = deque()
        self._waiting_bytes = 0
        self._has_frames = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._over = asyncio.Event()
        self._wake_ms: int | None = None
        self._rearmed = asyncio.Event()
        self._farewell = (NORMAL_CLOSE, "")
        self.code: int | None = None
        """Central's close code, where it sent one."""

    async def run(self) -> None:
        """Serve the connection; return once it is closed. A bug in the agent ends this with its exception."""
        try:
            async with asyncio.TaskGroup() as tasks:
                jobs = [tasks.create_task(job()) for job in (self._read, self._write, self._tick)]
                try:
                    await self._over.wait()
                finally:
                    for job in jobs:
                        job.cancel()
        finally:
            await hang_up(self._connection, *self._farewell)

    def send(self, frame: Outgoing) -> None:
        """Send a frame after those before it."""
        self._waiting.append(frame)
        self._waiting_bytes += _size(frame)
        self._has_frames.set()
        if len(self._waiting) >= MAX_ANSWERS:
            self._has_room.clear()

    @property
    def is_full(self) -> bool:
        """True while the wire is behind."""
        return self._waiting_bytes >= FULL_BYTES

    def wake_at(self, at_ms: int) -> None:
        """Feed a tick at this moment; a later one than before is found out when the earlier has come."""
        is_earlier = self._wake_ms is None or at_ms < self._wake_ms
        self._wake_ms = at_ms
        if is_earlier:
            self._rearmed.set()

    def close(self, code: int, why: str) -> None:
        """End the conversation."""
        self._farewell = (code, why)
        self._over.set()

    async def _read(self) -> None:
        try:
            while True:
                await self._has_room.wait()
                await self._room()
                frame = await self._connection.recv(decode=False)
                self._feed(self._understood(frame))
        except ConnectionClosed as ending:
            self._ended(ending)
        except RemoteProtocolError as fault:
            self.close(fault.close or NORMAL_CLOSE, fault.detail)

    def _understood(self, frame: bytes) -> ex.Input:
        try:
            return ex.Received(self._now_ms(), self._decoder.decode(frame))
        except RemoteProtocolError as fault:
            if fault.close is not None:
                raise
            return ex.Unreadable(self._now_ms(), fault.code, fault.detail)

    async def _write(self) -> None:
        try:
            while True:
                await self._has_frames.wait()
                while self._waiting:
                    await self._connection.send(self._next_frame(), text=True)
                self._has_frames.clear()
        except ConnectionClosed as ending:
            self._ended(ending)

    def _next_frame(self) -> bytes:
        frame = self._waiting.popleft()
        was_full = self.is_full
        self._waiting_bytes -= _size(frame)
        if was_full and not self.is_full:
            self._drained()
        if len(self._waiting) < MAX_ANSWERS:
            self._has_room.set()
        return frame if isinstance(frame, bytes) else encode_events(frame.run, frame.first, list(frame.spliced))

    async def _tick(self) -> None:
        while True:
            self._rearmed.clear()
            wait_s = None if self._wake_ms is None else max(0.001, (self._wake_ms - self._now_ms()) / 1000)
            try:
                async with asyncio.timeout(wait_s):
                    await self._rearmed.wait()
            except TimeoutError:
                if self._wake_ms is not None and self._now_ms() >= self._wake_ms:
                    self._feed(ex.Tick(self._now_ms()))

    def _ended(self, ending: ConnectionClosed) -> None:
        self.code = None if ending.rcvd is None else int(ending.rcvd.code)
        self._over.set()


def _size(frame: Outgoing) -> int:
    return len(frame) if isinstance(frame, bytes) else frame.size
