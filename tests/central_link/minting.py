"""Keys and tokens as a device makes them, and as one would that should not get in."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from central.devices.models import CREDENTIAL_KEY, Device, DeviceKey, Door, Site
from central.devices.sealing import seal
from wire.enrolment import PROOF_TYPE, EnrolRequest, normalise_code
from wire.vocabulary import TOKEN_TYPE

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Absence(Enum):
    """What stands for a claim or header field that is left out; its name is the same in every process."""

    GONE = "gone"


GONE = Absence.GONE


class DeviceIdentity:
    """A device's private key, and what central told it."""

    def __init__(self, device: str = "", kid: str = "", audience: str = "") -> None:
        self.private_key = Ed25519PrivateKey.generate()
        self.device = device
        self.kid = kid
        self.audience = audience

    @property
    def public_key(self) -> bytes:
        """The raw public key."""
        return self.private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def claims(self, now: datetime = NOW, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good token, changed as asked."""
        now_s = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": self.device,
            "sub": self.device,
            "aud": self.audience,
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + 60,
            "jti": secrets.token_hex(16),
            "run": "00000000000000aa",
            "n": 0,
            "head": "ab" * 32,
        } | changes
        return {name: value for name, value in claims.items() if value is not GONE}

    def token(self, now: datetime = NOW, *, headers: Mapping[str, object] | None = None, **changes: Any) -> str:
        """Return a token, good unless changed."""
        head: dict[str, object] = {"typ": TOKEN_TYPE, "kid": self.kid, **(headers or {})}
        kept = {name: value for name, value in head.items() if value is not GONE}
        # The library writes a typ of its own unless told None; it also minds what some claims are.
        kept.setdefault("typ", None)
        return jwt.api_jws.encode(json.dumps(self.claims(now, **changes)).encode(), self.private_key, "EdDSA", kept)

    def enrolment(self, code: str, origin: str, /, *, typ: str = PROOF_TYPE, **changes: object) -> EnrolRequest:
        """Return a request to join by `code` at `origin`; `changes` go into the proof's claims."""
        claims = {
            "aud": origin,
            "code": hashlib.sha256(normalise_code(code).encode()).hexdigest(),
            "iat": 0,
            "jti": secrets.token_hex(16),
        } | changes
        return EnrolRequest(
            code=code,
            public_key=base64.urlsafe_b64encode(self.public_key).rstrip(b"=").decode(),
            proof=jwt.encode(claims, self.private_key, algorithm="EdDSA", headers={"typ": typ}),
            agent="test",
            profile="sim",
        )


def make_door(name: str = "North door", site: str = "Harbour gym") -> Door:
    """Return a door, with its site where there is none."""
    held, _ = Site.objects.get_or_create(name=site)
    return Door.objects.create(site=held, name=name)


def make_identity(door: Door | None = None) -> DeviceIdentity:
    """Return a device that has joined."""
    device = Device.objects.create(
        door=door or make_door(), name="North", sealed_credential_key=seal(secrets.token_bytes(32), CREDENTIAL_KEY)
    )
    identity = DeviceIdentity(str(device.id), secrets.token_hex(8), settings.AUDIENCE)
    DeviceKey.objects.create(kid=identity.kid, device=device, public_key=identity.public_key)
    return identity
