"""What a credential is, whatever reader presents it: canonical bytes by family, and their index on a device.

One card has one identity. The canonical bytes are

- `hf_uid`: the UID of an ISO/IEC 14443-3 card in the order in which the card sends it, uid0 first; 4, 7 or 10 bytes
  (single, double, triple size). Cascade tags (88) between the parts are no part of it.
- `lf_em4100`: the 40 data bits of an EM4100, as 5 bytes; the first is the version or customer number.
- `lf_hid`: the number of bits in the Wiegand frame (26, 34 or 37) in one byte, then the frame without its two parity
  bits, right-aligned in 3, 4 or 5 bytes. H10302 and H10304 are two readings of one 37-bit frame, so one card.
- `qr_static`: the text of the code, UTF-8, byte for byte.
- `pass_signed`: the id of the pass, 16 bytes; `pass_rotating`: the phone's public key, 32 bytes (`wire.passes`).

Leading zeros belong to all of them. `wire.forms` has the forms in which readers spell them.
"""

import hmac
from typing import Final, assert_never

from wire.errors import DoorstileError
from wire.passes import PUBLIC_KEY_BYTES, is_pass
from wire.vocabulary import CredentialKind

CASCADE_TAG: Final = 0x88
"""CT: the first byte of a cascade level whose UID goes on (ISO/IEC 14443-3, clause 6.5.4)."""
RANDOM_UID: Final = 0x08
"""uid0 of a single-size UID that the card draws anew each time (ISO/IEC 14443-3, clause 6.5.4)."""
UID_BYTES: Final = (4, 7, 10)
EM4100_BYTES: Final = 5
HID_DATA_BITS: Final = {26: 24, 34: 32, 37: 35}
"""Data bits by frame bits: every frame spends two on parity."""
PASS_BYTES: Final = {CredentialKind.PASS_SIGNED: 16, CredentialKind.PASS_ROTATING: PUBLIC_KEY_BYTES}
_BETWEEN: Final = str.maketrans("", "", " :-")
"""What stands between digits and does not count."""
MAX_TEXT_BYTES: Final = 2953
"""What the largest QR code holds: version 40-L in byte mode (ISO/IEC 18004, table 7)."""


class CredentialError(DoorstileError):
    """A value that cannot be a credential of the kind it is given as; names the value."""


def credential_key(key: bytes, kind: CredentialKind, canonical: bytes) -> str:
    """Return the index under which a device knows a credential: 32 hex digits.

    `key` is the device's own; without it the 2^32 short UIDs could be tried in minutes.
    """
    return hmac.digest(key, b"v1|" + kind.value.encode() + b"|" + canonical, "sha256")[:16].hex()


def key_id(key: bytes) -> str:
    """Return the name of a device's key: 16 hex digits that tell it from others and nothing of it."""
    return hmac.digest(key, b"doorstile-key-id-v1", "sha256")[:8].hex()


def partial_key(key: bytes, kind: CredentialKind, form: str, text: str) -> str:
    """Return the index of a credential as a reader spells it that drops bits: 32 hex digits.

    It is another than any whole credential's, and another for each form.
    """
    bare = text.translate(_BETWEEN).upper()
    return hmac.digest(key, b"v1|" + f"{kind.value}/{form}|{bare}".encode(), "sha256")[:16].hex()


def check_canonical(kind: CredentialKind, canonical: bytes) -> None:
    """Raise CredentialError where the bytes cannot be this kind of credential, or would not come back the same."""
    match kind:
        case CredentialKind.HF_UID:
            _check_uid(canonical)
        case CredentialKind.LF_EM4100:
            _check_em4100(canonical)
        case CredentialKind.LF_HID:
            _check_hid(canonical)
        case CredentialKind.QR_STATIC:
            _check_text(canonical)
        case CredentialKind.PASS_SIGNED | CredentialKind.PASS_ROTATING:
            _check_pass(kind, canonical)
        case _:
            assert_never(kind)


def hid_canonical(bits: int, data: int) -> bytes:
    """Return the canonical bytes of an HID frame of `bits` bits with `data` between its parity bits."""
    if bits not in HID_DATA_BITS:
        raise CredentialError(f"an HID frame of {bits} bits is not supported; known are {_listed(HID_DATA_BITS)}")
    if not 0 <= data < 1 << HID_DATA_BITS[bits]:
        raise CredentialError(f"{data} does not fit into the {HID_DATA_BITS[bits]} data bits of a {bits}-bit frame")
    return bytes([bits]) + data.to_bytes((HID_DATA_BITS[bits] + 7) // 8)


def hid_frame(canonical: bytes) -> tuple[int, int]:
    """Return (frame bits, data) of a canonical HID credential."""
    _check_hid(canonical)
    return canonical[0], int.from_bytes(canonical[1:])


def _check_uid(uid: bytes) -> None:
    if len(uid) not in UID_BYTES:
        raise CredentialError(f"UID {uid.hex().upper()} has {len(uid)} bytes; a card's UID has {_listed(UID_BYTES)}")
    if uid[0] == CASCADE_TAG and len(uid) == UID_BYTES[0]:
        raise CredentialError(f"UID {uid.hex().upper()} is the first part of a longer one; read the card again")
    if uid[0] == RANDOM_UID and len(uid) == UID_BYTES[0]:
        raise CredentialError(f"UID {uid.hex().upper()} is random, the card shows another each time; use another card")


def _check_em4100(data: bytes) -> None:
    if len(data) != EM4100_BYTES:
        raise CredentialError(f"EM4100 number {data.hex().upper()} has {len(data)} bytes instead of {EM4100_BYTES}")


def _check_hid(canonical: bytes) -> None:
    if not canonical or canonical[0] not in HID_DATA_BITS:
        raise CredentialError(
            f"HID value {canonical.hex().upper()} does not begin with its bits, {_listed(HID_DATA_BITS)}"
        )
    data_bits = HID_DATA_BITS[canonical[0]]
    if len(canonical) != 1 + (data_bits + 7) // 8 or int.from_bytes(canonical[1:]) >> data_bits:
        raise CredentialError(f"HID value {canonical.hex().upper()} does not hold {data_bits} bits")


def _check_text(text: bytes) -> None:
    if not 0 < len(text) <= MAX_TEXT_BYTES:
        raise CredentialError(f"code text of {len(text)} bytes; 1 to {MAX_TEXT_BYTES} are possible")
    try:
        shown = text.decode()
    except UnicodeDecodeError as fault:
        raise CredentialError(f"code text is not UTF-8 at byte {fault.start}") from fault
    if is_pass(text):
        raise CredentialError(f"code text {shown[:5]}… is a pass; a pass is issued, not enrolled")
    if not shown.isprintable():
        raise CredentialError(f"code text {shown[:40]!a} holds characters that do not print")


def _check_pass(kind: CredentialKind, canonical: bytes) -> None:
    if len(canonical) != PASS_BYTES[kind]:
        raise CredentialError(f"{kind} of {len(canonical)} bytes instead of {PASS_BYTES[kind]}")


def _listed(values: "dict[int, int] | tuple[int, ...]") -> str:
    head, last = list(values)[:-1], list(values)[-1]
    return f"{', '.join(map(str, head))} or {last}"
