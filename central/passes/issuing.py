"""Signed passes: issued, shown again, revoked.

A revocation is an item of the site's book. The passes of a member who is inactive, blocked or no longer of the site
count as revoked as long as that lasts, and one that is good once after its use. Who is not of the site when a pass is
issued need not become so: a membership would let the holder's own cards in as well, and outlive the pass.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from central.devices.models import Site
from central.directory.models import Member, Membership
from central.directory.versions import raise_for_sites
from central.passes import keys
from central.passes.models import Pass, PassKey
from wire import book
from wire.errors import DoorstileError
from wire.passes import PASS_ALGORITHM, PASS_TYPE, SIGNED_PREFIX, PassClaims
from wire.vocabulary import HolderKind

LONGEST: Final = timedelta(days=366)
_KEPT: Final = timedelta(days=2)
"""How long a pass that has ended stays in the list of revocations: doors whose clock is behind."""


class PassRefusedError(DoorstileError):
    """A pass that is not issued; says what would be."""


def issue(
    site: Site,
    member: Member,
    *,
    starts_at: datetime,
    ends_at: datetime,
    actor: str,
    now: datetime,
    holder: HolderKind = HolderKind.GUEST,
    zones: Sequence[str] = (),
    is_once: bool = False,
) -> Pass:
    """Issue a pass; raise PassRefusedError where its times or zones make no sense, or the member may not come.

    Doors need not be told of it: so they would take one of somebody who is blocked until they hear that it is revoked.
    """
    if ends_at <= starts_at or ends_at <= now:
        raise PassRefusedError(f"a pass from {starts_at:%Y-%m-%d %H:%M} to {ends_at:%Y-%m-%d %H:%M} opens nothing")
    if ends_at - starts_at > LONGEST:
        raise PassRefusedError(f"a pass for {(ends_at - starts_at).days} days is too long; at most {LONGEST.days}")
    with transaction.atomic():
        _refuse_barred(member)
        tidy(site, now)
        made = Pass(
            site=site, member=member, holder=holder.value, key=keys.current(now), starts_at=starts_at, ends_at=ends_at,
            zones=list(zones), is_once=is_once, issued_at=now, issued_by=actor,
            needs_membership=Membership.objects.filter(member=member, site=site).exists(),
        )  # fmt: skip
        claims_of(made)
        made.save(force_insert=True)
    return made


def _refuse_barred(member: Member) -> None:
    """Read the member again, locked: somebody may block them at this moment."""
    found = Member.objects.select_for_update().get(pk=member.pk)
    if found.is_blocked or not found.is_active:
        state = "blocked" if found.is_blocked else "not active"
        raise PassRefusedError(f"{found.full_name} is {state}: change that in the administration before issuing a pass")


def claims_of(made: Pass) -> PassClaims:
    """Return what a pass says; raise PassRefusedError where a door would not accept it."""
    claims = PassClaims(
        aud=str(made.site_id), sub=str(made.member_id), jti=made.pk.hex, nbf=int(made.starts_at.timestamp()),
        exp=int(made.ends_at.timestamp()), holder=HolderKind(made.holder), zones=list(made.zones), once=made.is_once,
    )  # fmt: skip
    try:
        return msgspec.convert(msgspec.to_builtins(claims), PassClaims)
    except msgspec.ValidationError as fault:
        raise PassRefusedError(f"no door would accept this pass: {fault}") from fault


def text_of(made: Pass) -> str:
    """Return the text of its code."""
    private = Ed25519PrivateKey.from_private_bytes(made.key.private_bytes)
    payload = msgspec.to_builtins(claims_of(made))
    return SIGNED_PREFIX + jwt.encode(payload, private, PASS_ALGORITHM, {"typ": PASS_TYPE, "kid": made.key_id})


def revoke(made: Pass, *, actor: str, now: datetime) -> None:
    """Let a pass open nothing more, at each door as soon as it hears of it."""
    with transaction.atomic():
        tidy(made.site, now)
        if Pass.objects.filter(pk=made.pk, revoked_at=None).update(revoked_at=now, revoked_by=actor):
            raise_for_sites([made.site_id], ())
    made.refresh_from_db()


def tidy(site: Site, now: datetime) -> None:
    """Take passes that ended long ago out of the book; part of the caller's transaction."""
    ended = Pass.objects.filter(site=site, is_over=False, ends_at__lt=now - _KEPT)
    were_listed = _revoked(ended).exists()
    if ended.update(is_over=True) and were_listed:
        raise_for_sites([site.pk], ())


def items_of(site: Site) -> list[book.BookItem]:
    """Return what the site's book says about passes: nothing before the first key."""
    known = PassKey.objects.filter(is_revoked=False).order_by("kid")
    revoked = _revoked(Pass.objects.filter(site=site, is_over=False)).values_list("pk", flat=True)
    return [
        *(_key_item(key) for key in known),
        *(book.PassRevocation(id=pass_id.hex) for pass_id in sorted(revoked)),
    ]


def _revoked(passes: QuerySet[Pass]) -> QuerySet[Pass]:
    is_member = Membership.objects.filter(member=OuterRef("member"), site=OuterRef("site"))
    left = Q(needs_membership=True) & ~Exists(is_member)
    gone = Q(member__is_active=False) | Q(member__is_blocked=True) | left
    used_up = Q(is_once=True) & ~Q(used_event="")
    return passes.filter(Q(revoked_at__isnull=False) | used_up | gone)


def _key_item(key: PassKey) -> book.PassKey:
    ends_at = key.ends_at
    return book.PassKey(
        kid=key.kid,
        public=bytes(key.public_key).hex(),
        valid_to_ms=None if ends_at is None else int(ends_at.timestamp() * 1000),
    )
