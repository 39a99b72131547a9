"""What must hold of readers: a torn code never passes for a whole one, and no reader passes for another."""

from collections.abc import Iterator, Sequence

from hardware.base import Medium
from hardware.readers.framing import Terminator
from hardware.sections.outputs import BuzzerPart, LightPart, OsdpBuzzer, OsdpLight
from hardware.sections.readers import (
    CodeSection,
    EvdevReader,
    OsdpReader,
    PcscReader,
    ReaderPart,
    SerialReader,
    SpellingSection,
)


def reader_problems(parts: Sequence[ReaderPart]) -> Iterator[str]:
    """Say what is wrong with the readers of a profile, each with its full key, the value and the remedy."""
    scanners: list[EvdevReader] = []
    slots: list[PcscReader] = []
    lines: dict[str, str] = {}
    for at, part in enumerate(parts):
        key = f"readers[{at}]"
        if isinstance(part, SpellingSection) and part.medium is not Medium.QR and not part.form:
            yield f'{key}.form: missing; say how the reader spells a {part.medium}, such as form = "decimal" or "hex"'
        if isinstance(part, CodeSection):
            yield from _code_problems(key, part)
        if isinstance(part, EvdevReader):
            other = next((scanner for scanner in scanners if _could_be(part, scanner)), None)
            if other is not None:
                yield f"{key}.usb_id: {part.usb_id} is also {other.name!r}; give each of the two its own usb_port"
            scanners.append(part)
        if isinstance(part, PcscReader):
            yield from _pcsc_problems(key, part, slots)
            slots.append(part)
        if isinstance(part, OsdpReader):
            yield from _osdp_problems(key, part)
        if isinstance(part, SerialReader | OsdpReader):
            if part.device in lines:
                yield f"{key}.device: {part.device} is also {lines[part.device]!r}; give each reader its own line"
            lines[part.device] = part.name


def _pcsc_problems(key: str, part: PcscReader, others: Sequence[PcscReader]) -> Iterator[str]:
    """A card that two readers of the profile report would be two presentations, in two directions perhaps."""
    for other in others:
        is_alike = part.match in other.match or other.match in part.match
        has_ports = None not in (part.usb_port, other.usb_port)
        is_one = part.usb_port is other.usb_port is None and part.slots == other.slots == "one"
        are_told_apart = is_one and part.match == other.match and part.index != other.index
        if is_alike and not (are_told_apart or (has_ports and part.usb_port != other.usb_port)):
            yield f"{key}.match: {part.match!r} may be the reader {other.name!r} too; give each of the two its usb_port"


def _could_be(part: EvdevReader, other: EvdevReader) -> bool:
    has_no_port = None in (part.usb_port, other.usb_port)
    return part.usb_id == other.usb_id and (has_no_port or part.usb_port == other.usb_port)


def _code_problems(key: str, part: CodeSection) -> Iterator[str]:
    if part.min_length > part.max_length:
        yield f"{key}.min_length: {part.min_length} is above max_length {part.max_length}; lower it"
    if part.terminator is Terminator.NONE and part.min_length != part.max_length:
        yield (
            f'{key}.terminator: "none" with codes of {part.min_length} to {part.max_length} characters takes a torn '
            "code for a whole one; set the reader to send a terminator, or make min_length and max_length equal"
        )


def _osdp_problems(key: str, part: OsdpReader) -> Iterator[str]:
    is_code = part.medium is Medium.QR
    if is_code == bool(part.form) or not (is_code or part.form.startswith(("wiegand", "hex"))):
        usual = {Medium.QR: "", Medium.HID: "wiegand"}.get(part.medium, "hex")
        yield f'{key}.form: "{part.form}" is none that OSDP readers have for a {part.medium}; use "{usual}"'


def panel_problems(readers: Sequence[ReaderPart], light: LightPart, buzzer: BuzzerPart) -> Iterator[str]:
    """Say which lamp or buzzer is of a reader that there is not."""
    names = [part.name for part in readers if isinstance(part, OsdpReader)]
    for key, part in (("light", light), ("buzzer", buzzer)):
        if isinstance(part, OsdpLight | OsdpBuzzer) and part.reader not in names:
            known = ", ".join(names) or "none"
            yield f"{key}.reader: {part.reader!r} is no OSDP reader of this profile; it has: {known}"
