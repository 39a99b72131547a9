"""A gym with a sauna inside, two doors from the street, and members who come and go."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
import pytest

from central.devices.models import Device, Site
from central.directory.models import DoorRules, Member, Zone
from central.presence import sharing
from central.presence.following import follow
from central.presence.models import Whereabouts
from tests.central_ledger.conftest import make_device, make_member
from tests.central_ledger.delivery import greet, send
from tests.fakes.journal_script import START_MS, JournalScript, decision
from wire.presence import PresDelta, PresenceRef
from wire.vocabulary import Direction, EventKind, PassageOutcome

MINUTE = 60_000
HOUR = 60 * MINUTE


@dataclass
class Doorway:
    """A device and what it journals; `tell` brings it to central."""

    device: Device
    journal: JournalScript = field(init=False)
    sent: int = 0

    def __post_init__(self) -> None:
        self.journal = JournalScript(self.device.pk, run=f"{self.device.pk.int & 0xFFFFFFFFFFFFFFFF:016x}")

    def passes(
        self,
        member: Member,
        at_ms: int = 0,
        way: Direction = Direction.IN,
        end: PassageOutcome | None = PassageOutcome.PASSED,
        scope: str = "device",
        **said: Any,
    ) -> int:
        """Journal a grant and how it ended; `scope` says whether the door knew of the rest of the site."""
        body = decision(member.pk, way)
        body = msgspec.structs.replace(body, receipt=msgspec.structs.replace(body.receipt, scope=scope), **said)
        n = self.journal.record(EventKind.DECISION, body, at_ms)
        if end is not None:
            self.journal.passage(n, at_ms, end)
        return n

    def tell(self, now_ms: int = 0) -> None:
        """Bring what is new to central, and let the presence follow."""
        if not self.sent:
            greet(self.journal)
        send(self.journal, self.sent + 1)
        self.sent = self.journal.last
        while follow(self.device.door.site_id, START_MS + now_ms):
            pass

    def hears(self, held: PresenceRef | None = None, now_ms: int = 0) -> PresDelta | None:
        """Return what the device is told that has `held`."""
        return sharing.delta(self.device.pk, held, START_MS + now_ms)


def where(member: Member, site: Site) -> tuple[str, int, bool]:
    """Return (zone, since, certain) of a member."""
    row = Whereabouts.objects.get(site=site, member=member)
    return row.zone, row.since_ms - START_MS if row.zone else 0, row.is_certain


def put_of(told: PresDelta | None, member: UUID) -> Any:
    """Return what is told of a member, None where nothing is."""
    return None if told is None else next((put for put in told.put if put.member == str(member)), None)


@pytest.fixture
def site(db: None) -> Site:
    return Site.objects.create(name="Harbour gym", time_zone="Europe/Berlin", longest_stay_h=6)


@pytest.fixture
def ann(site: Site) -> Member:
    return make_member(site, "Ann Example")


@pytest.fixture
def ben(site: Site) -> Member:
    return make_member(site, "Ben Example")


@pytest.fixture
def gym(site: Site) -> Zone:
    return Zone.objects.create(site=site, name="gym")


def doorway(site: Site, name: str, zone: Zone, leaves: Zone | None = None) -> Doorway:
    device = make_device(site, name)
    DoorRules.objects.create(door=device.door, zone=zone, leaves=leaves)
    return Doorway(device)


@pytest.fixture
def north(site: Site, gym: Zone) -> Doorway:
    return doorway(site, "North door", gym)


@pytest.fixture
def south(site: Site, gym: Zone) -> Doorway:
    return doorway(site, "South door", gym)


@pytest.fixture
def sauna(site: Site, gym: Zone) -> Doorway:
    return doorway(site, "Sauna", Zone.objects.create(site=site, name="sauna"), gym)
