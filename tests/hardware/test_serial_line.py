"""A serial scanner at the far end of a pseudo terminal: raw, alone, back after a replug."""

import os
import pty
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware.base import FaultReason, MonoClock, ReaderFault, ReaderState, monotonic_ms
from hardware.profiles import Direction, SerialReader
from hardware.readers import serial_line
from hardware.readers.serial_port import SerialPort
from tests.hardware.emitted import running, until

pytestmark = pytest.mark.unit

LINK = "/dev/serial/by-id/usb-Scanner"
CODE = b"12345678"


class Plug:
    """A pseudo terminal under a link, as udev makes it; plugged in again it is another terminal."""

    def __init__(self, folder: Path) -> None:
        self.link = folder / "usb-Scanner"
        self.far = -1
        self._near = -1

    def insert(self) -> None:
        self.far, self._near = pty.openpty()
        self.link.symlink_to(os.ttyname(self._near))

    def pull(self) -> None:
        self.link.unlink()
        os.close(self.far)
        os.close(self._near)
        self.far = -1

    def open(self, _device: str, baud: int, mono_ms: MonoClock) -> SerialPort:
        return SerialPort(str(self.link), baud, mono_ms)


@pytest.fixture
def plug(tmp_path: Path) -> Iterator[Plug]:
    made = Plug(tmp_path)
    yield made
    if made.far != -1:
        made.pull()


def scanner(plug: Plug) -> serial_line.SerialReader:
    part = SerialReader(name="in", direction=Direction.IN, device=LINK, gap_ms=20)
    return serial_line.SerialReader(part, open_port=plug.open, look_s=0.005)


async def ready(reader: serial_line.SerialReader) -> None:
    """Wait until it is in service, and until what it hears is no tail of anything."""
    await until(lambda: reader.state is ReaderState.READY)
    began_ms = monotonic_ms()
    await until(lambda: monotonic_ms() > began_ms + 21)


async def test_bytes_come_through_unaltered_and_control_characters_do_nothing(plug: Plug) -> None:
    plug.insert()
    reader = scanner(plug)
    async with running(reader) as emitted:
        await ready(reader)
        os.write(plug.far, b"\x13\x03\x04\x1a\x11\0\r" + CODE + b"\r\n")
        await emitted.until(lambda seen: seen.codes == [CODE])
    assert emitted.reasons == [FaultReason.GARBLED]


async def test_nothing_is_echoed_to_the_scanner(plug: Plug) -> None:
    plug.insert()
    reader = scanner(plug)
    async with running(reader) as emitted:
        await ready(reader)
        os.write(plug.far, CODE + b"\r")
        await emitted.until(lambda seen: seen.codes == [CODE])
        os.set_blocking(plug.far, False)
        with pytest.raises(BlockingIOError):
            os.read(plug.far, 1)


async def test_scanner_that_is_pulled_in_the_middle_of_a_code_comes_back_as_another_terminal(plug: Plug) -> None:
    plug.insert()
    reader = scanner(plug)
    async with running(reader) as emitted:
        await ready(reader)
        os.write(plug.far, b"1234")
        await until(lambda: bool(reader._held) and reader._held[LINK].decoder.due_mono_ms is not None)
        plug.pull()
        await emitted.until(lambda seen: FaultReason.READER_MISSING in seen.reasons)
        plug.insert()
        await ready(reader)
        os.write(plug.far, CODE + b"\r")
        await emitted.until(lambda seen: seen.codes == [CODE])
    assert sorted(emitted.reasons) == sorted(
        [FaultReason.TORN_READ, FaultReason.READER_MISSING, FaultReason.READER_BACK]
    )


async def test_line_that_another_has_or_that_is_not_there_is_out_of_service(plug: Plug) -> None:
    reader = scanner(plug)
    async with running(reader) as emitted:
        await emitted.until(lambda seen: len(seen.events) == 1)
        plug.insert()
        other = SerialPort(str(plug.link), 9600, monotonic_ms)
        with pytest.raises(OSError, match="busy"):
            SerialPort(str(plug.link), 9600, monotonic_ms)
        other.close()
    (missing,) = [event for event in emitted.events if isinstance(event, ReaderFault)][:1]
    assert "ls /dev/serial/by-id" in missing.detail


async def test_what_waited_before_the_line_was_ours_is_not_read(plug: Plug) -> None:
    plug.insert()
    os.write(plug.far, CODE + b"\r")
    reader = scanner(plug)
    async with running(reader) as emitted:
        await ready(reader)
        os.write(plug.far, b"87654321\r")
        await emitted.until(lambda seen: seen.codes == [b"87654321"])


def test_file_that_is_no_terminal_is_refused_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        SerialPort(str(path), 9600, monotonic_ms)


def test_line_is_raw(plug: Plug) -> None:
    plug.insert()
    port = SerialPort(str(plug.link), 115200, monotonic_ms)
    iflag, oflag, cflag, lflag, ispeed, ospeed, _ = termios.tcgetattr(port.fileno())
    port.close()
    assert (iflag, oflag, lflag) == (0, 0, 0)
    assert cflag & termios.CSIZE == termios.CS8
    assert (ispeed, ospeed) == (termios.B115200, termios.B115200)


def test_driver_is_built_from_its_section() -> None:
    class Bench:
        mono_ms = staticmethod(monotonic_ms)

    part = SerialReader(name="in", direction=Direction.IN, device=LINK)
    assert serial_line.build_reader(part, Bench()).name == "in"
