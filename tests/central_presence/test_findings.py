"""What an outage cost is found when its events arrive: people let in twice, zones overfull. Once each."""

from datetime import time

import pytest
from django.contrib.auth.models import User

from central.checkins.models import Alert
from central.devices.models import Site
from central.directory.models import Member, Zone
from central.presence.forgiving import forgive
from tests.central_presence.conftest import HOUR, MINUTE, Doorway
from tests.fakes.journal_script import START_MS
from wire.vocabulary import Direction, PassageOutcome


@pytest.fixture
def hard(gym: Zone) -> Zone:
    gym.anti_passback = "hard"
    gym.save()
    return gym


def kinds() -> list[str]:
    return list(Alert.objects.values_list("kind", flat=True))


def test_whoever_was_let_in_twice_during_an_outage_is_found_once(
    north: Doorway, south: Doorway, ann: Member, hard: Zone
) -> None:
    north.passes(ann, 0)
    north.tell()
    south.passes(ann, 10 * MINUTE)
    south.tell(HOUR)
    south.passes(ann, 20 * MINUTE, Direction.OUT)
    south.tell(HOUR)
    alert = Alert.objects.get()
    assert (alert.kind, alert.device) == (Alert.Kind.ENTERED_TWICE, south.device)
    assert alert.detail.startswith("Ann Example came into gym twice without leaving: by North door at ")
    assert "by South door at" in alert.detail


@pytest.mark.parametrize("end", [PassageOutcome.UNUSED, PassageOutcome.UNKNOWN])
def test_what_was_not_surely_a_passage_is_no_finding(
    north: Doorway, south: Doorway, ann: Member, hard: Zone, end: PassageOutcome
) -> None:
    north.passes(ann, 0, end=end)
    south.passes(ann, 10 * MINUTE)
    north.tell()
    south.tell(HOUR)
    assert kinds() == []


def test_a_door_that_knew_of_the_whole_site_had_its_reasons(
    north: Doorway, south: Doorway, ann: Member, hard: Zone
) -> None:
    north.passes(ann, 0)
    south.passes(ann, 10 * MINUTE, scope="site")
    north.tell()
    south.tell(HOUR)
    assert kinds() == []


def test_without_hard_anti_passback_coming_in_twice_is_fine(north: Doorway, south: Doorway, ann: Member) -> None:
    north.passes(ann, 0)
    south.passes(ann, 10 * MINUTE)
    north.tell()
    south.tell(HOUR)
    assert kinds() == []


def test_whom_staff_let_in_once_more_is_no_finding(
    site: Site, north: Doorway, south: Doorway, ann: Member, hard: Zone
) -> None:
    north.passes(ann, 0)
    north.tell()
    forgive(site.pk, ann.pk, by=User.objects.create_user("desk"), now_ms=START_MS + MINUTE)
    south.passes(ann, 10 * MINUTE)
    south.tell(HOUR)
    assert kinds() == []


def test_a_day_with_an_amnesty_is_no_finding(north: Doorway, south: Doorway, ann: Member, hard: Zone) -> None:
    hard.amnesty_at = time(4)
    hard.save()
    north.passes(ann, 0)
    north.tell()
    south.passes(ann, 30 * HOUR)
    south.tell(30 * HOUR)
    assert kinds() == []


def test_a_zone_that_an_outage_made_overfull_is_found(
    north: Doorway, south: Doorway, ann: Member, ben: Member, gym: Zone
) -> None:
    gym.limit = 1
    gym.save()
    north.passes(ann, 0)
    north.tell()
    assert kinds() == []
    south.passes(ben, MINUTE)
    south.tell(HOUR)
    alert = Alert.objects.get()
    assert (alert.kind, alert.device) == (Alert.Kind.ZONE_OVERFULL, south.device)
    assert alert.detail.startswith("gym holds 2 people, 1 may be there; Ben Example was let in by South door")


def test_a_zone_that_is_full_and_no_more_is_no_finding(north: Doorway, ann: Member, gym: Zone) -> None:
    gym.limit = 1
    gym.save()
    north.passes(ann, 0)
    north.passes(ann, MINUTE, scope="site")
    north.tell()
    assert kinds() == []
