"""Messages that a central which lies, or somebody in its place, may send instead of the true ones.

The forger knows every head of every chain, so only the device's own checks stand between it and a deleted event.
"""

from random import Random
from typing import Final

from msgspec.structs import replace

from agent.sync.outflow import Outflow
from tests.simulation.truth import Truth
from wire.message import Message
from wire.messages import Ack, CommandDone, Error, HeartbeatAck, Nack
from wire.vocabulary import ErrorCode

STRANGER: Final = "f" * 16


class Forger:
    """Tampers with what one device receives."""

    def __init__(self, random: Random, truth: Truth, device: str) -> None:
        self._random = random
        self._truth = truth
        self._device = device

    def forge(self, message: Message, flow: Outflow) -> list[Message]:
        """Return what arrives in the place of a message."""
        if self._random.random() < 0.4:
            return [message]
        if isinstance(message, Ack):
            return self._acks(message, flow)
        if isinstance(message, HeartbeatAck):
            return [message, replace(message, echo_mono_ms=message.echo_mono_ms + 1), CommandDone(id="none")]
        return [message, message] if isinstance(message, Nack) else [message]

    def _acks(self, ack: Ack, flow: Outflow) -> list[Message]:
        lane = flow.lane(ack.run)
        heads = self._truth.heads[self._device, ack.run]
        if lane is None:
            return [ack]
        durable, sent, acked = len(heads) - 1, lane.window.sent, lane.window.acked
        kind = self._random.randrange(7)
        if kind <= 1:
            upto = durable if durable > sent else durable + self._random.randint(1, 9)
            head = heads[upto] if upto < len(heads) else heads[-1]
            return [replace(ack, upto=upto, head=head.hex())]
        if kind == 2:
            upto = self._random.randint(0, acked)
            return [replace(ack, upto=upto, head=heads[upto].hex()), ack]
        if kind == 3:
            return [replace(ack, head=f"{self._random.getrandbits(256):064x}")]
        if kind == 4:
            return [Nack(run=ack.run, expect=self._random.randint(1, sent + 2)), ack]
        if kind == 5:
            return [replace(ack, run=STRANGER), ack, ack]
        return [Error(code=ErrorCode.CHAIN_BROKEN, detail="forged", ref=ack.run), ack]
