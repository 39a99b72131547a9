"""Sessions at readers of all kinds, made up with a seed: what people and cables do, and what must come of it.

`python -m tests.hardware.sessions` writes the kept traces anew, as `hardware.record` would have written them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final, Literal

from hardware.base import InputRole, Medium
from hardware.profiles import Contact, Direction, EvdevReader, GpioInput, InputPull, SerialReader, WiegandReader
from hardware.readers.framing import Characters
from hardware.readers.keys import KeyMoved
from hardware.readers.layouts import LayoutName
from hardware.replay import replay
from hardware.traces import Step, Trace, events_of, write_trace
from tests.hardware.typist import Typist
from tests.hardware.wires import edges
from wire.credentials import HID_DATA_BITS
from wire.wiegand import wiegand_frame

FOLDER: Final = Path(__file__).parent / "traces"
_USB_ID: Final = "0c2e:0b61"
_APART_MS: Final = 2_000

Replugs = tuple[Trace, list[bytes]]
"""A trace, and the codes that were typed whole between a plug and an unplug."""


def card_reader(name: str = "in") -> EvdevReader:
    return EvdevReader(
        name=name,
        direction=Direction.IN,
        usb_id=_USB_ID,
        medium=Medium.EM4100,
        form="decimal",
        characters=Characters.DECIMAL,
        min_length=13,
        max_length=13,
    )


def keyboard_replugs(random: Random, cycles: int) -> Replugs:
    """Plug in, type a code or a part of one, unplug; at times the tail of a code that began before."""
    part, steps, whole, at_ms = card_reader(), [], [], 0
    for _ in range(cycles):
        steps.append(Step(at_ms * 1000, "back"))
        code = f"{random.randrange(10**13):013}"
        at_ms += random.choice((10, 150, 400))
        typist = Typist(LayoutName.US, stroke_ms=random.choice((2, 8, 30, 90)), at_ms=at_ms)
        keys = list(typist.line(code))
        first, last = random.choice(
            ((0, len(keys)), (0, random.randrange(len(keys))), (random.randrange(26), len(keys)))
        )
        steps += key_steps(keys[first:last])
        began_ms = keys[first].at_mono_ms - steps[-1 - len(keys[first:last])].at_us // 1000
        if first == 0 and KeyMoved(28, 1, keys[-1].at_mono_ms - typist.stroke_ms // 2) in keys[:last]:
            whole += [code.encode()] if began_ms > part.gap_ms else []
        at_ms = max(at_ms, typist.at_ms) + random.choice((1, 60, 500))
        steps.append(Step(at_ms * 1000, "gone"))
        at_ms += random.choice((1, 40, 2_000))
    return Trace(part, tuple(steps)), whole


def serial_replugs(random: Random, cycles: int) -> Replugs:
    """The same with bytes, which come in pieces."""
    part = SerialReader(name="in", direction=Direction.IN, device="/dev/serial/by-id/usb-Scanner")
    steps, whole, at_ms = [], [], 0
    for _ in range(cycles):
        steps.append(Step(at_ms * 1000, "back"))
        quiet_ms = random.choice((10, 150, 400))
        at_ms += quiet_ms
        code = "".join(random.choices("ABCDEF0123456789", k=16)).encode()
        sent = (code + b"\r")[: random.choice((17, 17, random.randrange(17)))]
        whole += [code] if len(sent) == 17 and quiet_ms > part.gap_ms else []
        while sent:
            cut = random.randint(1, len(sent))
            steps.append(Step(at_ms * 1000, "bytes", (sent[:cut].hex().upper(),)))
            sent, at_ms = sent[cut:], at_ms + random.choice((1, 20, 90))
        steps.append(Step((at_ms + 1) * 1000, "gone"))
        at_ms += random.choice((2, 40, 2_000))
    return Trace(part, tuple(steps)), whole


def wiegand_replugs(random: Random, cycles: int) -> Replugs:
    """A cable that is pulled and put back while frames are on it: pulses stop, and the next frame comes later."""
    bits: Literal[26, 34, 37] = random.choice((26, 34, 37))
    part = WiegandReader(name="in", direction=Direction.IN, d0=23, d1=24, bits=(bits,))
    steps, whole, at_us = [Step(0, "back")], [], 1_000_000
    for _ in range(cycles):
        frame = wiegand_frame(bits, random.getrandbits(HID_DATA_BITS[bits]))
        pulses = list(edges(frame, at_us, every_us=random.randint(250, 2_500)))
        cut = random.choice((len(pulses), len(pulses), random.randrange(1, len(pulses))))
        whole += [frame.encode()] if cut == len(pulses) else []
        steps += [Step(edge.at_us, "edge", (str(edge.wire), "low" if edge.is_low else "high")) for edge in pulses[:cut]]
        at_us = pulses[-1].at_us + random.choice((250_000, 900_000))
    return Trace(part, tuple(steps)), whole


def key_steps(keys: list[KeyMoved]) -> list[Step]:
    return [Step(key.at_mono_ms * 1000, "key", (str(key.code), str(key.value))) for key in keys]


def french_scanner(random: Random) -> Trace:
    """A code scanner set to French, with codes of all characters, one broken off, and keys that the kernel lost."""
    part = EvdevReader(name="in", direction=Direction.IN, usb_id=_USB_ID, layout=LayoutName.FR)
    typist = Typist(LayoutName.FR, at_ms=1_000)
    steps = [Step(0, "back")]
    for text in ("GUEST-2026/07", "abc^de {x}", "".join(random.choices("0123456789", k=24)), "Qwertz @home"):
        steps += key_steps(list(typist.line(text)))
        typist.at_ms += _APART_MS
    steps += key_steps(list(typist.text("half of one")))
    typist.at_ms += _APART_MS
    steps += [*key_steps(list(typist.text("1234"))), Step((typist.at_ms + 1) * 1000, "lost")]
    steps += key_steps(list(typist.line("5678")))
    return Trace(part, tuple(steps))


def door_contact(random: Random) -> Trace:
    """A contact that bounces as it closes and opens, with bursts of noise between."""
    part = GpioInput(
        name="contact", role=InputRole.CONTACT, line=22, pull=InputPull.UP, active_high=True, contact=Contact.NC
    )
    steps, at_us, level = [Step(0, "level", ("low",))], 1_000_000, "low"
    for _ in range(20):
        level = "high" if level == "low" else "low"
        other = "low" if level == "high" else "high"
        for _ in range(random.randrange(6)):
            steps += [Step(at_us, "level", (level,)), Step(at_us + 900, "level", (other,))]
            at_us += random.randint(2_000, 4_000)
        steps.append(Step(at_us, "level", (level,)))
        at_us += 800_000
        steps += [Step(at_us, "level", (other,)), Step(at_us + random.randint(100, 25_000), "level", (level,))]
        at_us += 500_000
    return Trace(part, tuple(steps))


KEPT: Final[dict[str, Callable[[Random], Trace]]] = {
    "evdev-card-replugs": lambda random: keyboard_replugs(random, 30)[0],
    "evdev-french-scanner": french_scanner,
    "serial-scanner-replugs": lambda random: serial_replugs(random, 30)[0],
    "wiegand-cable-pulled": lambda random: wiegand_replugs(random, 30)[0],
    "gpio-door-contact": door_contact,
}


def kept() -> Iterator[tuple[str, Trace]]:
    """Yield the name and the session of every kept trace."""
    for name, made in KEPT.items():
        trace = made(Random(name))
        is_input = isinstance(trace.part, GpioInput)
        yield name, Trace(trace.part, trace.steps, () if is_input else events_of(replay(trace)))


if __name__ == "__main__":
    for name, trace in kept():
        (FOLDER / f"{name}.trace").write_text(write_trace(trace), encoding="utf-8")
