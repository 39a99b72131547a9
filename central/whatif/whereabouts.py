"""Who is where by the site's record, as a door that is linked is told it."""

from uuid import UUID

from central.presence.models import Whereabouts
from rules.whereabouts import OUTSIDE
from wire.book import Zone
from wire.facts import PresenceFacts
from wire.rows import DirectoryRow


def recorded(site_id: UUID, row: DirectoryRow | None, zone: Zone | None, wall_ms: int) -> PresenceFacts:
    """Return what the record knows of a holder and of the zone behind the door, as facts of the whole site."""
    here = Whereabouts.objects.filter(site_id=site_id)
    has_limit = zone is not None and zone.limit is not None
    inside = here.filter(zone=zone.name, is_visitor=True).count() if zone is not None and has_limit else None
    if row is None:
        return PresenceFacts(is_site_wide=True, inside=inside)
    known = here.filter(member_id=row.member).first()
    within = here.exclude(zone=OUTSIDE)
    return PresenceFacts(
        is_site_wide=True,
        zone=OUTSIDE if known is None else known.zone,
        age_ms=0 if known is None or known.zone == OUTSIDE else max(0, wall_ms - known.since_ms),
        is_certain=known is None or known.is_certain,
        is_forgiven=known is not None and known.is_forgiven and known.zone != OUTSIDE,
        used=None if known is None or row.pack is None else known.used,
        inside=inside,
        is_guardian_inside=bool(row.guardians) and within.filter(member_id__in=row.guardians).exists(),
        is_host_inside=bool(row.host) and within.filter(member_id=row.host).exists(),
    )
