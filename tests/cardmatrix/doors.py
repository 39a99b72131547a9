"""The doors of the matrix: how the readers of each spell a credential, through the drivers' own parsers."""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from hardware.base import Medium, ReaderEvent, Scan
from hardware.readers.framing import Identity
from hardware.readers.layouts import LayoutName
from hardware.readers.serial_codes import Received, SerialCodes
from hardware.readers.slots import read_answer
from hardware.readers.wedge import Wedge
from hardware.readers.wiegand_frames import Pulses, WiegandFrames
from hardware.sections.parts import Direction
from hardware.sections.readers import SerialReader
from tests.hardware.typist import Typist
from tests.hardware.wires import edges
from wire.forms import forms
from wire.vocabulary import CredentialKind

MEDIA: Final = {
    CredentialKind.HF_UID: Medium.CARD_UID,
    CredentialKind.LF_EM4100: Medium.EM4100,
    CredentialKind.LF_HID: Medium.HID,
    CredentialKind.QR_STATIC: Medium.QR,
    CredentialKind.PASS_SIGNED: Medium.QR,
    CredentialKind.PASS_ROTATING: Medium.QR,
}
_AT_MS: Final = 10_000
_FRAMING: Final = SerialReader(name="in", direction=Direction.IN, device="/dev/ttyS0").framing
"""As a profile sets it that names nothing."""


class DoorKind(Struct, frozen=True):
    """A kind of door. `reads` names the form in which its readers spell each kind; `hear` is the driver's parser."""

    name: str
    reads: dict[CredentialKind, str]
    hear: Callable[[Identity, str, bytes], Iterable[ReaderEvent]]
    first: CredentialKind | None = None
    """What the one reader of several families takes everything for."""

    @property
    def also(self) -> tuple[tuple[CredentialKind, str], ...]:
        """What else a reading of that reader may be."""
        return tuple(each for each in self.reads.items() if each[0] is not self.first) if self.first else ()

    def scan(self, kind: CredentialKind, canonical: bytes, text: str) -> Scan | None:
        """Return what a reader of this door makes of a credential; None where no reader reads the kind.

        A code has `text`; of a card the reader knows the bytes alone.
        """
        form = self.reads.get(kind)
        if form is None:
            return None
        spelled = text if MEDIA[kind] is Medium.QR else forms(kind, canonical)[form]
        taken_for, said = (kind, form) if self.first is None else (self.first, self.reads[self.first])
        identity = Identity("in", MEDIA[taken_for], "" if MEDIA[kind] is Medium.QR else said)
        heard = list(self.hear(identity, spelled, canonical))
        assert len(heard) == 1, f"{self.name} made {heard} of one {kind}"
        assert isinstance(heard[0], Scan), f"{self.name} made {heard[0]} of a {kind}"
        return heard[0]


def _pcsc(identity: Identity, _: str, canonical: bytes) -> Iterable[ReaderEvent]:
    return [read_answer(identity.reader, canonical + b"\x90\x00", _AT_MS)]


def _wedge(layout: LayoutName) -> Callable[[Identity, str, bytes], Iterable[ReaderEvent]]:
    def hear(identity: Identity, spelled: str, _: bytes) -> Iterable[ReaderEvent]:
        wedge, typist = Wedge(identity, _FRAMING, layout, 0), Typist(layout, at_ms=_AT_MS)
        return [event for key in typist.line(spelled) for event in wedge.take(key)]

    return hear


def _serial(identity: Identity, spelled: str, _: bytes) -> Iterable[ReaderEvent]:
    line, heard = SerialCodes(identity, _FRAMING, 0), list[ReaderEvent]()
    for at, part in enumerate((spelled[:7], spelled[7:] + "\r\n")):
        heard += line.take(Received(part.encode(), _AT_MS + 5 * at))
    return heard


def _wiegand(identity: Identity, spelled: str, _: bytes) -> Iterable[ReaderEvent]:
    wires, heard = WiegandFrames(identity, Pulses(), 0), list[ReaderEvent]()
    for edge in edges(spelled, _AT_MS * 1000):
        heard += wires.take(edge)
    return heard + wires.tick(_AT_MS + 1000)


_CODES: Final = dict.fromkeys(
    (CredentialKind.QR_STATIC, CredentialKind.PASS_SIGNED, CredentialKind.PASS_ROTATING), "text"
)
DOORS: Final = (
    DoorKind("PC/SC", {CredentialKind.HF_UID: "hex"}, _pcsc),
    DoorKind(
        "keyboard, decimal",
        {
            CredentialKind.HF_UID: "decimal",
            CredentialKind.LF_EM4100: "decimal",
            CredentialKind.LF_HID: "decimal",
            **_CODES,
        },
        _wedge(LayoutName.US),
    ),
    DoorKind(
        "keyboard, reversed",
        {
            CredentialKind.HF_UID: "hex_reversed",
            CredentialKind.LF_EM4100: "hex_reversed",
            CredentialKind.LF_HID: "hex_reversed",
            **_CODES,
        },
        _wedge(LayoutName.FR),
    ),
    DoorKind(
        "serial",
        {
            CredentialKind.HF_UID: "decimal_reversed",
            CredentialKind.LF_EM4100: "hex_mirrored",
            CredentialKind.LF_HID: "facility_number",
            **_CODES,
        },
        _serial,
    ),
    DoorKind(
        "Wiegand",
        {
            CredentialKind.LF_HID: "wiegand",
            CredentialKind.LF_EM4100: "wiegand26",
            CredentialKind.HF_UID: "wiegand34_first",
        },
        _wiegand,
        first=CredentialKind.LF_HID,
    ),
)
