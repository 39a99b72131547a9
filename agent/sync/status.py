"""What can be told of the link: whether it is up, since when, why not, and what it did so far."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """Whether central is there: `since_ms` is monotonic, `words` say why it is not."""

    is_up: bool
    since_ms: int
    words: str = ""
    session: int | None = None


@dataclass(slots=True)
class LinkStats:
    """Counters since the start of the process."""

    attempts: int = 0
    welcomes: int = 0
    events_sent: int = 0
    reports: int = 0
    rtt_ms: int = 0
