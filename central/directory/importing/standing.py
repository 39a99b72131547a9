"""What the database holds of what a file names, read in a few queries however long the file is."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar
from uuid import UUID

from central.devices.models import Site
from central.devices.zones import is_known, zone_of
from central.directory.importing.wanted import KnownSite
from central.directory.models import Credential, Member, Membership, Plan, VisitPack

T = TypeVar("T")
_AT_ONCE: Final = 500
"""Values in one query; databases have a limit of them."""


def sites_by_name() -> dict[str, KnownSite]:
    """Return every site by its name."""
    return {
        site.name: KnownSite(site.pk, zone_of(site.time_zone) if is_known(site.time_zone) else None)
        for site in Site.objects.order_by("name")
    }


def members_by_external_id(external_ids: Iterable[str]) -> dict[str, Member]:
    """Return the members that are known by these ids, locked: what is written of them is what was read and the file."""
    found: dict[str, Member] = {}
    for part in _parts(external_ids):
        for member in Member.objects.select_for_update().filter(external_id__in=part).order_by("pk"):
            assert member.external_id is not None, "it was found by it"
            found[member.external_id] = member
    return found


def memberships_of(members: Iterable[UUID]) -> dict[UUID, dict[UUID, Membership]]:
    """Return the memberships of each member that has one, by site and in order of the sites' names."""
    found: dict[UUID, dict[UUID, Membership]] = {}
    for part in _parts(members):
        for membership in Membership.objects.filter(member_id__in=part).order_by("site__name"):
            found.setdefault(membership.member_id, {})[membership.site_id] = membership
    return found


def plans_by_site() -> dict[UUID, dict[str, Plan]]:
    """Return the plans of each site by their names."""
    found: dict[UUID, dict[str, Plan]] = {}
    for plan in Plan.objects.order_by("name"):
        found.setdefault(plan.site_id, {})[plan.name] = plan
    return found


def named_by_site(model: Any) -> dict[UUID, dict[str, Any]]:
    """Return the ids of a site's groups, schedules or zones by their names, for each site."""
    found: dict[UUID, dict[str, Any]] = {}
    for site_id, name, pk in model.objects.values_list("site_id", "name", "pk"):
        found.setdefault(site_id, {})[name] = pk
    return found


def links_of(through: Any, owner: str, other: str, owners: Iterable[Any]) -> dict[Any, set[Any]]:
    """Return with whom each of the owners is linked; those that are with nobody are left out."""
    found: dict[Any, set[Any]] = {}
    for part in _parts(owners):
        for key, value in through.objects.filter(**{f"{owner}__in": part}).values_list(owner, other):
            found.setdefault(key, set()).add(value)
    return found


def newest_packs(members: Iterable[UUID]) -> dict[UUID, VisitPack]:
    """Return the newest pack of visits of each member that has one, locked: visits are counted meanwhile."""
    found: dict[UUID, VisitPack] = {}
    for part in _parts(members):
        for pack in VisitPack.objects.select_for_update().filter(member_id__in=part).order_by("created_at", "pk"):
            found[pack.member_id] = pack
    return found


def credentials_by_fingerprint(fingerprints: Iterable[str]) -> dict[str, Credential]:
    """Return the credentials that somebody holds, with their holders."""
    return {
        credential.fingerprint: credential
        for part in _parts(fingerprints)
        for credential in Credential.objects.filter(fingerprint__in=part).select_related("member")
    }


def _parts(values: Iterable[T]) -> Iterator[list[T]]:
    listed = list(values)
    for at in range(0, len(listed), _AT_ONCE):
        yield listed[at : at + _AT_ONCE]
