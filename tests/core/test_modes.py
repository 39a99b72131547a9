import pytest

from agent.core import modes
from agent.core.floor import HELD_MS
from agent.core.modes import CameFirst, LocksDown, Overrides, Scheduled, Standing
from tests.core.builders import WALL_MS, now
from wire.vocabulary import ClockQuality, DoorMode, ModeCause

pytestmark = pytest.mark.unit

HOUR = 3_600_000
NOW = now(1_000)
LOCKDOWN = modes.lockdown(2, ModeCause.COMMAND, "Ann: desk", HOUR, NOW)
HELD = modes.override(DoorMode.UNLOCKED, ModeCause.COMMAND, "Ann", HOUR, NOW)
LOCKED = modes.override(DoorMode.LOCKED, ModeCause.COMMAND, "Ann", HOUR, NOW)


def test_what_somebody_set_outweighs_the_schedule_and_lockdown_outweighs_both() -> None:
    standing = Standing(DoorMode.CARD)
    assert standing.mode is DoorMode.CARD
    standing = modes.changed(standing, Overrides(HELD, ModeCause.COMMAND))
    assert (standing.mode, standing.is_free) == (DoorMode.UNLOCKED, True)
    standing = modes.changed(standing, LocksDown(LOCKDOWN, ModeCause.COMMAND))
    assert (standing.level, standing.is_free, standing.is_watched) == (2, False, True)
    standing = modes.changed(standing, LocksDown(None, ModeCause.COMMAND))
    assert standing.is_free, "a hold goes on after the lockdown"
    assert modes.changed(standing, Overrides(None, ModeCause.COMMAND)).mode is DoorMode.CARD


def test_the_first_person_changes_the_mode_until_the_schedule_does() -> None:
    standing = modes.changed(Standing(), Scheduled(DoorMode.FIRST_PERSON, DoorMode.UNLOCKED))
    assert not standing.is_free
    standing = modes.changed(standing, CameFirst("m1"))
    assert standing.is_free
    standing = modes.changed(standing, Scheduled(DoorMode.CARD))
    assert (standing.mode, standing.is_first_person_in) == (DoorMode.CARD, False)


def test_an_offices_toggle_ends_with_its_hours_and_a_hold_does_not() -> None:
    office = Standing(DoorMode.OFFICE)
    toggled = modes.override(DoorMode.UNLOCKED, ModeCause.HOLDER, "m1", None, NOW)
    standing = modes.changed(office, Overrides(toggled, ModeCause.HOLDER))
    assert standing.is_free
    assert not modes.changed(standing, Scheduled(DoorMode.CARD)).is_free
    held = modes.changed(office, Overrides(HELD, ModeCause.COMMAND))
    assert modes.changed(held, Scheduled(DoorMode.CARD)).is_free


def test_a_revoked_device_keeps_its_door_locked_and_opens_nothing_by_itself_afterwards() -> None:
    held = modes.changed(Standing(DoorMode.UNLOCKED), Overrides(HELD, ModeCause.COMMAND))
    revoked = modes.changed(held, Scheduled(DoorMode.CARD, is_revoked=True))
    assert (revoked.mode, revoked.is_free, revoked.is_closed) == (DoorMode.LOCKED, False, True)
    again = modes.changed(revoked, Scheduled(DoorMode.CARD))
    assert (again.mode, again.is_free) == (DoorMode.CARD, False)
    assert modes.lets_more_in(revoked, again), "working again waits for its record"
    locked = modes.changed(Standing(override=LOCKED), Scheduled(DoorMode.CARD, is_revoked=True))
    assert modes.changed(locked, Scheduled(DoorMode.CARD)).mode is DoorMode.LOCKED


def test_maintenance_alarms_nobody() -> None:
    assert not Standing(DoorMode.MAINTENANCE).is_watched
    assert Standing(DoorMode.MAINTENANCE, lockdown=LOCKDOWN).is_watched


def test_everything_that_was_set_has_an_end() -> None:
    standing = Standing(override=HELD, lockdown=LOCKDOWN)
    assert modes.due_ms(standing) == 1_000 + HOUR
    assert modes.over(standing, now(1_000 + HOUR - 1)) is None
    assert modes.over(standing, now(1_000 + HOUR)) == LocksDown(None, ModeCause.TIME)
    assert modes.over(Standing(override=HELD), now(1_000 + HOUR)) == Overrides(None, ModeCause.TIME)
    assert modes.due_ms(Standing()) is None


@pytest.mark.parametrize(("asked", "lasts"), [(None, 8 * HOUR), (1, 60_000), (10**12, 24 * HOUR), (HOUR, HOUR)])
def test_a_lockdown_lasts_as_long_as_is_allowed(asked: int | None, lasts: int) -> None:
    assert modes.lockdown(1, ModeCause.COMMAND, "Ann", asked, NOW).term.mono_ms == 1_000 + lasts


def test_within_its_boot_a_lockdown_does_not_end_by_the_wall_clock() -> None:
    assert modes.over(Standing(lockdown=LOCKDOWN), now(2_000, wall_ms=WALL_MS + 99 * HOUR)) is None


# --- restarts


def test_two_lockdowns_that_are_alike_are_two_promises() -> None:
    unknown = [now(at_ms, q=ClockQuality.NONE) for at_ms in (1_000, 1_001)]
    one, other = (modes.lockdown(2, ModeCause.COMMAND, "Ann", HOUR, at).promise for at in unknown)
    assert one != other


def test_what_an_earlier_version_promised_still_stands() -> None:
    back = modes.restored("stands-lockdown:2:3600000:0:Ann: desk", now(5))
    assert isinstance(back, modes.Lockdown)
    assert (back.level, back.actor) == (2, "Ann: desk")


def test_a_lockdown_comes_back_after_a_restart_with_its_end() -> None:
    back = modes.restored(LOCKDOWN.promise, now(5))
    assert isinstance(back, modes.Lockdown)
    assert (back.level, back.actor, back.cause) == (2, "Ann: desk", ModeCause.RESTART)
    standing = Standing(lockdown=back)
    assert modes.over(standing, now(6, wall_ms=WALL_MS + HOUR - 1, steady_ms=HELD_MS)) is None
    assert modes.over(standing, now(6, wall_ms=WALL_MS + HOUR, steady_ms=HELD_MS)) == LocksDown(None, ModeCause.TIME)


def test_a_wrong_synced_reading_does_not_end_a_lockdown_that_a_restart_kept() -> None:
    back = modes.restored(LOCKDOWN.promise, now(5))
    assert isinstance(back, modes.Lockdown)
    wrong = now(HELD_MS, wall_ms=WALL_MS + 9 * HOUR, steady_ms=HELD_MS - 1)
    assert modes.over(Standing(lockdown=back), wrong) is None


@pytest.mark.parametrize("q", [ClockQuality.NONE, ClockQuality.ESTIMATED])
def test_without_a_sure_clock_the_whole_time_begins_again_and_ends(q: ClockQuality) -> None:
    back = modes.restored(LOCKDOWN.promise, now(5, q=q))
    assert isinstance(back, modes.Lockdown)
    standing = Standing(lockdown=back)
    assert modes.over(standing, now(5 + HOUR - 1, wall_ms=WALL_MS + 9 * HOUR, q=q, steady_ms=HELD_MS)) is None
    assert modes.over(standing, now(5 + HOUR, wall_ms=0, q=q)) is not None


def test_a_lockdown_that_began_without_a_clock_ends_by_the_monotonic_one() -> None:
    promise = modes.lockdown(1, ModeCause.COMMAND, "Ann", HOUR, now(1_000, q=ClockQuality.NONE)).promise
    back = modes.restored(promise, now(5))
    assert isinstance(back, modes.Lockdown)
    assert back.term == modes.Term(5 + HOUR, None)


def test_what_keeps_people_out_comes_back_and_a_hold_does_not() -> None:
    back = modes.restored(LOCKED.promise, now(5))
    assert isinstance(back, modes.Override)
    assert back.mode is DoorMode.LOCKED
    assert HELD.promise == ""


@pytest.mark.parametrize(
    "text",
    [
        "", "stands-lockdown", "stands-lockdown:x:1:1:a", "stands-lockdown:1:x:1:a", "stands-lockdown:1:1",
        "stands-mode:unlocked:1:1:a", "stands-mode:nonsense:1:1:a", "grant:aa:1", "stands-fire",
    ],
)  # fmt: skip
def test_a_promise_that_nobody_wrote_restores_nothing(text: str) -> None:
    assert modes.restored(text, NOW) is None


@pytest.mark.parametrize(
    ("damaged", "kept"),
    [
        ("stands-lockdown:2:60000:5:Ann: desk", "stands-lockdown:2:28800000:0:Ann: desk"),
        ("stands-lockdown:0:1:1:a", "stands-lockdown:1:28800000:0:a"),
        ("stands-lockdown", "stands-lockdown:1:28800000:0:"),
        ("stands-lockeown:3:1:1:a", "stands-lockdown:1:28800000:0:a"),
        ("stands-mode:locked:1:1:a", "stands-mode:locked:28800000:0:a"),
        ("stands-mode:maintenance:1:1:a", "stands-mode:maintenance:28800000:0:a"),
        ("stands-mode:lockec:1:1:a", "stands-lockdown:1:28800000:0:a"),
        ("stands-mode:unlocked:1:1:a", None), ("hold:c1", None), ("grant:aa:1", None), ("", None),
    ],
)  # fmt: skip
def test_damaged_promise_is_believed_only_where_it_keeps_people_out(damaged: str, kept: str | None) -> None:
    assert modes.doubted(damaged) == kept
    assert kept is None or modes.restored(kept, NOW) is not None


@pytest.mark.parametrize(
    ("before", "after", "more"),
    [
        (Standing(), Standing(DoorMode.UNLOCKED), True),
        (Standing(DoorMode.UNLOCKED), Standing(), False),
        (Standing(DoorMode.LOCKED), Standing(), True),
        (Standing(), Standing(DoorMode.OFFICE), False),
        (Standing(lockdown=LOCKDOWN), Standing(), True),
        (Standing(DoorMode.UNLOCKED), Standing(DoorMode.UNLOCKED, lockdown=LOCKDOWN), False),
        (Standing(lockdown=LOCKDOWN), Standing(lockdown=modes.lockdown(1, ModeCause.COMMAND, "", None, NOW)), True),
        (Standing(), Standing(DoorMode.MAINTENANCE), False),
        (Standing(DoorMode.LOCKED), Standing(DoorMode.MAINTENANCE), True),
        (Standing(DoorMode.MAINTENANCE), Standing(DoorMode.LOCKED), False),
        (Standing(DoorMode.FIRST_PERSON), Standing(DoorMode.CARD), True),
        (Standing(DoorMode.CARD), Standing(DoorMode.FIRST_PERSON), False),
        (Standing(DoorMode.FIRST_PERSON), Standing(DoorMode.MAINTENANCE), True),
        (Standing(DoorMode.MAINTENANCE), Standing(DoorMode.FIRST_PERSON), True),
        (Standing(DoorMode.OFFICE), Standing(), False),
        (Standing(DoorMode.LOCKED, lockdown=LOCKDOWN), Standing(lockdown=LOCKDOWN), True),
        (Standing(lockdown=LOCKDOWN), Standing(DoorMode.LOCKED, lockdown=LOCKDOWN), False),
    ],
)
def test_it_is_known_what_lets_more_people_in(before: Standing, after: Standing, more: bool) -> None:
    assert modes.lets_more_in(before, after) is more
