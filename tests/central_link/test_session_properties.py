"""Whatever a device says, in whatever order: central's half stays within its bounds and acknowledges only a prefix."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.sync.exchange import Close, Ended, Ingest, Ingested, IngestTomb, Input, Missing, OpenSession, Tick
from central.sync.session import Phase
from tests.central_link.talk import HEAD, RUN, Talk, at, batch, hello, live, sent
from wire.limits import MAX_INTEGER
from wire.message import Message
from wire.messages import (
    Ack,
    Anchor,
    AuthRefresh,
    Bye,
    CommandAck,
    CommandResult,
    Error,
    Events,
    Heartbeat,
    Nack,
    RunAck,
    Tomb,
)
from wire.transfer import DirGot, DirResync, DirState
from wire.vocabulary import ClockQuality, CloseCode, CommandState, ErrorCode, TombReason
from wire.window import Gap, ReceiveWindow

pytestmark = pytest.mark.unit

numbers = st.one_of(st.integers(0, 12), st.just(MAX_INTEGER))
words = st.sampled_from(["", RUN, "00000000000000bb", "x\0y", "e1", "2-1"])
messages = st.one_of(
    st.just(hello()),
    st.builds(lambda n, k: batch(n, k), st.integers(1, 9), st.integers(1, 4)),
    st.builds(lambda run, n, k: Events(run=run, first=n, ev=batch(1, 1).ev * k), words, numbers, st.integers(0, 3)),
    st.builds(Tomb, run=words, first=numbers, to=numbers, why=st.just(TombReason.PRUNED), count=numbers),
    st.builds(Anchor, boot=words, mono_ms=numbers, wall_ms=numbers, err_ms=numbers),
    st.builds(Heartbeat, mono_ms=numbers, wall_ms=numbers, q=st.just(ClockQuality.NONE), backlog=numbers),
    st.builds(DirGot, snap=words, i=numbers),
    st.builds(DirState, epoch=words, ver=numbers, digest=words),
    st.builds(DirResync, why=words),
    st.builds(CommandAck, id=words, state=st.sampled_from(CommandState)),
    st.builds(CommandResult, id=words, state=st.sampled_from(CommandState)),
    st.builds(AuthRefresh, token=words),
    st.builds(Error, code=st.sampled_from(ErrorCode), detail=words),
    st.builds(Bye, code=numbers),
)


@given(st.lists(st.one_of(messages, st.integers(0, 60_000)), max_size=30))
def test_no_order_of_messages_breaks_the_session(script: list[Message | int]) -> None:
    talk, now_ms = Talk(), 0
    for item in script:
        if isinstance(item, int):
            now_ms += item
            talk.give(Tick(at(now_ms)))
        else:
            talk.say(item, now_ms)
    opened = [effect for effect in talk.effects if isinstance(effect, OpenSession)]
    assert len(opened) <= 1
    closed = [i for i, effect in enumerate(talk.effects) if isinstance(effect, Close)]
    assert not closed or closed == [len(talk.effects) - 1]


class Ledger:
    """A model of what the ledger does with a run: holds a prefix, and may lose its memory of the end of it."""

    def __init__(self) -> None:
        self.window = ReceiveWindow()
        self.given: list[int] = []

    def take(self, run: str, first: int, count: int) -> Input:
        placed = self.window.place(first, count)
        if isinstance(placed, Gap):
            return Missing(at(50), run, placed.expect)
        self.given += range(first + placed.skip, first + count)
        self.window = self.window.received(first + count - 1)
        return Ingested(at(50), run, self.window.upto, b"\x01" * 32)


moves = st.one_of(
    st.tuples(st.just("events"), st.integers(1, 12), st.integers(1, 5)),
    st.tuples(st.just("tomb"), st.integers(1, 12), st.integers(1, 5)),
    st.tuples(st.just("restore"), st.integers(0, 12), st.just(0)),
)


@given(st.lists(moves, max_size=40))
def test_only_a_prefix_is_ever_acknowledged(script: list[tuple[str, int, int]]) -> None:
    talk, ledger = live([RunAck(RUN, 0, HEAD)]), Ledger()
    for what, n, count in script:
        if what == "restore":
            ledger.window = ReceiveWindow(min(n, ledger.window.upto))
            continue
        tomb = Tomb(run=RUN, first=n, to=n + count - 1, why=TombReason.CORRUPT, count=count)
        for effect in talk.say(batch(n, count) if what == "events" else tomb):
            match effect:
                case Ingest(run=run, first=first, raws=raws):
                    answer = ledger.take(run, first, len(raws))
                case IngestTomb(tomb=lost):
                    answer = ledger.take(lost.run, lost.first, lost.to - lost.first + 1)
                case _:
                    continue
            for message in sent(talk.give(answer)):
                assert isinstance(message, Ack | Nack)
                if isinstance(message, Ack):
                    assert message.upto == ledger.window.upto
                else:
                    assert message.expect == ledger.window.expect
    assert talk.state.phase is Phase.LIVE


def test_end_from_outside_closes_in_every_phase() -> None:
    for talk in (Talk(), live()):
        effects = talk.give(Ended(at(20), CloseCode.SUPERSEDED, "x" * 999))
        assert isinstance(effects[-1], Close)
        assert len(effects[-1].why) <= 200
