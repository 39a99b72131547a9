"""Bugs of readers: whose keys are heard, where a code ends, and what passes for one."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EBUSY
from typing import Final
from unittest import mock

from hardware.base import FaultReason, Medium, ReaderEvent, ReaderFault, ReaderState, Scan
from hardware.profiles import Direction, EvdevReader
from hardware.readers.framing import Framer, Framing, Identity
from tests.fakes.key_port import USB_ID, FakeBus
from tests.planted.door import patched
from tests.planted.registry import PlantedBug


class _HeldElsewhere:
    """An input device that another program has grabbed."""

    fd = -1

    def __init__(self, path: str) -> None: ...

    def grab(self) -> None:
        raise OSError(EBUSY, os.strerror(EBUSY))

    def close(self) -> None: ...


@contextmanager
def _ungrabbed() -> Iterator[None]:
    from hardware.readers.evdev_port import EvdevPort

    with mock.patch.object(EvdevPort, "_claim", return_value=None):
        yield


def _hears_what_others_hear() -> str | None:
    import evdev

    from hardware.readers.evdev_port import EvdevPort
    from hardware.readers.keyboard import KeyboardReader

    bus = FakeBus()
    bus.plug("event3")
    part = EvdevReader(name="in", direction=Direction.IN, usb_id=USB_ID)

    def open_port(event: str) -> EvdevPort:
        with mock.patch.object(evdev, "InputDevice", _HeldElsewhere):
            return EvdevPort(event)

    reader = KeyboardReader(part, look=bus.look, open_port=open_port, look_s=0.001)
    states: list[ReaderState] = []

    async def run() -> None:
        with mock.patch.object(asyncio.get_running_loop(), "add_reader"):
            await asyncio.wait_for(reader.run(lambda _: states.append(reader.state)), 0.02)

    try:
        asyncio.run(run())
    except TimeoutError:
        return None if states == [ReaderState.MISSING] else f"a scanner that others hear is in service: {states}"
    return "the reader ended"


def _joins_halves() -> str | None:
    framer = Framer(Identity("in", Medium.QR), Framing(gap_ms=100), 0)
    events: list[ReaderEvent] = []
    for at_ms, half in ((1_000, "1234"), (60_000, "5678")):
        for character in half:
            events += framer.character(character, at_ms)
    events += framer.terminate(60_001)
    codes = [event.data for event in events if isinstance(event, Scan)]
    torn = [event for event in events if isinstance(event, ReaderFault) and event.reason is FaultReason.TORN_READ]
    return None if codes == [b"5678"] and torn else f"two halves, a minute apart, read as {len(codes)} codes"


PLANTED: Final = (
    PlantedBug(
        "scanner-ungrabbed", "a scanner that cannot be grabbed is read all the same",
        "what a scanner types is heard by nobody else", "tests.planted.readers",
        _ungrabbed, _hears_what_others_hear,
    ),
    PlantedBug(
        "gap-ignored", "a pause between two keys does not end a code",
        "half a code never joins what comes after it", "tests.planted.readers",
        patched(Framer, "is_pause", lambda *_: False), _joins_halves,
    ),
)  # fmt: skip
"""The layer of the readers' decoders and of their devices."""
