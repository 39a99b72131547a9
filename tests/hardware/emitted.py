"""What a running reader emits, and waiting for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hardware.base import FaultReason, Reader, ReaderEvent, ReaderFault, Scan


class Emitted:
    """Events of a run; ``until`` waits for the next that fits."""

    def __init__(self) -> None:
        self.events: list[ReaderEvent] = []
        self._more = asyncio.Event()

    def take(self, event: ReaderEvent) -> None:
        self.events.append(event)
        self._more.set()

    async def until(self, fits: "Callable[[Emitted], bool]") -> None:
        async with asyncio.timeout(5):
            while not fits(self):
                self._more.clear()
                await self._more.wait()

    @property
    def reasons(self) -> list[FaultReason]:
        return [event.reason for event in self.events if isinstance(event, ReaderFault)]

    @property
    def codes(self) -> list[bytes]:
        return [event.data for event in self.events if isinstance(event, Scan)]


@asynccontextmanager
async def running(reader: Reader) -> AsyncIterator[Emitted]:
    """Run a reader while the block runs, and hand out what it emits."""
    emitted = Emitted()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reader.run(emitted.take))
        yield emitted
        task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Wait, a loop iteration at a time, for what a reader does silently."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)
