"""What the lines of an import ask for, member by member. Pure: the sites and known members are told.

Several lines with one `external_id` are one member with several credentials; what they say of the member may stand on
any of them, but not twice differently.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from central.directory.importing import cells
from central.directory.importing.cells import CellError
from central.directory.importing.sheet import Fault, Line, shortened
from wire.vocabulary import CredentialKind

MEMBER_COLUMNS: Final = (
    "external_id", "full_name", "is_active", "valid_from", "valid_to", "is_blocked", "holder", "paid_to", "grace_days",
    "is_minor", "guardians", "host", "clearance", "rights",
    "sites", "plan", "groups", "schedules", "zones", "pack_visits", "pack_used",
)  # fmt: skip
AT_SITES: Final = ("groups", "schedules", "zones")
"""Columns that list what a site has."""
CREDENTIAL_COLUMNS: Final = ("credential_kind", "credential_form", "credential", "credential_revoked")
COLUMNS: Final = (*MEMBER_COLUMNS, *CREDENTIAL_COLUMNS)
REQUIRED: Final = ("external_id",)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KnownSite:
    """A site that a cell may name; `zone` is None where nobody knows what the clock shows there."""

    pk: UUID
    zone: ZoneInfo | None


@dataclass(frozen=True, slots=True)
class WantedCredential:
    """A credential that a line gives to a member; `is_revoked` is None where the line leaves it as it is."""

    line: int
    kind: CredentialKind
    canonical: bytes = field(repr=False)
    is_revoked: bool | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the file says of a member: `fields` of the row, `sites` and `plan` there (None: as they are), credentials.

    `at_sites` has the names under each column of AT_SITES that is filled in; `guardians` and `host` are external ids.
    `columns` has the line and the text from which each field came, for faults that are found later.
    """

    line: int
    external_id: str
    fields: dict[str, Any]
    sites: tuple[UUID, ...] | None
    plan: str | None
    credentials: tuple[WantedCredential, ...]
    columns: dict[str, tuple[int, str]]
    at_sites: dict[str, tuple[str, ...]] = field(default_factory=dict)
    guardians: tuple[str, ...] | None = None
    host: str | None = None
    pack_visits: int | None = None
    pack_used: int | None = None


class _Member:
    """The lines of one member: each cell with the line it stands on, and what is wrong with them."""

    def __init__(self, first: Line, faults: list[Fault]) -> None:
        self.line = first.number
        self.cells: dict[str, tuple[int, str]] = {}
        self.lines: list[Line] = []
        self._faults = faults

    def add(self, line: Line) -> None:
        """Take in one more line; a fault where it contradicts an earlier one."""
        self.lines.append(line)
        for column in MEMBER_COLUMNS:
            text = line.cells.get(column)
            if text is None:
                continue
            number, said = self.cells.setdefault(column, (line.number, text))
            if said != text:
                other = f"line {number} says {shortened(said)!a} of the same member"
                detail = f"{other}; write one of them, or leave this cell empty"
                self._faults.append(Fault(line.number, column, text, detail))

    def read(self, column: str, read: Callable[[str], T], default: T) -> T:
        """Return what a cell of the member means, else the default; a fault where it means nothing."""
        if column not in self.cells:
            return default
        number, text = self.cells[column]
        return _read(number, column, text, read, default, self._faults)


def read_wanted(
    lines: Iterable[Line], sites: Mapping[str, KnownSite], zones: Mapping[str, ZoneInfo]
) -> tuple[list[Wanted], list[Fault]]:
    """Return the members that the lines ask for, in their order, and what is wrong with the lines.

    `zones` has the time zone of each known member by external id: that of a date without a time, where the line names
    no site.
    """
    faults: list[Fault] = []
    members: dict[str, _Member] = {}
    for line in lines:
        external_id = line.cells.get("external_id")
        if external_id is None:
            detail = "every line needs the operator's own id of the member; fill it in"
            faults.append(Fault(line.number, "external_id", "", detail))
            continue
        members.setdefault(external_id, _Member(line, faults)).add(line)
    return [_wanted(member, sites, zones, faults) for member in members.values()], faults


def _wanted(
    member: _Member, sites: Mapping[str, KnownSite], zones: Mapping[str, ZoneInfo], faults: list[Fault]
) -> Wanted:
    external_id = member.read("external_id", cells.external_id, "")
    entered = member.read("sites", lambda text: _sites(text, sites), None)
    zone = (entered[0].zone if entered else zones.get(external_id)) or ZoneInfo("UTC")
    readers: dict[str, Callable[[str], Any]] = {
        "full_name": cells.full_name,
        "is_active": cells.yes_or_no,
        "valid_from": lambda text: cells.moment(text, zone, ends=False),
        "valid_to": lambda text: cells.moment(text, zone, ends=True),
        "is_blocked": cells.yes_or_no,
        "holder": cells.holder,
        "paid_to": lambda text: cells.moment(text, zone, ends=True),
        "grace_days": cells.days,
        "is_minor": cells.yes_or_no,
        "clearance": cells.number(cells.MAX_LEVEL),
        "rights": cells.rights,
    }
    return Wanted(
        line=member.line,
        external_id=external_id,
        fields={column: member.read(column, read, None) for column, read in readers.items() if column in member.cells},
        sites=None if entered is None else tuple(site.pk for site in entered),
        plan=member.read("plan", cells.plan, None),
        credentials=tuple(found for line in member.lines if (found := _credential(line, faults)) is not None),
        columns=member.cells,
        at_sites={name: member.read(name, cells.names, ()) for name in AT_SITES if name in member.cells},
        guardians=member.read("guardians", cells.names, None),
        host=member.read("host", cells.person, None),
        pack_visits=member.read("pack_visits", cells.number(cells.MAX_VISITS), None),
        pack_used=member.read("pack_used", cells.number(cells.MAX_VISITS), None),
    )


def _sites(text: str, known: Mapping[str, KnownSite]) -> tuple[KnownSite, ...] | None:
    entered = cells.names(text)
    for name in entered:
        if name not in known:
            listed = ", ".join(sorted(known)[:10]) or "none yet; make it first"
            raise CellError(f"there is no site {shortened(name)!a}; known are {listed}")
        if known[name].zone is None:
            raise CellError(f"the time zone of site {shortened(name)!a} is not known; correct it on the site's page")
    return tuple(known[name] for name in entered)


def _credential(line: Line, faults: list[Fault]) -> WantedCredential | None:
    entered = {column: line.cells[column] for column in CREDENTIAL_COLUMNS if column in line.cells}
    if not entered:
        return None
    for column in ("credential_kind", "credential"):
        if column not in entered:
            faults.append(Fault(line.number, column, "", "a credential needs its kind and its value; fill it in"))
            return None
    kind = _read(line.number, "credential_kind", entered["credential_kind"], cells.credential_kind, None, faults)
    is_revoked = _read(
        line.number, "credential_revoked", entered.get("credential_revoked"), cells.yes_or_no, None, faults
    )
    if kind is None:
        return None
    form = entered.get("credential_form", "")
    try:
        canonical = cells.credential(kind, form, entered["credential"])
    except CellError as fault:
        faults.append(Fault(line.number, "credential", "", str(fault)))  # which names the value
        return None
    return WantedCredential(line.number, kind, canonical, is_revoked)


def _read(number: int, column: str, text: str | None, read: Callable[[str], T], default: T, faults: list[Fault]) -> T:
    if text is None:
        return default
    try:
        return read(text)
    except CellError as fault:
        faults.append(Fault(number, column, text, str(fault)))
        return default
