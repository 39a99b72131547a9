"""A reader that cannot be had, so that its door is out of service instead of silent."""

import asyncio

from hardware.base import Emit, FaultReason, MonoClock, ReaderFault, ReaderState, monotonic_ms


class AbsentReader:
    """Reads nothing and says why."""

    state = ReaderState.MISSING

    def __init__(self, name: str, why: str, *, mono_ms: MonoClock = monotonic_ms) -> None:
        self._name = name
        self._why = why
        self._mono_ms = mono_ms

    @property
    def name(self) -> str:
        return self._name

    async def run(self, emit: Emit) -> None:
        emit(ReaderFault(self._name, FaultReason.READER_MISSING, self._mono_ms(), self._why))
        await asyncio.get_running_loop().create_future()
