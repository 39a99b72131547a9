"""A journal that keeps its events in memory and fails when a test says so."""

import asyncio

from agent.core.types import EventId
from agent.errors import StoreError
from agent.store.errors import StepUsedError
from agent.store.types import Draft


class MemoryJournal:
    """Numbers events like the real one; `faults` are raised by the next appends, `gate` holds them up."""

    def __init__(self, run: str = "00000000000000aa") -> None:
        self.run = run
        self.drafts: list[Draft] = []
        self.faults: list[StoreError | None] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.steps: dict[str, int] = {}

    async def append(self, draft: Draft) -> EventId:
        await self.gate.wait()
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        if draft.uses is not None:
            if draft.uses.step <= self.last_step(draft.uses.name):
                raise StepUsedError("used before")
            self.steps[draft.uses.name] = draft.uses.step
        self.drafts.append(draft)
        return EventId(self.run, len(self.drafts))

    def last_step(self, name: str) -> int:
        return self.steps.get(name, 0)

    @property
    def kinds(self) -> list[str]:
        return [draft.kind.value for draft in self.drafts]
