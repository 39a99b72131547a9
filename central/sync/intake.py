"""The way of events from a device: what is held of each run, and what comes next. Pure.

Runs do not hold each other up: a gap in one is asked for while the others go on.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from central.sync.exchange import Close, Effects, Ingest, Ingested, IngestTomb, Missing, Send
from wire.limits import Limits
from wire.messages import Ack, Error, Events, Nack, Rejection, RunAck, Tomb
from wire.vocabulary import CloseCode, ErrorCode
from wire.window import Gap, ReceiveWindow

DETAIL_CHARS: Final = 120


@dataclass(frozen=True, slots=True)
class Lane:
    """One run: what is held, and the number that was last asked for."""

    window: ReceiveWindow
    nacked: int | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """All runs that this connection may send."""

    limits: Limits = field(default_factory=Limits)
    lanes: dict[str, Lane] = field(default_factory=dict)

    @staticmethod
    def of(limits: Limits, runs: tuple[RunAck, ...]) -> "Intake":
        """Begin with what is held."""
        return Intake(limits, {held.run: Lane(ReceiveWindow(held.upto)) for held in runs})

    def events(self, batch: Events) -> tuple["Intake", Effects]:
        """A batch came."""
        if not batch.ev:
            return self, _refusal(ErrorCode.MALFORMED, f"no events from {batch.first} on")
        if len(batch.ev) > self.limits.batch_events:
            detail = f"{len(batch.ev)} events in a batch, the limit is {self.limits.batch_events}"
            return self, _refusal(ErrorCode.TOO_LARGE, detail, CloseCode.TOO_LARGE)
        taken, effects = self._placed(batch.run, batch.first, len(batch.ev))
        if taken:
            return self, (Ingest(batch.run, batch.first, [bytes(raw) for raw in batch.ev]),)
        return self._asked(batch.run, effects), effects

    def tomb(self, tomb: Tomb) -> tuple["Intake", Effects]:
        """The device declares events lost."""
        if tomb.first > tomb.to:
            return self, _refusal(ErrorCode.MALFORMED, f"tomb from {tomb.first} to {tomb.to}")
        taken, effects = self._placed(tomb.run, tomb.first, tomb.to - tomb.first + 1)
        if taken:
            return self, (IngestTomb(tomb),)
        return self._asked(tomb.run, effects), effects

    def ingested(self, done: Ingested) -> tuple["Intake", Effects]:
        """The ledger committed: acknowledge."""
        lane = self.lanes[done.run]
        ack = Ack(
            run=done.run,
            upto=done.upto,
            head=done.head.hex(),
            window=self.limits.window,
            rej=[Rejection(each.n, each.code, each.detail[:DETAIL_CHARS]) for each in done.rejections],
        )
        return self._put(done.run, replace(lane, window=lane.window.received(done.upto), nacked=None)), (Send(ack),)

    def missing(self, gap: Missing) -> tuple["Intake", Effects]:
        """The ledger holds less than this connection believed."""
        lane = Lane(ReceiveWindow(gap.expect - 1), nacked=gap.expect)
        return self._put(gap.run, lane), (Send(Nack(run=gap.run, expect=gap.expect)),)

    def _placed(self, run: str, first: int, count: int) -> tuple[bool, Effects]:
        lane = self.lanes.get(run)
        if lane is None:
            detail = f"run {run[:40]!a} is not in this connection's hello"
            return False, (Send(Error(code=ErrorCode.UNEXPECTED, detail=detail, ref=run[:40])),)
        # What was held before goes to the ledger too: only it can compare a repeated event with the one it has.
        placed = lane.window.place(first, count)
        if not isinstance(placed, Gap):
            return True, ()
        # The batches behind a gap all miss the same number; asking once rewinds them all.
        if placed.expect == lane.nacked:
            return False, ()
        return False, (Send(Nack(run=run, expect=placed.expect)),)

    def _asked(self, run: str, effects: Effects) -> "Intake":
        lane = self.lanes.get(run)
        if lane is None or not effects:
            return self
        return self._put(run, replace(lane, nacked=lane.window.expect))

    def _put(self, run: str, lane: Lane) -> "Intake":
        return replace(self, lanes={**self.lanes, run: lane})


def _refusal(code: ErrorCode, detail: str, close: CloseCode = CloseCode.PROTOCOL) -> Effects:
    return Send(Error(code=code, detail=detail)), Close(close, detail)
