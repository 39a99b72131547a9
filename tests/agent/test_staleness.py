"""How old the directory is: by monotonic time within a boot, by a trusted wall clock or a penalty across boots."""

import asyncio

import pytest

from agent.clock import Clock, KernelTime
from agent.core import staleness as core
from agent.core.staleness import BOOT_PENALTY_MS, UNKNOWN_MS, Mark
from agent.errors import StoreError
from agent.staleness import Staleness, kept_age_s
from rules.facts import Now
from wire.vocabulary import ClockQuality

pytestmark = pytest.mark.unit

HOUR_MS = 3_600_000
WALL_MS = 1_800_000_000_000
NEGATIVE = '{"boot":"b1","mono_ms":0,"age_ms":-1}'


def now(mono_ms: int, wall_ms: int = WALL_MS, *, known: bool = True) -> Now:
    return Now(mono_ms, wall_ms, ClockQuality.SYNCED if known else ClockQuality.NONE)


def test_within_a_boot_monotonic_time_counts_whatever_the_wall_clock_does() -> None:
    count = core.heard(core.begin(None, "b1", now(0)), now(1_000))
    assert core.age_ms(count, now(61_000, WALL_MS + 365 * 24 * HOUR_MS)) == 60_000
    assert core.age_ms(count, now(61_000, 0)) == 60_000


def test_a_restart_of_the_program_alone_goes_on_counting() -> None:
    kept = Mark("b1", 1_000, 5_000, WALL_MS)
    assert core.age_ms(core.begin(kept, "b1", now(11_000, 0, known=False)), now(11_000)) == 15_000


def test_a_boot_adds_the_time_without_power_where_the_clock_tells_it() -> None:
    kept = Mark("b1", 1_000, HOUR_MS, WALL_MS)
    assert core.age_ms(core.begin(kept, "b2", now(10, WALL_MS + 5 * HOUR_MS)), now(10)) == 6 * HOUR_MS


@pytest.mark.parametrize(
    ("kept", "at"),
    [
        (Mark("b1", 1_000, HOUR_MS, WALL_MS), now(10, known=False)),
        (Mark("b1", 1_000, HOUR_MS), now(10)),
        (Mark("b1", 1_000, HOUR_MS, WALL_MS), now(10, WALL_MS - 1)),
    ],
)
def test_a_boot_costs_an_hour_where_nobody_knows(kept: Mark, at: Now) -> None:
    assert core.age_ms(core.begin(kept, "b2", at), at) == HOUR_MS + BOOT_PENALTY_MS


def test_the_penalty_gives_way_to_the_truth_once_the_clock_is_set() -> None:
    count = core.begin(Mark("b1", 1_000, HOUR_MS, WALL_MS), "b2", now(10, known=False))
    assert core.settled(count, now(20, known=False)) == count
    late = now(60_010, WALL_MS + 30 * HOUR_MS)
    count = core.settled(count, late)
    assert core.age_ms(count, late) == 31 * HOUR_MS
    assert core.settled(count, now(60_020, WALL_MS)) == count


@pytest.mark.parametrize("restarts", [0, 2])
def test_a_boot_in_the_dark_makes_no_time_without_power_forgotten(restarts: int) -> None:
    """Off for a month, on for a while without a clock, off again, and only then told the time."""
    kept = Mark("b1", 1_000, HOUR_MS, WALL_MS)
    for dark in ("b2", "b3"):
        kept = core.mark(core.begin(kept, dark, now(10, known=False)), now(HOUR_MS + 10, known=False))
        for _ in range(restarts):
            kept = core.mark(core.begin(kept, dark, now(HOUR_MS + 10, known=False)), now(HOUR_MS + 10, known=False))
    assert kept.age_ms == HOUR_MS + 2 * (BOOT_PENALTY_MS + HOUR_MS)
    late = now(10, WALL_MS + 30 * 24 * HOUR_MS)
    assert core.age_ms(core.begin(kept, "b4", late), late) == (30 * 24 + 1) * HOUR_MS
    same = core.settled(core.begin(kept, "b3", now(2 * HOUR_MS, known=False)), late)
    assert core.age_ms(same, late) == (30 * 24 + 1) * HOUR_MS


def test_a_directory_without_a_mark_is_as_old_as_its_signature_also_after_a_boot_in_the_dark() -> None:
    count = core.begin(None, "b1", now(0, known=False), WALL_MS - 72 * HOUR_MS)
    kept = core.mark(count, now(HOUR_MS, known=False))
    assert core.age_ms(core.begin(kept, "b2", now(0)), now(0)) == 72 * HOUR_MS


def test_a_device_that_was_never_told_begins_with_the_penalty() -> None:
    assert core.age_ms(core.begin(None, "b1", now(0)), now(0)) == BOOT_PENALTY_MS


def test_a_directory_without_a_mark_is_as_old_as_its_signature() -> None:
    count = core.begin(None, "b1", now(0), WALL_MS - 72 * HOUR_MS)
    assert core.age_ms(count, now(0)) == 72 * HOUR_MS


def test_a_directory_without_a_mark_is_too_old_until_the_clock_is_known() -> None:
    count = core.begin(None, "b1", now(0, known=False), WALL_MS - 72 * HOUR_MS)
    assert core.age_ms(count, now(0, known=False)) == UNKNOWN_MS
    count = core.settled(count, now(HOUR_MS, WALL_MS))
    assert core.age_ms(count, now(HOUR_MS, WALL_MS)) == 72 * HOUR_MS


def test_a_directory_signed_in_the_future_is_too_old() -> None:
    count = core.begin(None, "b1", now(0), WALL_MS + 1)
    assert core.age_ms(count, now(0)) == UNKNOWN_MS


def test_a_contact_ends_the_waiting_for_the_truth() -> None:
    count = core.begin(Mark("b1", 1_000, HOUR_MS, WALL_MS), "b2", now(10, known=False))
    count = core.heard(count, now(20, known=False))
    assert core.age_ms(core.settled(count, now(30, WALL_MS + 99 * HOUR_MS)), now(30)) == 10


class MemoryKeeper:
    def __init__(self, text: str | None = None) -> None:
        self.values = {} if text is None else {"contact": text}
        self.is_full = False

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    async def put(self, name: str, value: str) -> None:
        if self.is_full:
            raise StoreError("no room")
        self.values[name] = value


class SetTime:
    def __init__(self, mono_ms: int = 0, wall_ms: int = WALL_MS) -> None:
        self.mono_ms, self.wall_ms = mono_ms, wall_ms

    def read(self) -> KernelTime:
        return KernelTime(self.mono_ms, self.wall_ms, True, 1)


async def test_the_age_survives_a_power_cut() -> None:
    keeper, time = MemoryKeeper(), SetTime()
    before = Staleness(keeper, Clock(time, boot="b1"))
    before.heard()
    time.mono_ms, time.wall_ms = 7_200_000, WALL_MS + 7_200_000
    await before.keep()
    assert kept_age_s(keeper.get) == 7_200
    later = SetTime(5, WALL_MS + 10 * HOUR_MS)
    assert Staleness(keeper, Clock(later, boot="b2")).age_s() == 10 * 3_600


async def test_the_first_contact_is_kept_at_once() -> None:
    keeper = MemoryKeeper()
    staleness = Staleness(keeper, Clock(SetTime(), boot="b1"))
    await staleness.keep()
    assert kept_age_s(keeper.get) == BOOT_PENALTY_MS // 1000
    staleness.heard()
    async with asyncio.timeout(5):
        await staleness.due()
    await staleness.keep()
    assert kept_age_s(keeper.get) == 0
    staleness.heard()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await staleness.due()


async def test_the_age_is_kept_now_and_then_without_a_contact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.staleness.KEEP_EVERY_S", 0.0)
    async with asyncio.timeout(5):
        await Staleness(MemoryKeeper(), Clock(SetTime(), boot="b1")).due()


async def test_a_full_disk_costs_no_more_than_what_was_kept(caplog: pytest.LogCaptureFixture) -> None:
    keeper = MemoryKeeper()
    keeper.is_full = True
    await Staleness(keeper, Clock(SetTime(), boot="b1")).keep()
    assert "cannot be kept: no room" in caplog.text


@pytest.mark.parametrize("text", ["", "{}", '{"boot":1}', "[", '{"boot":"b1","mono_ms":"x","age_ms":0}', NEGATIVE])
def test_what_cannot_be_read_counts_from_the_signature(text: str) -> None:
    keeper, clock = MemoryKeeper(text), Clock(SetTime(), boot="b1")
    assert Staleness(keeper, clock).age_s() == BOOT_PENALTY_MS // 1000
    assert Staleness(keeper, clock, WALL_MS - 5 * HOUR_MS).age_s() == 5 * 3_600
    assert kept_age_s(keeper.get) == 0
