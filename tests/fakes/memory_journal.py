"""A journal that keeps its events in memory and fails when a test says so."""

import asyncio

from agent.core.types import EventId
from agent.errors import StoreError
from agent.store.types import Draft


class MemoryJournal:
    """Numbers events like the real one; `faults` are raised by the next appends, `gate` holds them up."""

    def __init__(self, run: str = "00000000000000aa") -> None:
        self.run = run
        self.drafts: list[Draft] = []
        self.faults: list[StoreError | None] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, draft: Draft) -> EventId:
        await self.gate.wait()
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        self.drafts.append(draft)
        return EventId(self.run, len(self.drafts))

    @property
    def kinds(self) -> list[str]:
        return [draft.kind.value for draft in self.drafts]
