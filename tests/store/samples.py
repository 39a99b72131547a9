"""Drafts, chains and damaged files for the tests of the store."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from agent.store.journal import Draft, Journal, JournalLimits
from agent.store.reading import genesis_of
from wire.chain import link, unsplice
from wire.events import AlarmBody, CommandBegunBody, Stamp
from wire.vocabulary import ClockQuality, CommandName, EventKind

DEVICE = "0190a0b0-0000-7000-8000-000000000001"
AT = Stamp("boot-1", 5_000, 1_760_000_000_000, ClockQuality.SYNCED)
QUICK = JournalLimits(reserve_bytes=4096, idle_s=30.0)


def alarm(detail: str = "", *, at: Stamp = AT) -> Draft:
    """Return a draft of a diagnostic."""
    return Draft(EventKind.ALARM, at, AlarmBody(code="test", detail=detail))


def begun(key: str, *, opens: str | None = None, settles: str | None = None, outcome: str = "") -> Draft:
    """Return a draft that is no diagnostic, with promises where wanted."""
    body = CommandBegunBody(id=key, name=CommandName.UNLOCK)
    return Draft(EventKind.COMMAND_BEGUN, AT, body, opens, settles, outcome)


@dataclass
class Chain:
    """The far side's view of one run: what it took and where the chain stands."""

    head: bytes
    upto: int = 0
    texts: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, journal: Journal, run: str) -> "Chain":
        """Begin at h(0), computed independently of the journal's cursor."""
        line = journal._lines[run]
        return cls(genesis_of(DEVICE, journal.store, line))

    def take(self, n: int, data: bytes) -> None:
        """Accept the next event and check that it is the next."""
        parted = unsplice(data)
        assert parted is not None
        assert n == self.upto + 1
        event_digest, self.texts[n] = parted
        self.head = link(self.head, event_digest)
        self.upto = n


async def pull(journal: Journal, run: str, chain: Chain, max_events: int = 200) -> int:
    """Read everything that follows the chain into it; return how many events came."""
    count = 0
    while events := await journal.read(run, chain.upto, max_events, 1 << 16):
        for event in events:
            chain.take(event.n, event.data)
        count += len(events)
    return count


def copied(folder: Path, target: Path) -> Path:
    """Copy a state folder, the lock left out, as if the power had gone."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("agent.lock", "*.reserve", "*.start", "quarantine"))
    return target
