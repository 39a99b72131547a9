"""Enrolment codes: eight characters of Crockford's base 32 (40 random bits), shown as XXXX-XXXX.

A code lives for hours, guesses are rate-limited, and only a keyed hash of it is stored.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final

from django.utils.crypto import salted_hmac

from central.devices.models import Door, EnrolmentCode
from wire.enrolment import normalise_code

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 8
LIFE: Final = timedelta(hours=24)


def code_hash(code: str) -> str:
    """Return what is stored of a code, however it was typed."""
    return salted_hmac("doorstile.enrolment", normalise_code(code), algorithm="sha256").hexdigest()


def issue_code(door: Door, *, now: datetime, name: str = "", life: timedelta = LIFE) -> tuple[str, EnrolmentCode]:
    """Make a code for one device at `door`; return it in clear, which happens only here, and its row."""
    bare = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    row = EnrolmentCode.objects.create(code_hash=code_hash(bare), door=door, name=name, expires_at=now + life)
    return f"{bare[:4]}-{bare[4:]}", row


def open_codes(door: Door, *, now: datetime) -> list[EnrolmentCode]:
    """Return the codes with which a device could still join `door`, oldest first."""
    return list(EnrolmentCode.objects.filter(door=door, spent_at=None, expires_at__gt=now).order_by("created_at"))


def cancel(codes: list[EnrolmentCode]) -> None:
    """Let nobody join by these codes any more; one that was spent meanwhile stays."""
    EnrolmentCode.objects.filter(pk__in=[code.pk for code in codes], spent_at=None).delete()
