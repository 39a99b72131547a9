"""Bugs of readers: whose keys are heard, where a code ends, and what passes for one."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EBUSY
from typing import Final
from unittest import mock

from hardware.base import FaultReason, Medium, ReaderEvent, ReaderFault, ReaderState, Scan
from hardware.errors import HardwareError
from hardware.profiles import Direction, EvdevReader
from hardware.readers import framing, osdp_cards, wiegand_frames
from hardware.readers.framing import Framer, Framing, Identity
from hardware.readers.osdp_cards import read_key
from hardware.readers.serial_codes import Received, SerialCodes
from hardware.readers.wiegand_frames import Pulses, WiegandFrames
from tests.fakes.key_port import USB_ID, FakeBus
from tests.hardware.wires import edges
from tests.planted.door import patched
from tests.planted.registry import PlantedBug
from wire.wiegand import wiegand_frame


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


def _reads_the_rest() -> str | None:
    framer = Framer(Identity("in", Medium.QR), Framing(gap_ms=100), 0)
    events: list[ReaderEvent] = []
    for at_ms, half in ((1_000, "00012"), (1_500, "34567")):
        for character in half:
            events += framer.character(character, at_ms)
    events += framer.terminate(1_501)
    codes = [event.data for event in events if isinstance(event, Scan)]
    return f"the rest of a torn code was read as {codes}" if codes else None


def _reads_a_wrong_bit() -> str | None:
    frames = WiegandFrames(Identity("in", Medium.HID, "wiegand"), Pulses(), 0)
    frame = wiegand_frame(26, 0x760643)
    for edge in edges(frame[:5] + str(1 - int(frame[5])) + frame[6:], 1_000_000):
        frames.take(edge)
    scans = [event for event in frames.tick(2_000) if isinstance(event, Scan)]
    return "a frame with a wrong bit is read as another card" if scans else None


@contextmanager
def _noise_stripped() -> Iterator[None]:
    real = SerialCodes.take

    def take(self: SerialCodes, received: Received) -> list[ReaderEvent]:
        kept = bytes(byte for byte in received.data if byte >= 0x20 or byte in b"\r\n\t")
        return real(self, Received(kept, received.at_mono_ms))

    with mock.patch.object(SerialCodes, "take", take):
        yield


def _folds_two_codes() -> str | None:
    line = SerialCodes(Identity("in", Medium.QR), Framing(), 0)
    scans = [event for event in line.take(Received(b"12\x0034\x13\r", 1_000)) if isinstance(event, Scan)]
    return "a code with noise in it is read as another" if scans else None


def _takes_known_key() -> str | None:
    try:
        read_key(bytes(range(0x30, 0x40)).hex(), "in.key")
    except HardwareError:
        return None
    return "the key that stands in the standard protects the line"


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
    PlantedBug(
        "rest-is-a-code", "what follows the pause that tore a code is read as a code of its own",
        "half a code is none, whichever half it is", "tests.planted.readers",
        patched(framing, "REST_MS", -1), _reads_the_rest,
    ),
    PlantedBug(
        "parity-ignored", "a Wiegand frame is read whatever its parity bits say",
        "noise on a wire never makes one card another", "tests.planted.readers",
        patched(wiegand_frames, "has_parity", lambda _: True), _reads_a_wrong_bit,
    ),
    PlantedBug(
        "noise-stripped", "control characters are taken out of a code instead of spoiling it",
        "two codes are never folded into one", "tests.planted.readers", _noise_stripped, _folds_two_codes,
    ),
    PlantedBug(
        "default-key-accepted", "an OSDP line works under the default key",
        "nobody else can speak to a reader or for it", "tests.planted.readers",
        patched(osdp_cards, "_DEFAULT_KEY", b""), _takes_known_key,
    ),
)  # fmt: skip
"""The layer of the readers' decoders and of their devices."""
