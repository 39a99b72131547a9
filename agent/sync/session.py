"""The agent's half of the conversation with central. Pure: `step(state, input) -> (state, effects)`.

One `State` lives as long as the process: what concerns one connection begins anew with `Opened`, what must outlive it
(commands, refused batches, runs that rest) stays. Time is an argument; a timer is the effect `WakeAt`.
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from agent.sync.bounds import bounded_limits, bounded_pause_ms, bounded_reconnect, is_zone_name
from agent.sync.exchange import (
    AnchorKnown,
    ChunkStaged,
    Close,
    CommandFinished,
    CursorMoved,
    CursorRefused,
    DirectoryFailed,
    DirectoryLost,
    DirectoryStaged,
    Disconnected,
    Effects,
    Grown,
    Input,
    KeepReconnect,
    KeepZone,
    Loaded,
    Opened,
    Parted,
    Received,
    Reconciled,
    Report,
    Rewound,
    Send,
    ServerTime,
    Tick,
    Trouble,
    Unreadable,
    WakeAt,
    Welcomed,
)
from agent.sync.greeting import chosen_runs, hello_of
from agent.sync.outflow import Outflow
from agent.sync.pulse import Echo, Pulse
from agent.sync.staging import DirMessage
from agent.sync.state import Phase, State, remembering
from wire.errors import RemoteProtocolError
from wire.limits import ACK_TIMEOUT_S
from wire.message import Message
from wire.messages import (
    Ack,
    Anchor,
    AuthOk,
    Bye,
    Command,
    CommandDone,
    CommandResult,
    Error,
    HeartbeatAck,
    Nack,
    Welcome,
)
from wire.presence import PresDelta
from wire.transfer import DirBegin, DirChunk, DirDelta, DirEnd
from wire.version import SPOKEN, VersionRange, negotiate
from wire.vocabulary import CloseCode, ErrorCode

NORMAL_CLOSE: Final = 1000
TOO_BIG_CLOSE: Final = 1009
MAX_ANCHORS: Final = 8
WELCOME_TIMEOUT_MS: Final = int(ACK_TIMEOUT_S * 1000)
RETRY_MS: Final = 60_000
"""After so long a run that rests because the store had no room is tried again, on another connection."""


__all__ = ["Phase", "State", "remembering", "step"]

_Flow = Grown | Loaded | CursorMoved | CursorRefused | Rewound
_Directory = ChunkStaged | DirectoryStaged | DirectoryFailed | DirectoryLost
_Later = Unreadable | Tick | Reconciled | _Directory | _Flow


def step(state: State, event: Input) -> tuple[State, Effects]:
    """Take one input; return the next state and what to do, in order."""
    state, effects = _dispatched(state, event)
    state, later = _settled(state, event.now_ms)
    return state, (*effects, *later)


def _dispatched(state: State, event: Input) -> tuple[State, Effects]:
    match event:
        case Opened():
            return _opened(state, event)
        case Disconnected():
            return _disconnected(state, event.code), ()
        case CommandFinished():
            return _command_finished(state, event.result)
        case AnchorKnown():
            return _anchored(state, event.anchor)
        case _ if state.phase in (Phase.IDLE, Phase.CLOSING):
            return state, ()
        case Received():
            return _received(state, event.message, event.now_ms)
        case _:
            return _continued(state, event)


def _continued(state: State, event: _Later) -> tuple[State, Effects]:
    match event:
        case Unreadable():
            return state, (_complaint(event.code, event.detail), Report(Trouble.UNEXPECTED_MESSAGE, event.detail))
        case Tick():
            return _ticked(state, event.now_ms)
        case Reconciled():
            return _reconciled(state, event)
        case ChunkStaged() | DirectoryStaged() | DirectoryFailed() | DirectoryLost():
            return _directory_moved(state, event)
        case _:
            return _flow_moved(state, event)


def _settled(state: State, now_ms: int) -> tuple[State, Effects]:
    effects: Effects = ()
    if state.phase is Phase.LIVE:
        flow, effects = state.flow.pumped(now_ms)
        if flow is not state.flow:
            state = replace(state, flow=flow)
        if state.has_more and flow.is_settled and not flow.is_reconciling:
            state = replace(state, phase=Phase.CLOSING)
            effects += (Close(NORMAL_CLOSE, "more runs than one hello holds"),)
    wake_ms = _wake_ms(state)
    if wake_ms == state.wake_ms:
        return state, effects
    return replace(state, wake_ms=wake_ms), effects if wake_ms is None else (*effects, WakeAt(wake_ms))


def _wake_ms(state: State) -> int | None:
    if state.phase is Phase.GREETING:
        return state.opened_ms + WELCOME_TIMEOUT_MS
    if state.phase is not Phase.LIVE:
        return None
    pulse = state.pulse
    moments = [pulse.next_beat_ms, pulse.next_renewal_ms]
    moments += [] if state.retry_ms is None else [state.retry_ms]
    for sent_ms in (state.flow.oldest_sent_ms, pulse.oldest_unanswered_ms):
        if sent_ms is not None:
            moments.append(sent_ms + pulse.ack_timeout_ms)
    if state.staging.wake_ms is not None:
        moments.append(state.staging.wake_ms)
    return min(moments)


# The connection's beginning and end


def _opened(state: State, event: Opened) -> tuple[State, Effects]:
    greeting = event.greeting
    runs, has_more = chosen_runs(greeting.runs, state.resting)
    state = replace(
        state,
        phase=Phase.GREETING,
        opened_ms=event.now_ms,
        flow=Outflow.of(runs, greeting.losses, state.throttle, has_more=has_more),
        pulse=Pulse(),
        staging=state.staging.opened(greeting, event.now_ms),
        has_more=has_more,
        retry_ms=None,
        wake_ms=None,
    )
    hello = hello_of(greeting, runs, state.orders.refs, has_more=has_more, presence=state.mirror.ref)
    return state, (Send(hello),)


def _disconnected(state: State, code: int | None) -> State:
    throttle = state.throttle
    if state.phase in (Phase.LIVE, Phase.CLOSING):
        throttle = state.flow.throttle
        if code in (CloseCode.TOO_LARGE, TOO_BIG_CLOSE):
            throttle = state.flow.too_large()
    resting = frozenset(lane.run for lane in state.flow.lanes if lane.is_stopped)
    staging = state.staging.cut()
    return replace(
        state, phase=Phase.IDLE, flow=Outflow(), throttle=throttle, staging=staging, resting=resting, wake_ms=None
    )


def _received(state: State, message: Message, now_ms: int) -> tuple[State, Effects]:
    if state.phase is Phase.GREETING and not isinstance(message, Error | Bye):
        if isinstance(message, Welcome):
            return _welcomed(state, message, now_ms)
        return _unexpected(state, message, now_ms)
    return _HANDLERS.get(type(message), _unexpected)(state, message, now_ms)


def _welcomed(state: State, welcome: Welcome, now_ms: int) -> tuple[State, Effects]:
    try:
        negotiate(SPOKEN, VersionRange(min=welcome.proto, max=welcome.proto))
    except RemoteProtocolError as fault:
        return replace(state, phase=Phase.CLOSING), (Close(CloseCode.UPGRADE, str(fault)),)
    flow, effects = state.flow.welcomed(bounded_limits(welcome.limits), welcome.runs, welcome.last_run)
    pulse = Pulse.begun(
        now_ms,
        Echo(state.opened_ms, welcome.server_ms),
        hb_s=welcome.hb_s,
        ack_timeout_s=welcome.ack_timeout_s,
        lease_s=welcome.lease_s,
    )
    staging, resync = state.staging.greeted(welcome, now_ms)
    mirror, told = state.mirror.greeted(welcome, state.opened_ms)
    pulse, first_beat = pulse.ticked(now_ms)
    state = replace(state, phase=Phase.LIVE, flow=flow, pulse=pulse, staging=staging, mirror=mirror)
    return state, (
        Welcomed(welcome.session),
        ServerTime(state.opened_ms, now_ms, welcome.server_ms, staging.current == welcome.dir),
        KeepReconnect(bounded_reconnect(welcome.reconnect)),
        *((KeepZone(welcome.tz),) if is_zone_name(welcome.tz) else ()),
        *first_beat,
        *(Send(anchor) for anchor in state.anchors),
        *state.orders.repeated(),
        *effects,
        *resync,
        *told,
    )


# Messages of a welcomed connection


def _on_ack(state: State, message: Ack, now_ms: int) -> tuple[State, Effects]:
    flow, effects = state.flow.acked(message)
    return replace(state, flow=flow), effects


def _on_nack(state: State, message: Nack, now_ms: int) -> tuple[State, Effects]:
    flow, effects = state.flow.nacked(message)
    return replace(state, flow=flow), effects


def _on_heartbeat_ack(state: State, message: HeartbeatAck, now_ms: int) -> tuple[State, Effects]:
    pulse, reports = state.pulse.echoed(message)
    staging, resync = state.staging.compared(message.dir_ver, message.server_ms, now_ms)
    is_current = staging.is_current(message.dir_ver)
    if reports:
        return replace(state, pulse=pulse, staging=staging), (*reports, *resync)
    mirror, told = state.mirror.compared(message.pres_ver, message.echo_mono_ms, now_ms)
    learned = ServerTime(message.echo_mono_ms, now_ms, message.server_ms, is_current)
    return replace(state, pulse=pulse, staging=staging, mirror=mirror), (learned, *resync, *told)


def _on_command(state: State, message: Command, now_ms: int) -> tuple[State, Effects]:
    orders, effects = state.orders.ordered(message, state.pulse, now_ms)
    return replace(state, orders=orders), effects


def _on_command_done(state: State, message: CommandDone, now_ms: int) -> tuple[State, Effects]:
    orders, effects = state.orders.done(message.id)
    return replace(state, orders=orders), effects


def _on_directory(state: State, message: DirMessage, now_ms: int) -> tuple[State, Effects]:
    staging, effects = state.staging.received(message, now_ms)
    return replace(state, staging=staging), effects


def _on_presence(state: State, message: PresDelta, now_ms: int) -> tuple[State, Effects]:
    mirror, effects = state.mirror.received(message)
    return replace(state, mirror=mirror), effects


def _on_auth_ok(state: State, message: AuthOk, now_ms: int) -> tuple[State, Effects]:
    return replace(state, pulse=state.pulse.renewed(now_ms, message.lease_s)), ()


def _on_error(state: State, message: Error, now_ms: int) -> tuple[State, Effects]:
    if message.ref is not None and message.code in (ErrorCode.CHAIN_BROKEN, ErrorCode.UNEXPECTED):
        state = replace(state, flow=state.flow.complained(message.ref))
    return state, (Report(Trouble.CENTRAL_COMPLAINS, f"{message.code}: {message.detail[:200]}"),)


def _on_bye(state: State, message: Bye, now_ms: int) -> tuple[State, Effects]:
    return state, (Parted(message.code, bounded_pause_ms(message.retry_after_ms), bounded_pause_ms(message.spread_ms)),)


def _unexpected(state: State, message: Message, now_ms: int) -> tuple[State, Effects]:
    detail = f"{message.type} does not belong here ({state.phase})"
    return state, (_complaint(ErrorCode.UNEXPECTED, detail), Report(Trouble.UNEXPECTED_MESSAGE, detail))


_HANDLERS: Final[dict[type[Message], Callable[[State, Any, int], tuple[State, Effects]]]] = {
    Ack: _on_ack,
    Nack: _on_nack,
    HeartbeatAck: _on_heartbeat_ack,
    Command: _on_command,
    CommandDone: _on_command_done,
    DirBegin: _on_directory,
    DirChunk: _on_directory,
    DirEnd: _on_directory,
    DirDelta: _on_directory,
    PresDelta: _on_presence,
    AuthOk: _on_auth_ok,
    Error: _on_error,
    Bye: _on_bye,
}


# What the device says


def _flow_moved(state: State, event: _Flow) -> tuple[State, Effects]:
    flow, effects = state.flow, Effects()
    match event:
        case Grown():
            flow = flow.grown(event.run, event.last)
        case Loaded():
            flow, effects = flow.loaded(event)
        case CursorMoved():
            flow = flow.cursor_moved(event)
        case CursorRefused():
            flow, effects = flow.cursor_refused(event)
            if event.trouble is Trouble.NO_ROOM and state.retry_ms is None:
                state = replace(state, retry_ms=event.now_ms + RETRY_MS)
        case Rewound():
            flow, effects = flow.rewound(event)
    return replace(state, flow=flow), effects


def _reconciled(state: State, event: Reconciled) -> tuple[State, Effects]:
    reports = (Report(Trouble.STORAGE_WENT_BACK, event.missing),) if event.missing else ()
    if event.moved > 0:
        why = f"{event.moved} runs to name again: central may hold less than it acknowledged"
        if not event.missing:
            reports = (Report(Trouble.CENTRAL_WENT_BACK, why),)
        return replace(state, phase=Phase.CLOSING), (*reports, Close(NORMAL_CLOSE, why))
    return replace(state, flow=state.flow.reconciled()), reports


def _directory_moved(state: State, event: _Directory) -> tuple[State, Effects]:
    staging, effects = state.staging.stored(event)
    return replace(state, staging=staging), effects


def _command_finished(state: State, result: CommandResult) -> tuple[State, Effects]:
    state = replace(state, orders=state.orders.finished(result))
    return state, (Send(result),) if state.phase is Phase.LIVE else ()


def _anchored(state: State, anchor: Anchor) -> tuple[State, Effects]:
    others = tuple(known for known in state.anchors if known.boot != anchor.boot)
    state = replace(state, anchors=(*others, anchor)[-MAX_ANCHORS:])
    return state, (Send(anchor),) if state.phase is Phase.LIVE else ()


def _ticked(state: State, now_ms: int) -> tuple[State, Effects]:
    if state.phase is Phase.GREETING:
        if now_ms < state.opened_ms + WELCOME_TIMEOUT_MS:
            return state, ()
        return _overdue(state, f"no welcome within {WELCOME_TIMEOUT_MS // 1000} s")
    timeout_ms = state.pulse.ack_timeout_ms
    batch_ms, beat_ms = state.flow.oldest_sent_ms, state.pulse.oldest_unanswered_ms
    if batch_ms is not None and now_ms >= batch_ms + timeout_ms:
        flow = replace(state.flow, throttle=state.flow.throttle.eased())
        return _overdue(replace(state, flow=flow), f"a batch was not acknowledged within {timeout_ms / 1000:g} s")
    if beat_ms is not None and now_ms >= beat_ms + timeout_ms:
        return _overdue(state, f"a heartbeat was not answered within {timeout_ms / 1000:g} s")
    if state.retry_ms is not None and now_ms >= state.retry_ms:
        return replace(state, phase=Phase.CLOSING), (Close(NORMAL_CLOSE, "to try again where there was no room"),)
    pulse, effects = state.pulse.ticked(now_ms)
    staging, more = state.staging.ticked(now_ms)
    return replace(state, pulse=pulse, staging=staging), (*effects, *more)


def _overdue(state: State, why: str) -> tuple[State, Effects]:
    return replace(state, phase=Phase.CLOSING), (Report(Trouble.LINK_OVERDUE, why), Close(CloseCode.OVERDUE, why))


def _complaint(code: ErrorCode, detail: str) -> Send:
    return Send(Error(code=code, detail=detail[:200]))
