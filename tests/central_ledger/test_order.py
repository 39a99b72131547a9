"""Visits do not depend on the order in which events arrive."""

from itertools import permutations
from random import Random

import pytest

from central.checkins.models import Event, Movement, Run, Visit
from central.devices.models import Device, Site
from central.directory.models import Member
from tests.central_ledger.conftest import make_device, make_member
from tests.central_ledger.delivery import HOUR_MS, MINUTE_MS, greet, send
from tests.fakes.journal_script import JournalScript
from wire.vocabulary import (
    Direction,
    PassageOutcome,
)

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


def two_doors(site: Site, device: Device, members: list[Member], seed: int) -> list[JournalScript]:
    """Return the journals of an entrance and an exit that members use in turn, with unused and lost ends."""
    random = Random(seed)
    journals = [JournalScript(device.pk), JournalScript(make_device(site, "South door").pk, "00000000000000cc")]
    at_ms = 0
    for _ in range(24):
        at_ms += random.choice([1000, 90_000, 20 * MINUTE_MS, 7 * HOUR_MS])
        journal = random.choice(journals)
        n = journal.grant(random.choice(members).pk, at_ms, random.choice(list(Direction)))
        journal.passage(n, at_ms + 500, random.choice(list(PassageOutcome)))
    return journals


VISIT = [field.attname for field in Visit._meta.concrete_fields if not field.primary_key]


def delivered(journals: list[JournalScript], order: list[tuple[int, int]]) -> list[object]:
    """Deliver batches in an order and return the visits, then forget it all."""
    for journal in journals:
        greet(journal)
    for which, first in order:
        send(journals[which], first, first + 4)
    rows: list[object] = list(Visit.objects.order_by("device", "run", "n").values_list(*VISIT))
    for model in (Movement, Event, Run):
        model._default_manager.all().delete()
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_visits_do_not_depend_on_the_order_in_which_doors_deliver(site: Site, device: Device, seed: int) -> None:
    members = [make_member(site, name) for name in ("Ann", "Bob")]
    journals = two_doors(site, device, members, seed)
    batches = [(which, first) for which, journal in enumerate(journals) for first in range(1, journal.last + 1, 5)]
    expected = delivered(journals, batches)
    assert expected
    random = Random(seed)
    for _ in range(3):
        doors = random.sample([which for which, _ in batches], len(batches))
        ranges = [iter([batch for batch in batches if batch[0] == which]) for which in (0, 1)]
        assert delivered(journals, [next(ranges[which]) for which in doors]) == expected


def test_visits_do_not_depend_on_the_order_of_runs(device: Device, site: Site) -> None:
    member = make_member(site, "Ann")
    first = JournalScript(device.pk)
    n = first.grant(member.pk, 0, Direction.TOGGLE)
    second = first.next_run("00000000000000bb")
    second.passage(n, 5000, PassageOutcome.UNKNOWN, of_run=first.run)
    swallowed = second.grant(member.pk, HOUR_MS, Direction.TOGGLE)
    third = second.next_run("00000000000000cc")
    third.passage(swallowed, 2 * HOUR_MS, PassageOutcome.UNUSED, of_run=second.run)
    third.grant(member.pk, 3 * HOUR_MS, Direction.OUT)
    results = []
    for order in permutations(range(3)):
        results.append(delivered([first, second, third], [(which, 1) for which in order]))
    assert all(result == results[0] for result in results)
    assert len(results[0]) == 1
