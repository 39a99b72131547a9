"""Visits of packs: counted from the doors' passages at all sites, told to doors at once, and kept in the directory.

A pack's own `used` is what staff see and what every door has on disk. Visits are added to it once a minute, so that
each costs no version of the directory of its own; until then the presence says how many there are.
"""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.signals import post_save

from central.checkins.models import Event, Movement
from central.directory.models import Membership, VisitPack
from central.presence import findings
from central.presence.models import PackCount, Whereabouts
from central.presence.versions import locked, write
from wire.vocabulary import CredentialKind

FOLD_MS: Final = 60_000
_BY_PASS: Final = f'"kind":"{CredentialKind.PASS_SIGNED}"'
"""In the text of a decision, as doors write it (`wire.events`)."""
KNOWN_MS: Final = 120_000
"""So long after the directory was changed every door that is linked has it."""


def tell(members: Collection[UUID]) -> None:
    """Count the visits of these members' packs anew, and tell the doors of all their sites where that is news."""
    for member in sorted(members):
        pack = VisitPack.objects.filter(member_id=member).first()  # the newest: see its ordering
        if pack is None:
            continue
        used = _counted(pack)
        for site_id in sorted(Membership.objects.filter(member_id=member).values_list("site_id", flat=True)):
            _tell_site(site_id, member, used)
        if used > pack.visits:
            findings.raise_overspent(pack, used, visits(pack))


def fold(now_ms: int) -> None:
    """Add what was counted to the packs themselves, which is a new version of the directory for their sites."""
    for count in PackCount.objects.exclude(counted=F("folded")):
        with transaction.atomic():
            pack = VisitPack.objects.select_for_update().get(pk=count.pack_id)
            fresh = PackCount.objects.select_for_update().get(pk=count.pk)
            pack.used = max(0, pack.used + fresh.counted - fresh.folded)
            fresh.folded, fresh.folded_ms = fresh.counted, now_ms
            fresh.save()
            pack.save()


def forget_told(now_ms: int) -> None:
    """Stop telling of packs that the directory knows all about."""
    known = PackCount.objects.filter(folded_ms__lt=now_ms - KNOWN_MS, counted=F("folded"))
    for count in known.select_related("pack"):
        for site_id in sorted(_told_at(count.pack.member_id)):
            _tell_site(site_id, count.pack.member_id, None)
    known.update(folded_ms=None)


def connect() -> None:
    """Hear of packs that staff change; called once, when the app is ready."""
    post_save.connect(_saved, sender=VisitPack, dispatch_uid="presence.pack_saved")


def visits(pack: VisitPack) -> QuerySet[Movement]:
    """Return the passages that count as visits of a pack: surely made, from outside, since it was bought.

    Not those by a signed pass: that was paid for by itself.
    """
    since_ms = int(pack.created_at.timestamp() * 1000)
    found = Movement.objects.filter(member_id=pack.member_id, counts=True, opens=True, is_certain=True)
    grant = Event.objects.filter(run__device=OuterRef("device"), run__run=OuterRef("run"), n=OuterRef("n"))
    by_pass = grant.filter(text__contains=_BY_PASS)
    return found.filter(~Exists(by_pass), at_ms__gte=since_ms).exclude(device__door__rules__leaves__isnull=False)


def changed(packs: Collection[VisitPack]) -> None:
    """Tell doors after the commit of packs that staff changed or sold, where they were told of visits."""
    counted = set(PackCount.objects.filter(pack__in=packs).values_list("pack__member_id", flat=True))
    # What they were told of is the pack of before: it must not use up the one that takes its place.
    told = Whereabouts.objects.filter(member__in=[pack.member_id for pack in packs], used__isnull=False)
    counted |= set(told.values_list("member_id", flat=True))
    if counted:
        transaction.on_commit(lambda: tell(counted))


def _saved(instance: VisitPack, raw: bool = False, **_: Any) -> None:
    if not raw:
        changed([instance])


def _counted(pack: VisitPack) -> int:
    with transaction.atomic():
        count, _ = PackCount.objects.select_for_update().get_or_create(pack=pack)
        count.counted = visits(pack).count()
        count.save(update_fields=["counted"])
        pack.refresh_from_db(fields=["used"])
        return max(0, pack.used + count.counted - count.folded)


def _told_at(member: UUID) -> list[UUID]:
    return list(
        Whereabouts.objects.filter(member_id=member, used__isnull=False).values_list("site_id", flat=True).distinct()
    )


def _tell_site(site_id: UUID, member: UUID, used: int | None) -> None:
    with transaction.atomic():
        presence = locked(site_id)
        row = Whereabouts.objects.filter(site_id=site_id, member_id=member).first()
        if row is None:
            row = Whereabouts(site_id=site_id, member_id=member, ver=0)
        if row.used != used:
            row.used = used
            write(presence, [row])
