"""Heartbeats, the lease, and what the echoes say about central's clock. Pure.

Central stamps its answer after it received the question, so by the device's monotonic clock its time is now at most
`server_ms + (now - moment of the question)`. `welcome` answers `hello` and counts as the first echo.
"""

from msgspec import Struct
from msgspec.structs import replace

from agent.sync.exchange import Effects, RenewLease, Report, SendHeartbeat, Trouble
from wire.limits import ACK_TIMEOUT_S, ECHO_MAX_AGE_S, HEARTBEAT_S, LEASE_REFRESH_AT, LEASE_S
from wire.messages import Command, HeartbeatAck
from wire.vocabulary import CommandMode

_MAX_UNANSWERED = 64
_MAX_STEP_MS = 1000
"""By so much central's clock may be set forward between two echoes, and a command still be dated."""
_SECOND_RENEWAL_AT = 0.05
"""Share of the lease after which an unanswered renewal is repeated."""


class Echo(Struct, frozen=True):
    """Central's time `server_ms`, in answer to what went out at `asked_ms`."""

    asked_ms: int
    server_ms: int

    def server_at_most_ms(self, now_ms: int) -> int:
        """The latest that central's clock can show now."""
        return self.server_ms + (now_ms - self.asked_ms)


class Pulse(Struct, frozen=True):
    """The timers of a welcomed connection."""

    hb_ms: int = int(HEARTBEAT_S * 1000)
    ack_timeout_ms: int = int(ACK_TIMEOUT_S * 1000)
    lease_ms: int = LEASE_S * 1000
    next_beat_ms: int = 0
    next_renewal_ms: int = 0
    unanswered: tuple[int, ...] = ()
    echo: Echo | None = None

    @staticmethod
    def begun(now_ms: int, echo: Echo, *, hb_s: float, ack_timeout_s: float, lease_s: int) -> "Pulse":
        """Start at the welcome: the first heartbeat is due at once."""
        lease_ms = max(1, min(lease_s, 30 * 24 * 3600)) * 1000
        return Pulse(
            hb_ms=_clamped_ms(hb_s),
            ack_timeout_ms=_clamped_ms(ack_timeout_s),
            lease_ms=lease_ms,
            next_beat_ms=now_ms,
            next_renewal_ms=now_ms + int(lease_ms * LEASE_REFRESH_AT),
            echo=echo,
        )

    def ticked(self, now_ms: int) -> tuple["Pulse", Effects]:
        """Send what is due."""
        pulse, effects = self, Effects()
        if now_ms >= pulse.next_beat_ms:
            unanswered = (*pulse.unanswered, now_ms)[:_MAX_UNANSWERED]
            pulse = replace(pulse, next_beat_ms=now_ms + pulse.hb_ms, unanswered=unanswered)
            effects += (SendHeartbeat(now_ms),)
        if now_ms >= pulse.next_renewal_ms:
            pulse = replace(pulse, next_renewal_ms=now_ms + max(1000, int(pulse.lease_ms * _SECOND_RENEWAL_AT)))
            effects += (RenewLease(),)
        return pulse, effects

    def renewed(self, now_ms: int, lease_s: int) -> "Pulse":
        """Central extended the lease."""
        lease_ms = max(1, min(lease_s, 30 * 24 * 3600)) * 1000
        return replace(self, lease_ms=lease_ms, next_renewal_ms=now_ms + int(lease_ms * LEASE_REFRESH_AT))

    def echoed(self, ack: HeartbeatAck) -> tuple["Pulse", Effects]:
        """Central heard a heartbeat."""
        if ack.echo_mono_ms not in self.unanswered:
            detail = f"heartbeat_ack echoes {ack.echo_mono_ms}, which was not sent or is answered already"
            return self, (Report(Trouble.UNEXPECTED_MESSAGE, detail),)
        later = tuple(sent for sent in self.unanswered if sent > ack.echo_mono_ms)
        return replace(self, unanswered=later, echo=Echo(ack.echo_mono_ms, ack.server_ms)), ()

    @property
    def oldest_unanswered_ms(self) -> int | None:
        """When the oldest heartbeat without an echo went out."""
        return self.unanswered[0] if self.unanswered else None

    def begin_before_ms(self, command: Command, now_ms: int) -> int | None:
        """Until when the command may begin; None where it is too late, or where that cannot be known.

        Raising `age_ms` by the longest time that the frame can have been on its way gives its greatest age. A stamp
        from beyond what central's clock can show means that it was set since the echo: how long a frame was on its way
        is unknown then, and what would act once does not.
        """
        if self.echo is None or now_ms - self.echo.asked_ms > ECHO_MAX_AGE_S * 1000:
            return None
        under_way_ms = self.echo.server_at_most_ms(now_ms) - command.server_ms
        if under_way_ms < -_MAX_STEP_MS and command.mode is CommandMode.ONCE:
            return None
        under_way_ms = max(0, under_way_ms)
        left_ms = command.ttl_ms - max(0, command.age_ms) - under_way_ms
        return now_ms + left_ms if left_ms > 0 else None


def _clamped_ms(seconds: float) -> int:
    return int(max(0.05, min(seconds, 300.0)) * 1000)
