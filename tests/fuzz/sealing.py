"""Sealed cards and wrapped keys, as whatever stands between device and central may alter them."""

from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.fuzz.target import Target, holds
from wire.sealing import CapturedCard, SealedError, open_card, seal_card, unwrap_key, wrap_key
from wire.vocabulary import CredentialKind

_PRIVATE = bytes(range(32))
_PUBLIC = X25519PrivateKey.from_private_bytes(_PRIVATE).public_key().public_bytes_raw()
_BOUND = "device|command"
_CARDS = tuple(
    CapturedCard(kind=kind, value=value, card=card)
    for kind, value, card in (
        (CredentialKind.HF_UID, bytes.fromhex("04A1B2C3D4E5E6"), "MIFARE Classic 1K"),
        (CredentialKind.LF_HID, bytes.fromhex("1A760643"), ""),
        (CredentialKind.QR_STATIC, b"q" * 128, "x" * 48),
    )
)


def _sealed(data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        card = open_card(text, _PRIVATE, _BOUND)
    except SealedError as fault:
        holds(len(str(fault)) <= 200, "a refusal is short")
    else:
        holds(text.encode() in set(_seals()), "only what was sealed is opened")
        holds(card in _CARDS, "and as it was sealed")
    try:
        key = unwrap_key(text, _PRIVATE, _BOUND)
    except SealedError:
        return
    holds(text.encode() in set(_seals()) and len(key) == len(_PRIVATE), "only what was wrapped is a key")


def _seals() -> Iterator[bytes]:
    for number, card in enumerate(_CARDS, start=1):
        yield seal_card(card, _PUBLIC, _BOUND, bytes([number]) * 32).encode()
    yield wrap_key(bytes(32), _PRIVATE, _BOUND, bytes(12)).encode()


TARGETS = (Target("sealed_card", "cards and keys that were sealed", _sealed, _seals),)
