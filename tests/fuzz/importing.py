"""Members and credentials that come as files, up to what they ask for, and as bodies of requests; no database."""

from collections.abc import Iterator
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from central.api import serving
from central.api.problems import ProblemError
from central.api.resources import RESOURCES
from central.directory.importing.sheet import Fault, SheetError, read_sheet
from central.directory.importing.wanted import COLUMNS, REQUIRED, KnownSite, read_wanted
from tests.fuzz.target import Target, holds
from wire.credentials import check_canonical

_MAX_FAULT_CHARS = 1000
_SITES = {
    "Gym": KnownSite(UUID(int=1), ZoneInfo("Europe/Berlin")),
    "Pool": KnownSite(UUID(int=2), ZoneInfo("America/New_York")),
}


def _import(data: bytes) -> None:
    try:
        lines, faults = read_sheet(data, COLUMNS, REQUIRED)
    except SheetError as refusal:
        _is_short(refusal.fault)
        return
    wanted, found = read_wanted(lines, _SITES, {"17": ZoneInfo("Asia/Tokyo")})
    for fault in [*faults, *found]:
        _is_short(fault)
        holds(fault.line > 1, "a fault has its line")
    holds(len({member.external_id for member in wanted if member.external_id}) <= len(lines), "members are named")
    for member in wanted:
        holds(set(member.fields) <= set(COLUMNS), "only known columns are taken over")
        for at in (member.fields.get("valid_from"), member.fields.get("valid_to")):
            holds(at is None or at.utcoffset() is not None, "a moment has its offset")
        for credential in member.credentials:
            check_canonical(credential.kind, credential.canonical)


def _is_short(fault: Fault) -> None:
    holds(len(str(fault)) <= _MAX_FAULT_CHARS, "a fault is short")
    holds(str(fault).isprintable(), "a fault is printed on one line")


def _seeds() -> Iterator[bytes]:
    header = (
        "external_id,full_name,is_active,valid_from,valid_to,sites,credential_kind,credential_form,credential,"
        "credential_revoked"
    )
    yield ",".join(COLUMNS).encode()
    yield (
        b"external_id,is_minor,guardians,host,clearance,rights,groups,schedules,zones,pack_visits,pack_used\n"
        b"17,yes,18|19,-,2,override|maintenance,juniors,-,pool|gym,10,3\n18,maybe,,18,-1,walk,,,,x,9999999\n"
    )
    yield (
        f"{header}\n17,Ann,yes,2026-01-01,2026-12-31,Gym|Pool,hf_uid,,04 A1 5B C2 D3 E4 E6,no\n"
        "17,,,,,,lf_em4100,decimal,0004328719365,\n18,Bob,no,-,2027-06-30T12:00+05:00,-,lf_hid,,118-01603,yes\n"
    ).encode()
    yield "\ufeffexternal_id;full_name;credential_kind;credential\r\n17;Jörg;qr_static;Gym pass 7\r\n".encode()
    yield b'external_id\tfull_name\n"1""7"\t"Ann\nSecond"\n'
    yield b"external_id,full_name\n17,J\xf6rg\n"
    yield b"external_id,valid_to\n1,9999-12-31\n2,0001-01-01T00:00:00-23:59\n3,2026-W01-1\n"


_BODIES = tuple(
    operation.takes for resource in RESOURCES for operation in resource.operations if operation.takes is not None
)


def _body(data: bytes) -> None:
    """The first byte chooses the operation."""
    takes = _BODIES[data[0] % len(_BODIES)] if data else _BODIES[0]
    try:
        body = serving._decoded(data[1:], takes)
    except ProblemError as refusal:
        holds(refusal.problem.status in (400, 422), "a bad body is the caller's fault")
        holds(len(refusal.problem.detail) <= _MAX_FAULT_CHARS, "a refusal is short")
        holds(all(len(error.field) <= _MAX_FAULT_CHARS for error in refusal.problem.errors), "a field's name is short")
        return
    holds(isinstance(body, takes), "what is accepted is what the operation takes")


def _bodies() -> Iterator[bytes]:
    nobody = str(UUID(int=0))
    for at, body in enumerate((
        {"full_name": "Ann", "valid_to": "2027-01-01T00:00:00Z", "memberships": [{"site": nobody, "plan": "basic"}]},
        {"is_active": False, "rights": ["override"], "guardians": [nobody], "host": None, "grace_days": 5},
        {"member": nobody, "kind": "hf_uid", "value": "04A15BC2D3E4E6", "form": "hex"},
        {"is_revoked": True},
        {"kind": "lf_hid", "value": "118-01603"},
    )):  # fmt: skip
        yield bytes([at]) + msgspec.json.encode(body)


TARGETS = (
    Target("api_body", "bodies of the API's requests", _body, _bodies),
    Target("import", "files of members and credentials", _import, _seeds),
)
