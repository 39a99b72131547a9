"""What an import changes: worked out against what the database holds, then written in bulk.

Call both inside one transaction. Whatever is wrong becomes a fault, and nothing is written where there is one.
"""

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.core.exceptions import ValidationError

from central.directory import versions
from central.directory.enrolling import fill, fingerprint
from central.directory.importing import standing
from central.directory.importing.relations import Relations
from central.directory.importing.sheet import Fault
from central.directory.importing.wanted import Wanted, WantedCredential
from central.directory.models import Credential, Member, Membership, Plan
from central.parts.importing import take_in
from central.passes import watching

_AT_ONCE: Final = 500
_FIELDS: Final = (
    "full_name", "is_active", "valid_from", "valid_to", "is_blocked", "holder", "paid_to", "grace_days", "is_minor",
    "clearance", "rights",
)  # fmt: skip
_NULLABLE: Final = ("valid_from", "valid_to", "paid_to")


@dataclass(slots=True)
class Altered:
    """What an import changes of a known member: columns by name, and sites that are left and joined."""

    columns: list[str] = field(default_factory=list)
    left: set[UUID] = field(default_factory=set)
    joined: set[UUID] = field(default_factory=set)


@dataclass(slots=True)
class Changes:
    """Rows to write. `sites` are those whose devices are told, `credential_lines` where new credentials stand.

    `altered` says of each changed member, by external id, what is changed.
    """

    new_members: list[Member] = field(default_factory=list)
    changed_members: list[Member] = field(default_factory=list)
    same_members: int = 0
    joined: list[Membership] = field(default_factory=list)
    replanned: list[Membership] = field(default_factory=list)
    left: list[Membership] = field(default_factory=list)
    new_credentials: list[Credential] = field(default_factory=list)
    credential_lines: dict[UUID, int] = field(default_factory=dict)
    changed_credentials: list[Credential] = field(default_factory=list)
    same_credentials: int = 0
    relations: Relations | None = None
    sites: set[UUID] = field(default_factory=set)
    altered: dict[str, Altered] = field(default_factory=dict)


def work_out(wanted: list[Wanted], known: dict[str, Member], faults: list[Fault]) -> Changes:
    """Return what there is to write so that the members are as wanted; add what is wrong to `faults`.

    `known` are the members of these external ids, which are altered in place.
    """
    return _Reckoning(wanted, known, faults).changes


def write(changes: Changes) -> list[Fault]:
    """Write it all, and raise the version of every site concerned; return what is wrong with it together."""
    Member.objects.bulk_create(changes.new_members, batch_size=_AT_ONCE)
    Member.objects.bulk_update(
        changes.changed_members,
        [*_FIELDS, "host"],
        batch_size=_AT_ONCE,
    )
    Membership.objects.bulk_create(changes.joined, batch_size=_AT_ONCE)
    Membership.objects.bulk_update(changes.replanned, ["plan"], batch_size=_AT_ONCE)
    for membership in changes.left:
        membership.delete()
    assert changes.relations is not None, "work_out made them"
    changes.relations.write()
    Credential.objects.bulk_create(changes.new_credentials, batch_size=_AT_ONCE)
    Credential.objects.bulk_update(changes.changed_credentials, ["is_revoked"], batch_size=_AT_ONCE)
    versions.raise_for_sites(changes.sites, _members_of(changes))
    for at in range(0, len(changes.changed_members), _AT_ONCE):
        watching.changed([member.pk for member in changes.changed_members[at : at + _AT_ONCE]])
    refused = take_in(changes.new_credentials, changes.joined)
    return [Fault(changes.credential_lines[pk], "credential", "", str(why)) for pk, why in refused.items()]


def _members_of(changes: Changes) -> set[UUID]:
    """Return the members whose rows may have changed."""
    members = {member.pk for member in (*changes.new_members, *changes.changed_members)}
    moved = (*changes.joined, *changes.replanned, *changes.left)
    members |= {membership.member_id for membership in moved}
    if changes.relations is not None:
        members |= changes.relations.members_told()
    return members | {each.member_id for each in (*changes.new_credentials, *changes.changed_credentials)}


class _Reckoning:
    """Goes through the wanted members once; `changes` is what came of it."""

    def __init__(self, wanted: list[Wanted], known: dict[str, Member], faults: list[Fault]) -> None:
        self.changes = Changes()
        self._faults = faults
        self._known = known
        self._memberships = standing.memberships_of(member.pk for member in known.values())
        self._plans = standing.plans_by_site()
        kept = [membership for each in self._memberships.values() for membership in each.values()]
        self._relations = self.changes.relations = Relations(wanted, known, kept)
        prints = {
            id(credential): fingerprint(credential.kind, credential.canonical)
            for member in wanted
            for credential in member.credentials
        }
        self._held = standing.credentials_by_fingerprint(set(prints.values()))
        self._prints = prints
        self._entered: dict[str, int] = {}
        self._new: set[str] = set()
        for each in wanted:
            if each.external_id not in known:
                known[each.external_id] = new = Member(external_id=each.external_id)
                self._new.add(each.external_id)
                self._relations.add(new)
        for each in wanted:
            self._member(each)

    def _member(self, wanted: Wanted) -> None:
        member = self._known[wanted.external_id]
        is_new = wanted.external_id in self._new
        if is_new and "full_name" not in wanted.fields and "full_name" not in wanted.columns:
            self._fault(wanted.line, "full_name", "a new member needs a name; fill it in")
            return
        columns = self._set_fields(member, wanted)
        before = self._memberships.get(member.pk, {})
        after = set(before if wanted.sites is None else wanted.sites)
        is_replanned, memberships = self._join(member, wanted, before, after)
        columns += ["plan"] * is_replanned
        columns += ["relations"] * self._relate(member, wanted, memberships)
        altered = Altered(columns, left=set(before) - after, joined=after - set(before))
        has_changed = bool(columns or set(before) != after)
        changed_credentials = [self._credential(member, credential) for credential in wanted.credentials]
        if is_new:
            self.changes.new_members.append(member)
        elif has_changed:
            self.changes.changed_members.append(member)
            self.changes.altered[wanted.external_id] = altered
        else:
            self.changes.same_members += 1
        if is_new or has_changed or any(changed_credentials):
            self.changes.sites |= set(before) | after

    def _relate(self, member: Member, wanted: Wanted, memberships: list[Membership]) -> bool:
        """Link the member with what the file names; return whether that changed anything."""
        if any(wanted.at_sites.values()) and not memberships:
            self._fault(wanted.line, next(iter(wanted.at_sites)), "the member may enter no site; fill in sites too")
            return False

        def fault(column: str, detail: str) -> None:
            line, text = wanted.columns[column]
            self._faults.append(Fault(line, column, text, detail))

        has_changed = self._relations.at_sites(wanted, memberships, fault)
        has_changed |= self._relations.companions(member, wanted, fault)
        return self._relations.pack(member, wanted, fault) or has_changed

    def _set_fields(self, member: Member, wanted: Wanted) -> list[str]:
        """Set what the file names; return the columns that it changes."""
        changed = []
        for name, value in wanted.fields.items():
            if value is None and name not in _NULLABLE:
                continue  # the cell was at fault
            was = getattr(member, name)
            if (sorted(was) if isinstance(was, list) else was) != value:
                changed.append(name)
            setattr(member, name, value)
        try:
            member.clean()
        except ValidationError as refused:
            for column, details in refused.message_dict.items():
                line, text = wanted.columns.get(column, (wanted.line, ""))
                self._faults += [Fault(line, column, text, detail) for detail in details]
        return changed

    def _join(
        self, member: Member, wanted: Wanted, before: dict[UUID, Membership], after: set[UUID]
    ) -> tuple[bool, list[Membership]]:
        """Make the sites and their plans what is wanted; return whether a plan changed, and the memberships."""
        if wanted.plan and not after:
            self._fault(wanted.line, "plan", "the member may enter no site; fill in sites too")
        left = [membership for site, membership in before.items() if site not in after]
        joined = [
            Membership(member=member, site_id=site, plan=self._plan(wanted, site)) for site in after - set(before)
        ]
        kept = [membership for site, membership in before.items() if site in after]
        replanned = []
        for membership in kept if wanted.plan is not None else ():
            plan = self._plan(wanted, membership.site_id)
            if membership.plan_id != (None if plan is None else plan.pk):
                membership.plan = plan
                replanned.append(membership)
        self.changes.left += left
        self.changes.joined += joined
        self.changes.replanned += replanned
        return bool(replanned), [*kept, *joined]

    def _plan(self, wanted: Wanted, site: UUID) -> Plan | None:
        """Return the plan of this name at a site; a fault where there is none."""
        if not wanted.plan:
            return None
        known = self._plans.get(site, {})
        if wanted.plan not in known:
            line, _ = wanted.columns["plan"]
            listed = ", ".join(list(known)[:10]) or "none"
            detail = f"there is no plan {wanted.plan!a} at one of the member's sites; known there are {listed}"
            self._faults.append(Fault(line, "plan", wanted.plan, detail))
        return known.get(wanted.plan)

    def _credential(self, member: Member, wanted: WantedCredential) -> bool:
        """Take in a credential; return whether it is new or changed."""
        found = self._prints[id(wanted)]
        first = self._entered.setdefault(found, wanted.line)
        if first != wanted.line:
            self._fault(wanted.line, "credential", f"line {first} gives the same credential; leave one of them out")
            return False
        held = self._held.get(found)
        if held is None:
            new = fill(Credential(member=member, is_revoked=bool(wanted.is_revoked)), wanted.kind, wanted.canonical)
            self.changes.new_credentials.append(new)
            self.changes.credential_lines[new.pk] = wanted.line
            return True
        if held.member_id != member.pk:
            detail = f"{held.member.full_name} holds this credential already; delete it there first"
            self._fault(wanted.line, "credential", detail)
            return False
        if wanted.is_revoked is None or wanted.is_revoked == held.is_revoked:
            self.changes.same_credentials += 1
            return False
        held.is_revoked = wanted.is_revoked
        self.changes.changed_credentials.append(held)
        return True

    def _fault(self, line: int, column: str, detail: str) -> None:
        self._faults.append(Fault(line, column, "", detail))
