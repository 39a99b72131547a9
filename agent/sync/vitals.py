"""The figures in heartbeat and greeting. Pure."""

from agent.sync.ports import Moment, Vitals, WaitingFacts
from wire.messages import Backlog, Heartbeat


def backlog_of(waiting: WaitingFacts, now: Moment, boot: str) -> Backlog:
    """Return what waits; the age of an event from another boot is by wall clock and never negative."""
    oldest = waiting.oldest
    if oldest is None:
        age_ms = 0
    elif oldest.boot == boot:
        age_ms = now.mono_ms - oldest.mono_ms
    else:
        age_ms = now.wall_ms - oldest.wall_ms
    return Backlog(events=waiting.events, bytes=waiting.bytes, oldest_age_s=max(0, age_ms // 1000))


def heartbeat_of(
    vitals: Vitals,
    *,
    mono_ms: int,
    now: Moment,
    backlog: Backlog,
    dir_ver: int,
    reconnects: int,
    rtt_ms: int,
    pres_ver: int = 0,
) -> Heartbeat:
    """Return a heartbeat; central echoes `mono_ms`."""
    return Heartbeat(
        mono_ms=mono_ms,
        wall_ms=now.wall_ms,
        q=now.q,
        backlog=backlog.events,
        oldest_age_s=backlog.oldest_age_s,
        wal_bytes=vitals.wal_bytes,
        rss_bytes=vitals.rss_bytes,
        disk_free_bytes=vitals.disk_free_bytes,
        drops=vitals.drops,
        dir_ver=dir_ver,
        pres_ver=pres_ver,
        readers=list(vitals.readers),
        door=vitals.door,
        reconnects=reconnects,
        rtt_ms=rtt_ms,
        errors=vitals.errors,
    )
