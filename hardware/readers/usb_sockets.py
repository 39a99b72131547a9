"""Into which USB socket a PC/SC reader is plugged: what its name cannot tell, as two of a kind are alike.

The daemon numbers readers in the order in which they arrive, so that two that are plugged in again may change their
names. libccid tells bus and address of each (SCARDGETATTRIB.md of CCID 1.4 and later: ``SCARD_ATTR_CHANNEL_ID`` is
0x0020 for USB, then the bus, then the address), and sysfs the socket that has them now
(``Documentation/ABI/testing/sysfs-bus-usb``).
"""

import struct
from pathlib import Path
from typing import Final

SYSFS: Final = Path("/sys/bus/usb/devices")
_USB: Final = 0x0020
_NUMBER: Final = struct.Struct("=I")


def usb_address(channel_id: bytes) -> tuple[int, int] | None:
    """Return bus and address from the attribute, which is a 32-bit number of this machine; None where it is no USB."""
    if len(channel_id) != _NUMBER.size:
        return None
    (number,) = _NUMBER.unpack(channel_id)
    kind, bus, address = number >> 16, number >> 8 & 0xFF, number & 0xFF
    return (bus, address) if kind == _USB else None


def socket_of(bus: int, address: int, root: Path = SYSFS) -> str:
    """Return the socket of a device, such as ``1-1.2``; empty where nothing has that address now."""
    for device in sorted(root.glob("[0-9]*")):
        if (_number(device / "busnum"), _number(device / "devnum")) == (bus, address):
            return device.name
    return ""


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
