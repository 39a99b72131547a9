"""The credentials of the matrix: what each is, and how staff enrolled it, once."""

from typing import Final

from msgspec import Struct

from tests.core.builders import WALL_MS
from tests.passes.making import Phone, private_key, signed
from wire.vocabulary import CredentialKind


class Format(Struct, frozen=True):
    """A format, and the one credential of it: `typed` is the form and text of its enrolment; a pass has `shown`."""

    name: str
    kind: CredentialKind
    typed: tuple[str, str] | None
    shown: str = ""


PHONE: Final = Phone(private_key(42))
FORMATS: Final = (
    Format("MIFARE Classic, 4 bytes", CredentialKind.HF_UID, ("hex", "04 A1 5B C2")),
    Format("DESFire, 7 bytes", CredentialKind.HF_UID, ("hex", "04 00 5B C2 D3 E4 00")),
    Format("triple size, 10 bytes", CredentialKind.HF_UID, ("hex", "00 12 34 56 78 9A BC DE F0 0D")),
    Format("EM4100", CredentialKind.LF_EM4100, ("decimal", "0004564999259")),
    Format("HID H10301, 26 bits", CredentialKind.LF_HID, ("facility_number", "118-01603")),
    Format("HID H10306, 34 bits", CredentialKind.LF_HID, ("facility_number", "00118-01603")),
    Format("HID H10304, 37 bits", CredentialKind.LF_HID, ("facility_number", "00118-001603")),
    Format("HID H10302, 37 bits", CredentialKind.LF_HID, ("decimal", "00034567891")),
    Format("QR code", CredentialKind.QR_STATIC, ("text", "Member/0042-x")),
    Format("bar code of digits", CredentialKind.QR_STATIC, ("text", "0000412345678905")),
    Format("signed pass", CredentialKind.PASS_SIGNED, None, signed()),
    Format("rotating pass", CredentialKind.PASS_ROTATING, None, PHONE.code(WALL_MS)),
)
