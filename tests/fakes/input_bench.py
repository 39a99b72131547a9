"""An input over gpiozero's mock pins, on time that passes by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from hardware.base import InputChange, InputRole
from hardware.inputs.gpio import GpioInput, GpioInputLine
from hardware.pins import mock
from hardware.profiles import Contact, InputPull
from hardware.profiles import GpioInput as Section
from tests.fakes.manual_time import settle
from tests.fakes.manual_timers import ManualTimers

LINE: Final = 22
WINDOW_MS: Final = 50


def section(
    *, pull: InputPull = InputPull.UP, active_high: bool = False, contact: Contact | None = Contact.NO
) -> Section:
    return Section(
        name="contact", role=InputRole.CONTACT, line=LINE, pull=pull, active_high=active_high, contact=contact
    )


class InputBench:
    """One input; `events` is what it reported."""

    def __init__(self, part: Section | None = None) -> None:
        self.clock = ManualTimers(now_ms=1_000)
        self.pins = mock.open_pins()
        line = GpioInputLine("inputs.contact", part or section(), self.pins, self.clock.mono_ms)
        self.input = GpioInput(
            "contact",
            InputRole.CONTACT,
            line,
            window_ms=WINDOW_MS,
            mono_ms=self.clock.mono_ms,
            call_later=self.clock.call_later,
        )
        self.events: list[InputChange] = []

    @property
    def pin(self) -> Any:
        return self.pins.factory.pin(f"GPIO{LINE}")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(self.input.run(self.events.append))
            await settle()
            yield
            await settle()
            run.cancel()

    async def drive(self, *, high: bool) -> None:
        self.pin.drive_high() if high else self.pin.drive_low()
        await settle()

    @property
    def seen(self) -> list[tuple[bool, int]]:
        return [(event.is_active, event.at_mono_ms) for event in self.events]
