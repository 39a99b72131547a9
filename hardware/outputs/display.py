"""A line or two of text on a panel that is slow and may fail: written by one thread, which keeps nobody waiting.

Only the latest text counts. A panel that fails is opened anew with the next text, or after a while without one, as it
forgets its set-up when its power dips. A display that stays dark keeps nobody out: its faults are logged and end here.
"""

import logging
import threading
import unicodedata
from collections.abc import Callable
from typing import Final, Protocol

log = logging.getLogger(__name__)

RETRY_S: Final = 10.0
_END_WITHIN_S: Final = 2.0


class Panel(Protocol):
    """An open panel. Everything may block, and raise OSError."""

    def write(self, rows: tuple[str, ...]) -> None:
        """Show these rows, each as wide as the panel."""

    def darken(self) -> None:
        """Blank, backlight off; then let go of it."""


def fitted(text: str, columns: int) -> str:
    """Return the text as a character panel can show it: ASCII, accents dropped, cut or padded to ``columns``."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    shown = "".join(letter if " " <= letter <= "~" else "?" for letter in plain)
    return shown[:columns].ljust(columns)


class PanelDisplay:
    """A Display over a panel that ``open_panel`` opens, blocking, as often as it is needed."""

    def __init__(self, name: str, open_panel: Callable[[], Panel], *, columns: int, rows: int) -> None:
        self._name = name
        self._open_panel = open_panel
        self._columns = columns
        self._blank = (" " * columns,) * max(0, rows - 2)
        self._changed = threading.Condition()
        self._wanted: tuple[str, ...] | None = None
        self._is_closed = False
        self._is_failing = False
        self._thread: threading.Thread | None = None

    def show(self, headline: str, line: str) -> None:
        with self._changed:
            if self._is_closed:
                return
            self._wanted = (fitted(headline, self._columns), fitted(line, self._columns), *self._blank)
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="display", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_END_WITHIN_S)

    def _main(self) -> None:
        panel: Panel | None = None
        shown: tuple[str, ...] | None = None
        while (wanted := self._next(shown)) is not None:
            try:
                panel = panel or self._open_panel()
                panel.write(wanted)
            except OSError as error:
                self._note_failure(error)
                panel, shown = None, None
                self._rest(wanted)
            else:
                self._note_success()
                shown = wanted
        if panel is not None:
            self._darken(panel)

    def _next(self, shown: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Wait for a text that is not shown yet; None when the display was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._wanted != shown)
            return None if self._is_closed else self._wanted

    def _rest(self, failed: tuple[str, ...]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._wanted != failed, timeout=RETRY_S)

    def _note_failure(self, error: OSError) -> None:
        level = logging.DEBUG if self._is_failing else logging.WARNING
        log.log(level, "display %s: %s; check its cable and address with: i2cdetect -y 1", self._name, error)
        self._is_failing = True

    def _note_success(self) -> None:
        if self._is_failing:
            log.info("display %s shows again", self._name)
            self._is_failing = False

    def _darken(self, panel: Panel) -> None:
        try:
            panel.darken()
        except OSError as error:
            self._note_failure(error)
