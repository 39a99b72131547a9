"""A request that names an `Idempotency-Key` takes effect once, however often it is sent.

After draft-ietf-httpapi-idempotency-key-header: a key is bound to method, path and body; with others it is refused. The
answer is kept in the transaction of the effect, so that there is never one without the other.
"""

from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac

from central.api.models import ApiKey, KeptAnswer
from central.api.problems import ProblemError

HEADER: Final = "Idempotency-Key"
LIFE: Final = timedelta(days=7)
MOST_CHARS: Final = 255


def digest(method: str, path: str, body: bytes) -> str:
    """Return what tells two requests apart; keyed, as a body may hold a card number."""
    text = f"{method} {path}\n".encode() + body
    return salted_hmac("doorstile.api.idempotency", text.hex(), algorithm="sha256").hexdigest()


def begin(api_key: ApiKey, key: str, request_digest: str, now: datetime) -> tuple[KeptAnswer, bool]:
    """Return the row of a key and whether it is new; call it inside the transaction of the effect.

    A second request with the same key waits for the first one's transaction. Raises ProblemError for a key that
    belongs to another request.
    """
    if not 0 < len(key) <= MOST_CHARS or not key.isascii() or not key.isprintable():
        raise ProblemError(400, f"{HEADER} must be 1 to {MOST_CHARS} printable characters; a UUID will do")
    KeptAnswer.objects.filter(api_key=api_key, created_at__lt=now - LIFE).delete()
    try:
        with transaction.atomic():
            return KeptAnswer.objects.create(api_key=api_key, key=key, digest=request_digest), True
    except IntegrityError:
        kept = KeptAnswer.objects.get(api_key=api_key, key=key)
    if kept.digest != request_digest:
        raise ProblemError(422, f"{HEADER} {key!a} was used for another request; use a new one for each request")
    return kept, False
