"""What neither side has any more is named, once a device says that nothing waits."""

import pytest

from central.checkins.gaps import Gap, HeldRun, gaps, report_gaps
from central.checkins.models import Alert, Run
from central.devices.models import Device

pytestmark = pytest.mark.unit


def test_runs_that_follow_each_other_have_no_gap() -> None:
    assert gaps([HeldRun(1, "a", 0, 9), HeldRun(2, "b", 9, 4), HeldRun(3, "c", 4, 0)]) == []


def test_the_end_of_a_run_that_is_missing_is_named_by_the_next() -> None:
    assert gaps([HeldRun(2, "b", 9, 4), HeldRun(1, "a", 0, 5)]) == [Gap(1, 1, 5, 9, "b")]


def test_runs_of_which_nothing_is_held_are_named_by_their_numbers() -> None:
    (gap,) = gaps([HeldRun(1, "a", 0, 5), HeldRun(4, "d", 7, 4)])
    assert gap == Gap(2, 3, 0, 7, "d")
    assert gap.words() == (
        "events 1 to 7 of run number 3 and whatever runs 2 to 2 had are held by nobody: "
        "central was restored from a backup, the device deleted them"
    )


def test_a_run_that_ended_before_its_first_event_hides_nothing() -> None:
    assert gaps([HeldRun(1, "a", 0, 5), HeldRun(3, "c", 0, 4)]) == []


def test_of_two_runs_in_one_place_the_longer_counts() -> None:
    assert gaps([HeldRun(1, "a", 0, 5), HeldRun(1, "b", 0, 9), HeldRun(2, "c", 9, 1)]) == []


@pytest.mark.django_db
def test_a_gap_is_an_alert_and_stays_one(device: Device) -> None:
    for ord_, prev_n, upto in ((1, 0, 5), (2, 9, 3)):
        Run.objects.create(
            device=device, run=f"r{ord_}", store="s", ord=ord_, upto=upto, head="", first_head="", prev_n=prev_n
        )
    for _ in range(2):
        report_gaps(device.pk)
    (alert,) = Alert.objects.all()
    assert (alert.kind, alert.device_id) == (Alert.Kind.LOST_RANGE, device.pk)
    assert "events 6 to 9 of run number 1" in alert.detail
