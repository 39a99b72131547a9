"""The device's key pair: made here, kept here. A join that was interrupted goes on with the same key."""

import base64
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.errors import IdentityError
from agent.identity import load_identity, load_key, replace_file

PENDING_KEY_FILE: Final = "join.key"
"""Holds the key, PKCS #8 PEM, between the first try and a successful join; the identity holds it afterwards."""


def device_key(folder: Path) -> tuple[Ed25519PrivateKey, bool]:
    """Return the key of a state folder and whether it is new; a new one is on the disk before this returns.

    Raise IdentityError where the folder cannot be written or holds a damaged key.
    """
    pending = folder / PENDING_KEY_FILE
    try:
        return load_key(pending.read_text(encoding="ascii")), False
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as fault:
        raise IdentityError(f"{pending} cannot be read ({fault}); delete it to begin with a new key") from fault
    try:
        return load_identity(folder).signing_key, False
    except IdentityError:
        key = Ed25519PrivateKey.generate()
        replace_file(pending, private_pem(key).encode())
        return key, True


def forget_pending(folder: Path) -> None:
    """The identity holds the key now."""
    (folder / PENDING_KEY_FILE).unlink(missing_ok=True)


def private_pem(key: Ed25519PrivateKey) -> str:
    """Return a private key as PKCS #8 PEM (RFC 8410)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def public_text(key: Ed25519PrivateKey) -> str:
    """Return the raw public key, base64url without padding."""
    return base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode("ascii")


def fingerprint(key: Ed25519PrivateKey) -> str:
    """Return what people compare: the first 48 bits of the public key's SHA-256, as 3F9C-81AD-77E0."""
    digits = sha256(key.public_key().public_bytes_raw()).hexdigest()[:12].upper()
    return "-".join(digits[i : i + 4] for i in range(0, 12, 4))
