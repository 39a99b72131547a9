"""Rules that make no sense at a door are refused where they are entered, with the door's own reasons."""

from datetime import date, time
from typing import Any

import pytest
from django.test import Client

from central.devices.models import Device, Door, Site
from central.directory import book
from central.directory.models import DoorRules, Plan, Schedule, ScheduleWindow, Zone
from rules.book import BookError
from tests.central_office.test_site_rules import WINDOW, make_schedule, schedule_form, ver

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


@pytest.fixture
def superuser(admin_client: Client) -> Client:
    return admin_client


def bad_window(site: Site) -> None:
    schedule = Schedule.objects.create(site=site, name="odd")
    ScheduleWindow.objects.create(schedule=schedule, days=["MO"], starts=time(22), ends=time(6))


def bad_overlap(site: Site) -> None:
    ScheduleWindow.objects.create(schedule=make_schedule(site), days=["TU", "WE"], starts=time(21, 30), ends=time(23))


def bad_recurrence(site: Site) -> None:
    schedule = Schedule.objects.create(site=site, name="odd")
    ScheduleWindow.objects.create(
        schedule=schedule, rrule="FREQ=SOMETIMES", from_date=date(2026, 1, 1), starts=time(6), ends=time(7)
    )


def bad_door(site: Site) -> None:
    hall = Zone.objects.create(site=site, name="hall")
    DoorRules.objects.create(door=Door.objects.create(site=site, name="North door"), zone=hall, leaves=hall)


def bad_time_zone(site: Site) -> None:
    make_schedule(site)
    Site.objects.filter(pk=site.pk).update(time_zone="Europe/Atlantis")


@pytest.mark.parametrize(
    ("enter", "says"),
    [
        (bad_window, "schedule/odd: window 22:00-06:00 ends before it begins"),
        (bad_overlap, "schedule/weekdays: windows 06:00-22:00 and 21:30-23:00 overlap"),
        (bad_recurrence, "schedule/odd: "),
        (bad_door, "door North door: leads from hall into itself"),
        (bad_time_zone, "site: .*Europe/Atlantis"),
        (lambda site: Plan.objects.create(site=site, name="empty"), "plan/empty: names no schedules"),
        (lambda site: Zone.objects.create(site=site, name="a", anti_passback="timed"), "zone/a: timed anti-passback"),
        (lambda site: make_schedule(site, "no such name/"), "schedule/no such name/: "),
    ],
)
def test_book_that_makes_no_sense_is_refused_as_a_door_would(site: Site, enter: Any, says: str) -> None:
    enter(site)
    with pytest.raises(BookError, match=says):
        book.check([site.pk])


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ({**WINDOW, "ends": "05:00"}, "window 06:00-05:00 ends before it begins; one across midnight is overnight"),
        ({**WINDOW, "days": []}, "needs either days or a recurrence"),
        ({**WINDOW, "is_for_holidays": "on"}, "leave days and recurrence empty"),
    ],
)
def test_window_that_makes_no_sense_is_refused_in_the_form(
    site: Site, superuser: Client, window: dict[str, Any], says: str
) -> None:
    answer = superuser.post("/admin/directory/schedule/add/", schedule_form(site, window))
    assert answer.status_code == 200
    text = answer.content.decode()
    assert says in text
    assert 'value="weekdays"' in text
    assert Schedule.objects.count() == ScheduleWindow.objects.count() == 0


def test_overlap_with_a_window_that_was_there_is_refused_and_changes_nothing(site: Site, superuser: Client) -> None:
    schedule = make_schedule(site)
    window = schedule.windows.get()
    form = schedule_form(
        site,
        {"id": window.pk, "schedule": schedule.pk, **WINDOW},
        {"schedule": schedule.pk, **WINDOW, "starts": "21:00", "ends": "23:00"},
        **{"windows-INITIAL_FORMS": 1},
    )
    before = ver(site)
    text = superuser.post(f"/admin/directory/schedule/{schedule.pk}/change/", form).content.decode()
    assert "windows 06:00-22:00 and 21:00-23:00 overlap" in text
    assert (schedule.windows.count(), ver(site)) == (1, before)


def test_what_a_plan_would_miss_is_not_deleted(site: Site, device: Device, superuser: Client) -> None:
    schedule = make_schedule(site, "evenings")
    plan = Plan.objects.create(site=site, name="basic", is_everywhere=True)
    plan.schedules.add(schedule)
    one = superuser.post(f"/admin/directory/schedule/{schedule.pk}/delete/", {"post": "yes"}, follow=True)
    several = superuser.post(
        "/admin/directory/schedule/",
        {"action": "delete_selected", "_selected_action": [schedule.pk], "post": "yes"},
        follow=True,
    )
    for answer in (one, several):
        assert "Nothing was deleted: plan/basic: names no schedules" in answer.content.decode()
    assert Schedule.objects.count() == 1
    plan.delete()
    superuser.post(f"/admin/directory/schedule/{schedule.pk}/delete/", {"post": "yes"})
    assert Schedule.objects.count() == 0
