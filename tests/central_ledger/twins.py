"""Devices as they should be: each takes what it is offered, and checks every version against digest and signature."""

import msgspec

from central.devices.models import Device, Site
from central.devices.signing import sign
from central.directory.enrolling import enrol
from central.directory.models import Credential, Member
from central.editions import offering
from central.sync.exchange import Whole
from tests.central_ledger.conftest import make_member
from wire.directory import directory_digest, issue_of, key_in, read_row
from wire.transfer import BookEntry, DirDelta, DirectoryRef
from wire.vocabulary import CredentialKind

HF = CredentialKind.HF_UID


class Twin:
    """A device as it should be: what it was told and took, each time checked against digest and signature."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.ref: DirectoryRef | None = None
        self.rows: dict[bytes, bytes] = {}
        self.book: dict[str, bytes] = {}
        self.wholes = self.deltas = 0

    def sync(self, *, steps: int = 50) -> "Twin":
        """Take what is offered until that was the last."""
        for _ in range(steps):
            offered = offering.offer(self.device.pk, self.ref, 1_000, takes_deltas=True)
            assert offered.what is not None
            self.take(offered.what)
            if offered.is_last:
                return self
        raise AssertionError(f"not current after {steps} steps")

    def take(self, what: Whole | DirDelta) -> None:
        """Take one step."""
        if isinstance(what, Whole):
            self.wholes += 1
            issue, sig = what.issue, what.sig
            self.rows = {key_in(text): text for text in what.rows}
            assert len(self.rows) == len(what.rows)
            self.book = {entry.key: bytes(entry.item) for entry in what.book}
        else:
            self.deltas += 1
            assert self.ref is not None
            assert (what.epoch, what.first) == (self.ref.epoch, self.ref.ver)
            issue, sig = issue_of(what, str(self.device.pk)), what.sig
            for gone in what.gone:
                del self.rows[bytes.fromhex(gone)]
            for key in what.book_gone:
                del self.book[key]
            self.rows |= {key_in(text): text for text in map(bytes, what.put)}
            self.book |= {entry.key: bytes(entry.item) for entry in what.book_put}
        assert issue.device == str(self.device.pk)
        assert sig == sign(issue)
        entries = [BookEntry(key=key, item=msgspec.Raw(item)) for key, item in self.book.items()]
        assert issue.digest == directory_digest(map(read_row, self.rows.values()), entries)
        self.ref = issue.ref


def told(twin: Twin) -> set[tuple[str, bool, bool]]:
    """Return what the device knows: member, active, revoked."""
    rows = [read_row(text) for text in twin.rows.values()]
    return {(row.member, row.is_active, row.is_revoked) for row in rows}


def truth(site: Site) -> set[tuple[str, bool, bool]]:
    held = Credential.objects.filter(member__memberships__site=site)
    return {(str(each.member_id), each.member.is_active, each.is_revoked) for each in held}


def card(number: int) -> bytes:
    return b"\x04" + number.to_bytes(6)


def populated(site: Site, count: int) -> list[Member]:
    members = [make_member(site, f"Member {number}") for number in range(count)]
    for number, member in enumerate(members):
        enrol(member, HF, card(number))
    return members
