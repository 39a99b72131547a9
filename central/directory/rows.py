"""What the doors of a site are told of each credential: the row of `wire.rows`, with the facts of its holder."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from central.directory.models import Credential, Member, Membership, VisitPack
from wire.rows import DirectoryRow, Pack
from wire.vocabulary import Assurance, CredentialKind, HolderKind

NOBODY: Final = str(UUID(int=0))
"""The guardian of a minor who has none: never inside, so the minor is not let in."""
_AT_ONCE: Final = 2000


def of_site(site_id: UUID, members: Collection[UUID] | None = None) -> Iterator[tuple[UUID, bytes, DirectoryRow]]:
    """Yield each credential that the site knows, of these members or of all, in no order: its id, value and row.

    The value is sealed. The key of the row is empty: it is each device's own.
    """
    facts = _facts(site_id, members)
    held = Credential.objects.filter(member__memberships__site_id=site_id)
    if members is not None:
        held = held.filter(member_id__in=members)
    columns = held.values_list("id", "kind", "sealed", "is_revoked", "assurance", "member_id")
    for id_, kind, sealed, is_revoked, assurance, member in columns.iterator(chunk_size=_AT_ONCE):
        row = DirectoryRow(
            key="",
            kind=CredentialKind(kind),
            is_revoked=is_revoked,
            assurance=Assurance(assurance),
            **facts[member],
        )
        yield id_, bytes(sealed), row


def _facts(site_id: UUID, chosen: Collection[UUID] | None) -> dict[UUID, dict[str, Any]]:
    """Return what each member's rows have in common."""
    memberships = Membership.objects.filter(site_id=site_id)
    if chosen is not None:
        memberships = memberships.filter(member_id__in=chosen)
    groups = _names(memberships, "groups")
    schedules = _names(memberships, "schedules")
    zones = _names(memberships, "zones")
    members = Member.objects.filter(memberships__in=memberships)
    guardians = _guardians(members)
    packs = _packs(members)
    found: dict[UUID, dict[str, Any]] = {}
    for membership in memberships.select_related("member", "plan").iterator(chunk_size=_AT_ONCE):
        member = membership.member
        found[member.pk] = {
            "member": str(member.pk),
            "is_active": member.is_active,
            "valid_from_ms": _ms(member.valid_from),
            "valid_to_ms": _ms(member.valid_to),
            "is_blocked": member.is_blocked,
            "holder": HolderKind(member.holder),
            "plan": "" if membership.plan is None else membership.plan.name,
            "groups": groups.get(membership.pk, []),
            "schedules": schedules.get(membership.pk, []),
            "zones": zones.get(membership.pk, []),
            "paid_to_ms": _ms(member.paid_to),
            "grace_days": member.grace_days,
            "pack": packs.get(member.pk),
            "guardians": guardians.get(member.pk, [NOBODY]) if member.is_minor else [],
            "host": "" if member.host_id is None else str(member.host_id),
            "clearance": member.clearance,
            "rights": sorted(member.rights),
        }
    return found


def _names(memberships: QuerySet[Membership], relation: str) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    named = memberships.filter(**{f"{relation}__isnull": False}).order_by(f"{relation}__name")
    for membership, name in named.values_list("pk", f"{relation}__name"):
        found.setdefault(membership, []).append(name)
    return found


def _guardians(members: QuerySet[Member]) -> dict[UUID, list[str]]:
    found: dict[UUID, list[str]] = {}
    pairs = members.filter(is_minor=True, guardians__isnull=False).order_by("guardians")
    for member, guardian in pairs.values_list("pk", "guardians"):
        found.setdefault(member, []).append(str(guardian))
    return found


def _packs(members: QuerySet[Member]) -> dict[UUID, Pack]:
    """Return the newest pack of each member that has one."""
    packs = VisitPack.objects.filter(member__in=members).order_by("created_at", "pk")
    return {pack.member_id: Pack(id=str(pack.pk), visits=pack.visits, used=pack.used) for pack in packs}


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)
