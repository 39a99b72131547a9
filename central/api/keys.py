"""API keys: `doorstile_` and 12 hex digits that find the key, then 43 characters (256 random bits) that prove it.

The key is shown once, when it is made; central keeps a keyed hash of the secret part.
"""

import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import User
from django.utils.crypto import salted_hmac

from central.api.models import ApiKey, Scope

_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_FORM: Final = re.compile(r"doorstile_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_USE_NOTED_EVERY: Final = timedelta(minutes=1)


def issue(name: str, owner: User, scopes: Iterable[Scope], *, expires_at: datetime | None = None) -> tuple[str, ApiKey]:
    """Make a key; return it in clear, which happens only here, and its row."""
    key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    row = ApiKey.objects.create(
        id=key_id,
        name=name,
        owner=owner,
        scopes=sorted(scope.value for scope in scopes),
        secret_hash=_hash(secret),
        expires_at=expires_at,
    )
    return f"doorstile_{key_id}_{secret}", row


def find(key: str, now: datetime) -> ApiKey | None:
    """Return the row of a key that opens something; None for any other, without saying why."""
    parts = _FORM.fullmatch(key)
    if parts is None:
        return None
    row = ApiKey.objects.select_related("owner").filter(pk=parts[1]).first()
    # Compared before anything is known of the row, so that the time taken tells nothing of it.
    proves = hmac.compare_digest(_hash(parts[2]), row.secret_hash if row else "")
    if row is None or not proves or not row.is_good(now):
        return None
    if row.last_used_at is None or now - row.last_used_at > _USE_NOTED_EVERY:
        ApiKey.objects.filter(pk=row.pk).update(last_used_at=now)
    return row


def _hash(secret: str) -> str:
    return salted_hmac("doorstile.api", secret, algorithm="sha256").hexdigest()
