"""Presses on the kiosk's panel and requests on the control socket of a simulated door."""

import asyncio
import os
from collections.abc import Iterator
from unittest import mock

import msgspec

from agent.clock import Clock, KernelTime, SimulatedTime
from agent.simulation import SimAnswer, Simulation
from hardware.sim import SimReader
from tests.fuzz.target import Target, holds
from wire.events import AlarmBody, write_tail
from wire.limits import MAX_INTEGER
from wire.vocabulary import EventKind


class _Still:
    """A clock that does not move."""

    def read(self) -> KernelTime:
        return KernelTime(1_000_000, 1_800_000_000_000, True, 0)


class _Gate:
    def cut(self) -> None:
        """Nothing hangs on it."""

    def heal(self) -> None:
        """Nothing hangs on it."""


def _press(data: bytes) -> None:
    asyncio.run(_pressed(data.split(b"\n")[:50]))


async def _pressed(lines: list[bytes]) -> None:
    heard: list[object] = []
    readers = {name: SimReader(name, mono_ms=lambda: 5) for name in ("in", "out")}
    time = SimulatedTime(_Still())
    clock = Clock(time, boot="b" * 32)
    simulation = Simulation(readers, time=time, gate=_Gate(), describe=lambda: {"lock": "locked"})
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(reader.run(heard.append)) for reader in readers.values()]
        await asyncio.sleep(0)
        with mock.patch.object(os, "kill"):
            for line in lines:
                _check(await simulation.answer(line), clock)
        for task in running:
            task.cancel()
    holds(len(heard) <= 3 * len(lines), "one press is one presentation")


def _check(answer: SimAnswer, clock: Clock) -> None:
    msgspec.json.encode(answer)
    moment = clock.now()
    holds(0 <= moment.wall_ms <= MAX_INTEGER, "the simulated clock shows a time that an event can hold")
    write_tail(EventKind.ALARM, clock.stamp(moment), AlarmBody(code="x"))


def _presses() -> Iterator[bytes]:
    yield b'{"do":"tap","args":{"uid":"04A1B2C3","reader":"out"}}\n{"do":"qr","args":{"text":"gym"}}'
    yield b'{"do":"torn"}\n{"do":"unplug"}\n{"do":"replug"}\n{"do":"status"}\n{"do":"kill"}'
    yield b'{"do":"link","args":{"state":"cut"}}\n{"do":"link","args":{"state":"heal"}}'
    yield b'{"do":"clock","args":{"shift_s":"-3600","synced":"yes"}}\n{"do":"clock","args":{"shift_s":"inf"}}'


TARGETS = (Target("panel", "the kiosk's panel and the control socket", _press, _presses),)
