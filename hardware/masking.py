"""Takes the credentials out of a trace and leaves all else: kinds of characters, lengths, times, and what was wrong."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Final

import msgspec

from hardware import profiles
from hardware.readers.layouts import LAYOUTS
from hardware.readers.wiegand_frames import FRAME_BITS, has_parity
from hardware.traces import Step, Trace

_KINDS: Final = ("0123456789", "abcdef", "ghijklmnopqrstuvwxyz", "ABCDEF", "GHIJKLMNOPQRSTUVWXYZ")
_STATUS_BYTES: Final = 2


def masked(trace: Trace, random: Random) -> Trace:
    """Return the same session with other credentials. Its results are gone: they are those of a replay."""
    match trace.part:
        case profiles.EvdevReader(layout=layout):
            kinds = _key_kinds(LAYOUTS[layout].plain, LAYOUTS[layout].shifted)
            steps = list(_masked_keys(trace.steps, kinds, random))
        case profiles.WiegandReader(gap_ms=gap_ms):
            frames = _frames(trace.steps, gap_ms * 1000)
            steps = [step for frame in frames for step in _masked_frame(frame, random)]
        case _:
            steps = [_masked_bytes(step, random) for step in trace.steps]
    return msgspec.structs.replace(trace, steps=tuple(steps), results=())


def _key_kinds(plain: Mapping[int, str], shifted: Mapping[int, str]) -> dict[int, list[int]]:
    """Key code to those that type the same kind of character."""
    kinds: dict[int, list[int]] = {}
    for characters in _KINDS[:3]:
        codes = [code for code, typed in plain.items() if typed in characters or shifted.get(code, " ") in characters]
        kinds |= dict.fromkeys(codes, codes)
    return kinds


def _masked_keys(steps: Iterable[Step], kinds: dict[int, list[int]], random: Random) -> Iterator[Step]:
    """A key keeps its mask while it is down, and no mask is down twice."""
    down: dict[int, int] = {}
    for step in steps:
        if step.what != "key" or int(step.values[0]) not in kinds:
            yield step
            continue
        code, value = int(step.values[0]), step.values[1]
        if value == "1" and code not in down:
            down[code] = random.choice([free for free in kinds[code] if free not in down.values()])
        mask = down.pop(code, code) if value == "0" else down.get(code, code)
        yield msgspec.structs.replace(step, values=(str(mask), value))


def _frames(steps: Sequence[Step], gap_us: int) -> Iterator[list[Step]]:
    frame: list[Step] = []
    for step in steps:
        if frame and step.at_us - frame[-1].at_us > gap_us:
            yield frame
            frame = []
        frame.append(step)
    yield frame


def _masked_frame(frame: list[Step], random: Random) -> list[Step]:
    """Other bits on the same pulses, with right parities where they were right and the length is one we know."""
    falls = [step for step in frame if step.what == "edge" and step.values[1] == "low"]
    bits = "".join(step.values[0] for step in falls)
    fresh = [random.randrange(2) for _ in falls]
    if len(bits) in FRAME_BITS and has_parity(bits):
        half = (len(bits) - 1) // 2 + 1
        fresh[0] = sum(fresh[1:half]) % 2
        fresh[-1] = 1 - sum(fresh[-half:-1]) % 2
    masks, wires, made = iter(fresh), {}, []
    for step in frame:
        if step.what != "edge":
            made.append(step)
            continue
        wire, level = step.values
        if level == "low":
            wires[wire] = str(next(masks))
        made.append(msgspec.structs.replace(step, values=(wires.get(wire, wire), level)))
    return made


def _masked_bytes(step: Step, random: Random) -> Step:
    """Characters keep their kind; a card keeps its length, its first byte, which says what it is, and the status."""
    if step.what == "answer":
        reader, answer = step.values
        data = bytes.fromhex(answer)
        uid = data[:-_STATUS_BYTES]
        fresh = uid[:1] + random.randbytes(max(0, len(uid) - 1)) + data[len(uid) :]
        return msgspec.structs.replace(step, values=(reader, fresh.hex().upper()))
    if step.what != "bytes":
        return step
    fresh = bytes(_masked_byte(byte, random) for byte in bytes.fromhex(step.values[0]))
    return msgspec.structs.replace(step, values=(fresh.hex().upper(),))


def _masked_byte(byte: int, random: Random) -> int:
    kind = next((kind for kind in _KINDS if chr(byte) in kind), None)
    return byte if kind is None else ord(random.choice(kind))
