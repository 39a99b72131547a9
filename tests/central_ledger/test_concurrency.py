"""Devices that send at the same time give the same as devices that send one after the other."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections

from central.checkins import ingest, runs
from central.checkins.models import Event, Movement, Run, Visit
from central.devices.models import Site
from central.directory.models import Member
from tests.central_ledger.conftest import make_device, make_member
from tests.fakes.journal_script import JournalScript, hello
from wire.vocabulary import Direction

pytestmark = [pytest.mark.unit, pytest.mark.django_db(transaction=True)]

DOORS = 3
TAPS = 24
MINUTE_MS = 60_000


def journals(site: Site, member: Member) -> list[JournalScript]:
    """Return what the doors of a site hold of one member, who taps at each of them in turn."""
    made = [JournalScript(make_device(site, f"Door {door}").pk, f"{door:016x}") for door in range(DOORS)]
    for tap in range(TAPS):
        made[tap % DOORS].visit(member.pk, tap * 5 * MINUTE_MS, Direction.TOGGLE)
    return made


def deliver(journal: JournalScript) -> None:
    """Send a journal in small batches, on a database connection of its own."""
    try:
        runs.register(journal.device, 1, hello(journal.device, [journal.state()]))
        for first in range(1, journal.last + 1, 4):
            ingest.ingest_events(journal.device, 1, journal.run, first, journal.raws(first, first + 3))
    finally:
        connections.close_all()


def found() -> list[Any]:
    columns = [field.attname for field in Visit._meta.concrete_fields if not field.primary_key]
    return list(Visit.objects.order_by("device", "run", "n").values_list(*columns))


def test_doors_of_one_site_may_tell_of_one_member_at_once(db: None) -> None:
    site = Site.objects.create(name="Harbour gym")
    told = journals(site, make_member(site, "Ann"))
    for journal in told:
        deliver(journal)
    expected = found()
    assert len(expected) == TAPS // 2
    for model in (Movement, Event, Run):
        model._default_manager.all().delete()
    connection.close()
    with ThreadPoolExecutor(DOORS) as doors:
        list(doors.map(deliver, told))
    assert found() == expected


def test_one_batch_sent_twice_at_once_is_kept_once(db: None) -> None:
    site = Site.objects.create(name="Harbour gym")
    (journal, *_) = journals(site, make_member(site, "Ann"))
    runs.register(journal.device, 1, hello(journal.device, [journal.state()]))
    connection.close()
    with ThreadPoolExecutor(4) as senders:
        list(senders.map(deliver, [journal] * 4))
    assert Event.objects.count() == journal.last
    assert Run.objects.get().head == journal.heads[-1].hex()
