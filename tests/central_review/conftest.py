"""A door that decides by the rules from the directory it was given, and a central that goes through what it decided."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from central.devices.models import Device, Site
from central.editions import offering
from central.review.past import Past
from rules.facts import Credential, Facts, Now, Read
from rules.policy import decide
from tests.central_ledger.conftest import make_device
from tests.central_ledger.delivery import greet, send
from tests.fakes.journal_script import START_MS, JournalScript
from wire.credentials import credential_key
from wire.events import DecisionBody
from wire.transfer import DirectoryRef
from wire.vocabulary import ClockQuality, CredentialKind, Direction, EventKind


@dataclass
class ScriptedDoor:
    """A device that has the newest directory, as of `update`, and journals what it decides from it."""

    device: Device
    journal: JournalScript = field(init=False)
    ref: DirectoryRef | None = None
    sent: int = 0

    def __post_init__(self) -> None:
        self.journal = JournalScript(self.device.pk)

    def update(self) -> None:
        """Take the newest directory over."""
        offering.offer(self.device.pk, self.ref, START_MS, takes_deltas=True)
        self.ref = offering.newest(self.device.pk)
        assert self.ref.digest

    def index(self, uid: bytes) -> str:
        """Return under what the device knows a card."""
        return credential_key(self.device.credential_key, CredentialKind.HF_UID, uid)

    def tap(self, uid: bytes, **changes: Any) -> int:
        """Decide on a card by the rules, alter what is recorded of it by `changes`, and journal that."""
        return self.record(self.decided(uid), **changes)

    def decided(self, uid: bytes, **facts: Any) -> DecisionBody:
        """Return what the rules make of a card, from the directory as it is at this device."""
        at_ms = self.journal.last * 1000
        edition = None if self.ref is None else Past(self.device.pk).edition(self.ref.epoch, self.ref.ver)
        read = Read("reader-1", Direction.IN, Credential(CredentialKind.HF_UID, self.index(uid)), at_ms)
        seen = Facts(
            read,
            Now(at_ms, START_MS + at_ms, ClockQuality.SYNCED),
            self.ref,
            None if edition is None else edition.find(read.credential.key, None),
            None if edition is None else edition.book,
            **facts,
        )
        made = decide(seen)
        return DecisionBody(
            door="North door", reader=read.reader, direction=read.direction, kind=read.credential.kind,
            credential=read.credential.key, outcome=made.outcome, reason=made.reason, receipt=made.receipt,
            member=made.member, holder=made.holder, notices=list(made.notices),
        )  # fmt: skip

    def record(self, body: DecisionBody, **changes: Any) -> int:
        """Journal a decision."""
        changed = msgspec.structs.replace(body, **changes)
        return self.journal.record(EventKind.DECISION, changed, self.journal.last * 1000)

    def deliver(self) -> None:
        """Send what was journalled since the last time."""
        if self.sent == 0:
            greet(self.journal)
        send(self.journal, self.sent + 1)
        self.sent = self.journal.last


@pytest.fixture
def site(db: None) -> Site:
    return Site.objects.create(name="Harbour gym", time_zone="Europe/Berlin")


@pytest.fixture
def door(site: Site) -> ScriptedDoor:
    return ScriptedDoor(make_device(site, "North door"))
