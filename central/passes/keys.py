"""The keys that sign passes. A new one is told to the doors days before it signs: a door may be offline by then."""

import secrets
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from central.devices.models import Site
from central.devices.sealing import seal
from central.directory.versions import raise_for_sites
from central.passes.models import PASS_KEY, Pass, PassKey

HEAD_START: Final = timedelta(days=7)
"""How long a new key waits before it signs."""


def current(now: datetime) -> PassKey:
    """Return the key that signs now; the first look makes the first key, which signs at once."""
    signing = PassKey.objects.filter(signs_from__lte=now, retired_at=None, is_revoked=False)
    return signing.order_by("-signs_from").first() or make(now, signs_from=now)


def make(now: datetime, *, signs_from: datetime | None = None) -> PassKey:
    """Make a key and tell every site of it; it signs from `signs_from`, by default after the head start."""
    private = Ed25519PrivateKey.generate()
    with transaction.atomic():
        key = PassKey.objects.create(
            kid=secrets.token_hex(8),
            public_key=private.public_key().public_bytes_raw(),
            sealed=seal(private.private_bytes_raw(), PASS_KEY),
            signs_from=signs_from or now + HEAD_START,
        )
        _tell_all()
    return key


def retire(key: PassKey, now: datetime, *, is_revoked: bool = False) -> None:
    """Let a key sign nothing more. Its passes stay good until the last of them ends; with `is_revoked` none does."""
    with transaction.atomic():
        last = Pass.objects.filter(key=key).order_by("-ends_at").values_list("ends_at", flat=True).first()
        key.retired_at, key.ends_at, key.is_revoked = now, last or now, is_revoked
        key.save(update_fields=["retired_at", "ends_at", "is_revoked"])
        _tell_all()


def _tell_all() -> None:
    raise_for_sites(Site.objects.values_list("pk", flat=True), ())
