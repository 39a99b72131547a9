import re
from pathlib import Path

import msgspec
import pytest

from agent.clock import RELEASED_MS, Clock, KernelTime, SimulatedTime, SystemTime, boot_id, has_rtc
from agent.core.floor import CLOCKS_DIFFER_MS, HELD_MS, STEP_MS
from agent.store.directory import Directory
from agent.upkeep import learn_floor
from tests.fakes.issuing import begin_of, chunk_of, issued
from wire.events import Event
from wire.transfer import DirEnd
from wire.vocabulary import ClockQuality

pytestmark = pytest.mark.unit

DAY_MS = 86_400_000
LATER_MS = RELEASED_MS + DAY_MS


class FixedTime:
    def __init__(self, mono_ms: int = 5_000, wall_ms: int = LATER_MS, *, is_synced: bool = False) -> None:
        self.reading = KernelTime(mono_ms, wall_ms, is_synced, 12 if is_synced else None)

    def run(self, for_ms: int, *, by_ms: int = 0, is_synced: bool = True) -> None:
        """Let time go by, and set the wall clock by `by_ms`."""
        was = self.reading
        self.reading = KernelTime(was.mono_ms + for_ms, was.wall_ms + for_ms + by_ms, is_synced, 12)

    def read(self) -> KernelTime:
        return self.reading


def clock(source: FixedTime, *, has_rtc: bool = False) -> Clock:
    return Clock(source, boot="b00t", has_rtc=has_rtc)


def test_a_disciplined_kernel_clock_is_trusted() -> None:
    now = clock(FixedTime(is_synced=True)).now()
    assert (now.mono_ms, now.wall_ms, now.q) == (5_000, LATER_MS, ClockQuality.SYNCED)


def test_without_ntp_rtc_and_central_the_time_is_unknown() -> None:
    assert clock(FixedTime()).now().q is ClockQuality.NONE


def test_an_rtc_gives_an_estimate() -> None:
    assert clock(FixedTime(), has_rtc=True).now().q is ClockQuality.ESTIMATED


def test_a_time_before_the_floor_is_never_shown_nor_trusted() -> None:
    now = clock(FixedTime(wall_ms=0, is_synced=True), has_rtc=True).now()
    assert (now.wall_ms, now.q) == (RELEASED_MS, ClockQuality.NONE)


def synced_since(source: FixedTime, *, for_ms: int = HELD_MS) -> Clock:
    """Return a clock that NTP disciplined for so long."""
    device = clock(source)
    source.run(0, is_synced=True)
    device.now()
    source.run(for_ms)
    assert device.now().steady_ms == for_ms
    return device


def test_what_has_ended_stays_ended_where_a_synced_clock_is_set_back() -> None:
    device = synced_since(source := FixedTime())
    source.run(1_000, by_ms=-60_000)
    now = device.now()
    assert (now.wall_ms, now.q) == (LATER_MS + HELD_MS - STEP_MS, ClockQuality.NONE)


def test_clock_that_was_set_back_is_known_again_once_that_time_has_gone_by() -> None:
    device = synced_since(source := FixedTime())
    source.run(1_000, by_ms=-60_000)
    assert device.now().q is ClockQuality.NONE
    source.run(60_000)
    assert device.now().q is ClockQuality.SYNCED


def test_central_tells_the_time_where_a_synced_clock_is_set_back() -> None:
    source = FixedTime()
    device = synced_since(source)
    told_ms = source.reading.mono_ms
    device.learn_server(told_ms, told_ms, source.reading.wall_ms)
    source.run(1_000, by_ms=-3_600_000)
    now = device.now()
    assert (now.wall_ms, now.q) == (LATER_MS + HELD_MS + 1_000, ClockQuality.ESTIMATED)


def test_one_wrong_synced_reading_shuts_nobody_out() -> None:
    device = synced_since(source := FixedTime(), for_ms=HELD_MS - 2_000)
    source.run(1_000, by_ms=30 * DAY_MS)
    assert device.now().q is ClockQuality.SYNCED
    source.run(1_000, by_ms=-30 * DAY_MS)
    assert device.now().q is ClockQuality.SYNCED


def test_ntp_and_central_together_outweigh_what_a_wrong_clock_showed_for_long() -> None:
    device = synced_since(source := FixedTime(wall_ms=LATER_MS + 30 * DAY_MS))
    source.run(1_000, by_ms=-30 * DAY_MS)
    assert device.now().q is ClockQuality.NONE
    mono_ms, wall_ms = source.reading.mono_ms, source.reading.wall_ms
    device.learn_server(mono_ms - 10, mono_ms, wall_ms + 61_000)
    assert device.now().q is ClockQuality.NONE, "they do not agree"
    device.learn_server(mono_ms - 10, mono_ms, wall_ms + 59_000)
    assert (device.now().wall_ms, device.now().q) == (wall_ms, ClockQuality.SYNCED)


def test_central_does_not_confirm_a_clock_that_was_set_back_a_little() -> None:
    device = synced_since(source := FixedTime())
    source.run(1_000, by_ms=-30_000)
    mono_ms = source.reading.mono_ms
    device.learn_server(mono_ms, mono_ms, LATER_MS + HELD_MS + 1_000)
    assert (device.now().wall_ms, device.now().q) == (LATER_MS + HELD_MS + 1_000, ClockQuality.ESTIMATED)


def test_a_battery_alone_says_nothing_of_what_has_passed() -> None:
    device = clock(source := FixedTime(), has_rtc=True)
    device.now()
    source.run(2 * HELD_MS, is_synced=False)
    assert (device.now().q, device.now().steady_ms) == (ClockQuality.ESTIMATED, 0)


def test_a_signature_from_ahead_of_a_synced_clock_is_not_believed(caplog: pytest.LogCaptureFixture) -> None:
    device = synced_since(source := FixedTime())
    device.learn_issue(source.reading.wall_ms + 30 * DAY_MS)
    assert device.now().q is ClockQuality.SYNCED
    assert "signed the directory 2592000 s ahead" in caplog.text
    assert "central's clock is ahead" in caplog.text


def test_a_later_signature_takes_the_place_of_one_that_was_ahead() -> None:
    device = clock(source := FixedTime(is_synced=True))
    device.learn_issue(LATER_MS + 30 * DAY_MS)
    assert device.now().q is ClockQuality.NONE
    device.learn_issue(LATER_MS)
    assert (device.now().wall_ms, device.now().q) == (source.reading.wall_ms, ClockQuality.SYNCED)


def event(mono_ms: int, wall_ms: int, *, boot: str = "a", q: ClockQuality = ClockQuality.SYNCED) -> Event:
    body = msgspec.Raw(b"{}")
    return Event(n=1, kind="x", boot=boot, mono_ms=mono_ms, wall_ms=wall_ms, q=q, body=body, err_ms=9)


@pytest.mark.parametrize(
    ("events", "is_believed"),
    [
        pytest.param([event(0, LATER_MS), event(HELD_MS, LATER_MS + HELD_MS)], False, id="held"),
        pytest.param([event(0, LATER_MS), event(HELD_MS - 1, LATER_MS + HELD_MS - 1)], True, id="too short"),
        pytest.param([event(0, LATER_MS), event(HELD_MS, LATER_MS + HELD_MS, boot="b")], True, id="other boot"),
        pytest.param([event(0, LATER_MS), event(HELD_MS, LATER_MS + DAY_MS)], True, id="set"),
        pytest.param(
            [event(0, LATER_MS), event(HELD_MS, LATER_MS + HELD_MS, q=ClockQuality.ESTIMATED)], True, id="not synced",
        ),
        pytest.param(
            [event(0, LATER_MS), event(HELD_MS, LATER_MS + HELD_MS),
             event(0, LATER_MS - DAY_MS, boot="b"), event(HELD_MS, LATER_MS - DAY_MS + HELD_MS, boot="b")],
            True, id="outweighed later",
        ),
    ],
)  # fmt: skip
def test_what_the_journal_shows_of_earlier_runs_has_passed(events: list[Event], *, is_believed: bool) -> None:
    device = clock(FixedTime(wall_ms=LATER_MS + HELD_MS - 60_000, is_synced=True))
    device.learn_events(events)
    assert (device.now().q is ClockQuality.SYNCED) is is_believed


def test_centrals_time_stands_in_and_its_error_grows() -> None:
    source = FixedTime(mono_ms=5_000, wall_ms=0)
    device = clock(source)
    device.learn_server(asked_ms=4_960, answered_ms=5_040, server_ms=LATER_MS)
    source.reading = KernelTime(15_000, 0, is_synced=False, err_ms=None)
    now = device.now()
    assert (now.wall_ms, now.q) == (LATER_MS + 10_000, ClockQuality.ESTIMATED)
    assert device.stamp(now).err_ms == 42


def test_what_is_learned_later_says_nothing_of_a_time_before() -> None:
    device = clock(FixedTime(), has_rtc=True)
    before = device.now()
    device.learn_server(asked_ms=4_960, answered_ms=5_040, server_ms=LATER_MS + 14 * 86_400_000)
    assert device.stamp(before).err_ms is None
    assert device.stamp(device.now()).err_ms == 40


async def test_the_signature_of_the_directory_has_passed(tmp_path: Path) -> None:
    directory, device = Directory.open(tmp_path), clock(FixedTime(wall_ms=LATER_MS))
    learn_floor(device, directory)
    assert device.now().wall_ms == LATER_MS
    begin = begin_of(issued_ms=LATER_MS + 3_600_000)
    await directory.stage_begin(begin, issued(begin))
    await directory.stage_chunk(chunk_of())
    await directory.stage_end(DirEnd(snap=begin.snap))
    learn_floor(device, directory)
    assert device.now().wall_ms == LATER_MS + 3_600_000 - 60_000
    await directory.close()


def test_a_time_of_central_before_the_floor_is_not_believed() -> None:
    device = clock(FixedTime(mono_ms=5_000, wall_ms=0))
    device.learn_issue(LATER_MS + CLOCKS_DIFFER_MS)
    device.learn_server(asked_ms=5_000, answered_ms=5_000, server_ms=LATER_MS - 1)
    assert (device.now().wall_ms, device.now().q) == (LATER_MS, ClockQuality.NONE)


def test_ntp_outranks_central() -> None:
    source = FixedTime(is_synced=True)
    device = clock(source)
    device.learn_server(5_000, 5_001, LATER_MS + 99_000)
    assert device.now().wall_ms == LATER_MS


def test_a_stamp_carries_boot_both_clocks_and_error() -> None:
    device = clock(FixedTime(is_synced=True))
    stamp = device.stamp(device.now())
    assert (stamp.boot, stamp.mono_ms, stamp.wall_ms, stamp.q, stamp.err_ms) == (
        device.boot, 5_000, LATER_MS, ClockQuality.SYNCED, 12,
    )  # fmt: skip


def test_simulated_time_shifts_the_wall_and_can_claim_ntp() -> None:
    time = SimulatedTime(FixedTime())
    time.shift(-1_000)
    time.pretend_synced(True)
    reading = time.read()
    assert (reading.wall_ms, reading.is_synced) == (LATER_MS - 1_000, True)
    time.pretend_synced(None)
    time.shift(0)
    assert time.read() == FixedTime().read()


def test_the_systems_clocks_can_be_read() -> None:
    first, second = SystemTime().read(), SystemTime().read()
    assert 0 < first.mono_ms <= second.mono_ms
    assert first.wall_ms > RELEASED_MS
    assert (first.err_ms is None) == (not first.is_synced)


def test_the_boot_has_an_id() -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", boot_id())
    assert has_rtc() in {True, False}
