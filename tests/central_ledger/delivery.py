"""Sending a scripted journal to the ledger, and looking at what became of it."""

from uuid import UUID

from central.checkins import ingest, runs
from central.checkins.ingest import Ingested
from central.checkins.models import Visit
from central.directory.models import Member
from tests.fakes.journal_script import JournalScript, hello

MINUTE_MS = 60_000
HOUR_MS = 3_600_000


def greet(journal: JournalScript, session: int = 1) -> None:
    runs.register(journal.device, session, hello(journal.device, [journal.state()]))


def send(journal: JournalScript, first: int = 1, last: int | None = None, session: int = 1) -> Ingested:
    return ingest.ingest_events(journal.device, session, journal.run, first, journal.raws(first, last))


def send_raws(journal: JournalScript, raws: list[bytes], first: int = 1) -> Ingested:
    return ingest.ingest_events(journal.device, 1, journal.run, first, raws)


def visits_of(member: Member) -> list[tuple[UUID, int, int | None, str]]:
    found = Visit.objects.filter(member=member).order_by("at_ms", "closed_ms")
    return [(visit.uid, visit.opened_ms, visit.closed_ms, visit.ended_by) for visit in found]
