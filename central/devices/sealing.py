"""Keeps secrets sealed in the database: AES-256-GCM (NIST SP 800-38D) under a key derived from the secret key.

The purpose is part of the key, so that what was sealed as one thing cannot be opened as another.
"""

import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from wire.errors import DoorstileError

_NONCE_BYTES = 12


class SealError(DoorstileError):
    """A sealed value that this central cannot open."""


@lru_cache(maxsize=16)
def _cipher(secret: str, purpose: str) -> AESGCM:
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"doorstile.seal.v1|" + purpose.encode())
    return AESGCM(key.derive(secret.encode()))


def seal(value: bytes, purpose: str) -> bytes:
    """Return `value` encrypted and authenticated, 28 bytes longer."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(settings.SECRET_KEY, purpose).encrypt(nonce, value, None)


def unseal(sealed: bytes, purpose: str) -> bytes:
    """Return what `seal` was given; raise SealError where the secret key, the purpose or a byte is another."""
    nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return _cipher(settings.SECRET_KEY, purpose).decrypt(nonce, body, None)
    except (InvalidTag, ValueError) as fault:
        raise SealError(
            f"a sealed {purpose} cannot be opened; restore the DOORSTILE_SECRET_KEY it was sealed with"
        ) from fault
