"""The figures in heartbeat and greeting."""

import pytest

from agent.sync.ports import Vitals
from agent.sync.vitals import backlog_of, heartbeat_of
from tests.fakes.link_parts import Reading
from tests.fakes.memory_outbox import InWaiting
from wire.events import Stamp
from wire.messages import Backlog
from wire.vocabulary import ClockQuality

pytestmark = pytest.mark.unit

NOW = Reading(mono_ms=70_000, wall_ms=1_000_000, q=ClockQuality.SYNCED)


@pytest.mark.parametrize(
    ("oldest", "age_s"),
    [
        (None, 0),
        (Stamp("this", 9_500, 5, ClockQuality.NONE), 60),
        (Stamp("before", 9_500, 400_000, ClockQuality.SYNCED), 600),
        (Stamp("before", 9_500, 2_000_000, ClockQuality.SYNCED), 0),
    ],
)
def test_age_is_monotonic_within_a_boot_and_by_wall_clock_across_boots(oldest: Stamp | None, age_s: int) -> None:
    assert backlog_of(InWaiting(3, 900, oldest), NOW, "this") == Backlog(events=3, bytes=900, oldest_age_s=age_s)


def test_heartbeat_carries_vitals_and_backlog() -> None:
    vitals = Vitals(wal_bytes=1, rss_bytes=2, disk_free_bytes=3, drops=4, readers=("in:ok",), door="closed", errors=5)
    beat = heartbeat_of(
        vitals, mono_ms=69_999, now=NOW, backlog=Backlog(7, 800, 9), dir_ver=11, reconnects=12, rtt_ms=13
    )
    assert (beat.mono_ms, beat.wall_ms, beat.backlog, beat.oldest_age_s) == (69_999, 1_000_000, 7, 9)
    assert (beat.readers, beat.door, beat.errors, beat.dir_ver, beat.rtt_ms) == (["in:ok"], "closed", 5, 11, 13)
