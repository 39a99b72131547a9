"""Which shipped profile fits what is plugged in, and what to change in a copy of it."""

from collections.abc import Iterator

from msgspec import Struct

from hardware.discover import Found, UsbDevice
from hardware.readers.input_devices import InputDevice

_PCSC_MATCH = "ACR122"


class Proposal(Struct, frozen=True):
    """A shipped profile; ``settings`` are lines for a copy of it, empty where it fits as it is."""

    profile: str
    why: str
    settings: tuple[str, ...] = ()


def propose(found: Found) -> Proposal:
    """Return the profile that fits best. A relay cannot be seen, so a board with a header is taken to work one."""
    if found.pcsc:
        return _for_pcsc(found)
    typing = list(_scanners(found))
    if len(typing) > 1 and found.header is not None:
        return Proposal(
            "usb-turnstile",
            "two USB readers that type, and a GPIO header: one reader for each way",
            tuple(line for at, device in enumerate(typing[:2]) for line in _of_keyboard(f"readers[{at}]", device)),
        )
    if typing:
        return Proposal(
            "usb-scanner-kiosk", _why_scanner(found, typing[0]), tuple(_of_keyboard("readers[0]", typing[0]))
        )
    if found.serial:
        return Proposal("serial-scanner-kiosk", "a serial port by USB", (f'readers[0].device = "{found.serial[0]}"',))
    return Proposal("simulated", "no reader was found; plug one in, or play with simulated hardware")


def _for_pcsc(found: Found) -> Proposal:
    first = found.pcsc[0]
    settings = () if _PCSC_MATCH in first else (f'readers[0].match = "{first.partition(" 00 ")[0]}"',)
    if found.header is not None:
        return Proposal("acr122u-relay", f"PC/SC reader {first!r} and a GPIO header for a relay", settings)
    return Proposal("acr122u-kiosk", f"PC/SC reader {first!r} and no GPIO header", settings)


def _scanners(found: Found) -> Iterator[InputDevice]:
    """Devices that type, those of known makers of scanners first; one for each socket."""
    known = {device.usb_id for device in found.usb if device.is_known_scanner}
    seen: set[str] = set()
    for device in sorted(found.keyboards, key=lambda each: each.usb_id not in known):
        if device.port not in seen:
            seen.add(device.port)
            yield device


def _why_scanner(found: Found, device: InputDevice) -> str:
    usb: UsbDevice | None = next((each for each in found.usb if each.usb_id == device.usb_id), None)
    if usb is not None and usb.is_known_scanner:
        return f"code scanner {device.name!r}"
    return f"{device.name!r} types like a keyboard; it fits if that is a scanner or card reader"


def _of_keyboard(key: str, device: InputDevice) -> Iterator[str]:
    yield f'{key}.usb_id = "{device.usb_id}"'
    yield f'{key}.usb_port = "{device.port}"'
