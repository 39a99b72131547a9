"""Credentials as staff enter them: read, told apart from others, sealed, and shown masked."""

import hmac
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import IntegrityError, transaction

from central.devices.sealing import seal
from central.directory.models import SEALED_AS, Credential, Member
from wire.credentials import CredentialError
from wire.errors import DoorstileError
from wire.forms import read_form
from wire.vocabulary import Assurance, CredentialKind

TYPED_FORMS: Final = {
    CredentialKind.HF_UID: ("hex",),
    CredentialKind.LF_EM4100: ("hex", "decimal"),
    CredentialKind.LF_HID: ("facility_number", "wiegand"),
    CredentialKind.QR_STATIC: ("text",),
}
"""The forms in which staff may type each kind; none of them can be mistaken for another."""
_SHOWN: Final = 2
_HIDDEN: Final = 8
"""Bytes that a mask stands for at most: those of the longest card; a phone's key has more, and a column is narrow."""


class HeldError(DoorstileError):
    """A credential that somebody holds already; `holder` is for staff."""

    def __init__(self, holder: Member) -> None:
        super().__init__(f"{holder.full_name} holds this credential already; delete it there first")
        self.holder = holder


def read_typed(kind: CredentialKind, typed: str) -> bytes:
    """Return the canonical bytes of a credential as staff typed it; raise CredentialError, which says what would do."""
    if kind not in TYPED_FORMS:
        raise CredentialError(f"a {kind} is issued, not typed; see the passes of the member")
    faults = []
    for form in TYPED_FORMS[kind]:
        try:
            return read_form(kind, form, typed)
        except CredentialError as fault:
            faults.append(str(fault))
    raise CredentialError("; or: ".join(faults))


def mask(kind: CredentialKind, canonical: bytes) -> str:
    """Return a credential as staff may see it: enough to tell two cards apart, too little to copy one."""
    if kind is CredentialKind.QR_STATIC:
        return f"text of {len(canonical.decode())} characters"
    digits = canonical.hex(" ").upper().split(" ")
    return " ".join([digits[0], *["**"] * min(len(digits) - _SHOWN, _HIDDEN), digits[-1]])


def fingerprint(kind: CredentialKind, canonical: bytes) -> str:
    """Return what finds a credential at central without its value: 64 hex digits, keyed."""
    return hmac.digest(_key(settings.SECRET_KEY), kind.value.encode() + b"|" + canonical, "sha256").hex()


def holder_of(kind: CredentialKind, canonical: bytes) -> Member | None:
    """Return who holds a credential, revoked or not."""
    held = Credential.objects.filter(fingerprint=fingerprint(kind, canonical)).select_related("member").first()
    return None if held is None else held.member


def fill(credential: Credential, kind: CredentialKind, canonical: bytes) -> Credential:
    """Put a value into a credential that is not saved yet."""
    credential.kind = kind.value
    credential.sealed = seal(canonical, SEALED_AS)
    credential.fingerprint = fingerprint(kind, canonical)
    credential.hint = mask(kind, canonical)
    proves = kind is CredentialKind.PASS_ROTATING
    credential.assurance = (Assurance.HIGH if proves else Assurance.LOW).value
    return credential


def enrol(member: Member, kind: CredentialKind, canonical: bytes, *, card: str = "") -> Credential:
    """Give a member a credential, `card` being what a reader said it is.

    Raise HeldError where anybody, the member included, holds it already.
    """
    holder = holder_of(kind, canonical)
    if holder is not None:
        raise HeldError(holder)
    credential = fill(Credential(member=member, card_type=card), kind, canonical)
    try:
        with transaction.atomic():
            credential.save()
    except IntegrityError as fault:
        holder = holder_of(kind, canonical)
        if holder is None:
            raise
        raise HeldError(holder) from fault
    return credential


def replace(lost: Credential, kind: CredentialKind, canonical: bytes, *, card: str = "") -> Credential:
    """Give the holder of a credential another and revoke the first, both or neither; raise HeldError."""
    with transaction.atomic():
        lost.is_revoked = True
        lost.save()
        return enrol(lost.member, kind, canonical, card=card)


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"doorstile.fingerprint.v1").derive(secret.encode())
