"""The rules of a site as staff enter them: what doors are told of them, and what is refused with its reason."""

from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError
from django.test import Client

from central.devices.models import Device, Door, Site
from central.directory import book, rows, versions
from central.directory.enrolling import enrol
from central.directory.models import (
    CredentialClass,
    DoorHours,
    DoorRules,
    Group,
    Holiday,
    Member,
    Membership,
    Plan,
    Schedule,
    ScheduleWindow,
    SiteRules,
    VisitPack,
    Zone,
)
from central.editions.lines import own_items
from rules.book import load
from rules.policy import decide
from tests.central_ledger.conftest import make_device, make_member
from tests.central_ledger.told import rows_for
from tests.rules.builders import facts, row
from wire import book as items
from wire.facts import DoorFacts
from wire.rows import DirectoryRow, Pack
from wire.vocabulary import (
    AntiPassbackKind,
    Assurance,
    CredentialKind,
    Direction,
    DoorMode,
    HolderKind,
    Reason,
    Weekday,
    WhenOffline,
    WhenUnsure,
)

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

UID = bytes.fromhex("04A15BC2D3E4E6")


def make_schedule(site: Site, name: str = "weekdays", *, days: list[str] | None = None) -> Schedule:
    schedule = Schedule.objects.create(site=site, name=name)
    ScheduleWindow.objects.create(
        schedule=schedule, days=["MO", "TU"] if days is None else days, starts=time(6), ends=time(22)
    )
    return schedule


def filled(site: Site, device: Device) -> None:
    weekdays = make_schedule(site)
    nights = Schedule.objects.create(site=site, name="nights", on_holidays="own")
    ScheduleWindow.objects.create(schedule=nights, days=["FR"], starts=time(22), ends=time(2), is_overnight=True)
    ScheduleWindow.objects.create(
        schedule=nights, rrule="FREQ=MONTHLY;BYDAY=1SU", from_date=date(2026, 1, 4), starts=time(18), ends=time(0)
    )
    ScheduleWindow.objects.create(schedule=nights, is_for_holidays=True, starts=time(10), ends=time(12))
    Holiday.objects.create(site=site, date=date(2026, 12, 25), name="Christmas")
    hall = Zone.objects.create(
        site=site, name="hall", limit=80, limit_offline="deny", anti_passback="timed", anti_passback_min=10,
        amnesty_at=time(4), assurance="medium",
    )  # fmt: skip
    pool = Zone.objects.create(site=site, name="pool", is_listed_only=True)
    basic = Plan.objects.create(site=site, name="basic")
    basic.schedules.add(weekdays, nights)
    basic.zones.add(hall)
    Plan.objects.create(site=site, name="gold", is_always=True, is_everywhere=True).zones.add(pool)
    juniors = Group.objects.create(site=site, name="juniors")
    juniors.schedules.add(weekdays)
    juniors.denied_zones.add(pool)
    CredentialClass.objects.create(site=site, name="lf_em4100", clock_unknown="allow", stale_after_h=24)
    SiteRules.objects.create(site=site, needs_plan=True, stale_after_h=None, pack_offline="deny")
    rules = DoorRules.objects.create(door=device.door, zone=hall, directions=["in"], mode="locked")
    DoorHours.objects.create(rules=rules, schedule=weekdays, mode="card")


def test_site_without_rules_has_no_book(site: Site, device: Device) -> None:
    assert book.items_of(site) == []
    assert own_items(device) == ()
    book.check([site.pk])


def test_book_says_what_staff_entered(site: Site, device: Device) -> None:
    filled(site, device)
    door = str(device.door_id)
    found = {items.key_of(item): item for item in book.items_of(site)}
    assert list(found) == sorted(found)
    assert found == {
        "site": items.Site(
            id=str(site.pk), tz="Europe/Berlin", needs_plan=True, stale_after_s=None, pack_offline=WhenOffline.DENY
        ),
        "holiday/2026-12-25": items.Holiday(date="2026-12-25", name="Christmas"),
        "schedule/weekdays": items.Schedule(
            name="weekdays", windows=[items.Window(days=[Weekday.MO, Weekday.TU], start_min=360, end_min=1320)]
        ),
        "schedule/nights": items.Schedule(
            name="nights",
            windows=[
                items.Window(days=[Weekday.FR], start_min=1320, end_min=120, is_overnight=True),
                items.Window(rrule="FREQ=MONTHLY;BYDAY=1SU", from_date="2026-01-04", start_min=1080, end_min=1440),
            ],
            holidays=[items.Span(start_min=600, end_min=720)],
        ),
        "plan/basic": items.Plan(name="basic", schedules=["nights", "weekdays"], zones=["hall"]),
        "plan/gold": items.Plan(name="gold", schedules=["always"], zones=["everywhere", "pool"]),
        "group/juniors": items.Group(name="juniors", schedules=["weekdays"], denied_zones=["pool"]),
        "zone/hall": items.Zone(
            name="hall",
            limit=80,
            limit_offline=WhenOffline.DENY,
            anti_passback=items.AntiPassback(kind=AntiPassbackKind.TIMED, for_s=600, amnesty_min=240),
            assurance=Assurance.MEDIUM,
        ),
        "zone/pool": items.Zone(name="pool", is_listed_only=True),
        f"door/{door}": items.Door(
            name=door,
            zone="hall",
            directions=[Direction.IN],
            mode=DoorMode.LOCKED,
            modes=[items.ModeHours(schedule="weekdays", mode=DoorMode.CARD)],
        ),
        "class/lf_em4100": items.CredentialClass(
            name="lf_em4100", clock_unknown=WhenUnsure.ALLOW, stale_after_s=86_400
        ),
    }
    book.check([site.pk])
    ((key, here),) = own_items(device)
    assert (key, items.read_item(here)) == ("here", items.Here(door=door))


def test_row_says_what_the_rules_ask_of_a_member(site: Site, hill: Site, device: Device) -> None:
    filled(site, device)
    guardian, host = make_member(site, "Gil"), make_member(site, "Hal")
    paid = datetime(2026, 6, 1, tzinfo=UTC)
    member = Member.objects.create(
        full_name="Ann", holder="guest", is_blocked=True, paid_to=paid, grace_days=5, is_minor=True, host=host,
        clearance=2, rights=["override", "first_person"],
    )  # fmt: skip
    member.guardians.add(guardian)
    for visits in (5, 10):
        pack = VisitPack.objects.create(member=member, visits=visits, used=3)
    here = Membership.objects.create(member=member, site=site, plan=Plan.objects.get(name="basic"))
    here.groups.add(Group.objects.get())
    here.schedules.add(*Schedule.objects.all())
    here.zones.add(Zone.objects.get(name="pool"))
    Membership.objects.create(member=member, site=hill)
    enrol(member, CredentialKind.HF_UID, UID)
    (row,) = rows_for(device)
    expected = DirectoryRow(
        key=row.key, kind=CredentialKind.HF_UID, member=str(member.pk), is_blocked=True, holder=HolderKind.GUEST,
        plan="basic", groups=["juniors"], schedules=["nights", "weekdays"], zones=["pool"],
        paid_to_ms=int(paid.timestamp() * 1000), grace_days=5, pack=Pack(id=str(pack.pk), visits=10, used=3),
        guardians=[str(guardian.pk)], host=str(host.pk), clearance=2, rights=["first_person", "override"],
    )  # fmt: skip
    assert row == expected
    ((_, _, other),) = rows.of_site(hill.pk)
    assert (other.plan, other.groups, other.schedules, other.zones) == ("", [], [], [])


def test_minor_whose_guardian_left_is_let_in_by_nobody(site: Site, device: Device) -> None:
    guardian, minor = make_member(site, "Gil"), make_member(site, "Max")
    minor.is_minor = True
    minor.save()
    minor.guardians.add(guardian)
    enrol(minor, CredentialKind.HF_UID, UID)
    guardian.delete()
    (row,) = rows_for(device)
    assert row.guardians == [rows.NOBODY]


def ver(site: Site) -> int:
    return versions.of_site(site.pk).ver


CHANGES: dict[str, Any] = {
    "schedule": lambda: Schedule.objects.get(name="weekdays").save(),
    "schedule deleted": lambda: Schedule.objects.get(name="nights").delete(),
    "window": lambda: ScheduleWindow.objects.all()[0].save(),
    "window deleted": lambda: ScheduleWindow.objects.all()[0].delete(),
    "holiday": lambda: Holiday.objects.get().delete(),
    "plan's zones": lambda: Plan.objects.get(name="basic").zones.clear(),
    "plan's hours": lambda: Plan.objects.get(name="basic").schedules.set([]),
    "schedule's plans": lambda: Schedule.objects.get(name="weekdays").plans.add(Plan.objects.get(name="gold")),
    "group": lambda: Group.objects.get().denied_zones.add(Zone.objects.get(name="hall")),
    "zone": lambda: Zone.objects.get(name="hall").save(),
    "class": lambda: CredentialClass.objects.get().delete(),
    "site's rules": lambda: SiteRules.objects.get().save(),
    "door's rules": lambda: DoorRules.objects.get().save(),
    "door's hours": lambda: DoorHours.objects.get().delete(),
    "site": lambda: Site.objects.get(name="Harbour gym").save(),
    "door": lambda: Door.objects.get().save(),
    "member's groups": lambda: Membership.objects.get().groups.add(Group.objects.get()),
    "member's hours": lambda: Membership.objects.get().schedules.add(Schedule.objects.get(name="nights")),
    "member's guardians": lambda: Member.objects.get(full_name="Max").guardians.add(
        Member.objects.get(full_name="Max")
    ),
    "pack": lambda: VisitPack.objects.create(member=Member.objects.get(), visits=5),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_the_rules_is_a_new_version(site: Site, hill: Site, device: Device, change: str) -> None:
    filled(site, device)
    make_member(site, "Max")
    before, other = ver(site), ver(hill)
    CHANGES[change]()
    assert ver(site) > before
    assert ver(hill) == other


def test_what_a_member_or_a_door_needs_cannot_be_deleted(site: Site, device: Device) -> None:
    filled(site, device)
    member = make_member(site, "Max")
    Membership.objects.update(plan=Plan.objects.get(name="gold"))
    guest = make_member(site, "Guest")
    guest.host = member
    guest.save()
    for needed in (
        Plan.objects.get(name="gold"),
        Zone.objects.get(name="hall"),
        Schedule.objects.get(name="weekdays"),
        member,
    ):
        with pytest.raises(ProtectedError):
            needed.delete()


def test_site_without_doors_can_be_deleted_with_its_rules(hill: Site) -> None:
    make_schedule(hill)
    hill.delete()
    assert Schedule.objects.count() == 0


def test_member_is_checked_for_what_no_form_would_send(site: Site) -> None:
    member = make_member(site, "Max")
    member.rights = ["fly"]
    with pytest.raises(ValidationError, match="fly: no such right; known are override"):
        member.clean()
    member.rights, member.host = [], member
    with pytest.raises(ValidationError, match="Nobody is their own host"):
        member.clean()


@pytest.fixture
def superuser(admin_client: Client) -> Client:
    return admin_client


def schedule_form(site: Site, *windows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    form: dict[str, Any] = {
        "site": str(site.pk), "name": "weekdays", "on_holidays": "same",
        "windows-TOTAL_FORMS": len(windows), "windows-INITIAL_FORMS": 0,
    }  # fmt: skip
    for at, window in enumerate(windows):
        form |= {f"windows-{at}-{name}": value for name, value in window.items()}
    return form | changes


WINDOW = {"days": ["MO", "TU"], "starts": "06:00", "ends": "22:00"}


def test_schedule_is_entered_with_its_windows(site: Site, superuser: Client) -> None:
    answer = superuser.post("/admin/directory/schedule/add/", schedule_form(site, WINDOW))
    assert answer.status_code == 302
    window = ScheduleWindow.objects.get()
    assert (window.schedule.name, window.days, window.starts) == ("weekdays", ["MO", "TU"], time(6))


def test_things_of_another_site_are_refused_by_name(site: Site, hill: Site, device: Device, superuser: Client) -> None:
    foreign = Zone.objects.create(site=hill, name="roof")
    plan = {"site": str(site.pk), "name": "basic", "is_always": "on", "zones": [str(foreign.pk)]}
    text = superuser.post("/admin/directory/plan/add/", plan).content.decode()
    assert "Hill gym: roof is of another site; choose one of Harbour gym" in text
    door = {
        "door": str(device.door_id), "zone": str(foreign.pk), "mode": "card", "unsure_mode": "card",
        "after_first_person": "card", "hours-TOTAL_FORMS": 0, "hours-INITIAL_FORMS": 0,
    }  # fmt: skip
    text = superuser.post("/admin/directory/doorrules/add/", door).content.decode()
    assert "Hill gym: roof is at another site than the door" in text
    assert Plan.objects.count() == DoorRules.objects.count() == 0


def test_group_with_members_stays(site: Site, superuser: Client) -> None:
    group = Group.objects.create(site=site, name="juniors")
    make_member(site, "Max").memberships.get().groups.add(group)
    answer = superuser.post(f"/admin/directory/group/{group.pk}/delete/", {"post": "yes"}, follow=True)
    assert "Nothing was deleted: 1 member is in Harbour gym: juniors; take them out first" in answer.content.decode()
    assert Group.objects.count() == 1


def deleted(superuser: Client, things: list[Any]) -> str:
    """Delete things of one kind from their list, as staff do with several; return what the page says."""
    name = type(things[0]).__name__.lower()
    form = {"action": "delete_selected", "_selected_action": [str(thing.pk) for thing in things], "post": "yes"}
    return superuser.post(f"/admin/directory/{name}/", form, follow=True).content.decode()


def test_last_hours_of_a_group_stay_or_it_would_come_in_at_any_hour(site: Site, superuser: Client) -> None:
    group = Group.objects.create(site=site, name="juniors")
    hours = [Schedule.objects.create(site=site, name=name) for name in ("mornings", "evenings")]
    group.schedules.set(hours)
    said = deleted(superuser, hours)
    assert "Nothing was deleted: Harbour gym: juniors would have no schedules left, and be free of them" in said
    assert Schedule.objects.count() == 2
    assert "Nothing was deleted" not in deleted(superuser, hours[:1])
    page = superuser.post(f"/admin/directory/schedule/{hours[1].pk}/delete/", {"post": "yes"}, follow=True)
    assert "Nothing was deleted" in page.content.decode()
    assert list(group.schedules.all()) == hours[1:]


@pytest.mark.parametrize("kind", [Schedule, Zone])
def test_last_hours_and_zones_of_a_member_without_a_plan_stay(site: Site, superuser: Client, kind: Any) -> None:
    thing, plan = kind.objects.create(site=site, name="one"), Plan.objects.create(site=site, name="all", is_always=True)
    membership = make_member(site, "Max").memberships.get()
    listed = membership.schedules if kind is Schedule else membership.zones
    listed.add(thing)
    assert "Max at Harbour gym would have no" in deleted(superuser, [thing])
    assert kind.objects.filter(pk=thing.pk).exists()
    plan.is_everywhere = True
    plan.save()
    membership.plan = plan
    membership.save()
    assert "Nothing was deleted" not in deleted(superuser, [thing])
    assert not kind.objects.filter(pk=thing.pk).exists()


def test_door_without_rules_beside_doors_with_rules_lets_nobody_in_and_the_pages_say_so(
    site: Site, device: Device, superuser: Client
) -> None:
    says = "no rules while other doors of its site have some; it lets nobody in"
    bare = make_device(site, "South door")
    assert "lets nobody in" not in superuser.get("/admin/devices/door/").content.decode()
    hall = Zone.objects.create(site=site, name="hall")
    form = {
        "door": device.door_id, "zone": hall.pk, "mode": "card", "unsure_mode": "card", "after_first_person": "card",
        "hours-TOTAL_FORMS": 0, "hours-INITIAL_FORMS": 0,
    }  # fmt: skip
    answer = superuser.post("/admin/directory/doorrules/add/", form, follow=True)
    assert f"South door has {says}" in answer.content.decode()
    assert superuser.get("/admin/devices/door/").content.decode().count(says) == 1
    lines = [items.read_item(text) for _, text in own_items(bare)]
    loaded = load([*book.items_of(site), *lines])
    assert loaded is not None
    asked = facts(row(plan=""), site=loaded, door=DoorFacts(loaded.here))
    assert decide(asked).reason is Reason.MISCONFIGURED
    DoorRules.objects.create(door=bare.door, zone=hall)
    assert says not in superuser.get("/admin/devices/door/").content.decode()


def test_door_stays_at_its_site(site: Site, hill: Site, device: Device, superuser: Client) -> None:
    """Its zone would stay behind, and its device would go by the directory of the old site."""
    form = {"name": "North door", "site": str(hill.pk), "direction": "in"}
    superuser.post(f"/admin/devices/door/{device.door_id}/change/", form)
    door = Door.objects.get(pk=device.door_id)
    assert (door.name, door.site) == ("North door", site)


ADMIN = ["siterules", "holiday", "schedule", "zone", "plan", "group", "credentialclass", "doorrules"]


@pytest.mark.parametrize("name", ADMIN)
def test_pages_of_the_rules_are_for_those_with_the_right(
    site: Site, device: Device, superuser: Client, name: str, django_user_model: Any
) -> None:
    filled(site, device)
    staff, stranger = Client(), Client()
    staff.force_login(django_user_model.objects.create_user("desk", is_staff=True))
    stranger.force_login(django_user_model.objects.create_user("member"))
    for path in (f"/admin/directory/{name}/", f"/admin/directory/{name}/add/"):
        assert superuser.get(path).status_code == 200
        assert staff.get(path).status_code == staff.post(path).status_code == 403
        for outsider in (stranger, Client()):
            assert outsider.get(path).status_code == outsider.post(path).status_code == 302


@pytest.mark.parametrize(
    "model",
    [SiteRules, Holiday, Schedule, Zone, Plan, Group, CredentialClass, DoorRules],
    ids=lambda model: model.__name__,
)
def test_what_was_entered_can_be_looked_at(site: Site, device: Device, superuser: Client, model: Any) -> None:
    filled(site, device)
    for thing in model.objects.all():
        name = model._meta.model_name
        assert superuser.get(f"/admin/directory/{name}/{thing.pk}/change/").status_code == 200
        assert str(thing)
