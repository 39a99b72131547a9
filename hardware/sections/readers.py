"""Sections of readers: ``[[readers]]``. A new driver adds its section here and to ``ReaderPart``."""

from typing import Annotated, Literal

import msgspec

from hardware.base import Medium
from hardware.readers.framing import Characters, Framing, Identity, Terminator
from hardware.readers.layouts import LayoutName
from hardware.readers.wiegand_frames import Pulses
from hardware.sections.inputs import InputPull
from hardware.sections.parts import Direction, LineNumber, Name, Part

_STABLE_TTY = r"^/dev/(serial/by-(id|path)/[^/]+|serial[0-9]|ttyAMA[0-9]+|ttyS[0-9]+)$"
_Length = Annotated[int, msgspec.Meta(ge=1, le=2953)]
_Form = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]*$", max_length=40)]
_Spelling = Annotated[str, msgspec.Meta(pattern=r"^(card_uid|em4100|hid)/[a-z0-9_]{1,40}$")]


class ReaderSection(Part, frozen=True, kw_only=True):
    name: Name
    direction: Direction


class SimulatedReader(ReaderSection, frozen=True, tag="simulated"):
    """Driven by the program: demo, laptop, tests."""


class PcscReader(ReaderSection, frozen=True, tag="pcsc"):
    """Readers of the PC/SC daemon whose name contains ``match``.

    ``slots = "one"`` takes the one at ``index`` of the sorted names; ``"all"`` takes every one, now or later, each
    reporting as ``name.0``, ``name.1`` in sorted order of first appearance. ``usb_port`` is the socket as ``doorstile
    hardware list`` prints it: two readers of a kind change their names when they are plugged in again.
    """

    match: Annotated[str, msgspec.Meta(min_length=1)]
    slots: Literal["one", "all"] = "one"
    index: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0
    usb_port: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+-[0-9]+(\.[0-9]+)*$", max_length=40)] | None = None


class SpellingSection(ReaderSection, frozen=True, kw_only=True):
    """A reader that spells out what it reads, ``medium`` in ``form``.

    ``form`` is one of those in the table of credentials (``decimal``, ``hex``, ``facility_number``); a code needs none.
    A reader of several families spells them all alike: ``also`` names what else a reading may be, as ``medium/form``.
    """

    medium: Medium = Medium.QR
    form: _Form = ""
    also: Annotated[tuple[_Spelling, ...], msgspec.Meta(max_length=8)] = ()

    @property
    def identity(self) -> Identity:
        return Identity(self.name, self.medium, self.form)


class CodeSection(SpellingSection, frozen=True, kw_only=True):
    """A reader of characters, framed as ``hardware.readers.framing`` says."""

    terminator: Terminator = Terminator.ENTER
    gap_ms: Annotated[int, msgspec.Meta(ge=5, le=500)] = 100
    min_length: _Length = 4
    max_length: _Length = 1024
    characters: Characters = Characters.PRINTABLE
    per_second: Annotated[int, msgspec.Meta(ge=1, le=50)] = 10

    @property
    def framing(self) -> Framing:
        return Framing(
            terminator=self.terminator,
            gap_ms=self.gap_ms,
            min_length=self.min_length,
            max_length=self.max_length,
            characters=self.characters,
            per_second=self.per_second,
        )


class EvdevReader(CodeSection, frozen=True, tag="evdev"):
    """A card reader or code scanner that types like a keyboard.

    ``usb_id`` is its vendor and product, ``usb_port`` the socket as the kernel names it (needed where two scanners are
    alike), ``layout`` the keyboard that the scanner itself is set to, whatever the console's is. ``caps_lock`` says
    that it is set to type for a host whose CapsLock is on.
    """

    usb_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{4}:[0-9a-f]{4}$")]
    usb_port: Annotated[str, msgspec.Meta(min_length=1, max_length=120)] | None = None
    layout: LayoutName = LayoutName.US
    caps_lock: bool = False


class SerialReader(CodeSection, frozen=True, tag="serial"):
    """A code scanner on a serial line or a CDC port; ``device`` is one of the names that stay."""

    device: Annotated[str, msgspec.Meta(pattern=_STABLE_TTY, max_length=200)]
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 9600


class WiegandReader(SpellingSection, frozen=True, kw_only=True, tag="wiegand"):
    """A reader on the wires D0 and D1. Limits of a pulse in µs; ``gap_ms`` is the pause that ends a frame.

    ``bits`` names the lengths that the site's cards have, and no other: a longer frame that broke off after so many
    bits passes for one of them in one case of four, as two parity bits say no more.
    """

    d0: LineNumber
    d1: LineNumber
    pull: InputPull = InputPull.UP
    medium: Medium = Medium.HID
    form: _Form = "wiegand"
    bits: Annotated[tuple[Literal[26, 34, 37], ...], msgspec.Meta(min_length=1)] = (26,)
    min_pulse_us: Annotated[int, msgspec.Meta(ge=0, le=100)] = 10
    max_pulse_us: Annotated[int, msgspec.Meta(ge=100, le=20_000)] = 1000
    gap_ms: Annotated[int, msgspec.Meta(ge=5, le=500)] = 25

    @property
    def pulses(self) -> Pulses:
        return Pulses(min_us=self.min_pulse_us, max_us=self.max_pulse_us, gap_ms=self.gap_ms, bits=self.bits)


class OsdpReader(SpellingSection, frozen=True, kw_only=True, tag="osdp"):
    """A reader on an RS-485 line. Its key is in a file of its own, never here; without a secure channel it is not read.

    ``form`` begins with ``wiegand`` (frames of the lengths in ``bits``) or ``hex``; codes have none.
    """

    device: Annotated[str, msgspec.Meta(pattern=_STABLE_TTY, max_length=200)]
    key_file: Annotated[str, msgspec.Meta(pattern=r"^/.+", max_length=200)]
    address: Annotated[int, msgspec.Meta(ge=0, le=126)] = 0
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 9600
    medium: Medium = Medium.HID
    form: _Form = "wiegand"
    bits: Annotated[tuple[Literal[26, 34, 37], ...], msgspec.Meta(min_length=1)] = (26,)


ReaderPart = SimulatedReader | PcscReader | EvdevReader | SerialReader | WiegandReader | OsdpReader
