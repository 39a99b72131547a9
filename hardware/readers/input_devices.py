"""Which input devices there are, by what does not change when they are plugged in again.

The number in ``event3`` is given by order of arrival, so it names nothing. What stays is the model (vendor and product
id of USB) and the socket: the kernel's ``phys`` without its interface, such as ``usb-0000:01:00.0-1.2``. Both stand in
sysfs, which everybody may read (``Documentation/ABI/testing/sysfs-class-input`` and ``drivers/hid/usbhid/hid-core.c``).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

SYSFS: Final = Path("/sys/class/input")
_EV_KEY: Final = 1 << 1


class InputDevice(Struct, frozen=True):
    """One node under ``/dev/input``. A scanner may have several: keyboard, consumer control, system control."""

    event: str
    usb_id: str
    """``vvvv:pppp`` in hex."""
    port: str
    name: str
    has_keys: bool


def input_devices(root: Path = SYSFS) -> list[InputDevice]:
    """Return every input device there is now, in order of their names; one that vanishes meanwhile is left out."""
    found = (_read(node) for node in sorted(root.glob("event*"), key=lambda node: (len(node.name), node.name)))
    return [device for device in found if device is not None]


def of_scanner(devices: Iterable[InputDevice], usb_id: str, port: str | None) -> list[InputDevice]:
    """Return the nodes of one scanner that can press keys, all of which have to be grabbed."""
    return [device for device in devices if device.has_keys and device.usb_id == usb_id and port in (None, device.port)]


def _read(node: Path) -> InputDevice | None:
    device = node / "device"
    try:
        vendor, product = (_line(device / "id" / name) for name in ("vendor", "product"))
        kinds = int(_line(device / "capabilities" / "ev") or "0", 16)
        phys, name = _line(device / "phys"), _line(device / "name")
    except (OSError, ValueError):
        return None
    return InputDevice(
        node.name, f"{vendor}:{product}".lower(), phys.rpartition("/")[0] or phys, name, bool(kinds & _EV_KEY)
    )


def _line(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip()
