"""The lamps and the buzzer of a contactless reader, told through the PC/SC daemon in a thread of their own.

A daemon that hangs must hold up neither the event loop nor the reads, so commands wait in a queue of one: the newest
replaces the one before it. A command that fails is dropped; what it would have shown is over by the time it could be
told again.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from hardware import profiles
from hardware.base import Signal, Tone
from hardware.readers.acr122u import is_obeyed, lamp, sound
from hardware.readers.scard import Context, ScardError
from hardware.readers.slots import Selector

log = logging.getLogger(__name__)

END_WITHIN_S: Final = 1.0


class Panel:
    """One thread that tells one reader its newest command."""

    def __init__(self, what: str, match: str, index: int, open_context: Callable[[], Context] = Context) -> None:
        self._what = what
        self._selector = Selector(what, match, index)
        self._open_context = open_context
        self._has_news = threading.Condition()
        self._next: bytes | None = None
        self._is_closed = False
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name=f"panel-{what}", daemon=True)
        self._thread.start()

    def tell(self, command: bytes) -> None:
        """Tell it soon, in place of what waits. Returns at once."""
        with self._has_news:
            if not self._is_closed:
                self._next = command
                self._has_news.notify()

    def close(self, last: bytes | None = None) -> None:
        """Tell it the last command, and end; a daemon that hangs is left behind."""
        with self._has_news:
            if self._is_closed:
                return
            self._next, self._is_closed = last, True
            self._has_news.notify()
        self._thread.join(END_WITHIN_S)

    def _run(self) -> None:
        while (command := self._wait()) is not None:
            self._send_or_note(command)

    def _wait(self) -> bytes | None:
        """Return the next command; None once it is closed and all is told."""
        with self._has_news:
            while self._next is None and not self._is_closed:
                self._has_news.wait()
            command, self._next = self._next, None
            return command

    def _send_or_note(self, command: bytes) -> None:
        try:
            self._send(command)
        except ScardError as error:
            self._note_failure(str(error))

    def _send(self, command: bytes) -> None:
        with self._open_context() as context:
            chosen = list(self._selector.choose(context.reader_names()))
            if not chosen:
                self._note_failure("the reader is not there")
            elif not is_obeyed(answer := context.control(chosen[0], command)):
                self._note_failure(f"the reader answers {answer.hex().upper() or 'nothing'}")
            elif self._is_failing:
                self._is_failing = False
                log.info("%s of the reader works again", self._what)

    def _note_failure(self, why: str) -> None:
        (log.debug if self._is_failing else log.warning)("%s of the reader: %s", self._what, why)
        self._is_failing = True


class ReaderLight:
    """A Light on a reader's red and green LED; amber is both."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def show(self, signal: Signal) -> None:
        self._panel.tell(lamp(signal))

    def close(self) -> None:
        self._panel.close(lamp(Signal.OFF))


class ReaderBuzzer:
    """A Buzzer inside a reader."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def play(self, tone: Tone) -> None:
        self._panel.tell(sound(tone))

    def close(self) -> None:
        self._panel.close()


def build_light(part: profiles.Acr122uLight, bench: object) -> ReaderLight:
    return ReaderLight(Panel("light", part.match, part.index))


def build_buzzer(part: profiles.Acr122uBuzzer, bench: object) -> ReaderBuzzer:
    return ReaderBuzzer(Panel("buzzer", part.match, part.index))
