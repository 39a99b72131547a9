"""Card readers and code scanners that pretend to be a keyboard (HID keyboard wedges), through evdev.

A scanner is bound by model and socket, grabbed exclusively on every one of its nodes, and out of service where one of
them cannot be: a scanner that is heard elsewhere types into the console, and what is typed there may be a command.
"""

import asyncio
from collections.abc import Callable, Sequence
from errno import EACCES, EBUSY, EPERM
from typing import Final, Protocol

from hardware import profiles
from hardware.base import MonoClock, monotonic_ms
from hardware.readers.attached import LOOK_S, AttachedReader, Port
from hardware.readers.evdev_port import EvdevPort
from hardware.readers.input_devices import InputDevice, input_devices, of_scanner
from hardware.readers.keys import KeyEvent
from hardware.readers.wedge import Wedge

_CURES: Final = {
    EACCES: "add the agent's user to group input",
    EPERM: "add the agent's user to group input",
    EBUSY: "another program has grabbed it: stop that program",
}


class KeyboardReader(AttachedReader[KeyEvent]):
    """One scanner of the profile."""

    def __init__(
        self,
        scanner: profiles.EvdevReader,
        *,
        mono_ms: MonoClock = monotonic_ms,
        look: Callable[[], Sequence[InputDevice]] = input_devices,
        open_port: Callable[[str], Port[KeyEvent]] = EvdevPort,
        look_s: float = LOOK_S,
    ) -> None:
        super().__init__(scanner.name, mono_ms, look_s)
        self._scanner = scanner
        self._look = look
        self._open_port = open_port

    def _bind(self, failed: "asyncio.Future[None]") -> None:
        """Hold exactly the nodes that the scanner has now, all of them or none."""
        nodes = of_scanner(self._look(), self._scanner.usb_id, self._scanner.usb_port)
        ports = sorted({node.port for node in nodes})
        if not nodes:
            self._lose(f"no input device {self._where}; plug it in, or see what is there: cat /proc/bus/input/devices")
        elif len(ports) > 1:
            self._lose(f"{len(ports)} scanners {self._where}: {', '.join(ports)}; name one of them as usb_port")
        elif {node.event for node in nodes} != self._held.keys():
            self._rebind(nodes, failed)

    def _rebind(self, nodes: Sequence[InputDevice], failed: "asyncio.Future[None]") -> None:
        self._release()
        try:
            for node in nodes:
                self._hold(node.event, self._open_port(node.event), self._wedge(), failed)
        except OSError as error:
            cure = _CURES.get(error.errno or 0, "unplug it and plug it in again")
            self._lose(f"{node.name} at {node.port} cannot be had alone ({error.strerror}); {cure}")
        else:
            self._found(nodes[0].port)

    def _wedge(self) -> Wedge:
        part = self._scanner
        return Wedge(part.identity, part.framing, part.layout, self._mono_ms(), caps_lock=part.caps_lock)

    @property
    def _where(self) -> str:
        return self._scanner.usb_id + (f" at {self._scanner.usb_port}" if self._scanner.usb_port else "")


class _Clocked(Protocol):
    """The part of the factory's bench that this driver needs."""

    @property
    def mono_ms(self) -> MonoClock: ...


def build_reader(part: profiles.EvdevReader, bench: _Clocked) -> KeyboardReader:
    return KeyboardReader(part, mono_ms=bench.mono_ms)
