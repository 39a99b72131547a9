"""What has to be done for presence now and then, whether anything happens or not."""

from typing import Final
from uuid import UUID

from django.db import transaction

from central.presence import packs
from central.presence.following import follow, waiting
from central.presence.models import SitePresence, Whereabouts
from central.presence.versions import locked, publish, write
from rules.whereabouts import OUTSIDE

KEPT: Final = 20_000
"""Rows of people outside that a site keeps; beyond that the oldest go, and devices far behind get everything."""
_ROUNDS: Final = 5


def tend(now_ms: int) -> None:
    """Follow what waits, and end stays that nobody ended."""
    for site_id in waiting():
        for _ in range(_ROUNDS):
            if not follow(site_id, now_ms):
                break
    over = Whereabouts.objects.exclude(zone=OUTSIDE).filter(closes_ms__lte=now_ms)
    for site_id in set(over.values_list("site_id", flat=True)):
        close(site_id, now_ms)
    packs.forget_told(now_ms)


def close(site_id: UUID, now_ms: int) -> None:
    """End the stays of a site that are over although nobody was seen to leave."""
    with transaction.atomic():
        presence = locked(site_id)
        rows = list(Whereabouts.objects.filter(site_id=site_id, closes_ms__lte=now_ms).exclude(zone=OUTSIDE))
        for row in rows:
            row.zone, row.closes_ms, row.is_certain = OUTSIDE, None, True
        write(presence, rows)


def keep_books(now_ms: int) -> None:
    """Add the visits of packs to the directory, and forget who left long ago."""
    packs.fold(now_ms)
    for site_id in SitePresence.objects.values_list("pk", flat=True):
        prune(site_id)


def prune(site_id: UUID) -> None:
    """Forget those who left longest ago, beyond KEPT; what went is known by the floor."""
    with transaction.atomic():
        presence = locked(site_id)
        gone = Whereabouts.objects.filter(site_id=site_id, zone=OUTSIDE, used=None, forgiven_ms=None)
        for cut in list(gone.order_by("-ver").values_list("ver", flat=True)[KEPT : KEPT + 1]):
            gone.filter(ver__lte=cut).delete()
            presence.floor = max(presence.floor, cut)
            publish(presence)
