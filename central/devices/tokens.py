"""Whether a device's token admits it. Checked before a connection is accepted or anything is created.

The order is: form, algorithm and type, key, signature, claims, revocation, replay, time. Every properly signed token is
presented at most once, whatever came of it. A wrong clock alone locks nobody out: the refusal carries a nonce.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import IntegrityError, transaction

from central.devices.claims import LEEWAY_S, ClaimsError, Refused, is_timely, read_claims
from central.devices.models import ClockNonce, Device, DeviceKey, SeenToken
from wire.token import TokenClaims
from wire.vocabulary import TOKEN_TYPE

ALGORITHM: Final = "EdDSA"
MAX_TOKEN_CHARS: Final = 4096
NONCE_LIFE: Final = timedelta(seconds=60)
NONCES_PER_DEVICE: Final = 8


@dataclass(frozen=True, slots=True)
class Admitted:
    """A token that holds, and whose it is."""

    device_id: UUID
    site_id: UUID
    kid: str
    claims: TokenClaims


@dataclass(frozen=True, slots=True)
class Refusal:
    """A token that does not: the HTTP status, the stable reason, and a detail for the log alone."""

    status: int
    reason: Refused
    detail: str
    nonce: str | None = None

    @property
    def challenge(self) -> str:
        """The value of WWW-Authenticate."""
        challenge = f'Doorstile error="{self.reason}"'
        return f'{challenge}, nonce="{self.nonce}"' if self.nonce else challenge


def bearer(headers: list[tuple[bytes, bytes]], query: bytes) -> str | Refusal:
    """Return the token in the ASGI headers of a handshake, or why there is none that could be looked at."""
    if query:
        return Refusal(
            400, Refused.TOKEN_IN_URL, "the address has a query; a token belongs in the Authorization header"
        )
    found = [value for name, value in headers if name.lower() == b"authorization"]
    if not found:
        return Refusal(401, Refused.NO_TOKEN, "no Authorization header")
    scheme, _, token = found[0].partition(b" ")
    if len(found) > 1 or scheme.lower() != b"bearer" or not token.isascii() or len(token) > MAX_TOKEN_CHARS:
        return Refusal(401, Refused.MALFORMED, "the Authorization header is not one Bearer token")
    return token.decode("ascii").strip()


def admit(token: str, *, audience: str, now: datetime) -> Admitted | Refusal:
    """Return whose token it is, or why it is refused; what a refusal records (a nonce, the jti) is committed."""
    try:
        return _admit(token, audience, now)
    except ClaimsError as refusal:
        return Refusal(401, refusal.reason, str(refusal))


def _admit(token: str, audience: str, now: datetime) -> Admitted | Refusal:
    key = _key_of(token)
    payload = _verified(token, bytes(key.public_key))
    claims = read_claims(payload, device=str(key.device_id), audience=audience)
    device = key.device
    if device.state != Device.State.ACTIVE:
        return Refusal(403, Refused.REVOKED, f"device {device.id} is {device.state}")
    with transaction.atomic():
        if not _first_time(device.id, claims):
            return Refusal(401, Refused.REPLAYED, f"jti of device {device.id} was seen before")
        by_nonce = claims.nonce is not None and _spent(device.id, claims.nonce, now)
        if not by_nonce and not is_timely(claims, now.timestamp()):
            nonce = _new_nonce(device.id, now)
            return Refusal(401, Refused.CLOCK, f"iat of device {device.id} is off by {_offset_s(claims, now)} s", nonce)
    return Admitted(device.id, device.door.site_id, key.kid, claims)


def _key_of(token: str) -> DeviceKey:
    if len(token) > MAX_TOKEN_CHARS:
        raise ClaimsError(Refused.MALFORMED, f"token of {len(token)} characters")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as fault:
        raise ClaimsError(Refused.MALFORMED, "not a JWT") from fault
    if header.get("alg") != ALGORITHM:
        raise ClaimsError(Refused.ALGORITHM, f"alg is {ascii(header.get('alg'))[:40]}, only {ALGORITHM} is accepted")
    if header.get("typ") != TOKEN_TYPE:
        raise ClaimsError(Refused.TYPE, f"typ is {ascii(header.get('typ'))[:40]}, it must be {TOKEN_TYPE}")
    if "crit" in header:
        raise ClaimsError(Refused.MALFORMED, "crit names extensions, and none is known here")
    return _known_key(header.get("kid"))


def _known_key(kid: object) -> DeviceKey:
    if not isinstance(kid, str) or not kid.isascii() or not kid.isalnum() or len(kid) > 64:
        raise ClaimsError(Refused.UNKNOWN_KEY, "kid is not one that this central gives")
    known = DeviceKey.objects.select_related("device__door").filter(kid=kid, is_active=True).first()
    if known is None:
        raise ClaimsError(Refused.UNKNOWN_KEY, f"no active key {kid!r}")
    return known


def _verified(token: str, public_key: bytes) -> dict[str, Any]:
    # Every claim is checked by us: a library's idea of which ones are optional must not decide.
    options: Any = {"verify_signature": True} | {
        f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
    }
    try:
        return jwt.decode(
            token, Ed25519PublicKey.from_public_bytes(public_key), algorithms=[ALGORITHM], options=options
        )
    except jwt.InvalidSignatureError as fault:
        raise ClaimsError(Refused.SIGNATURE, "the signature is not by that key") from fault
    except (jwt.InvalidTokenError, ValueError, RecursionError) as fault:
        raise ClaimsError(Refused.MALFORMED, "the payload is no JSON object") from fault


def _first_time(device_id: UUID, claims: TokenClaims) -> bool:
    expires_at = datetime.fromtimestamp(claims.exp, UTC) + timedelta(seconds=LEEWAY_S)
    try:
        with transaction.atomic():
            SeenToken.objects.create(device_id=device_id, jti=claims.jti, expires_at=expires_at)
    except IntegrityError:
        return False
    return True


def _spent(device_id: UUID, nonce: str | None, now: datetime) -> bool:
    """Whether `nonce` was ours, for this device, still good, and is used up by this call."""
    deleted, _ = ClockNonce.objects.filter(nonce=nonce, device_id=device_id, expires_at__gt=now).delete()
    return deleted == 1


def _new_nonce(device_id: UUID, now: datetime) -> str:
    nonce = secrets.token_hex(16)
    newest = ClockNonce.objects.filter(device_id=device_id).order_by("-expires_at").values_list("pk", flat=True)
    kept = list(newest[: NONCES_PER_DEVICE - 1])
    ClockNonce.objects.filter(device_id=device_id).exclude(pk__in=kept).delete()
    ClockNonce.objects.create(nonce=nonce, device_id=device_id, expires_at=now + NONCE_LIFE)
    return nonce


def _offset_s(claims: TokenClaims, now: datetime) -> int:
    return round(claims.iat - now.timestamp())


def forget_expired(now: datetime) -> None:
    """Delete what can no longer be presented."""
    SeenToken.objects.filter(expires_at__lt=now).delete()
    ClockNonce.objects.filter(expires_at__lt=now).delete()
