"""What the API does with members."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import msgspec
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError, QuerySet

from central.api import audit
from central.api.bodies import MemberAnswer, MemberPage, MembershipBody, PackBody
from central.api.operations import Answer, Call
from central.api.problems import ProblemError, bad_field, of_validation
from central.devices.models import Site
from central.directory.models import Group, Member, Membership, Plan, Schedule, VisitPack, Zone

_APART: Final = ("memberships", "guardians", "host", "pack")
"""Fields that name other things."""
_ROWS: Final = {"memberships": "membership", "pack": "visitpack"}
"""Fields whose things are rows with permissions of their own."""


def list_members(call: Call) -> Answer:
    """Return one page."""
    members = Member.objects.order_by("pk")
    if (after := call.uuid("after")) is not None:
        members = members.filter(pk__gt=after)
    if (external_id := call.query.get("external_id")) is not None:
        members = members.filter(external_id=external_id)
    if (site := call.uuid("site")) is not None:
        members = members.filter(memberships__site_id=site)
    limit = call.limit()
    found = list(_with_all(members)[: limit + 1])
    more = len(found) > limit
    return Answer(
        MemberPage(items=[_answer(member) for member in found[:limit]], next=found[limit - 1].pk if more else None)
    )


def add_member(call: Call) -> Answer:
    """Make a member."""
    member = Member()
    given = msgspec.structs.asdict(call.body)
    _may(call, [name for name in _ROWS if given[name]], ("add",))
    _fill(member, given)
    audit.note(call.key, member, "added")
    return Answer(_answer(_found(member.pk)), location=f"/api/v1/members/{member.pk}")


def get_member(call: Call) -> Answer:
    """Return one."""
    return Answer(_answer(_found(call.target)))


def change_member(call: Call) -> Answer:
    """Change what the body names."""
    # All fields are saved: nobody may block the member between the look and that.
    Member.objects.select_for_update().filter(pk=call.target).first()
    member = _found(call.target)
    given = {name: value for name, value in msgspec.structs.asdict(call.body).items() if value is not msgspec.UNSET}
    _may(call, [name for name in _ROWS if name in given], ("add", "change", "delete"))
    _fill(member, given)
    audit.note(call.key, member, "changed")
    return Answer(_answer(_found(member.pk)))


def delete_member(call: Call) -> Answer:
    """Delete one that nothing refers to for ever."""
    member = _found(call.target)
    audit.note(call.key, member, "deleted")
    try:
        member.delete()
    except ProtectedError as fault:
        detail = "the member has visits or passes, or is somebody's host; set is_active to false instead"
        raise ProblemError(409, detail) from fault
    return Answer()


def _may(call: Call, fields: list[str], actions: tuple[str, ...]) -> None:
    """Raise ProblemError where a body touches rows that the key's owner may not; the administration asks the same."""
    call.require(*(f"directory.{action}_{_ROWS[name]}" for name in fields for action in actions))


def _with_all(members: QuerySet[Member]) -> QuerySet[Member]:
    parts = ("plan", "groups", "schedules", "zones")
    return members.prefetch_related("guardians", "packs", *(f"memberships__{part}" for part in parts))


def _found(pk: UUID) -> Member:
    member = _with_all(Member.objects.filter(pk=pk)).first()
    if member is None:
        raise ProblemError(404, f"there is no member {pk}")
    return member


def _fill(member: Member, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if name not in _APART:
            setattr(member, name, [str(each) for each in value] if isinstance(value, list) else value)
    if "host" in given:
        member.host = None if given["host"] is None else _others("host", [given["host"]])[0]
    _check(member)
    member.save()
    if "guardians" in given:
        member.guardians.set(_others("guardians", given["guardians"]))
    if "memberships" in given:
        _join(member, given["memberships"])
    if given.get("pack") is not None:
        _pack(member, given["pack"])


def _check(member: Member) -> None:
    holder = Member.objects.filter(external_id=member.external_id).exclude(pk=member.pk).first()
    if member.external_id is not None and holder is not None:
        raise ProblemError(409, f"external_id {member.external_id!a} belongs to member {holder.pk}; change that one")
    try:
        member.full_clean()
    except ValidationError as refused:
        raise of_validation(refused) from refused


def _others(field: str, ids: list[UUID]) -> list[Member]:
    found = Member.objects.in_bulk(ids)
    for at, pk in enumerate(ids):
        if pk not in found:
            raise bad_field(f"{field}[{at}]" if field == "guardians" else field, f"there is no member {pk}")
    return list(found.values())


def _join(member: Member, given: list[MembershipBody]) -> None:
    """Make the memberships these and no others."""
    sites = [body.site for body in given]
    for at, site in enumerate(sites):
        if site in sites[:at]:
            raise bad_field(f"memberships[{at}].site", f"site {site} stands twice; name each site once")
    for gone in Membership.objects.filter(member=member).exclude(site_id__in=sites):
        gone.delete()
    for at, body in enumerate(given):
        _enter(member, body, f"memberships[{at}]")


def _pack(member: Member, given: PackBody) -> None:
    """Set the figures of the newest pack; it counts, whichever were bought before."""
    pack = VisitPack.objects.select_for_update().filter(member=member).first() or VisitPack(member=member)
    used = pack.used if given.used is msgspec.UNSET else given.used
    if used > given.visits:
        raise bad_field("pack.used", f"{used} visits are used of {given.visits}; give at most as many as bought")
    if (pack.visits, pack.used) != (given.visits, used):
        pack.visits, pack.used = given.visits, used
        pack.save()


def _enter(member: Member, body: MembershipBody, place: str) -> None:
    site = Site.objects.filter(pk=body.site).first()
    if site is None:
        raise bad_field(f"{place}.site", f"there is no site {body.site}")
    plans = [] if body.plan is None else _named(Plan, site, [body.plan], f"{place}.plan")
    membership, _ = Membership.objects.update_or_create(
        member=member, site=site, defaults={"plan": plans[0] if plans else None}
    )
    membership.groups.set(_named(Group, site, body.groups, f"{place}.groups"))
    membership.schedules.set(_named(Schedule, site, body.schedules, f"{place}.schedules"))
    membership.zones.set(_named(Zone, site, body.zones, f"{place}.zones"))


def _named(model: Any, site: Site, names: Iterable[str], place: str) -> list[Any]:
    known = {thing.name: thing for thing in model.objects.filter(site=site)}
    for name in names:
        if name not in known:
            kind = model._meta.verbose_name  # noqa: SLF001 - public by Django's documentation, whatever its name
            listed = ", ".join(sorted(known)[:10]) or "none"
            raise bad_field(place, f"there is no {kind} {name[:64]!a} at {site}; known are {listed}")
    return [known[name] for name in dict.fromkeys(names)]


def _answer(member: Member) -> MemberAnswer:
    return MemberAnswer(
        id=member.pk,
        full_name=member.full_name,
        external_id=member.external_id,
        is_active=member.is_active,
        valid_from=member.valid_from,
        valid_to=member.valid_to,
        holder=member.holder,
        is_blocked=member.is_blocked,
        paid_to=member.paid_to,
        grace_days=member.grace_days,
        is_minor=member.is_minor,
        guardians=sorted(guardian.pk for guardian in member.guardians.all()),
        host=member.host_id,
        clearance=member.clearance,
        rights=member.rights,
        pack=_pack_of(member),
        memberships=[_membership(found) for found in sorted(member.memberships.all(), key=lambda one: one.site_id)],
        created_at=member.created_at,
    )


def _pack_of(member: Member) -> PackBody | None:
    packs = member.packs.all()
    return PackBody(visits=packs[0].visits, used=packs[0].used) if packs else None


def _membership(membership: Membership) -> MembershipBody:
    return MembershipBody(
        site=membership.site_id,
        plan=None if membership.plan is None else membership.plan.name,
        groups=sorted(group.name for group in membership.groups.all()),
        schedules=sorted(schedule.name for schedule in membership.schedules.all()),
        zones=sorted(zone.name for zone in membership.zones.all()),
    )
