"""Values for conversations with central: hellos, events with a true chain, and the moments they happen at."""

from collections.abc import Iterable

import msgspec

from central.sync.exchange import Connected, Effect, Effects, Input, Now, Opened, Received, Send
from central.sync.session import State, step
from wire import chain
from wire.events import AlarmBody, Stamp, number, write_tail
from wire.message import Message
from wire.messages import Backlog, ClockReading, Events, Hello, RunAck, RunState
from wire.transfer import DirectoryRef
from wire.version import VersionRange
from wire.vocabulary import ClockQuality, EventKind

DEVICE = "01890000-0000-7000-8000-000000000001"
RUN = "00000000000000aa"
REF = DirectoryRef("e1", 1, "d1")
HEAD = "ab" * 32


def at(mono_ms: int) -> Now:
    """Return a moment; the wall clock reads a million seconds more."""
    return Now(mono_ms, 1_000_000_000 + mono_ms)


def hello(**changes: object) -> Hello:
    """Return the hello of a device with one run of five events."""
    plain = Hello(
        device=DEVICE,
        store="store-1",
        boot="boot-1",
        agent="test",
        proto=VersionRange(1, 1),
        runs=[RunState(run=RUN, ord=1, last=5, acked=0, head=HEAD)],
        clock=ClockReading(1, 1, ClockQuality.SYNCED),
        backlog=Backlog(5, 500, 1),
        dir=REF,
    )
    return msgspec.structs.replace(plain, **changes)


def text_of(n: int, detail: str = "") -> bytes:
    """Return the stored text of event `n`."""
    at_ = Stamp("boot-1", n, 1_700_000_000_000 + n, ClockQuality.SYNCED)
    return number(n, write_tail(EventKind.ALARM, at_, AlarmBody(code="test", detail=detail)))


def batch(first: int, count: int, run: str = RUN) -> Events:
    """Return a batch as it is decoded from its frame."""
    texts = [text_of(n) for n in range(first, first + count)]
    return Events(run=run, first=first, ev=[msgspec.Raw(chain.splice(text, chain.digest(text))) for text in texts])


class Talk:
    """One conversation: gives inputs, keeps the state and everything that came out."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State(device=DEVICE)
        self.effects: list[Effect] = []

    def give(self, *events: Input) -> Effects:
        """Give inputs in order; return what the last one caused."""
        effects: Effects = ()
        for event in events:
            self.state, effects = step(self.state, event)
            self.effects += effects
        return effects

    def say(self, message: Message, mono_ms: int = 100) -> Effects:
        """Let the device say something."""
        return self.give(Received(at(mono_ms), message))


def live(runs: Iterable[RunAck] = (RunAck(RUN, 0, HEAD),), directory: DirectoryRef = REF, **changes: object) -> Talk:
    """Return a conversation behind its welcome, at mono 10 ms."""
    talk = Talk()
    talk.give(Connected(at(0)), Received(at(5), hello(**changes)), Opened(at(10), 7, tuple(runs), None, directory))
    talk.effects.clear()
    return talk


def sent(effects: Iterable[Effect]) -> list[Message]:
    """Return the messages among effects."""
    return [effect.message for effect in effects if isinstance(effect, Send)]
