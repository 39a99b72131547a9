"""A scanner without a kernel: nodes that a test plugs, keys that it types, grabs that it refuses."""

import os
from collections import deque
from errno import EBUSY, ENODEV
from typing import Final

from hardware.readers.input_devices import InputDevice
from hardware.readers.keys import KeyEvent

USB_ID: Final = "0c2e:0b61"
PORT: Final = "usb-0000:01:00.0-1.2"


class FakeKeyPort:
    """A ``Port`` on a pipe: a byte in it wakes the loop, the events themselves wait beside it."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK)
        self._waiting: deque[KeyEvent] = deque()
        self._is_gone = False
        self.is_open = True

    def fileno(self) -> int:
        return self._reading

    def read(self) -> list[KeyEvent]:
        if self._is_gone:
            raise OSError(ENODEV, os.strerror(ENODEV))
        if self._waiting:
            os.read(self._reading, 1)
        return [self._waiting.popleft()] if self._waiting else []

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            os.close(self._reading)
            os.close(self._writing)

    def press(self, *events: KeyEvent) -> None:
        for event in events:
            self._waiting.append(event)
            os.write(self._writing, b"k")

    def vanish(self) -> None:
        self._is_gone = True
        os.write(self._writing, b"g")


class FakeBus:
    """What is plugged in. Its ``look`` and ``open`` stand in for sysfs and ``/dev/input``."""

    def __init__(self) -> None:
        self.devices: list[InputDevice] = []
        self.ports: dict[str, FakeKeyPort] = {}
        self.grabbed_by_others: set[str] = set()
        self.opened = 0

    def plug(self, event: str, *, port: str = PORT, usb_id: str = USB_ID, has_keys: bool = True) -> None:
        self.devices.append(InputDevice(event, usb_id, port, "Scanner", has_keys))

    def unplug(self, event: str) -> None:
        self.devices = [device for device in self.devices if device.event != event]
        if event in self.ports and self.ports[event].is_open:
            self.ports[event].vanish()

    def look(self) -> list[InputDevice]:
        return self.devices

    def open(self, event: str) -> FakeKeyPort:
        if event in self.grabbed_by_others:
            raise OSError(EBUSY, os.strerror(EBUSY))
        if event not in {device.event for device in self.devices}:
            raise OSError(ENODEV, os.strerror(ENODEV))
        self.opened += 1
        self.ports[event] = FakeKeyPort()
        return self.ports[event]
