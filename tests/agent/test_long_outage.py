"""Thirty days without a network, with a dead battery: who is still let in, and when that ends."""

import pytest

from agent.core import staleness
from rules.facts import Now
from rules.policy import decide
from tests.rules.builders import BOOK, HARD, NOON, book, facts, row
from wire.book import CredentialClass, Zone
from wire.facts import PresenceFacts
from wire.rows import DirectoryRow
from wire.vocabulary import ClockQuality, Reason, WhenUnsure

pytestmark = pytest.mark.unit

HOUR_MS = 3_600_000
DAYS = 30


def unknown(mono_ms: int) -> Now:
    """The clock after a boot without a battery: it stands at its floor and nobody trusts it."""
    return Now(mono_ms, NOON, ClockQuality.NONE)


def reasons(known: DirectoryRow, site: object = BOOK) -> dict[int, Reason]:
    """Ask every hour of thirty-two days, with a power cut each Sunday night; return the answers that changed."""
    count = staleness.heard(staleness.begin(None, "boot 0", unknown(0)), unknown(0))
    changes: dict[int, Reason] = {}
    began_h = 0
    for hour in range((DAYS + 2) * 24):
        now = unknown((hour - began_h) * HOUR_MS)
        if hour and hour % (7 * 24) == 0:
            kept = staleness.mark(count, now)
            began_h, now = hour, unknown(0)
            count = staleness.begin(kept, f"boot {hour}", now)
        given = facts(known, site=site, q=now.q, stale_s=staleness.age_ms(count, now) // 1000)  # type: ignore[arg-type]
        reason = decide(given).reason
        if not changes or list(changes.values())[-1] is not reason:
            changes[hour] = reason
    return changes


def test_who_is_bound_to_no_time_passes_for_thirty_days_and_then_the_directory_is_too_old() -> None:
    found = reasons(row())
    assert list(found.values()) == [Reason.MEMBER_VALID, Reason.DIRECTORY_STALE]
    assert list(found)[1] // 24 >= DAYS


def test_who_is_bound_to_hours_passes_only_where_the_class_allows_it() -> None:
    assert reasons(row(plan="day"))[0] is Reason.CLOCK_UNKNOWN
    allowing = book(CredentialClass(name="hf_uid", clock_unknown=WhenUnsure.ALLOW))
    assert list(reasons(row(plan="day"), allowing).values()) == [Reason.MEMBER_VALID, Reason.DIRECTORY_STALE]


def test_what_had_ended_before_stays_ended() -> None:
    allowing = book(CredentialClass(name="hf_uid", clock_unknown=WhenUnsure.ALLOW))
    assert set(reasons(row(valid_to_ms=NOON), allowing).values()) == {Reason.DIRECTORY_STALE, Reason.EXPIRED}


def test_a_month_alone_lets_nobody_in_twice() -> None:
    site = book(Zone(name="gym", anti_passback=HARD))
    inside = facts(site=site, q=ClockQuality.NONE, presence=PresenceFacts(zone="gym", age_ms=DAYS * 24 * HOUR_MS))
    assert decide(inside).reason is Reason.ANTI_PASSBACK
