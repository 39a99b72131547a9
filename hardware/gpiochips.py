"""GPIO chips and who holds their lines, asked of the kernel without claiming anything.

Structures and request numbers are those of the GPIO character device, ``linux/gpio.h``: ``struct gpiochip_info`` (68
bytes) and ``struct gpio_v2_line_info`` (256 bytes, Linux 5.10 and later).
"""

import os
import struct
from collections.abc import Iterable
from fcntl import ioctl
from pathlib import Path
from typing import Final

from msgspec import Struct

GET_CHIPINFO: Final = 0x8044B401
"""_IOR(0xB4, 0x01, struct gpiochip_info)"""
GET_LINEINFO: Final = 0xC100B405
"""_IOWR(0xB4, 0x05, struct gpio_v2_line_info)"""

_CHIP: Final = struct.Struct("=32s32sI")
_LINE: Final = struct.Struct("=32s32sIIQ160s16s")
_FLAG_USED: Final = 1 << 0
_HEADER_LABELS: Final = ("pinctrl-bcm", "pinctrl-rp1", "gpio-sim")


class GpioChip(Struct, frozen=True):
    """One chip. ``label`` is its driver's, which stays; the number in ``path`` depends on the kernel."""

    path: str
    label: str
    lines: int

    @property
    def number(self) -> int:
        """The N of ``/dev/gpiochipN``."""
        return int(self.path.rpartition("gpiochip")[2])

    @property
    def is_header(self) -> bool:
        """Whether its lines are those of a Pi's 40-pin header, real or simulated by the kernel."""
        return self.label.startswith(_HEADER_LABELS)


class GpioLineState(Struct, frozen=True):
    """One line. ``consumer`` is who holds it, as it named itself; empty where nobody does."""

    name: str
    consumer: str
    is_used: bool


def gpio_chips(dev: Path) -> list[GpioChip]:
    """Return the chips under a ``/dev`` that we may open, in order of their numbers."""
    paths = sorted(dev.glob("gpiochip*"), key=lambda path: (len(path.name), path.name))
    found = (read_chip(path) for path in paths)
    return [chip for chip in found if chip is not None]


def header_of(chips: Iterable[GpioChip]) -> GpioChip | None:
    """Return the chip of the 40-pin header, whatever its number; None without one."""
    return next((chip for chip in chips if chip.is_header), None)


def read_chip(path: Path) -> GpioChip | None:
    """Ask one chip who it is; None where it cannot be asked."""
    answer = _ask(path, GET_CHIPINFO, bytes(_CHIP.size))
    if answer is None:
        return None
    _, label, lines = _CHIP.unpack(answer)
    return GpioChip(str(path), _text(label), lines)


def read_line(chip: GpioChip, number: int) -> GpioLineState | None:
    """Ask who holds a line; None where the chip cannot be asked or has no such line."""
    question = _LINE.pack(b"", b"", number, 0, 0, b"", b"")
    answer = _ask(Path(chip.path), GET_LINEINFO, question)
    if answer is None:
        return None
    name, consumer, _, _, flags, _, _ = _LINE.unpack(answer)
    return GpioLineState(_text(name), _text(consumer), bool(flags & _FLAG_USED))


def _ask(path: Path, request: int, question: bytes) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return ioctl(fd, request, question)
    except OSError:
        return None
    finally:
        os.close(fd)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")
