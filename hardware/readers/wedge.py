"""From the keys that a scanner presses to the codes it means. Pure: no I/O, no clock.

Only presses count. The kernel's own repetition of a held key is nobody's press; a press of a key that is already down
means that an event was lost, and spoils the code: a digit is never invented and never left out.
"""

from hardware.base import FaultReason, ReaderEvent
from hardware.readers import layouts
from hardware.readers.framing import Framer, Framing, Identity, Terminator
from hardware.readers.keys import KeyEvent, KeyMoved
from hardware.readers.layouts import LAYOUTS, LayoutName

_TERMINATORS = {Terminator.ENTER: layouts.ENTERS, Terminator.TAB: frozenset({layouts.TAB})}


class Wedge:
    """One input device that types. Times are monotonic ms, taken by the kernel when the key moved."""

    def __init__(
        self, identity: Identity, framing: Framing, layout: LayoutName, since_mono_ms: int, *, caps_lock: bool = False
    ) -> None:
        """``caps_lock`` says that the scanner is set to type for a host whose CapsLock is on."""
        self._framer = Framer(identity, framing, since_mono_ms)
        self._layout = LAYOUTS[layout]
        self._layout_name = layout
        self._terminators = _TERMINATORS.get(framing.terminator, frozenset())
        self._caps_at_rest = caps_lock
        self._caps = caps_lock
        self._down: set[int] = set()
        self._dead: str | None = None

    @property
    def due_mono_ms(self) -> int | None:
        """When ``tick`` is due; None while no code has begun."""
        return self._framer.due_mono_ms

    def tick(self, now_mono_ms: int) -> list[ReaderEvent]:
        """End a code that a pause has cut off."""
        return self._framer.tick(now_mono_ms)

    def abandon(self, at_mono_ms: int) -> list[ReaderEvent]:
        """The device is gone."""
        return self._framer.abandon(at_mono_ms)

    def take(self, event: KeyEvent) -> list[ReaderEvent]:
        """Take what the device told."""
        if isinstance(event, KeyMoved):
            return self.key(event.code, event.value, event.at_mono_ms)
        return self.overrun(event.at_mono_ms)

    def overrun(self, at_mono_ms: int) -> list[ReaderEvent]:
        """The kernel dropped events (SYN_DROPPED): what is being typed is lost, and so is which keys are down."""
        self._down.clear()
        return self._framer.spoil(FaultReason.TORN_READ, "the kernel dropped keys", at_mono_ms)

    def key(self, code: int, value: int, at_mono_ms: int) -> list[ReaderEvent]:
        """Take one EV_KEY event: ``value`` is 0 for up, 1 for down, 2 for the kernel's repetition."""
        if value == layouts.AUTOREPEAT:
            return []
        if value == 0:
            self._down.discard(code)
            return []
        if self._framer.is_pause(at_mono_ms):
            self._caps, self._dead = self._caps_at_rest, None
        if code in self._down:
            return self._framer.spoil(FaultReason.TORN_READ, f"key {code} went down twice", at_mono_ms)
        self._down.add(code)
        return self._pressed(code, at_mono_ms)

    def _pressed(self, code: int, at_mono_ms: int) -> list[ReaderEvent]:
        if code == layouts.CAPS_LOCK:
            self._caps = not self._caps
        if code == layouts.CAPS_LOCK or code in layouts.MODIFIERS or code in layouts.LOCKS:
            return self._framer.touch(at_mono_ms)
        if code in self._terminators:
            return self._terminated(at_mono_ms)
        typed = self._typed(code)
        if typed is not None and layouts.is_dead(typed) and self._dead is None:
            self._dead = typed
            return self._framer.touch(at_mono_ms)
        if typed is not None and self._dead is not None:
            typed, self._dead = layouts.composed(self._dead, typed), None
        if typed is None:
            detail = f"key {code} types nothing in layout {self._layout_name}"
            return self._framer.spoil(FaultReason.GARBLED, detail, at_mono_ms)
        return self._framer.character(typed, at_mono_ms)

    def _typed(self, code: int) -> str | None:
        """Return the character; None with Ctrl, Alt or Meta, which make commands. Ctrl and Alt together are AltGr."""
        down = self._down
        has_ctrl, has_alt = bool(down & layouts.CTRLS), layouts.LEFT_ALT in down
        if has_ctrl != has_alt or down & layouts.METAS:
            return None
        is_alt_gr = layouts.ALT_GR in down or (has_ctrl and has_alt)
        return self._layout.character(code, shift=bool(down & layouts.SHIFTS), caps=self._caps, alt_gr=is_alt_gr)

    def _terminated(self, at_mono_ms: int) -> list[ReaderEvent]:
        ended: list[ReaderEvent] = []
        if self._dead is not None:
            self._dead = None
            ended += self._framer.spoil(FaultReason.GARBLED, "ends in a dead key", at_mono_ms)
        return ended + self._framer.terminate(at_mono_ms)
