"""Central's ledger under hostile batches: the first byte of each line says what it is."""

from collections.abc import Iterator
from uuid import UUID

from central.checkins import ingest, runs
from central.checkins.admission import claimed_digest
from central.checkins.ingest import GapError
from central.checkins.models import DeadLetter, Event, Run, Visit
from central.devices.models import CREDENTIAL_KEY, Device, Door, Site
from central.devices.sealing import seal
from tests.fakes.journal_script import JournalScript, hello
from tests.fuzz.target import Cursor, Target, holds
from wire import chain
from wire.errors import RemoteProtocolError
from wire.events import AlarmBody, Stamp, number, stub, write_tail
from wire.messages import Anchor, Tomb
from wire.vocabulary import ClockQuality, EventKind, ShedReason, TombReason

_MAX_LINES = 40


class Ledger:
    """One run of a device, told about by lines; checks after each that central holds a prefix."""

    def __init__(self, device: UUID, run: str) -> None:
        self.device = device
        self.journal = JournalScript(device, run=run, store=run)
        runs.register(device, 1, hello(device, [self.journal.state()], store=run))
        self.head = self.journal.heads[0]
        self.upto = 0

    def events(self, first: int, raws: list[bytes]) -> None:
        """Send a batch, and compare what central says with a chain of our own."""
        try:
            done = ingest.ingest_events(self.device, 1, self.journal.run, first, raws)
        except GapError as gap:
            holds(gap.expect == self.upto + 1, "a gap names what comes next")
            return
        for n, raw in enumerate(raws, first):
            if n == self.upto + 1:
                self.head = chain.link(self.head, claimed_digest(raw))
                self.upto = n
        holds((done.upto, done.head) == (self.upto, self.head), "central acknowledges what the chain says")

    def tomb(self, cursor: Cursor) -> None:
        first, to = cursor.number(2), cursor.number(2)
        head = cursor.rest().decode("latin-1")
        tomb = Tomb(run=self.journal.run, first=max(1, first), to=to, why=TombReason.PRUNED, count=0, head=head or None)
        try:
            done = ingest.ingest_tomb(self.device, 1, tomb)
        except (GapError, RemoteProtocolError):
            return
        holds(done.upto == max(self.upto, to), "a declared loss reaches to its end")
        self.upto, self.head = done.upto, done.head

    def anchor(self, cursor: Cursor) -> None:
        figures = (cursor.number(8) & (1 << 53) - 1, cursor.number(8) & (1 << 53) - 1, cursor.number(4))
        boot = cursor.rest().decode("latin-1").replace("\0", "")
        try:
            anchor = Anchor(boot=boot, mono_ms=figures[0], wall_ms=figures[1], err_ms=figures[2])
            ingest.ingest_anchor(self.device, 1, anchor)
        except RemoteProtocolError:
            return

    def check(self) -> None:
        """Everything up to the cursor is accounted for once, and a good event still goes through."""
        run = Run.objects.get(device_id=self.device, run=self.journal.run)
        holds((run.upto, run.head) == (self.upto, self.head.hex()), "the cursor is what was acknowledged")
        held = list(Event.objects.filter(run=run).values_list("n", flat=True))
        held += DeadLetter.objects.filter(run=run).values_list("n", flat=True)
        holds(len(held) == len(set(held)), "a number is applied or rejected, never both")
        holds(not held or max(held) <= self.upto, "nothing is held beyond the cursor")
        before = self.upto
        text = _good(before + 1)
        self.events(before + 1, [chain.splice(text, chain.digest(text))])
        holds(self.upto == before + 1, "no bad event blocks those behind it")
        holds(Visit.objects.filter(device_id=self.device, run=run.run).count() <= before, "no more visits than events")


def _good(n: int) -> bytes:
    return number(n, write_tail(EventKind.ALARM, Stamp("b", 1, 1, ClockQuality.SYNCED), AlarmBody(code="x")))


_count = iter(range(1, 1 << 62))


def make_device() -> UUID:
    """Make a site, a door and a device whose session 1 is current."""
    door = Door.objects.create(site=Site.objects.create(name="Gym", time_zone="Europe/Berlin"), name="North")
    key = seal(bytes(32), CREDENTIAL_KEY)
    return Device.objects.create(door=door, name="North", session=1, sealed_credential_key=key).pk


def _ingest(data: bytes) -> None:
    known = Device.objects.values_list("pk", flat=True).first()
    ledger = Ledger(known or make_device(), f"{next(_count):016x}")
    for line in data.split(b"\n")[:_MAX_LINES]:
        cursor = Cursor(line)
        match cursor.number():
            case 0x54:  # T
                ledger.tomb(cursor)
            case 0x41:  # A
                ledger.anchor(cursor)
            case back:
                raws = [raw for raw in cursor.rest().split(b"\r")[:20] if raw]
                ledger.events(max(1, ledger.upto + 1 - back % 4), raws)
    ledger.check()


def _batches() -> Iterator[bytes]:
    journal = JournalScript(UUID(int=1))
    member = UUID(int=7)
    journal.visit(member)
    journal.visit(member, 60_000)
    raws = journal.raws()
    yield b"\x00" + b"\r".join(raws)
    yield b"\x00" + b"\r".join(raws[:2]) + b"\n\x02" + b"\r".join(raws[1:])
    yield b"\x00" + raws[0] + b"\n\x01" + raws[0].replace(b"grant", b"gr4nt")
    yield b"\x00" + b'{"n":1}' + b"\n\x00nonsense\rmore\n\x00" + chain.splice(stub(3, ShedReason.QUOTA), bytes(32))
    yield b"T\x00\x01\x00\x09" + b"ab" * 32 + b"\n\x00" + raws[0] + b"\nT\x00\x01\x00\x02"
    yield b"A" + bytes(7) + b"\x01" + bytes(7) + b"\x02" + bytes(4) + journal.boot.encode() + b"\n\x00" + raws[0]


TARGETS = (
    Target(
        "ledger",
        "batches, losses and anchors at central's database",
        _ingest,
        _batches,
        uses_database=True,
    ),
)
