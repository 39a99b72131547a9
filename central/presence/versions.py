"""The version of each site's presence: raised with every change, under the site's lock, and told after the commit."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from central.directory import versions
from central.presence.models import SitePresence, Whereabouts
from central.sync import hints
from wire.presence import PresenceRef

_FIELDS = ["ver", "zone", "since_ms", "closes_ms", "is_certain", "is_visitor", "used", "forgiven_ms", "past"]


def newest(site_id: UUID) -> PresenceRef:
    """Return the newest presence of a site: its versions count in the epoch of the site's directory."""
    ver = SitePresence.objects.filter(pk=site_id).values_list("ver", flat=True).first()
    return PresenceRef(versions.of_site(site_id).epoch, 1 if ver is None else ver)


def locked(site_id: UUID) -> SitePresence:
    """Return a site's version, locked to the end of the transaction; the first look begins at version 1."""
    SitePresence.objects.get_or_create(pk=site_id)
    return SitePresence.objects.select_for_update().get(pk=site_id)


def write(presence: SitePresence, rows: Iterable[Whereabouts], quiet: Iterable[Whereabouts] = ()) -> None:
    """Write rows that devices are told of, each as a version of its own, and others that say nothing new to them."""
    changed = list(rows)
    for row in changed:
        presence.ver += 1
        row.ver = presence.ver
    stored = [*changed, *quiet]
    Whereabouts.objects.bulk_create(
        stored, update_conflicts=True, unique_fields=["site", "member"], update_fields=_FIELDS, batch_size=200
    )
    if changed:
        publish(presence)


def publish(presence: SitePresence) -> None:
    """Keep the version, and tell the devices of the site after the commit."""
    presence.save(update_fields=["ver", "floor"])
    transaction.on_commit(lambda: hints.presence_changed(presence.pk))
