"""Whether central signed a directory or an order (Ed25519, RFC 8032). Pure; the key is pinned when the device joins."""

from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from typing import Final

from wire.directory import Issue

_SIGNATURE_CHARS: Final = 86
KEY_BYTES: Final = 32


def is_signed(issue: Issue, sig: str, key: bytes) -> bool:
    """True where `sig` (base64url without padding) is the signature of this issue by this key."""
    return is_trusted(issue.signed, sig, key)


def is_trusted(signed: bytes, sig: str, key: bytes | None) -> bool:
    """True where `sig` (base64url without padding) is the signature of these bytes by the key that was pinned."""
    # Imported late: the first directory comes long after the first decision has to be ready.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if key is None or len(sig) != _SIGNATURE_CHARS:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(urlsafe_b64decode(sig + "=="), signed)
    except (InvalidSignature, Base64Error, ValueError):
        return False
    return True


def read_key(text: str) -> bytes | None:
    """Return the key in 64 hex digits, or None where there is none."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        return None
    return key if len(key) == KEY_BYTES else None
