import re
from pathlib import Path

import pytest

from agent.clock import RELEASED_MS, Clock, KernelTime, SimulatedTime, SystemTime, boot_id, has_rtc
from agent.store.directory import Directory
from agent.upkeep import learn_floor
from tests.fakes.issuing import begin_of, chunk_of, issued
from wire.transfer import DirEnd
from wire.vocabulary import ClockQuality

pytestmark = pytest.mark.unit

LATER_MS = RELEASED_MS + 86_400_000


class FixedTime:
    def __init__(self, mono_ms: int = 5_000, wall_ms: int = LATER_MS, *, is_synced: bool = False) -> None:
        self.reading = KernelTime(mono_ms, wall_ms, is_synced, 12 if is_synced else None)

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


def test_the_floor_rises_with_what_has_happened_and_never_falls() -> None:
    device = clock(FixedTime(wall_ms=LATER_MS), has_rtc=True)
    device.learn_floor(LATER_MS + 1)
    device.learn_floor(LATER_MS - 1)
    assert (device.now().wall_ms, device.now().q) == (LATER_MS + 1, ClockQuality.NONE)


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
    device.learn_floor(LATER_MS)
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
