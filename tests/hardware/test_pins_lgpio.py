"""Our lgpio pins, against a stand-in for the lgpio library that records every claim and write."""

import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from gpiozero.pins.local import LocalPiFactory

from hardware import gpiochips
from hardware.base import InputRole
from hardware.errors import HardwareError
from hardware.gpiochips import GpioChip
from hardware.inputs.gpio import GpioInputLine
from hardware.outputs.gpio import GpioLine
from hardware.pins.factory import Pins
from hardware.profiles import Contact, GpioInput, InputPull, SafeState
from hardware.profiles import GpioLine as LineFacts

pytestmark = pytest.mark.unit

OUTPUT = 1 << 1
EXPANDER = GpioChip("/dev/gpiochip0", "pcf8574", 8)
HEADER = GpioChip("/dev/gpiochip11", "pinctrl-bcm2711", 58)


class FakeLgpio(ModuleType):
    """As much of lgpio's interface as an output needs (lgpio 0.2.2)."""

    BOTH_EDGES, RISING_EDGE, FALLING_EDGE = 3, 1, 2
    SET_PULL_UP, SET_PULL_DOWN, SET_PULL_NONE = 1 << 5, 1 << 6, 1 << 7

    class error(Exception):  # noqa: N801, N818 - the library's own name
        pass

    def __init__(self) -> None:
        super().__init__("lgpio")
        self.calls: list[tuple[Any, ...]] = []
        self.levels: dict[int, int] = {}
        self.pulls: dict[int, int] = {}
        self.on_edge: Callable[[int, int, int, int], None]
        self.chip_error: Exception | None = None
        self.is_busy = False
        self.chip: int | None = None

    def gpiochip_open(self, chip: int) -> int:
        self.chip = chip
        if self.chip_error is not None:
            raise self.chip_error
        return 7

    def gpiochip_close(self, handle: int) -> None:
        self.calls.append(("close chip",))

    def gpio_claim_input(self, handle: int, line: int, flags: int = 0) -> None:
        self.calls.append(("input", line))
        self.pulls[line] = flags

    def gpio_claim_alert(self, handle: int, line: int, edges: int, flags: int = 0) -> None:
        self.calls.append(("alert", line, flags))

    def gpio_free(self, handle: int, line: int) -> None:
        self.calls.append(("free", line))

    def callback(self, handle: int, line: int, edges: int, func: Callable[[int, int, int, int], None]) -> Any:
        self.on_edge = func
        return SimpleNamespace(cancel=lambda: self.calls.append(("no callback", line)))

    def gpio_claim_output(self, handle: int, line: int, level: int = 0, flags: int = 0) -> None:
        if self.is_busy:
            raise self.error("GPIO busy")
        self.calls.append(("output", line, level))
        self.levels[line] = level

    def gpio_get_mode(self, handle: int, line: int) -> int:
        return OUTPUT if line in self.levels else self.pulls.get(line, 0)

    def gpio_read(self, handle: int, line: int) -> int:
        return self.levels.get(line, 1)

    def gpio_write(self, handle: int, line: int, level: bool) -> None:
        self.calls.append(("write", line, int(level)))
        self.levels[line] = int(level)


@pytest.fixture
def lgpio(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLgpio]:
    fake = FakeLgpio()
    modules = ("gpiozero.pins.lgpio", "hardware.pins.lgpio")
    for module in modules:
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "lgpio", fake)
    monkeypatch.setattr("gpiozero.pins.local.get_pi_revision", lambda: 0xA02082)
    monkeypatch.setattr(gpiochips, "gpio_chips", lambda dev: [EXPANDER, HEADER])
    LocalPiFactory.pins.clear()
    LocalPiFactory._reservations.clear()
    yield fake
    for module in modules:
        sys.modules.pop(module, None)
    LocalPiFactory.pins.clear()
    LocalPiFactory._reservations.clear()


def open_pins() -> Pins:
    pins: Pins = importlib.import_module("hardware.pins.lgpio").open_pins()
    return pins


def line_on(pins: Pins, *, active_high: bool) -> GpioLine:
    return GpioLine("strike", LineFacts(line=17, active_high=active_high, safe_state=SafeState.INACTIVE), pins)


@pytest.mark.parametrize("active_high", [True, False])
def test_line_goes_straight_from_reset_to_driven_inactive(lgpio: FakeLgpio, active_high: bool) -> None:
    line = line_on(open_pins(), active_high=active_high)
    assert lgpio.calls == [("output", 17, int(not active_high))]
    assert not line.is_on


@pytest.mark.parametrize("active_high", [True, False])
def test_line_is_never_given_back(lgpio: FakeLgpio, active_high: bool) -> None:
    pins = open_pins()
    line = line_on(pins, active_high=active_high)
    line.on()
    line.off()
    del line
    gc.collect()
    pins.factory.close()
    assert ("input", 17) not in lgpio.calls
    assert lgpio.levels[17] == int(not active_high)


def test_busy_line_is_named(lgpio: FakeLgpio) -> None:
    pins = open_pins()
    lgpio.is_busy = True
    with pytest.raises(HardwareError, match=r"strike on GPIO17 cannot be claimed .*GPIO busy"):
        line_on(pins, active_high=True)


@pytest.mark.parametrize("revision", [0xA02082, 0xC04170])
def test_chip_is_the_headers_whatever_its_number(
    lgpio: FakeLgpio, monkeypatch: pytest.MonkeyPatch, revision: int
) -> None:
    """On a Pi 5 gpiozero takes chip 4 where there is one, else chip 0; either may be another chip's number."""
    monkeypatch.setattr("gpiozero.pins.local.get_pi_revision", lambda: revision)
    open_pins()
    assert lgpio.chip == HEADER.number


def test_board_without_a_header_is_an_error_and_no_line_is_touched(
    lgpio: FakeLgpio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpiochips, "gpio_chips", lambda dev: [EXPANDER])
    with pytest.raises(HardwareError, match=r"cannot find the GPIO header among /dev/gpiochip\*; run on"):
        open_pins()
    assert (lgpio.chip, lgpio.calls) == (None, [])


def test_board_without_a_chip_is_an_error_and_not_another_factory(lgpio: FakeLgpio) -> None:
    lgpio.chip_error = lgpio.error("can not open gpiochip")
    with pytest.raises(HardwareError, match=r"'lgpio' cannot open the GPIO chip .*group gpio"):
        open_pins()


def input_on(pins: Pins, pull: InputPull = InputPull.UP) -> GpioInputLine:
    part = GpioInput(name="contact", role=InputRole.CONTACT, line=22, pull=pull, active_high=False, contact=Contact.NO)
    return GpioInputLine("inputs.contact", part, pins, lambda: 2_000)


@pytest.mark.parametrize(
    ("pull", "flag"),
    [
        (InputPull.UP, FakeLgpio.SET_PULL_UP),
        (InputPull.DOWN, FakeLgpio.SET_PULL_DOWN),
        (InputPull.NONE, FakeLgpio.SET_PULL_NONE),
    ],
)
def test_input_is_claimed_with_its_pull_and_never_as_an_output(lgpio: FakeLgpio, pull: InputPull, flag: int) -> None:
    line = input_on(open_pins(), pull)
    assert not line.is_active
    assert lgpio.pulls[22] == flag
    assert not [call for call in lgpio.calls if call[0] in {"output", "write"}]


def test_edges_of_an_input_carry_the_kernels_moment(lgpio: FakeLgpio) -> None:
    line = input_on(open_pins())
    seen: list[tuple[bool, int]] = []
    line.listen(lambda level, at_mono_ms: seen.append((level, at_mono_ms)))
    assert ("alert", 22, lgpio.SET_PULL_UP) in lgpio.calls
    lgpio.on_edge(7, 22, 0, 1_500_000_000)
    line.ignore()
    lgpio.on_edge(7, 22, 1, 1_600_000_000)
    assert seen == [(True, 1_500)]
    assert ("no callback", 22) in lgpio.calls


def test_closed_input_is_freed(lgpio: FakeLgpio) -> None:
    pins = open_pins()
    line = input_on(pins)
    line.close()
    line.close()
    assert [call for call in lgpio.calls if call[0] == "free"][-1:] == [("free", 22)]
    input_on(pins)
