"""Doors to measure at: a state folder with so many members and so many waiting events, written by the store itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.identity import Identity, save_identity
from agent.store.directory import Directory
from agent.store.journal import Draft, Journal, JournalLimits
from provisioning.keys import private_pem
from wire.credentials import credential_key
from wire.directory import Issue, directory_digest, raw_row
from wire.events import DecisionBody, Receipt, Stamp
from wire.rows import DirectoryRow
from wire.transfer import DirBegin, DirChunk, DirEnd
from wire.vocabulary import ClockQuality, CredentialKind, Direction, EventKind, Outcome, Reason

DEVICE: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
CREDENTIAL_KEY: Final = bytes(range(32))
NOBODY_LISTENS: Final = "http://127.0.0.1:9"
"""A central that is down: port 9, discard, of this machine."""
_CHUNK: Final = 500
_APPEND: Final = 1000
_DAY_MS: Final = 1_750_000_000_000


def uid(number: int) -> bytes:
    """Return the card of a member, 7 bytes."""
    return b"\x04" + number.to_bytes(6, "big")


def member(number: int) -> str:
    """Return the id of a member, the shape of a UUIDv7."""
    return f"01890a5d-ac96-7000-8000-{number:012x}"


def give_identity(folder: Path, *, central: str = NOBODY_LISTENS) -> None:
    """Write an identity that no central knows."""
    identity = Identity(
        device=DEVICE,
        central=central,
        audience=central,
        kid="bench",
        private_key=private_pem(Ed25519PrivateKey.generate()),
        credential_key=CREDENTIAL_KEY.hex(),
        name="North door",
        site="Bench",
        time_zone="UTC",
    )
    folder.mkdir(exist_ok=True)
    save_identity(folder, identity)


async def fill_directory(folder: Path, members: int) -> None:
    """Make the directory of a state folder hold so many members, one card each, all active."""
    rows = [
        DirectoryRow(
            key=credential_key(CREDENTIAL_KEY, CredentialKind.HF_UID, uid(number)),
            kind=CredentialKind.HF_UID,
            member=member(number),
        )
        for number in range(members)
    ]
    rows.sort(key=lambda row: row.key)
    chunks = [rows[at : at + _CHUNK] for at in range(0, members, _CHUNK)]
    directory = Directory.open(folder)
    try:
        issue = Issue(device=DEVICE, epoch="bench", ver=1, digest=directory_digest(rows), issued_ms=_DAY_MS)
        begin = DirBegin(snap="s", epoch="bench", ver=1, rows=members, chunks=len(chunks), digest=issue.digest)
        await directory.stage_begin(begin, issue)
        for number, chunk in enumerate(chunks):
            await directory.stage_chunk(DirChunk(snap="s", i=number, rows=[raw_row(row) for row in chunk]))
        await directory.stage_end(DirEnd(snap="s"))
    finally:
        await directory.close()


async def fill_journal(folder: Path, events: int, *, max_bytes: int) -> None:
    """Make the journal of a state folder hold so many check-ins that no central has acknowledged."""
    limits = JournalLimits(max_bytes=max_bytes, group_events=_APPEND)
    journal = Journal.open(folder, device=DEVICE, limits=limits)
    try:
        drafts = _drafts(events)
        while group := [draft for draft, _ in zip(drafts, range(_APPEND), strict=False)]:
            await journal.append_many(group)
    finally:
        await journal.close()


def decision(number: int) -> DecisionBody:
    """Return a grant as a door records it."""
    return DecisionBody(
        door="North door",
        reader="in",
        direction=Direction.IN,
        kind=CredentialKind.HF_UID,
        credential=f"{number:032x}",
        outcome=Outcome.GRANT,
        reason=Reason.MEMBER_VALID,
        receipt=Receipt(dir_epoch="bench", dir_ver=1, rules=1, input=f"{number:032x}"),
        member=member(number),
    )


def _drafts(events: int) -> Iterator[Draft]:
    for number in range(events):
        at = Stamp("b" * 32, number, _DAY_MS + number, ClockQuality.SYNCED, 5)
        yield Draft(EventKind.DECISION, at, decision(number))
