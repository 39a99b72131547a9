"""What is plugged in: USB devices, keyboards, serial ports, PC/SC readers, GPIO chips and the battery-backed clock.

Everything is read from sysfs and ``/dev`` (Linux, ``Documentation/ABI/testing/sysfs-bus-usb``; interface classes:
USB-IF, "Defined Class Codes") and from the PC/SC daemon; nothing is opened that another program could miss.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from msgspec import Struct

from hardware.gpiochips import GpioChip, gpio_chips, header_of
from hardware.readers.beeps import passes_commands
from hardware.readers.input_devices import InputDevice, input_devices

_SMART_CARD: Final = "0b"
_HID: Final = "03"
_KEYBOARD_PROTOCOL: Final = "01"
_SERIAL: Final = frozenset({"02", "0a"})

SCANNER_VENDORS: Final = {
    "0536": "Hand Held Products",
    "05e0": "Symbol",
    "05f9": "Datalogic",
    "065a": "Opticon",
    "080c": "Datalogic",
    "0c2e": "Honeywell",
    "1eab": "Newland",
}
"""Makers of code scanners by USB vendor id (linux-usb.org, usb.ids). Others may be scanners all the same."""


class UsbDevice(Struct, frozen=True):
    """One device on the bus. ``port`` is its socket, which stays; ``usb_id`` its vendor and product in hex."""

    port: str
    usb_id: str
    name: str
    is_smart_card_reader: bool = False
    is_keyboard: bool = False
    is_serial: bool = False

    @property
    def is_known_scanner(self) -> bool:
        return self.usb_id.partition(":")[0] in SCANNER_VENDORS


class Watchdog(Struct, frozen=True):
    """The board's own. ``state`` is ``active`` while somebody feeds it; empty where the kernel does not say."""

    identity: str
    state: str


class Found(Struct, frozen=True):
    """Everything that was there when somebody looked.

    ``keyboards`` are the USB devices that type, scanners and card readers among them; ``pcsc_problem`` says why
    ``pcsc`` may not be all, ``passes_commands`` whether the daemon hands a reader commands that are for no card.
    """

    usb: tuple[UsbDevice, ...] = ()
    keyboards: tuple[InputDevice, ...] = ()
    serial: tuple[str, ...] = ()
    pcsc: tuple[str, ...] = ()
    pcsc_problem: str = ""
    gpio: tuple[GpioChip, ...] = ()
    i2c: tuple[str, ...] = ()
    rtc: str = ""
    watchdog: Watchdog | None = None
    passes_commands: bool = False

    @property
    def header(self) -> GpioChip | None:
        """The chip of the 40-pin header."""
        return header_of(self.gpio)


PCSC_TIMEOUT_S: Final = 3.0

PcscNames = Callable[[], list[str]]
"""Returns the names of the PC/SC readers; raises OSError with a remedy where they cannot be had."""


def pcsc_names() -> list[str]:
    """Ask the PC/SC daemon; pyscard is imported only now."""
    try:
        from hardware.readers.scard import Context, ScardError
    except (ImportError, OSError) as error:
        raise OSError(f"pyscard is missing ({error}); apt install python3-pyscard") from error
    try:
        with Context() as context:
            return context.reader_names()
    except ScardError as error:
        raise OSError(f"{error}; start the daemon: systemctl start pcscd.socket") from error


def look(root: Path = Path("/"), *, names: PcscNames = pcsc_names) -> Found:
    """Return what is plugged in. ``root`` stands before ``sys``, ``dev`` and ``etc``."""
    problem = ""
    try:
        readers = _within(PCSC_TIMEOUT_S, names)
    except OSError as error:
        readers, problem = [], str(error)
    sys, dev = root / "sys", root / "dev"
    return Found(
        usb=tuple(_usb_devices(sys / "bus/usb/devices")),
        keyboards=tuple(
            device
            for device in input_devices(sys / "class/input")
            if device.has_keys and device.port.startswith("usb-")
        ),
        serial=tuple(sorted(f"/dev/serial/by-id/{path.name}" for path in (dev / "serial/by-id").glob("*"))),
        pcsc=tuple(sorted(readers)),
        pcsc_problem=problem,
        gpio=tuple(gpio_chips(dev)),
        i2c=tuple(sorted(f"/dev/{path.name}" for path in dev.glob("i2c-*"))),
        rtc=_text(sys / "class/rtc/rtc0/name"),
        watchdog=_watchdog(sys / "class/watchdog/watchdog0"),
        passes_commands=passes_commands(root / "etc/libccid_Info.plist"),
    )


def _within(timeout_s: float, ask: PcscNames) -> list[str]:
    """Ask in a thread of its own: a daemon that hangs keeps nobody waiting."""
    answers: SimpleQueue[list[str] | OSError] = SimpleQueue()

    def asking() -> None:
        try:
            answers.put(ask())
        except OSError as error:
            answers.put(error)

    threading.Thread(target=asking, name="pcsc-names", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except Empty as error:
        raise OSError(f"no answer within {timeout_s:g} s; restart the daemon: systemctl restart pcscd") from error
    if isinstance(answer, OSError):
        raise answer
    return answer


def _usb_devices(bus: Path) -> list[UsbDevice]:
    devices = []
    for path in sorted(bus.glob("*")):
        usb_id = f"{_text(path / 'idVendor')}:{_text(path / 'idProduct')}"
        if usb_id == ":" or path.name.startswith("usb"):  # an interface; or a root hub, which is part of the board
            continue
        kinds = [
            (_text(face / "bInterfaceClass"), _text(face / "bInterfaceProtocol")) for face in bus.glob(f"{path.name}:*")
        ]
        devices.append(
            UsbDevice(
                path.name,
                usb_id,
                " ".join(filter(None, (_text(path / "manufacturer"), _text(path / "product")))),
                is_smart_card_reader=any(kind == _SMART_CARD for kind, _ in kinds),
                is_keyboard=(_HID, _KEYBOARD_PROTOCOL) in kinds,
                is_serial=any(kind in _SERIAL for kind, _ in kinds),
            )
        )
    return devices


def _watchdog(path: Path) -> Watchdog | None:
    """Documentation/ABI/testing/sysfs-class-watchdog; the folder is there without CONFIG_WATCHDOG_SYSFS as well."""
    return Watchdog(_text(path / "identity"), _text(path / "state")) if path.exists() else None


def _text(path: Path) -> str:
    """The one line of a file in sysfs; empty where it is not there, or went away just now."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
