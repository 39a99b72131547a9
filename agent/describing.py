"""What the agent says of itself: the figures of the heartbeat, and the lines of `doorstile sim status`."""

from datetime import UTC, datetime
from pathlib import Path

from agent.acting import lock_of
from agent.clock import TimeSource
from agent.fitting import mode_words, passage_sense
from agent.health import disk_free_bytes, rss_bytes
from agent.station import Station
from agent.store.directory import Directory
from agent.store.journal import Journal
from agent.sync.ports import Vitals
from agent.sync.runner import Link
from hardware.base import Hardware, ReaderState


def vitals_of(state: Path, hardware: Hardware, station: Station, journal: Journal) -> Vitals:
    """Return what a heartbeat tells central; `state` is the folder of the device's files."""
    return Vitals(
        wal_bytes=journal.stats.wal_bytes,
        rss_bytes=rss_bytes(),
        disk_free_bytes=disk_free_bytes(state),
        drops=station.dropped,
        readers=tuple(f"{reader.name} {reader.state}" for reader in hardware.readers),
        door=station.state.picture.state,
    )


def described(
    hardware: Hardware, station: Station, journal: Journal, directory: Directory, link: Link, time: TimeSource
) -> dict[str, str]:
    """Return what `doorstile sim status` prints."""
    lock = lock_of(hardware.strike, hardware.turnstile)
    return {
        "screen": station.state.picture.state,
        "mode": mode_words(station.state.standing),
        "lock": "none" if lock is None else "unlocked" if lock.is_on else "locked",
        "passage": f"told by the {passage_sense(station.state.door)}",
        "link": "up" if link.status.is_up else "down",
        "waiting": str(journal.backlog().events),
        "members": "yes" if directory.ref is not None else "no",
        "readers": ", ".join(
            f"{reader.name} {'ready' if reader.state is ReaderState.READY else reader.state}"
            for reader in hardware.readers
        ),
        "clock": _clock_words(time),
        "run": journal.run,
    }


def _clock_words(time: TimeSource) -> str:
    told = time.read()
    at = datetime.fromtimestamp(told.wall_ms / 1000, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC, {'synchronised' if told.is_synced else 'not synchronised'}"
