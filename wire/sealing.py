"""Secrets on their way over the link: a card that was read for enrolment, and a new key for a device.

A card is sealed to central's key (X25519, RFC 7748; HKDF-SHA256, RFC 5869; AES-256-GCM, NIST SP 800-38D), so that
nothing between the reader and central can read it. The text is base64url of a version byte, the sender's key, made for
this one card, and the ciphertext; what is sealed is filled up to one length, which tells nothing of the card. It is
bound to one command of one device. The device knows central's key by the signature that comes with the command
(`signed_order`), made with the key that it pinned when it joined.

A new key of the credential index travels under the old one in the same way.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import Final

import msgspec

from wire.errors import DoorstileError
from wire.vocabulary import CredentialKind

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
MAX_VALUE_BYTES: Final = 128
"""The longest credential that can be sealed; every card and most printed codes are shorter."""
_MAX_WORD: Final = 48
_PADDED: Final = 320
_TAG_BYTES: Final = 16
_VERSION: Final = 1
SEALED_CHARS: Final = -(-(1 + KEY_BYTES + _PADDED + _TAG_BYTES) * 4 // 3)
"""How long the text of a sealed card is, always."""
_CARD: Final = b"doorstile-capture-v1|"
_WRAP: Final = b"doorstile-rotate-v1|"
_encoder: Final = msgspec.json.Encoder()


class SealedError(DoorstileError):
    """A sealed text that cannot be opened, or a value that cannot be sealed; never quotes either."""


class CapturedCard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A card as a reader saw it: canonical bytes, and what the reader says it is ("MIFARE Classic 1K")."""

    kind: CredentialKind
    value: bytes
    card: str = ""

    def __repr__(self) -> str:
        """Name the family; never the value."""
        return f"CapturedCard(kind={self.kind.value!r}, card={self.card!r})"


def signed_order(device: str, command: str, name: str, what: str) -> bytes:
    """Return the bytes that central signs of an order that hands a key to a device: whom, which order, which key."""
    return _encoder.encode(["doorstile-order-v1", device, command, name, what])


def seal_card(card: CapturedCard, to: bytes, bound: str, ephemeral: bytes) -> str:
    """Return a card sealed to the public key `to`, for the command and device that `bound` names.

    `ephemeral` is 32 fresh random bytes. Raise SealedError where the card is too long or `to` is no usable key.
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    if len(card.value) > MAX_VALUE_BYTES:
        raise SealedError(f"a credential of {len(card.value)} bytes is more than {MAX_VALUE_BYTES}; type it at central")
    plain = _encoder.encode(msgspec.structs.replace(card, card=card.card[:_MAX_WORD])).ljust(_PADDED)
    if len(plain) != _PADDED:
        raise SealedError("what the reader calls the card is too long to be sealed")
    private = X25519PrivateKey.from_private_bytes(ephemeral)
    public = private.public_key().public_bytes_raw()
    key = _shared(ephemeral, to, public, to, bound)
    return _text(bytes([_VERSION]) + public + _encrypt(key, bytes(NONCE_BYTES), plain))


def open_card(sealed: str, private: bytes, bound: str) -> CapturedCard:
    """Return the card in a sealed text; raise SealedError where it is another's, or no card."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    raw = _bytes(sealed)
    if len(sealed) != SEALED_CHARS or raw[0] != _VERSION:
        raise SealedError("a sealed card of another form; update central")
    public, body = raw[1 : 1 + KEY_BYTES], raw[1 + KEY_BYTES :]
    own = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    plain = _decrypt(_shared(private, public, public, own, bound), bytes(NONCE_BYTES), body)
    try:
        card = msgspec.json.decode(plain, type=CapturedCard)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise SealedError("what was sealed is no card; update the device") from fault
    if not 0 < len(card.value) <= MAX_VALUE_BYTES or len(card.card) > _MAX_WORD or not card.card.isprintable():
        raise SealedError("what was sealed is no card; update the device")
    return card


def wrap_key(new: bytes, old: bytes, bound: str, nonce: bytes) -> str:
    """Return a device's next key under its present one; `nonce` is 12 fresh random bytes."""
    return _text(nonce + _encrypt(_derived(old, _WRAP + bound.encode()), nonce, new))


def unwrap_key(text: str, old: bytes, bound: str) -> bytes:
    """Return the key that `wrap_key` was given; raise SealedError."""
    raw = _bytes(text)
    key = _decrypt(_derived(old, _WRAP + bound.encode()), raw[:NONCE_BYTES], raw[NONCE_BYTES:])
    if len(key) != KEY_BYTES:
        raise SealedError(f"a key of {len(key)} bytes instead of {KEY_BYTES}")
    return key


def _shared(private: bytes, public: bytes, sender: bytes, receiver: bytes, bound: str) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    try:
        secret = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as fault:  # a point of low order has no secret in common with anybody
        raise SealedError("no key that anything could be sealed with") from fault
    return _derived(secret, _CARD + sender + receiver + bound.encode())


def _derived(secret: bytes, info: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)


def _encrypt(key: bytes, nonce: bytes, plain: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key).encrypt(nonce, plain, None)


def _decrypt(key: bytes, nonce: bytes, body: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(nonce, body, None)
    except (InvalidTag, ValueError) as fault:
        raise SealedError("a sealed text cannot be opened: it is not for this command, or was altered") from fault


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    if len(text) > SEALED_CHARS or not text.isascii():
        raise SealedError("no sealed text")
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (Base64Error, ValueError) as fault:
        raise SealedError("no sealed text") from fault
    if not raw or _text(raw) != text:
        raise SealedError("no sealed text")
    return raw
