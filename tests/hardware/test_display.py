"""The text line: what fits is shown, nobody waits for it, and a panel that fails is opened anew."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hardware import factory
from hardware.outputs import display as module
from hardware.outputs.display import PanelDisplay, fitted
from hardware.outputs.simulated import SimDisplay
from hardware.profiles import CharacterLcd, Profile, parse_profile
from tests.fakes.character_lcd import CharacterLcdBus
from tests.hardware.test_profiles import RELAY

pytestmark = pytest.mark.unit

WITHIN_S = 5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Welcome", "Welcome   "),
        ("Out of service", "Out of ser"),
        ("Früh Çà", "Fruh Ca   "),
        ("مرحبا", "?????     "),
        ("a\nb\x00", "a?b?      "),
    ],
)
def test_text_is_fitted_to_the_panel(text: str, shown: str) -> None:
    assert fitted(text, 10) == shown


class Panel:
    """A panel that a test can break; `written` tells it when something was shown."""

    def __init__(self) -> None:
        self.opened = 0
        self.shown: list[tuple[str, ...]] = []
        self.is_broken = False
        self.is_dark = False
        self.tried = threading.Semaphore(0)

    def open(self) -> "Panel":
        self.opened += 1
        return self

    def write(self, rows: tuple[str, ...]) -> None:
        is_broken = self.is_broken
        if not is_broken:
            self.shown.append(tuple(row.rstrip() for row in rows))
        self.tried.release()
        if is_broken:
            raise OSError(121, "Remote I/O error")

    def darken(self) -> None:
        self.is_dark = True
        if self.is_broken:
            raise OSError(121, "Remote I/O error")

    def wait(self) -> None:
        assert self.tried.acquire(timeout=WITHIN_S)


def display_on(panel: Panel, *, rows: int = 2) -> PanelDisplay:
    return PanelDisplay("north", panel.open, columns=16, rows=rows)


def test_text_is_shown_and_close_darkens() -> None:
    panel = Panel()
    display = display_on(panel)
    display.show("Welcome", "Go through now")
    panel.wait()
    display.close()
    assert panel.shown == [("Welcome", "Go through now")]
    assert panel.is_dark


def test_rows_below_the_second_are_blank() -> None:
    panel = Panel()
    display = display_on(panel, rows=4)
    display.show("Welcome", "")
    panel.wait()
    display.close()
    assert panel.shown == [("Welcome", "", "", "")]


def test_only_the_latest_text_counts() -> None:
    panel, gate = Panel(), threading.Event()

    def open_slowly() -> Panel:
        assert gate.wait(WITHIN_S)
        return panel.open()

    slow = PanelDisplay("north", open_slowly, columns=16, rows=2)
    for headline in ("Checking", "Welcome", "Tap your card"):
        slow.show(headline, "")
    gate.set()
    panel.wait()
    slow.close()
    assert panel.shown[-1] == ("Tap your card", "")
    assert len(panel.shown) <= 2


def test_same_text_is_written_once() -> None:
    panel = Panel()
    display = display_on(panel)
    display.show("Welcome", "")
    panel.wait()
    display.show("Welcome", "")
    display.show("Goodbye", "")
    panel.wait()
    display.close()
    assert panel.shown == [("Welcome", ""), ("Goodbye", "")]


def test_panel_that_failed_is_opened_anew_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    panel = Panel()
    panel.is_broken = True
    display = display_on(panel)
    for headline in ("Welcome", "Goodbye"):
        display.show(headline, "")
        panel.wait()
    panel.is_broken = False
    display.show("Tap your card", "")
    panel.wait()
    display.close()
    assert panel.shown == [("Tap your card", "")]
    assert panel.opened == 3
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "i2cdetect" in caplog.text


def test_panel_that_failed_is_tried_again_without_a_new_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    panel = Panel()
    panel.is_broken = True
    display = display_on(panel)
    display.show("Welcome", "")
    panel.wait()
    panel.wait()
    panel.is_broken = False
    while not panel.shown:
        panel.wait()
    display.close()
    assert panel.shown == [("Welcome", "")]


def test_panel_that_cannot_be_darkened_ends_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    panel = Panel()
    display = display_on(panel)
    display.show("Welcome", "")
    panel.wait()
    panel.is_broken = True
    display.close()
    assert "Remote I/O error" in caplog.text
    assert display._thread is not None
    assert not display._thread.is_alive()


def test_display_that_was_never_used_needs_no_panel() -> None:
    panel = Panel()
    display = display_on(panel)
    display.close()
    display.show("Welcome", "")
    assert (panel.opened, display._thread) == (0, None)


LCD = '[display]\ndriver = "hd44780"\naddress = 0x27\n'


def lcd_of(profile: Profile) -> CharacterLcd:
    assert isinstance(profile.display, CharacterLcd)
    return profile.display


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> CharacterLcdBus:
    bus = CharacterLcdBus()

    def opened(port: int) -> CharacterLcdBus:
        bus.port = port
        return bus

    monkeypatch.setattr("RPLCD.i2c.SMBus", opened)
    return bus


def test_lcd_shows_both_rows_and_goes_dark(bus: CharacterLcdBus) -> None:
    hardware = factory.build(parse_profile(RELAY.replace("[strike]", f"{LCD}\n[strike]")))
    display: Any = hardware.display
    panel = display._open_panel()
    panel.write((fitted("Wait", 16), fitted("One moment", 16)))
    panel.write((fitted("Welcome", 16), fitted("Go through now", 16)))
    assert (bus.rows(), bus.is_lit, bus.address, bus.port) == (("Welcome", "Go through now"), True, 0x27, 1)
    panel.darken()
    assert (bus.rows(), bus.is_lit, bus.is_closed) == (("", ""), False, True)
    hardware.close()


def test_absent_lcd_is_an_os_error(bus: CharacterLcdBus) -> None:
    bus.is_absent = True
    hardware = factory.build(parse_profile(RELAY.replace("[strike]", f"{LCD}\n[strike]")))
    display: Any = hardware.display
    open_panel: Callable[[], object] = display._open_panel
    with pytest.raises(OSError, match="Remote I/O"):
        open_panel()


def test_simulated_display_remembers() -> None:
    display = SimDisplay(columns=8)
    display.show("Welcome back", "x")
    assert display.rows == ("Welcome", "x") == display.history[0]
    display.close()
    assert display.rows == ("", "")
