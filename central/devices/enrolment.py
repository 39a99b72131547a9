"""How a device joins: a one-time code, a public key, and the proof that the device holds the private one.

The same code with the same key gives the same answer again, so a lost answer spends nothing; neither does a refusal.

A device that joins again stays the device that it was, or its journal would be another's: by its key where that is
known, else, after central was restored from a backup without it, by the id that it says it had.
"""

import base64
import binascii
import hashlib
import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import transaction

from central.devices.codes import code_hash
from central.devices.ids import uuid7
from central.devices.models import CREDENTIAL_KEY, Device, DeviceKey, EnrolmentCode
from central.devices.sealing import seal
from central.devices.signing import directory_key
from wire.enrolment import PROOF_TYPE, EnrolAnswer, EnrolRefused, EnrolRequest, normalise_code
from wire.errors import DoorstileError

KEY_BYTES = 32
_MAX_PROOF_CHARS = 4096
_UNKNOWN = (
    "no such code, as it was misspelt or cancelled; make a new one at central: python -m central.manage enrolment_code "
    "--site SITE --door DOOR, or in the administration under Doors"
)


class EnrolmentError(DoorstileError):
    """A device that may not join; nothing was spent."""

    def __init__(self, error: EnrolRefused, detail: str) -> None:
        super().__init__(detail)
        self.error = error


def enrol_device(request: EnrolRequest, *, origins: list[str], audience: str, now: datetime) -> EnrolAnswer:
    """Enrol the device, or find it enrolled by the same code and key; raise EnrolmentError."""
    public_key = _public_key(request.public_key)
    _check_proof(request, public_key, origins)
    with transaction.atomic():
        code = EnrolmentCode.objects.select_for_update().filter(code_hash=code_hash(request.code)).first()
        if code is None:
            raise EnrolmentError(EnrolRefused.UNKNOWN_CODE, _UNKNOWN)
        if code.spent_at is not None:
            return _answer(_same_key(code, public_key), audience)
        if code.expires_at <= now:
            raise EnrolmentError(EnrolRefused.CODE_EXPIRED, "the code is too old; ask for a new one")
        key = _create(code, request, public_key)
        code.spent_at, code.spent_by = now, key
        code.save(update_fields=["spent_at", "spent_by"])
        return _answer(key, audience)


def _public_key(text: str) -> bytes:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as fault:
        raise EnrolmentError(EnrolRefused.MALFORMED, "public_key is not base64url") from fault
    if len(raw) != KEY_BYTES:
        raise EnrolmentError(EnrolRefused.MALFORMED, f"public_key has {len(raw)} bytes, an Ed25519 key has {KEY_BYTES}")
    return raw


def _check_proof(request: EnrolRequest, public_key: bytes, origins: list[str]) -> None:
    """Check that the sender holds the private key and meant this code and this central.

    Times are not looked at: a device that joins may not know the time yet, and the code is what limits reuse.
    """
    try:
        claims = _proof_claims(request.proof, public_key)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as fault:
        raise EnrolmentError(
            EnrolRefused.BAD_PROOF, "proof is no JWT signed with that key; update the agent"
        ) from fault
    if claims.get("code") != hashlib.sha256(normalise_code(request.code).encode()).hexdigest():
        raise EnrolmentError(EnrolRefused.BAD_PROOF, "proof speaks of another code")
    if claims.get("aud") not in origins:
        named = ascii(claims.get("aud"))[:80]
        raise EnrolmentError(
            EnrolRefused.BAD_PROOF, f"proof is for {named}, this is {origins[0]}; set DOORSTILE_ORIGINS behind a proxy"
        )


def _proof_claims(proof: str, public_key: bytes) -> dict[str, Any]:
    if len(proof) > _MAX_PROOF_CHARS or jwt.get_unverified_header(proof).get("typ") != PROOF_TYPE:
        raise jwt.InvalidTokenError
    options: Any = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
    return jwt.decode(proof, Ed25519PublicKey.from_public_bytes(public_key), algorithms=["EdDSA"], options=options)


def _same_key(code: EnrolmentCode, public_key: bytes) -> DeviceKey:
    key = code.spent_by
    if key is None or bytes(key.public_key) != public_key or not key.is_active:
        raise EnrolmentError(EnrolRefused.CODE_SPENT, "the code was used by another device; ask for a new one")
    return key


def _create(code: EnrolmentCode, request: EnrolRequest, public_key: bytes) -> DeviceKey:
    kid = hashlib.sha256(public_key).hexdigest()[:16]
    known = DeviceKey.objects.select_related("device__door").filter(kid=kid).first()
    if known is not None:
        return _again(known, code)
    device = Device.objects.create(
        id=_id_of(request.device),
        door=code.door,
        name=code.name or code.door.name,
        profile=request.profile[:100].replace("\0", ""),
        agent=request.agent[:64].replace("\0", ""),
        sealed_credential_key=seal(secrets.token_bytes(KEY_BYTES), CREDENTIAL_KEY),
    )
    return DeviceKey.objects.create(kid=kid, device=device, public_key=public_key)


def _again(key: DeviceKey, code: EnrolmentCode) -> DeviceKey:
    device = key.device
    if not key.is_active or device.state != Device.State.ACTIVE:
        why = f"{device.name} ({device.id}) was revoked; make it active again, then it needs no code"
        raise EnrolmentError(EnrolRefused.REVOKED, why)
    if device.door_id != code.door_id:
        why = f"this device has joined at {device.door}; give it a code for that door, or move it in the administration"
        raise EnrolmentError(EnrolRefused.OTHER_DOOR, why)
    return key


def _id_of(told: str) -> UUID:
    """Return the id that a device had, where nobody has it here; else a new one."""
    try:
        had = UUID(told)
    except ValueError:
        return uuid7()
    return uuid7() if Device.objects.filter(pk=had).exists() else had


def _answer(key: DeviceKey, audience: str) -> EnrolAnswer:
    device = key.device
    site = device.door.site
    return EnrolAnswer(
        device=str(device.id),
        name=device.name,
        site=site.name,
        time_zone=site.time_zone,
        audience=audience,
        kid=key.kid,
        credential_key=device.credential_key.hex(),
        directory_key=directory_key(),
    )
