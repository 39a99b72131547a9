"""Bringing a device the presence of its site: which it has, and what is under way. Pure.

One message at a time; the device answers each with the version that it has then, and the next follows.
"""

from dataclasses import dataclass, replace
from typing import Final

from central.sync.exchange import Effects, LoadPresence, Send
from wire.messages import Hello
from wire.presence import PRESENCE, PresDelta, PresenceRef, PresState

STALL_MS: Final = 20_000
"""A message that the device has not answered for so long is sent again."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """The presence of one device; `held` is what it has, as far as we know."""

    takes: bool = False
    held: PresenceRef | None = None
    sent: PresDelta | None = None
    sent_ms: int = 0
    is_loading: bool = False
    is_wanted: bool = False

    @classmethod
    def opened(cls, hello: Hello) -> tuple["Sharing", Effects]:
        """A session begins."""
        return cls(takes=PRESENCE in hello.feat, held=hello.pres).wanted()

    def wanted(self) -> tuple["Sharing", Effects]:
        """The device should get what is new."""
        if not self.takes or self.is_loading or self.sent is not None:
            return replace(self, is_wanted=self.takes), ()
        return replace(self, is_loading=True, is_wanted=False), (LoadPresence(self.held),)

    def loaded(self, delta: PresDelta | None, now_ms: int) -> tuple["Sharing", Effects]:
        """What the device needs is here."""
        sharing = replace(self, is_loading=False)
        if delta is None:
            return sharing.wanted() if self.is_wanted else (sharing, ())
        return replace(sharing, sent=delta, sent_ms=now_ms), (Send(delta),)

    def settled(self, state: PresState) -> tuple["Sharing", Effects]:
        """The device has this now."""
        held = PresenceRef(state.epoch, state.ver) if state.epoch else None
        sent = self.sent
        is_done = sent is not None and sent.is_last and held == PresenceRef(sent.epoch, sent.to)
        sharing = replace(self, held=held, sent=None)
        return (sharing, ()) if is_done and not self.is_wanted else sharing.wanted()

    def compared(self, newest: PresenceRef | None, shown_ver: int, now_ms: int) -> tuple["Sharing", Effects]:
        """A heartbeat shows which version the device has."""
        if self.sent is not None and now_ms >= self.sent_ms + STALL_MS:
            return replace(self, sent=None).wanted()
        if newest is None or (newest == self.held and newest.ver == shown_ver):
            return self, ()
        return self.wanted()
