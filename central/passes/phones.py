"""How a phone becomes a member's: a one-time link, a key made on the phone, and the proof that the phone holds it.

The same link with the same key gives the same answer again, so a lost answer spends nothing.
"""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import transaction

from central.directory.enrolling import HeldError, enrol
from central.directory.models import Credential, Member
from central.passes.models import PhoneLink
from wire.errors import DoorstileError
from wire.passes import PassError, is_weak_key, read_base64url
from wire.vocabulary import CredentialKind

LINK_LIFE: Final = timedelta(hours=24)


class PhoneRefusedError(DoorstileError):
    """A phone that is not registered; nothing was spent. Says what to do, to the member."""


def make_link(member: Member, *, actor: str, now: datetime, replaces: bool = True) -> str:
    """Return the code of a new one-time link; it is shown this once."""
    code = secrets.token_urlsafe(16)
    PhoneLink.objects.filter(expires_at__lt=now, spent_at=None).delete()
    PhoneLink.objects.create(
        code_hash=_hash(code), member=member, replaces=replaces, created_by=actor, expires_at=now + LINK_LIFE
    )
    return code


def proof_message(code: str) -> bytes:
    """Return what the phone signs to show that it holds its key."""
    return b"doorstile-phone-v1|" + code.encode()


def register(code: str, public_key: str, proof: str, *, now: datetime) -> Credential:
    """Make a phone its member's, or find that it is; raise PhoneRefusedError.

    `public_key` and `proof` are base64url without padding.
    """
    public = _proven(code, public_key, proof)
    with transaction.atomic():
        link = PhoneLink.objects.select_for_update().filter(code_hash=_hash(code)).first()
        if link is None:
            raise PhoneRefusedError("This link is not known. Ask the desk for a new one.")
        if link.spent_at is not None:
            return _same_phone(link, public)
        if link.expires_at <= now:
            raise PhoneRefusedError("This link is too old. Ask the desk for a new one.")
        credential = _enrolled(link, public)
        link.spent_at, link.public_key = now, public
        link.save(update_fields=["spent_at", "public_key"])
    return credential


def _proven(code: str, public_key: str, proof: str) -> bytes:
    try:
        public, signature = read_base64url(public_key), read_base64url(proof)
        Ed25519PublicKey.from_public_bytes(public).verify(signature, proof_message(code))
    except (PassError, ValueError, InvalidSignature) as fault:
        raise PhoneRefusedError("This phone could not prove its key. Open the link again.") from fault
    if is_weak_key(public):
        raise PhoneRefusedError("The key of this phone is none that a phone makes. Use another browser.")
    return public


def _same_phone(link: PhoneLink, public: bytes) -> Credential:
    if link.public_key is None or bytes(link.public_key) != public:
        raise PhoneRefusedError("This link was used by another phone. Ask the desk for a new one.")
    found = Credential.objects.filter(member=link.member, kind=CredentialKind.PASS_ROTATING.value, is_revoked=False)
    for credential in found:
        if credential.canonical == public:
            return credential
    raise PhoneRefusedError("This phone was registered and removed again. Ask the desk for a new link.")


def _enrolled(link: PhoneLink, public: bytes) -> Credential:
    if link.replaces:
        others = Credential.objects.filter(member=link.member, kind=CredentialKind.PASS_ROTATING.value)
        for other in others.filter(is_revoked=False):
            other.is_revoked = True
            other.save()
    try:
        return enrol(link.member, CredentialKind.PASS_ROTATING, public)
    except HeldError as fault:
        raise PhoneRefusedError("This phone is registered already. Remove it at the desk first.") from fault


def _hash(code: str) -> str:
    return sha256(b"doorstile.phone-link|" + code.encode()).hexdigest()
