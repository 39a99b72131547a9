"""What a file says of a member that names other things: groups, hours and zones of sites, guardians, the host, a pack.

All is compared with what the database holds, so that the same file again changes nothing; then written in bulk.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import models

from central.directory.importing import standing
from central.directory.importing.wanted import AT_SITES, Wanted
from central.directory.models import Group, Member, Membership, Schedule, VisitPack, Zone
from central.presence import packs

_AT_ONCE: Final = 500
_MODELS: Final = {"groups": Group, "schedules": Schedule, "zones": Zone}
_SHOWN: Final = 10
_KEEPING: Final = ("schedules", "zones")
"""Lists that keep a member without a plan to what they name; an empty one keeps them to nothing."""
Faults = Callable[[str, str], None]
"""Takes the column and what is wrong with it."""


@dataclass(slots=True)
class Linked:
    """Who is to be linked with whom by one relation, in place of what was there."""

    through: Any
    owner: str
    other: str
    wanted: list[tuple[models.Model, set[Any]]] = field(default_factory=list)

    def write(self) -> None:
        """Replace the links of those that are named; their owners are saved by now."""
        owners = [owner.pk for owner, _ in self.wanted]
        for at in range(0, len(owners), _AT_ONCE):
            self.through.objects.filter(**{f"{self.owner}__in": owners[at : at + _AT_ONCE]}).delete()
        rows = [
            self.through(**{self.owner: owner.pk, self.other: other})
            for owner, others in self.wanted
            for other in sorted(others)
        ]
        self.through.objects.bulk_create(rows, batch_size=_AT_ONCE)


class Relations:
    """Works out the links of the members of a file; `known` are those that the database has, by external id."""

    def __init__(self, wanted: Iterable[Wanted], known: dict[str, Member], memberships: Iterable[Membership]) -> None:
        every = list(wanted)
        self._people = {member.external_id: member for member in _named(every, known)}
        self._things = {name: standing.named_by_site(model) for name, model in _MODELS.items()}
        kept = [membership.pk for membership in memberships]
        self._at_sites = {
            name: Linked(getattr(Membership, name).through, "membership_id", f"{name.removesuffix('s')}_id")
            for name in AT_SITES
        }
        self._before = {
            name: standing.links_of(linked.through, linked.owner, linked.other, kept)
            for name, linked in self._at_sites.items()
        }
        self._guardians = Linked(Member.guardians.through, "from_member_id", "to_member_id")
        ids = [member.pk for member in known.values()]
        self._guarded = standing.links_of(self._guardians.through, "from_member_id", "to_member_id", ids)
        self._packs = standing.newest_packs(ids)
        self.new_packs: list[VisitPack] = []
        self.changed_packs: list[VisitPack] = []

    def add(self, member: Member) -> None:
        """Make a member known that this file brings, so that others may name it."""
        self._people[member.external_id] = member

    def write(self) -> None:
        """Write all of it; members and memberships are saved by now."""
        for linked in (*self._at_sites.values(), self._guardians):
            linked.write()
        VisitPack.objects.bulk_create(self.new_packs, batch_size=_AT_ONCE)
        VisitPack.objects.bulk_update(self.changed_packs, ["visits", "used"], batch_size=_AT_ONCE)
        for at in range(0, len(self.changed_packs), _AT_ONCE):
            packs.changed(self.changed_packs[at : at + _AT_ONCE])

    def at_sites(self, wanted: Wanted, memberships: list[Membership], fault: Faults) -> bool:
        """Give the memberships what is wanted of each; return whether that changed anything.

        A name counts at those of the sites that have it, and is a fault where none has. A site that has none of them
        keeps what the membership there has: where that is nothing and hours or zones are named, it is a fault without
        a plan, as whoever was to be kept to some would be kept to none.
        """
        has_changed = False
        for name, entered in wanted.at_sites.items():
            things = self._things[name]
            missing = [each for each in entered if not any(each in things.get(m.site_id, {}) for m in memberships)]
            if missing:
                known = sorted({each for m in memberships for each in things.get(m.site_id, {})})
                listed = ", ".join(known[:_SHOWN]) or "none"
                fault(name, f"none of the member's sites has {missing[0][:64]!a}; known there are {listed}")
                continue
            for membership in memberships:
                here = things.get(membership.site_id, {})
                chosen = {here[each] for each in entered if each in here}
                before = self._before[name].get(membership.pk, set())
                if entered and not chosen:
                    if not before and name in _KEEPING and membership.plan_id is None:
                        fault(name, f"one of the member's sites has none of these {name}: name one of each site")
                    continue
                if chosen != before:
                    self._at_sites[name].wanted.append((membership, chosen))
                    has_changed = True
        return has_changed

    def companions(self, member: Member, wanted: Wanted, fault: Faults) -> bool:
        """Give the member guardians and host; return whether that changed anything."""
        has_changed = False
        if wanted.host is not None:
            host = self._person(wanted.host, member, "host", fault)
            host_id = None if host is None else host.pk
            has_changed = member.host_id != host_id
            member.host = host
        if wanted.guardians is not None:
            found = [self._person(each, member, "guardians", fault) for each in wanted.guardians]
            chosen = {each.pk for each in found if each is not None}
            if chosen != self._guarded.get(member.pk, set()):
                self._guardians.wanted.append((member, chosen))
                has_changed = True
        return has_changed

    def pack(self, member: Member, wanted: Wanted, fault: Faults) -> bool:
        """Set the figures of the member's newest pack, or give the first one; return whether that changed anything."""
        visits, used = wanted.pack_visits, wanted.pack_used
        if visits is None and used is None:
            return False
        pack = self._packs.get(member.pk)
        is_new = pack is None
        if pack is None:
            if visits is None:
                fault("pack_used", "the member has no pack; fill in pack_visits too")
                return False
            pack = VisitPack(member=member, visits=visits)
        before = (pack.visits, pack.used)
        pack.visits = pack.visits if visits is None else visits
        pack.used = pack.used if used is None else max(pack.used, used)  # a file never gives visits back
        if pack.used > pack.visits:
            column = "pack_visits" if used is None else "pack_used"
            fault(column, f"{pack.used} visits are used of {pack.visits}; write at most as many as were bought")
        if is_new:
            self.new_packs.append(pack)
        elif before != (pack.visits, pack.used):
            self.changed_packs.append(pack)
        return is_new or before != (pack.visits, pack.used)

    def members_told(self) -> set[UUID]:
        """Return the members whose rows are other by what is written here."""
        linked = {owner.pk for owner, _ in self._guardians.wanted}
        at_sites = {
            m.member_id for each in self._at_sites.values() for m, _ in each.wanted if isinstance(m, Membership)
        }
        return linked | at_sites | {pack.member_id for pack in (*self.new_packs, *self.changed_packs)}

    def _person(self, external_id: str, member: Member, column: str, fault: Faults) -> Member | None:
        if not external_id:
            return None
        found = self._people.get(external_id)
        if found is None:
            fault(column, f"there is no member {external_id[:64]!a}, here or in this file; write an external_id")
        elif found is member or found.pk == member.pk:
            fault(column, "nobody is their own guardian or host; write another member's external_id")
            return None
        return found


def _named(wanted: list[Wanted], known: dict[str, Member]) -> Iterable[Member]:
    """Return the members of the database that are named, as members of the file or by others of it."""
    named = {each for one in wanted for each in (*(one.guardians or ()), one.host) if each}
    return [*known.values(), *standing.members_by_external_id(named - set(known)).values()]
