"""The key by which devices know what is central's (Ed25519, RFC 8032), and the one to which they seal cards (X25519,
RFC 7748).

Both are derived from the secret key, like what seals secrets in the database: every process of one central has the same
ones, and so has a central that is restored from a backup with its secret key.
"""

from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from wire.directory import Issue
from wire.sealing import signed_order


def directory_key() -> str:
    """Return the public key, as devices pin it: 64 hex digits."""
    return _key(settings.SECRET_KEY).public_key().public_bytes_raw().hex()


def sign(issue: Issue) -> str:
    """Return the signature of a directory's issue, base64url without padding."""
    return _signature(issue.signed)


def sign_order(device: str, command: str, name: str, what: str) -> str:
    """Return the signature of an order that hands a key to a device, base64url without padding."""
    return _signature(signed_order(device, command, name, what))


class CaptureKey(NamedTuple):
    """The key pair to which devices seal cards, raw: 32 bytes each."""

    private: bytes
    public: bytes


def capture_key() -> CaptureKey:
    """Return the key pair to which devices seal cards."""
    return _capture_key(settings.SECRET_KEY)


def _signature(signed: bytes) -> str:
    return urlsafe_b64encode(_key(settings.SECRET_KEY).sign(signed)).decode().rstrip("=")


@lru_cache(maxsize=4)
def _capture_key(secret: str) -> CaptureKey:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"doorstile.capture.v1").derive(secret.encode())
    return CaptureKey(derived, X25519PrivateKey.from_private_bytes(derived).public_key().public_bytes_raw())


@lru_cache(maxsize=4)
def _key(secret: str) -> Ed25519PrivateKey:
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"doorstile.directory.sign.v1").derive(secret.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)
