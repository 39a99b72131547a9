"""OSDP with libosdp at both ends of a line: a secure channel under a key of its own, or nothing."""

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("osdp_sys", reason="needs libosdp: pip install 'doorstile[osdp]'")

from hardware import factory
from hardware.base import FaultReason, Medium, ReaderFault, ReaderState, Scan, Signal, Tone, monotonic_ms
from hardware.errors import HardwareError, ProfileError
from hardware.profiles import Direction, OsdpReader, parse_profile
from hardware.readers import osdp_reader
from hardware.readers.framing import Identity
from hardware.readers.osdp_cards import MAX_CARD_BITS, read_card, read_key
from hardware.readers.osdp_orders import Orders, OsdpBuzzer, OsdpLight
from hardware.readers.serial_port import SerialPort
from tests.fakes.osdp_reader import PeripheralDevice, rs485
from tests.hardware.emitted import running, until
from wire.wiegand import wiegand_frame

pytestmark = pytest.mark.unit

KEY = bytes(range(16))
FRAME = wiegand_frame(26, 0x760643)
SECTION = """
[[readers]]
name = "in"
driver = "osdp"
direction = "in"
device = "/dev/ttyAMA0"
key_file = "/var/lib/doorstile/osdp-in.key"
address = 5
"""
LED, BUZZER, GREEN = 2, 3, 2


def packed(bits: str) -> bytes:
    return int(bits.ljust((len(bits) + 7) // 8 * 8, "0"), 2).to_bytes((len(bits) + 7) // 8)


class Line:
    """An RS-485 line with a reader at its far end, which can be replaced."""

    def __init__(self, far: int, near: str) -> None:
        self.far = far
        self.near = near
        self.device: PeripheralDevice | None = None
        self.orders = Orders()

    def attach(self, key: bytes = KEY) -> PeripheralDevice:
        self.detach()
        self.device = PeripheralDevice(self.far, 5, key)
        return self.device

    def detach(self) -> None:
        if self.device is not None:
            self.device.stop()
            self.device = None

    def reader(self, *, secure_within_ms: int = 10_000) -> osdp_reader.OsdpReader:
        part = OsdpReader(name="in", direction=Direction.IN, device="/dev/ttyAMA0", key_file="/k", address=5)
        return osdp_reader.OsdpReader(
            part,
            KEY,
            self.orders,
            open_port=lambda _path, baud, mono_ms: SerialPort(self.near, baud, mono_ms),
            look_s=0.01,
            secure_within_ms=secure_within_ms,
        )


@pytest.fixture
def line() -> Iterator[Line]:
    with rs485() as (far, near):
        made = Line(far, near)
        yield made
        made.detach()


async def test_card_comes_through_the_secure_channel_and_lamp_and_buzzer_go_back(line: Line) -> None:
    device, reader = line.attach(), line.reader()
    assert (reader.name, reader.state) == ("in", ReaderState.STOPPED)
    light, buzzer = OsdpLight(line.orders), OsdpBuzzer(line.orders)
    light.show(Signal.GRANTED)
    async with running(reader) as emitted:
        await until(lambda: reader.state is ReaderState.READY)
        device.show(packed(FRAME), 26)
        await emitted.until(lambda seen: seen.codes == [FRAME.encode()])
        buzzer.play(Tone.GRANTED)
        await until(lambda: len(device.told) == 2)
        with pytest.raises(HardwareError, match="already running"):
            await reader.run(emitted.take)
    assert [command["command"] for command in device.told] == [LED, BUZZER]
    assert device.told[0]["on_color"] == GREEN
    light.close()
    buzzer.close()
    assert emitted.reasons == []


async def test_reader_with_another_key_is_out_of_service_and_its_cards_are_not_read(line: Line) -> None:
    device, reader = line.attach(bytes(range(1, 17))), line.reader(secure_within_ms=400)
    async with running(reader) as emitted:
        device.show(packed(FRAME), 26)
        await emitted.until(lambda seen: seen.reasons == [FaultReason.READER_MISSING])
        assert reader.state is ReaderState.MISSING
    assert emitted.codes == []
    (missing,) = emitted.events
    assert isinstance(missing, ReaderFault)
    assert "same key" in missing.detail


async def test_line_that_is_not_there_is_out_of_service_until_it_is(line: Line) -> None:
    device, near = line.attach(), line.near
    line.near = "/dev/serial/by-id/absent"
    reader = line.reader()
    async with running(reader) as emitted:
        await emitted.until(lambda seen: seen.reasons == [FaultReason.READER_MISSING])
        line.near = near
        await emitted.until(lambda seen: seen.reasons[1:] == [FaultReason.READER_BACK])
        device.show(packed(FRAME), 26)
        await emitted.until(lambda seen: seen.codes == [FRAME.encode()])


@pytest.mark.slow
async def test_reader_that_is_unplugged_is_missing(line: Line) -> None:
    line.attach()
    reader = line.reader()
    async with running(reader) as emitted:
        await until(lambda: reader.state is ReaderState.READY)
        line.detach()
        async with asyncio.timeout(20):
            while not emitted.reasons:
                await asyncio.sleep(0.05)
        assert emitted.reasons == [FaultReason.READER_MISSING]
        line.orders.show(Signal.DENIED)


HID, UID = Identity("in", Medium.HID, "wiegand"), Identity("in", Medium.CARD_UID, "hex")


@pytest.mark.parametrize(
    ("identity", "data", "count", "told"),
    [
        (HID, packed(FRAME), 26, FRAME.encode()),
        (HID, packed(FRAME[:-1] + str(1 - int(FRAME[-1]))), 26, FaultReason.GARBLED),
        (HID, packed(FRAME + "0"), 27, FaultReason.GARBLED),
        (HID, packed(wiegand_frame(34, 1)), 34, FaultReason.GARBLED),
        (UID, bytes.fromhex("04A1B2C3"), 32, b"04A1B2C3"),
        (UID, bytes.fromhex("04A1B2C3"), 31, FaultReason.GARBLED),
        (UID, bytes.fromhex("04A1B2"), 32, FaultReason.TORN_READ),
        (UID, b"", 0, FaultReason.TORN_READ),
        (UID, bytes(200), 1600, FaultReason.OVERSIZE),
        (Identity("in", Medium.QR), b"12345678", 64, b"12345678"),
        (Identity("in", Medium.CARD_UID, "wiegand26_first"), packed(FRAME), 26, FRAME.encode()),
    ],
)
def test_bits_become_a_card_or_a_fault(
    identity: Identity, data: bytes, count: int, told: "bytes | FaultReason"
) -> None:
    event = read_card(identity, (26,), data, count, 7)
    if isinstance(told, bytes):
        assert event == Scan("in", identity.medium, told, 7, form=identity.form)
    else:
        assert isinstance(event, ReaderFault)
        assert event.reason is told
    assert MAX_CARD_BITS == 1024


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("303132333435363738393A3B3C3D3E3F", "default key"),
        ("00" * 16, "default key"),
        ("0102" * 8, "default key"),
        ("01" * 15, "15 bytes instead of 16"),
        ("secret", "not hex"),
    ],
)
def test_key_that_protects_nothing_is_refused_and_not_quoted(text: str, refusal: str) -> None:
    with pytest.raises(HardwareError, match=refusal) as refused:
        read_key(text, "/k")
    assert text not in str(refused.value)
    assert "openssl rand -hex 16" in str(refused.value)


def test_key_that_others_may_read_or_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.key"
    with pytest.raises(HardwareError, match="No such file"):
        osdp_reader.load_key(path)
    path.write_text(KEY.hex() + "\n", encoding="ascii")
    path.chmod(stat.S_IRUSR | stat.S_IRGRP)
    with pytest.raises(HardwareError, match="chmod 600"):
        osdp_reader.load_key(path)
    path.chmod(stat.S_IRUSR)
    assert osdp_reader.load_key(path) == KEY


def door(tmp_path: Path, *, more: str = "", light: str = 'driver = "osdp"\nreader = "in"') -> str:
    head = 'name = "desk"\ndescription = "A desk"\nlock_type = "none"\n'
    section = SECTION.replace("/var/lib/doorstile/osdp-in.key", str(tmp_path / "in.key")) + more
    return f'{head}{section}\n[light]\n{light}\n[buzzer]\ndriver = "osdp"\nreader = "in"\n'


def test_lamp_and_buzzer_reach_their_reader(tmp_path: Path) -> None:
    (tmp_path / "in.key").write_text(KEY.hex(), encoding="ascii")
    (tmp_path / "in.key").chmod(stat.S_IRUSR)
    hardware = factory.build(parse_profile(door(tmp_path)), mono_ms=monotonic_ms)
    (reader,) = hardware.readers
    assert isinstance(reader, osdp_reader.OsdpReader)
    hardware.light.show(Signal.GRANTED)
    hardware.buzzer.play(Tone.DENIED)
    assert [command["command"] for command in reader._orders.take()] == [LED, BUZZER]
    reader._orders.reconnected()
    assert [command["command"] for command in reader._orders.take()] == [LED]
    hardware.close()


@pytest.mark.parametrize(
    ("more", "light", "refusal"),
    [
        ('form = "decimal"\n', None, r'readers\[0\]\.form: "decimal" is none .* use "wiegand"'),
        ("", 'driver = "osdp"\nreader = "out"', "light.reader: 'out' is no OSDP reader of this profile; it has: in"),
        ('key = "00"\n', None, r"readers\[0\]"),
    ],
)
def test_section_is_refused(tmp_path: Path, more: str, light: str | None, refusal: str) -> None:
    text = door(tmp_path, more=more) if light is None else door(tmp_path, light=light)
    with pytest.raises(ProfileError, match=refusal):
        parse_profile(text)
