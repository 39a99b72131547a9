"""The face over python-evdev: grabbed before anything is read, times by the monotonic clock, nothing from before."""

import fcntl
import os
import time
from errno import EBUSY
from struct import unpack
from typing import Any

import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("evdev", reason="needs evdev: pip install 'doorstile[hid]'")

import evdev

from hardware.readers.evdev_port import EvdevPort
from hardware.readers.keys import KeyMoved, KeysLost

pytestmark = pytest.mark.unit


class Node:
    """An ``evdev.InputDevice`` that is scripted: each read returns one of ``batches``, None for nothing waiting."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = 99
        self.calls: list[object] = []
        self.lamps = [1]
        self.refuses_grab = False
        self.refuses_lamp = False
        self.batches: list[list[evdev.InputEvent] | None] = [[evdev.InputEvent(1, 0, 1, 2, 1)], None]

    def grab(self) -> None:
        if self.refuses_grab:
            raise OSError(EBUSY, os.strerror(EBUSY))
        self.calls.append("grab")

    def leds(self) -> list[int]:
        return self.lamps

    def set_led(self, lamp: int, value: int) -> None:
        self.calls.append(("lamp", lamp, value))
        if self.refuses_lamp:
            raise evdev.eventio.EvdevError("no write access")

    def read(self) -> Any:
        batch = self.batches.pop(0)
        if batch is None:
            raise BlockingIOError
        return iter(batch)

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    made = Node("/dev/input/event3")
    monkeypatch.setattr(evdev, "InputDevice", lambda path: made if path == made.path else None)

    def ioctl(fd: int, request: int, argument: bytes) -> int:
        made.calls.append((hex(request), unpack("i", argument)[0]))
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    return made


def test_device_is_grabbed_timed_by_the_monotonic_clock_and_emptied_before_it_is_ours(node: Node) -> None:
    port = EvdevPort("event3")
    assert node.calls == ["grab", ("0x400445a0", time.CLOCK_MONOTONIC), ("lamp", 1, 0)]
    assert node.batches == []
    assert port.fileno() == 99


def test_keys_and_lost_events_come_out_and_the_rest_does_not(node: Node) -> None:
    port = EvdevPort("event3")
    raws = [(4, 4, 458782), (1, 30, 1), (0, 0, 0), (0, 3, 0), (17, 1, 1)]
    node.batches = [[evdev.InputEvent(12, 345_678, *raw) for raw in raws], None]
    assert port.read() == [KeyMoved(30, 1, 12_345), KeysLost(12_345)]
    assert port.read() == []


def test_device_that_cannot_be_had_alone_is_closed(node: Node) -> None:
    node.refuses_grab = True
    with pytest.raises(OSError, match="busy"):
        EvdevPort("event3")
    assert node.calls == ["close"]


def test_lamp_that_cannot_be_darkened_is_no_obstacle(node: Node) -> None:
    node.refuses_lamp = True
    EvdevPort("event3").close()
    node.lamps = []
    assert node.calls[-1] == "close"
