"""What staff call things, the same on every page."""

from typing import Final

from wire.vocabulary import CredentialKind

KIND_LABELS: Final = {
    CredentialKind.HF_UID: "Card, 13.56 MHz",
    CredentialKind.LF_EM4100: "Card, 125 kHz EM4100",
    CredentialKind.LF_HID: "Card, 125 kHz HID Prox",
    CredentialKind.QR_STATIC: "QR or bar code, printed",
    CredentialKind.PASS_SIGNED: "Pass, signed",
    CredentialKind.PASS_ROTATING: "Phone",
}
