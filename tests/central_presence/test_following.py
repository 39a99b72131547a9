"""Who is where by the events of all doors of a site, and what each door is told of it."""

from django.contrib.auth.models import User

from central.checkins import ingest
from central.devices.models import Site
from central.directory.models import Member, Zone
from central.presence import forgiving, sharing
from central.presence.following import SOME, waiting
from central.presence.models import FollowedRun, SitePresence, Whereabouts
from central.presence.tending import close, tend
from central.presence.versions import newest
from tests.central_ledger.conftest import make_device
from tests.central_ledger.delivery import greet, send
from tests.central_presence.conftest import HOUR, MINUTE, Doorway, put_of, where
from tests.fakes.journal_script import BOOT, START_MS
from wire.messages import Anchor
from wire.presence import PRESENT_ROWS, Heard, PresenceRef
from wire.vocabulary import ClockQuality, Direction, HolderKind, PassageOutcome


def test_whoever_comes_in_by_one_door_is_known_at_the_other(
    site: Site, north: Doorway, south: Doorway, ann: Member
) -> None:
    north.passes(ann, 5_000)
    north.tell()
    told = south.hears(now_ms=9_000)
    assert told is not None
    put = put_of(told, ann.pk)
    assert (put.zone, put.since_ms, put.used, told.server_ms) == ("gym", START_MS + 5_000, None, START_MS + 9_000)
    assert (told.first, told.is_last, told.heard) == (0, True, [])
    assert told.to == newest(site.pk).ver


def test_a_door_hears_how_far_its_own_events_are_known(north: Doorway, ann: Member) -> None:
    north.passes(ann)
    north.tell()
    told = north.hears()
    assert told is not None
    assert told.heard == [Heard(north.journal.run, 2)]


def test_a_door_that_has_the_newest_hears_nothing_and_one_that_has_not_hears_what_changed(
    site: Site, north: Doorway, south: Doorway, ann: Member, ben: Member
) -> None:
    north.passes(ann)
    north.tell()
    held = newest(site.pk)
    assert south.hears(held) is None
    north.passes(ben, 1_000)
    north.tell()
    told = south.hears(held)
    assert told is not None
    assert (told.first, [put.member for put in told.put]) == (held.ver, [str(ben.pk)])


def test_a_version_of_another_epoch_or_from_the_future_counts_for_nothing(
    site: Site, north: Doorway, ann: Member
) -> None:
    north.passes(ann)
    north.tell()
    now = newest(site.pk)
    for held in (PresenceRef("other", now.ver), PresenceRef(now.epoch, now.ver + 9), None):
        told = north.hears(held)
        assert told is not None
        assert told.first == 0


def test_leaving_by_another_door_is_leaving(site: Site, north: Doorway, south: Doorway, ann: Member) -> None:
    north.passes(ann)
    north.tell()
    held = newest(site.pk)
    south.passes(ann, HOUR, Direction.OUT)
    south.tell(HOUR)
    assert where(ann, site) == ("", 0, True)
    assert put_of(north.hears(held), ann.pk).zone == ""
    assert put_of(north.hears(), ann.pk) is None


def test_inner_doors_lead_further_in(site: Site, north: Doorway, sauna: Doorway, ann: Member) -> None:
    north.passes(ann)
    north.tell()
    sauna.passes(ann, MINUTE)
    sauna.tell(MINUTE)
    assert where(ann, site)[0] == "sauna"
    sauna.passes(ann, 5 * MINUTE, Direction.OUT)
    sauna.tell(5 * MINUTE)
    assert where(ann, site)[0] == "gym"


def test_a_grant_counts_until_its_end_says_otherwise(site: Site, north: Doorway, ann: Member) -> None:
    n = north.passes(ann, end=None)
    north.tell()
    assert where(ann, site)[0] == "gym"
    north.journal.passage(n, 1_000, PassageOutcome.UNUSED)
    north.tell()
    assert where(ann, site) == ("", 0, True)


def test_a_crash_leaves_somebody_who_may_be_inside(site: Site, north: Doorway, ann: Member) -> None:
    north.passes(ann, 7_000, end=PassageOutcome.UNKNOWN)
    north.tell()
    assert where(ann, site) == ("gym", 7_000, False)


def test_staff_are_inside_and_counted_apart(site: Site, north: Doorway, ann: Member) -> None:
    north.passes(ann, holder=HolderKind.STAFF)
    north.tell()
    assert put_of(north.hears(), ann.pk).is_visitor is False


def test_what_arrives_late_changes_nothing_that_happened_after(
    site: Site, north: Doorway, south: Doorway, ann: Member
) -> None:
    north.passes(ann, HOUR, Direction.OUT)
    north.tell(HOUR)
    south.passes(ann, MINUTE)
    south.tell(HOUR)
    assert where(ann, site) == ("", 0, True)


def test_a_stay_that_nobody_ended_is_over_in_time(site: Site, north: Doorway, ann: Member) -> None:
    north.passes(ann)
    north.tell()
    held = newest(site.pk)
    tend(START_MS + 6 * HOUR - 1)
    assert where(ann, site)[0] == "gym"
    tend(START_MS + 6 * HOUR)
    assert where(ann, site) == ("", 0, True)
    assert put_of(north.hears(held), ann.pk).zone == ""
    close(site.pk, START_MS + 7 * HOUR)
    assert newest(site.pk).ver == held.ver + 1


def test_events_of_days_ago_say_nothing_of_now(site: Site, north: Doorway, ann: Member) -> None:
    north.passes(ann)
    north.tell(80 * HOUR)
    assert not Whereabouts.objects.filter(member=ann).exists()
    assert waiting() == []


def test_a_deleted_member_holds_nothing_up(site: Site, north: Doorway, ann: Member, ben: Member) -> None:
    north.passes(ann)
    north.passes(ben)
    ann.delete()
    north.tell()
    assert where(ben, site)[0] == "gym"


def test_a_site_without_zones_has_an_inside(site: Site, ann: Member) -> None:
    front = Doorway(make_device(site, "Front"))
    front.passes(ann)
    front.tell()
    assert where(ann, site)[0] == "*"


def test_following_goes_on_where_it_stopped_and_says_who_waits(site: Site, north: Doorway, ann: Member) -> None:
    for i in range(SOME):
        north.passes(ann, i)
    ingest_all(north)
    assert waiting() == [site.pk]
    tend(START_MS)
    assert waiting() == []
    assert FollowedRun.objects.get().n == 2 * SOME


def ingest_all(door: Doorway) -> None:
    greet(door.journal)
    for first in range(1, door.journal.last + 1, 200):
        send(door.journal, first, first + 199)
    door.sent = door.journal.last


def test_more_than_one_message_holds_comes_in_parts(site: Site, north: Doorway) -> None:
    crowd = [Member(full_name=f"Member {i}") for i in range(PRESENT_ROWS + 5)]
    for i, one in enumerate(Member.objects.bulk_create(crowd)):
        north.passes(one, i)
    ingest_all(north)
    tend(START_MS)
    first = north.hears()
    assert first is not None
    assert (len(first.put), first.is_last) == (PRESENT_ROWS, False)
    rest = north.hears(PresenceRef(first.epoch, first.to))
    assert rest is not None
    assert (rest.first, len(rest.put), rest.is_last, rest.to) == (first.to, 5, True, newest(site.pk).ver)


def test_a_device_behind_the_floor_hears_everything(site: Site, north: Doorway, ann: Member) -> None:
    north.passes(ann)
    north.tell()
    SitePresence.objects.filter(pk=site.pk).update(floor=2)
    told = north.hears(PresenceRef(newest(site.pk).epoch, 1))
    assert told is not None
    assert told.first == 0


def test_a_clock_that_is_known_later_moves_what_happened(site: Site, north: Doorway, ann: Member) -> None:
    n = north.journal.grant(ann.pk, 5_000, q=ClockQuality.NONE)
    north.journal.passage(n, 5_000, q=ClockQuality.NONE)
    north.tell()
    anchor = Anchor(boot=BOOT, mono_ms=0, wall_ms=START_MS + HOUR, err_ms=1)
    ingest.ingest_anchor(north.device.pk, 1, anchor)
    tend(START_MS + HOUR)
    assert where(ann, site) == ("gym", HOUR + 5_000, True)


def test_staff_let_somebody_in_once_more(site: Site, north: Doorway, ann: Member) -> None:
    desk = User.objects.create_user("desk")
    assert not forgiving.forgive(site.pk, ann.pk, by=desk, now_ms=START_MS)
    north.passes(ann)
    north.tell()
    held = newest(site.pk)
    assert forgiving.forgive(site.pk, ann.pk, by=desk, now_ms=START_MS + MINUTE)
    assert put_of(north.hears(held), ann.pk).is_forgiven
    north.passes(ann, 2 * MINUTE)
    north.tell()
    assert not put_of(north.hears(held), ann.pk).is_forgiven


def test_a_device_of_another_site_hears_nothing_of_this_one(north: Doorway, ann: Member, gym: Zone) -> None:
    north.passes(ann)
    north.tell()
    elsewhere = make_device(Site.objects.create(name="Elsewhere"), "Door")
    told = sharing.delta(elsewhere.pk, None, START_MS)
    assert told is not None
    assert told.put == []
