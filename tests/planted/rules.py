"""Bugs in the rules, which the independent reference sees, and in how old a directory is taken to be."""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from agent.core import staleness
from rules import policy
from rules.calendar import Calendar
from rules.case import Case
from tests.core.builders import now
from tests.planted.door import patched
from tests.planted.registry import PlantedBug
from tests.reference.comparing import compare
from wire.book import EVERYWHERE
from wire.vocabulary import ClockQuality, Reason

_SITES: Final = range(10)


def _with_rule(reason: Reason, **changed: Any) -> Any:
    """Return what plants a change of one rule of the table."""
    table = tuple(
        replace(rule, **changed) if rule.reason is reason else rule for rule in policy._ABOUT_THE_ROW
    )  # fmt: skip
    return patched(policy, "_ABOUT_THE_ROW", table)


def _is_elsewhere_unless_named(seen: Case) -> bool:
    """The zone rule in which being named outweighs a group that is kept out."""
    return seen.zone is not None and seen.zone.name not in seen.zones and EVERYWHERE not in seen.zones


def _ends_inclusively(seen: Case) -> bool:
    return seen.row.valid_to_ms is not None and seen.wall_ms > seen.row.valid_to_ms


def _own_day_only(self: Calendar, schedule: Any, day: int) -> Any:
    windows = self._of(schedule, day) if schedule is not None else []
    return tuple((window.start_min, 1440 if window.is_overnight else window.end_min) for window in windows)


def _usual_days(self: Calendar, schedule: Any, day: int) -> Any:
    from rules.calendar import falls_on

    return [window for window in schedule.windows if falls_on(window, day)]


def _disagrees() -> str | None:
    return next((example for seed in _SITES for example in compare(range(seed, seed + 1)).examples), None)


def _stays_young() -> str | None:
    """Pull the plug every two minutes for a day, before the age is kept again, with a clock that nobody trusts."""
    count = staleness.begin(None, "b0", now(0, q=ClockQuality.NONE))
    for boot in range(1, 721):
        kept = staleness.mark(count, now(0, q=ClockQuality.NONE))
        count = staleness.begin(kept, f"b{boot}", now(0, q=ClockQuality.NONE))
    counted_h = staleness.age_ms(count, now(0)) / 3_600_000
    return None if counted_h >= 24 else f"a day of power cuts counted as {counted_h:.1f} h"


def _bug(
    name: str, breaks: str, plant: Callable[[], Any], promise: str = "nobody is let in against a rule"
) -> PlantedBug:
    return PlantedBug(name, breaks, promise, "tests.reference", plant, _disagrees)


PLANTED: Final = (
    _bug(
        "deny-override-dropped", "a zone that a plan names is open to a group that is kept out of it",
        _with_rule(Reason.ZONE_NOT_ALLOWED, objects=_is_elsewhere_unless_named),
    ),
    _bug(
        "midnight-window-cut", "hours across midnight end at midnight",
        patched(Calendar, "_work_out", _own_day_only), "who may pass does",
    ),
    _bug("holiday-forgotten", "hours are those of any other day", patched(Calendar, "_of", _usual_days)),
    _bug(
        "staleness-ignored", "a directory counts however old it is",
        _with_rule(Reason.DIRECTORY_STALE, objects=lambda _: False),
    ),
    _bug(
        "validity-end-inclusive", "a membership is valid at the moment of its end",
        _with_rule(Reason.EXPIRED, objects=_ends_inclusively),
    ),
    _bug(
        "override-lifts-block", "the right to override lets a blocked member in",
        _with_rule(Reason.MEMBER_BLOCKED, is_liftable=True),
    ),
    _bug("offline-deny-forgotten", "a rule that needs the link is passed without it", _with_rule(
        Reason.NEEDS_LINK, objects=lambda _: False)),
    _bug("clock-policy-ignored", "hours and dates go unasked while the clock is unknown",
         patched(policy, "is_unsure", lambda _: False)),
    PlantedBug(
        "power-cuts-keep-it-young", "a boot after an unknown time without power counts as none",
        "a directory that is too old denies", "tests.planted.rules",
        patched(staleness, "BOOT_PENALTY_MS", 0), _stays_young,
    ),
)  # fmt: skip
"""The layer of the rules."""
