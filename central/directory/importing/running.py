"""An import from its bytes to its report: all is checked first, then applied in one transaction, or nothing is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction

from central.devices.models import Site
from central.devices.zones import zone_of
from central.directory.importing import changes, standing
from central.directory.importing.sheet import Fault, Line, SheetError, read_sheet
from central.directory.importing.wanted import COLUMNS, REQUIRED, Wanted, read_wanted
from central.directory.models import Member


@dataclass(frozen=True, slots=True)
class Report:
    """What an import did, or would do: counts of members and credentials, and the faults in order of their lines.

    Where there is a fault nothing was applied. `digest` is the file's SHA-256, hex.
    """

    digest: str
    is_applied: bool
    lines: int = 0
    new_members: int = 0
    changed_members: int = 0
    same_members: int = 0
    new_credentials: int = 0
    changed_credentials: int = 0
    same_credentials: int = 0
    faults: list[Fault] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    """A line for each changed member: what is changed, with the sites that are left and joined."""

    @property
    def counts(self) -> str:
        """The counts, for people."""
        return "; ".join(self.count_lines)

    @property
    def count_lines(self) -> tuple[str, str, str]:
        """The counts, a line each for the file, the members and the credentials."""
        return (
            "1 line" if self.lines == 1 else f"{self.lines} lines",
            f"members {self.new_members} new, {self.changed_members} changed, {self.same_members} as they were",
            f"credentials {self.new_credentials} new, {self.changed_credentials} changed, "
            f"{self.same_credentials} as they were",
        )


def import_members(data: bytes, *, is_dry_run: bool) -> Report:
    """Apply a file; a dry run does the same, the database's own checks included, and takes it back."""
    digest = sha256(data).hexdigest()
    try:
        lines, faults = read_sheet(data, COLUMNS, REQUIRED)
    except SheetError as refused:
        return Report(digest, is_applied=False, faults=[refused.fault])
    try:
        with transaction.atomic():
            found = _work_out(lines, faults)
            if not faults:
                faults += changes.write(found)
            if faults or is_dry_run:
                transaction.set_rollback(True)
    except IntegrityError:
        detail = "somebody else changed the same members or credentials meanwhile; run the import again"
        return Report(digest, is_applied=False, lines=len(lines), faults=[Fault(0, "", "", detail)])
    return Report(
        digest,
        is_applied=not faults and not is_dry_run,
        lines=len(lines),
        new_members=len(found.new_members),
        changed_members=len(found.changed_members),
        same_members=found.same_members,
        new_credentials=len(found.new_credentials),
        changed_credentials=len(found.changed_credentials),
        same_credentials=found.same_credentials,
        faults=sorted(faults, key=lambda fault: fault.line),
        altered=[] if faults else _altered(found),
    )


def _altered(found: changes.Changes) -> list[str]:
    names = {site.pk: site.name for site in Site.objects.all()} if found.altered else {}
    return [f"{external_id}: {_words(one, names)}" for external_id, one in sorted(found.altered.items())]


def _words(altered: changes.Altered, names: Mapping[UUID, str]) -> str:
    """Say what is changed, such as `sites -Harbour Gym +River Gym; valid_to`."""
    moved = [f"-{name}" for name in sorted(names[pk] for pk in altered.left)]
    moved += [f"+{name}" for name in sorted(names[pk] for pk in altered.joined)]
    return "; ".join(filter(None, ("sites " * bool(moved) + " ".join(moved), ", ".join(altered.columns))))


def _work_out(lines: list[Line], faults: list[Fault]) -> changes.Changes:
    named = {line.cells["external_id"] for line in lines if "external_id" in line.cells}
    known = standing.members_by_external_id(named)
    wanted, found = read_wanted(lines, standing.sites_by_name(), _zones(known))
    faults += found
    return changes.work_out([member for member in wanted if _is_named(member)], known, faults)


def _is_named(member: Wanted) -> bool:
    """Whether its id could be read; where not, that is a fault already."""
    return bool(member.external_id)


def _zones(known: dict[str, Member]) -> dict[str, ZoneInfo]:
    """Return the time zone of each known member's first site."""
    zones = {site.pk: zone_of(site.time_zone) for site in Site.objects.all()}
    held = standing.memberships_of(member.pk for member in known.values())
    return {key: zones[next(iter(held[member.pk]))] for key, member in known.items() if member.pk in held}
