"""The three figures, in the site's own day."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from central.checkins import stats
from central.checkins.stats import Figures, Stay, day_of, figures
from central.checkins.visits import EndedBy
from central.devices.models import Device, Site
from central.directory.models import Member
from tests.central_ledger.conftest import make_visit

pytestmark = pytest.mark.unit

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE_MS = 60_000


def ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


NOW_MS = ms(2026, 7, 1, 12)


def stayed(opened_ms: int, minutes: int) -> Stay:
    return Stay(opened_ms, opened_ms + minutes * MINUTE_MS, EndedBy.OUT)


def staying(opened_ms: int, until_ms: int) -> Stay:
    return Stay(opened_ms, until_ms, EndedBy.ASSUMED)


def test_nobody_came() -> None:
    empty = figures([], NOW_MS, BERLIN)
    assert (empty.currently_in, empty.today_total, empty.average_stay_minutes) == (0, 0, 0)


def test_visit_that_nobody_ended_counts_as_in_until_its_assumed_end() -> None:
    stay = staying(NOW_MS - MINUTE_MS, NOW_MS + MINUTE_MS)
    assert figures([stay], NOW_MS, BERLIN).currently_in == 1
    assert figures([stay], NOW_MS + MINUTE_MS, BERLIN).currently_in == 0


def test_visit_that_ended_with_an_exit_is_not_in() -> None:
    assert figures([stayed(NOW_MS - MINUTE_MS, 5)], NOW_MS, BERLIN).currently_in == 0


def test_average_leaves_out_assumed_ends() -> None:
    morning_ms = ms(2026, 7, 1, 6)
    stays = [stayed(morning_ms, 30), stayed(morning_ms, 61), staying(morning_ms, NOW_MS - 1)]
    assert figures(stays, NOW_MS, BERLIN).average_stay_minutes == 46


def test_today_begins_at_the_local_midnight() -> None:
    before, after = ms(2026, 6, 30, 21, 59), ms(2026, 6, 30, 22, 0)
    assert figures([stayed(before, 1)], NOW_MS, BERLIN).today_total == 0
    assert figures([stayed(after, 1)], NOW_MS, BERLIN).today_total == 1


def test_visit_of_yesterday_that_is_not_over_is_in_but_not_of_today() -> None:
    found = figures([staying(ms(2026, 6, 30, 20), NOW_MS + 1)], NOW_MS, BERLIN)
    assert (found.currently_in, found.today_total) == (1, 0)


def test_visit_from_a_clock_far_ahead_is_not_in() -> None:
    assert figures([staying(NOW_MS + stats.AHEAD_MS + 1, NOW_MS * 2)], NOW_MS, BERLIN).currently_in == 0


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 7, 1), 24), ((2026, 10, 25), 25)])
def test_day_is_as_long_as_daylight_saving_makes_it(day: tuple[int, int, int], hours: int) -> None:
    begins_ms, ends_ms = day_of(ms(*day, 12), BERLIN)
    assert ends_ms - begins_ms == hours * 3_600_000
    assert begins_ms <= ms(*day, 12) < ends_ms


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu", "America/Santiago"])
def test_every_moment_is_in_its_own_day(zone: str) -> None:
    for hour in range(0, 24 * 400, 7):
        now_ms = NOW_MS + hour * 3_600_000
        begins_ms, ends_ms = day_of(now_ms, ZoneInfo(zone))
        assert begins_ms <= now_ms < ends_ms


def test_figures_of_two_sites_add_up() -> None:
    total = Figures(1, 2, 1, 10 * MINUTE_MS) + Figures(0, 3, 3, 50 * MINUTE_MS)
    assert (total.currently_in, total.today_total, total.average_stay_minutes) == (1, 5, 15)


@pytest.mark.django_db
def test_site_counts_its_own_visits(device: Device, site: Site, member: Member) -> None:
    other = Site.objects.create(name="Hill gym")
    for n, (where, opened_ms, closed_ms, end) in enumerate(
        (
            (site, NOW_MS - MINUTE_MS, NOW_MS + MINUTE_MS, EndedBy.ASSUMED),
            (site, NOW_MS - 40 * MINUTE_MS, NOW_MS - 20 * MINUTE_MS, EndedBy.OUT),
            (site, NOW_MS - 90 * 86_400_000, NOW_MS - 89 * 86_400_000, EndedBy.ASSUMED),
            (other, NOW_MS - MINUTE_MS, NOW_MS + MINUTE_MS, EndedBy.ASSUMED),
        )
    ):
        make_visit(member, where, device, n, opened_ms, closed_ms, end)
    found = stats.of_site(site, NOW_MS)
    assert (found.currently_in, found.today_total, found.average_stay_minutes) == (1, 2, 20)
