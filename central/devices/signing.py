"""The key by which devices know that a directory is central's (Ed25519, RFC 8032).

It is derived from the secret key, like what seals secrets in the database: every process of one central has the same,
and so has a central that is restored from a backup with its secret key.
"""

from base64 import urlsafe_b64encode
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from wire.directory import Issue


def directory_key() -> str:
    """Return the public key, as devices pin it: 64 hex digits."""
    return _key(settings.SECRET_KEY).public_key().public_bytes_raw().hex()


def sign(issue: Issue) -> str:
    """Return the signature of a directory's issue, base64url without padding."""
    return urlsafe_b64encode(_key(settings.SECRET_KEY).sign(issue.signed)).decode().rstrip("=")


@lru_cache(maxsize=4)
def _key(secret: str) -> Ed25519PrivateKey:
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"doorstile.directory.sign.v1").derive(secret.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)
