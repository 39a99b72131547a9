"""The way of events to central: which run, which batch, what is acknowledged. Pure.

Events go out oldest run first and in order; at most one `Load` is under way and at most `window` events of all runs
are unacknowledged. What cannot be trusted stops the run that it concerns, alone, until the next connection.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from agent.sync.exchange import (
    CursorMoved,
    CursorRefused,
    Effect,
    Effects,
    Load,
    Loaded,
    MoveCursor,
    Reconcile,
    Report,
    Rewind,
    Rewound,
    Send,
    SendEvents,
    Spliced,
    Trouble,
)
from agent.sync.lanes import Lane, Throttle
from wire.chain import DIGEST_BYTES, splice, unsplice
from wire.events import stub
from wire.limits import Limits
from wire.messages import Ack, Error, Nack, RunAck, RunState, Tomb
from wire.vocabulary import ErrorCode, ShedReason
from wire.window import SendWindow

FRAME_OVERHEAD_BYTES = 256
"""Room in a frame for the envelope around a batch."""
READ_AHEAD = 4
"""Batches that one read of the store may bring."""
MAX_NACKS = 8
"""Gaps that central may claim in one run before an acknowledgement moves; more stop the run."""


class Outflow(Struct, frozen=True):
    """All runs of this connection, oldest first."""

    lanes: tuple[Lane, ...] = ()
    limits: Limits = field(default_factory=Limits)
    window: int = 0
    loading: tuple[str, int] | None = None
    is_reconciling: bool = False
    waits: str = ""
    """The current run, while older ones wait for the next `hello`: central would take it for the end of what it holds,
    and a backup made then would miss those for good."""
    throttle: Throttle = field(default_factory=Throttle)

    # The conversation's beginning

    @staticmethod
    def of(
        runs: Iterable[RunState], losses: Iterable[Tomb], throttle: Throttle, *, has_more: bool = False
    ) -> "Outflow":
        """Begin with what `hello` says."""
        graves = tuple(losses)
        lanes = tuple(
            Lane(
                run=state.run,
                ord=state.ord,
                window=SendWindow(acked=state.acked, sent=state.acked, last=max(state.last, state.acked)),
                head=state.head,
                tombs=tuple(sorted((t for t in graves if t.run == state.run), key=lambda t: t.first)),
            )
            for state in runs
        )
        waits = max(lanes, key=lambda lane: lane.ord).run if has_more else ""
        return Outflow(lanes=lanes, waits=waits, throttle=throttle)

    def welcomed(self, limits: Limits, runs: list[RunAck], last_run: RunAck | None) -> tuple["Outflow", Effects]:
        """Take over what central holds of each run."""
        flow = replace(self, limits=limits, window=limits.window)
        effects: list[Effect] = []
        for held in runs:
            flow, more = _taken_over(flow, held)
            effects += more
        newest = max(self.lanes, key=lambda lane: lane.ord)
        if last_run is None or last_run.run != newest.run:
            flow = replace(flow, is_reconciling=True)
            effects.append(Reconcile(last_run, frozenset(lane.run for lane in self.lanes)))
        return flow, tuple(effects)

    def reconciled(self) -> "Outflow":
        """Central holds everything that counts as acknowledged: events may flow."""
        return replace(self, is_reconciling=False)

    # Acknowledgements

    def acked(self, ack: Ack) -> tuple["Outflow", Effects]:
        """Central says that it committed events; nothing moves before the store has compared the chain."""
        flow = replace(self, window=max(1, min(ack.window, self.limits.window)))
        lane = flow.lane(ack.run)
        if lane is None:
            detail = f"ack for run {ack.run[:40]!a}, which this connection does not send"
            return flow, (Report(Trouble.UNKNOWN_RUN, detail), _complaint(ErrorCode.UNEXPECTED, detail))
        if ack.upto > lane.window.sent:
            detail = f"run {ack.run}: ack up to {ack.upto}, but only {lane.window.sent} were sent; nothing was deleted"
            return flow, (Report(Trouble.ACK_AHEAD, detail), _complaint(ErrorCode.ACK_AHEAD, detail))
        if ack.upto <= lane.window.acked or lane.is_stopped or lane.is_rewinding:
            return flow, ()
        rejections = tuple(
            Report(Trouble.EVENT_REJECTED, f"run {ack.run} event {each.n}: {each.code} {each.detail[:120]}")
            for each in ack.rej[: self.limits.batch_events]
        )
        flow, effects = _verified(flow, lane, ack.upto, ack.head)
        return flow, (*effects, *rejections)

    def cursor_moved(self, moved: CursorMoved) -> "Outflow":
        """The store agrees with an acknowledgement."""
        lane = self.lane(moved.run)
        if lane is None or lane.is_rewinding:
            return self
        flow = self.put(lane.acked(moved.upto))
        return replace(flow, throttle=flow.throttle.relaxed())

    def cursor_refused(self, refused: CursorRefused) -> tuple["Outflow", Effects]:
        """The store does not agree: the run stops, its rows stay."""
        lane = self.lane(refused.run)
        flow = self if lane is None else self.put(lane.stopped())
        return flow, (Report(refused.trouble, refused.detail),)

    def complained(self, run: str) -> "Outflow":
        """Central does not go on with a run: it rests, or its batches would wait for an answer that never comes."""
        lane = self.lane(run)
        return self if lane is None else self.put(lane.stopped())

    # Going back

    def nacked(self, nack: Nack) -> tuple["Outflow", Effects]:
        """Central misses events of a run.

        Batches behind a gap are each answered with a nack; the first says it all, and if the repeat is lost as well
        the acknowledgement deadline ends the connection.
        """
        lane = self.lane(nack.run)
        if lane is None or nack.expect < 1 or nack.expect > lane.window.sent + 1:
            detail = f"nack for run {nack.run[:40]!a} expects {nack.expect}, which was not sent"
            return self, (Report(Trouble.BAD_NACK, detail), _complaint(ErrorCode.UNEXPECTED, detail))
        if lane.is_stopped or lane.is_rewinding or nack.expect == lane.nacked:
            return self, ()
        if lane.nacks >= MAX_NACKS:
            detail = f"run {nack.run}: {MAX_NACKS} gaps claimed and none closed; the run rests"
            return self.put(lane.stopped()), (Report(Trouble.BAD_NACK, detail),)
        lane = replace(lane, nacks=lane.nacks + 1, nacked=nack.expect)
        upto = nack.expect - 1
        if upto < lane.window.acked:
            return self.put(replace(lane, is_rewinding=True, batches=())), (Rewind(nack.run, upto),)
        window = SendWindow(acked=lane.window.acked, sent=upto, last=lane.window.last)
        batches = tuple(batch for batch in lane.batches if batch.upto <= upto)
        return self.put(replace(lane, window=window, batches=batches)), ()

    def rewound(self, rewound: Rewound) -> tuple["Outflow", Effects]:
        """The store moved a cursor back: what is retained goes out again, what is not is declared lost."""
        state = rewound.state
        lane = self.lane(state.run) or Lane(state.run, state.ord, SendWindow())
        window = SendWindow(acked=rewound.upto, sent=rewound.upto, last=max(state.last, rewound.upto, lane.window.last))
        lane = replace(lane, window=window, batches=(), is_rewinding=False)
        if rewound.pruned is None:
            return self.put(lane), ()
        gone = rewound.pruned
        detail = f"run {state.run}: central asks for events {gone.first} to {gone.to}, which are no longer kept"
        tombs = tuple(sorted((*lane.tombs, gone), key=lambda tomb: tomb.first))
        return self.put(replace(lane, tombs=tombs)), (Report(Trouble.RANGE_LOST, detail),)

    # Going on

    def grown(self, run: str, last: int) -> "Outflow":
        """The current run has more events."""
        lane = self.lane(run)
        return self if lane is None else self.put(replace(lane, window=lane.window.grown(last)))

    def pumped(self, now_ms: int) -> tuple["Outflow", Effects]:
        """Ask for the next batch, or declare the next loss, as far as the window goes."""
        flow, effects = self, list[Effect]()
        while flow.loading is None and not flow.is_reconciling:
            lane = next((lane for lane in flow.lanes if lane.has_unsent and lane.run != flow.waits), None)
            if lane is None:
                break
            n = lane.window.sent + 1
            tomb = lane.tomb_at(n)
            if tomb is not None and flow.room > 0:
                flow = flow.put(lane.sent([tomb.to], now_ms))
                effects.append(Send(tomb))
                continue
            count = 0 if tomb is not None else flow.loadable(lane, n)
            if count == 0:
                break
            flow = replace(flow, loading=(lane.run, lane.window.sent))
            effects.append(Load(lane.run, lane.window.sent, count, READ_AHEAD * flow.batch_bytes))
        return flow, tuple(effects)

    def loaded(self, loaded: Loaded) -> tuple["Outflow", Effects]:
        """Send what the store read, unless the run went another way meanwhile."""
        if self.loading != (loaded.run, loaded.after):
            return self, ()
        flow = replace(self, loading=None)
        lane = flow.lane(loaded.run)
        if lane is None or lane.is_stopped or lane.is_rewinding or lane.window.sent != loaded.after:
            return flow, ()
        first, items = loaded.after + 1, loaded.items
        if not items or items[0].n != first or items[-1].n != loaded.after + len(items):
            detail = f"run {loaded.run}: no event {first} in the store; run `doorstile journal verify`"
            return flow.put(lane.stopped()), (Report(Trouble.ROWS_MISSING, detail),)
        batches = _batches(flow, loaded.run, items)
        flow = flow.put(lane.sent([batch.first + len(batch.spliced) - 1 for batch in batches], loaded.now_ms))
        return flow, tuple(batches)

    def loadable(self, lane: Lane, n: int) -> int:
        """How many events of a run may be read from `n` on: whole batches, or what there is."""
        there = min(lane.events_before_tomb(n), lane.window.unsent)
        batch = min(self.batch_events, there, self.window)
        if self.room < batch:
            return 0
        count = min(READ_AHEAD * self.batch_events, there, self.room)
        return count if count in (there, batch) else count - count % batch

    # Figures

    def lane(self, run: str) -> Lane | None:
        """The lane of a run."""
        return next((lane for lane in self.lanes if lane.run == run), None)

    def put(self, lane: Lane) -> "Outflow":
        """Set a lane, in its place among the runs."""
        lanes = tuple([lane if each.run == lane.run else each for each in self.lanes])
        if lane not in lanes:
            lanes = tuple(sorted((*lanes, lane), key=lambda each: each.ord))
        return replace(self, lanes=lanes)

    @property
    def in_flight(self) -> int:
        """Unacknowledged events of all runs that go on."""
        return sum(lane.window.in_flight for lane in self.lanes if not lane.is_stopped)

    @property
    def is_settled(self) -> bool:
        """True once no lane will do anything more before new events come."""
        return all(lane.is_settled or lane.run == self.waits for lane in self.lanes)

    @property
    def oldest_sent_ms(self) -> int | None:
        """When the oldest unacknowledged batch went out."""
        return min((lane.batches[0].sent_ms for lane in self.lanes if lane.batches), default=None)

    @property
    def batch_events(self) -> int:
        """How many events a batch may hold now."""
        return max(1, min(self.limits.batch_events, self.limits.window) >> self.throttle.shrink)

    @property
    def batch_bytes(self) -> int:
        """How many bytes of events a batch may hold; never halved, or a large event would be shed for nothing."""
        return min(self.limits.batch_bytes, self.limits.frame_bytes - FRAME_OVERHEAD_BYTES)

    @property
    def room(self) -> int:
        """How many more events may be on the way; where single events are tried, one at a time."""
        if self.throttle.shrink and self.batch_events == 1:
            return 0 if self.in_flight else 1
        return self.window - self.in_flight

    def too_large(self) -> Throttle:
        """What to do differently after central closed because a frame was too large."""
        waiting = [(lane.run, lane.batches[0]) for lane in self.lanes if lane.batches]
        if self.throttle.shrink and self.batch_events == 1 and len(waiting) == 1:
            run, batch = waiting[0]
            return replace(self.throttle, refused=self.throttle.refused | {(run, batch.first)})
        return self.throttle.tightened()


def _taken_over(flow: Outflow, held: RunAck) -> tuple[Outflow, Effects]:
    lane = flow.lane(held.run)
    if lane is None:
        return flow, (Report(Trouble.UNKNOWN_RUN, f"welcome names run {held.run}, which hello did not"),)
    window = lane.window
    if held.upto > window.last:
        detail = (
            f"run {held.run}: central holds events up to {held.upto}, this device only up to {window.last}; "
            f"its storage lost {window.last + 1} to {held.upto}"
        )
        return flow.put(lane.stopped()), (Report(Trouble.STORAGE_WENT_BACK, detail),)
    if held.upto < window.acked:
        return flow.put(replace(lane, is_rewinding=True)), (Rewind(held.run, max(0, held.upto)),)
    if held.upto > window.acked:
        return _verified(flow, replace(lane, window=window.advanced(held.upto)), held.upto, held.head)
    if held.head and held.head != lane.head:
        return flow.put(lane.stopped()), (_wrong_head(held.run, held.upto),)
    return flow, ()


def _verified(flow: Outflow, lane: Lane, upto: int, head: str) -> tuple[Outflow, Effects]:
    try:
        raw = bytes.fromhex(head)
    except ValueError:
        raw = b""
    if len(raw) != DIGEST_BYTES:
        return flow.put(lane.stopped()), (_wrong_head(lane.run, upto),)
    lane = replace(lane, batches=tuple(batch for batch in lane.batches if batch.upto > upto))
    return flow.put(lane), (MoveCursor(lane.run, upto, raw),)


def _batches(flow: Outflow, run: str, items: Sequence[Spliced]) -> list[SendEvents]:
    """Cut what was read into batches that keep both limits."""
    most_events, most_bytes = flow.batch_events, flow.batch_bytes
    batches: list[SendEvents] = []
    texts = _fitting(flow, run, items)
    at = 0
    while at < len(texts):
        batch = texts[at : at + most_events]
        size = sum(map(len, batch)) + len(batch)
        while size > most_bytes and len(batch) > 1:
            size -= len(batch.pop()) + 1
        batches.append(SendEvents(run, items[at].n, tuple(batch), size))
        at += len(batch)
    return batches


def _fitting(flow: Outflow, run: str, items: Sequence[Spliced]) -> list[bytes]:
    most = flow.limits.frame_bytes - FRAME_OVERHEAD_BYTES
    texts = [item.data for item in items]
    if not flow.throttle.refused and max(map(len, texts)) <= most:
        return texts
    refused = flow.throttle.refused
    return [_stubbed(item) if len(item.data) > most or (run, item.n) in refused else item.data for item in items]


def _stubbed(item: Spliced) -> bytes:
    """Return what stands for an event too large to send: its number and digest, so that the chain goes on."""
    parts = unsplice(item.data)
    assert parts is not None, item.n
    return splice(stub(item.n, ShedReason.TOO_LARGE), parts[0])


def _complaint(code: ErrorCode, detail: str) -> Send:
    return Send(Error(code=code, detail=detail))


def _wrong_head(run: str, upto: int) -> Report:
    return Report(
        Trouble.WRONG_HEAD, f"run {run}: central's chain differs at event {upto}; the run rests, its rows stay"
    )
