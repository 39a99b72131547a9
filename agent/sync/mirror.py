"""The version of the site's presence that this device has, and whether central has a newer one. Pure.

What arrives out of order changes nothing: the device says which version it has, and central goes on from there.
"""

from msgspec import Struct
from msgspec.structs import replace

from agent.sync.exchange import Effects, PresenceTold, Send, TakePresence
from wire.messages import Welcome
from wire.presence import PresDelta, PresenceRef, PresState

TELL_EVERY_MS = 5_000
"""Where central has a newer version and does not send it, the device says so at most this often."""


class Mirror(Struct, frozen=True):
    """What this device has, all of it in memory: a process begins with none. `is_offered`: central has presence."""

    epoch: str = ""
    ver: int = 0
    is_offered: bool = False
    told_ms: int = -TELL_EVERY_MS

    @property
    def ref(self) -> PresenceRef | None:
        """What `hello` says."""
        return PresenceRef(self.epoch, self.ver) if self.epoch else None

    def greeted(self, welcome: Welcome, asked_ms: int) -> tuple["Mirror", Effects]:
        """Central says which presence is the newest."""
        newest = welcome.pres
        mirror = replace(self, is_offered=newest is not None)
        if newest is None:
            return mirror, ()
        return mirror, (PresenceTold(asked_ms, newest == self.ref),)

    def received(self, delta: PresDelta) -> tuple["Mirror", Effects]:
        """Central tells what changed."""
        follows = (delta.epoch, delta.first) == (self.epoch, self.ver) or delta.first == 0
        if not follows or delta.to < delta.first or not delta.epoch:
            return self, (self.state,)
        mirror = replace(self, epoch=delta.epoch, ver=delta.to)
        return mirror, (TakePresence(delta), mirror.state)

    def compared(self, ver: int, asked_ms: int, now_ms: int) -> tuple["Mirror", Effects]:
        """Central says which version is the newest: versions are the truth, pushes are only hints."""
        if not self.is_offered:
            return self, ()
        told = PresenceTold(asked_ms, is_current=bool(self.epoch) and ver <= self.ver)
        if told.is_current or now_ms < self.told_ms + TELL_EVERY_MS:
            return self, (told,)
        return replace(self, told_ms=now_ms), (told, self.state)

    @property
    def state(self) -> Send:
        """Return what central is told."""
        return Send(PresState(epoch=self.epoch, ver=self.ver))
