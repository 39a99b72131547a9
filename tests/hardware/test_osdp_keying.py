"""A reader gets a key of its own, from its install mode or from the key that it has, and nobody else learns it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("osdp_sys", reason="needs libosdp: pip install 'doorstile[osdp]'")

from click.testing import CliRunner

from agent.cli import doorstile
from hardware.errors import HardwareError
from hardware.profiles import Direction, OsdpReader
from hardware.readers import osdp_keying
from hardware.readers.osdp_keying import give_key
from hardware.readers.osdp_reader import load_key
from hardware.readers.serial_port import SerialPort
from tests.fakes.osdp_reader import PeripheralDevice, rs485

pytestmark = pytest.mark.unit

OLD = bytes(range(16))
OTHER = bytes(range(1, 17))


class Bench:
    """A line, the reader at its far end, and where its key belongs."""

    def __init__(self, far: int, near: str, folder: Path) -> None:
        self.far = far
        self.near = near
        self.file = folder / "osdp-in.key"
        self.made = folder / "osdp-in.key.new"
        self.device: PeripheralDevice | None = None

    def attach(self, key: bytes | None) -> PeripheralDevice:
        """Attach a reader with this key; None for one in install mode."""
        self.detach()
        self.device = PeripheralDevice(self.far, 5, key)
        return self.device

    def detach(self) -> None:
        if self.device is not None:
            self.device.stop()
            self.device = None

    def keep(self, key: bytes, path: Path | None = None) -> None:
        (path or self.file).touch(0o600)
        (path or self.file).write_text(key.hex(), encoding="ascii")

    async def give(self, *, within_ms: int = 5_000) -> None:
        part = OsdpReader(name="in", direction=Direction.IN, device="/dev/ttyAMA0", key_file=str(self.file), address=5)
        await give_key(
            part, open_port=lambda _path, baud, mono_ms: SerialPort(self.near, baud, mono_ms), within_ms=within_ms
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with rs485() as (far, near):
        made = Bench(far, near, tmp_path)
        yield made
        made.detach()


def _told(device: PeripheralDevice) -> list[bytes]:
    return [command["data"] for command in device.told if command["command"] == 5]


async def test_reader_in_install_mode_gets_a_key_that_only_its_file_knows(bench: Bench) -> None:
    device = bench.attach(None)
    await bench.give()
    key = load_key(bench.file)
    assert _told(device) == [key]
    assert stat.S_IMODE(bench.file.stat().st_mode) == 0o600
    assert not bench.made.exists()


async def test_reader_that_has_a_key_gets_another_through_it(bench: Bench) -> None:
    bench.keep(OLD)
    device = bench.attach(OLD)
    await bench.give()
    assert load_key(bench.file) not in (OLD, OTHER)
    assert _told(device) == [load_key(bench.file)]


async def test_reader_of_somebody_else_keeps_its_key_and_the_file_stays(bench: Bench) -> None:
    bench.keep(OLD)
    device = bench.attach(OTHER)
    with pytest.raises(HardwareError, match=r"does not answer by a new key; .* install mode") as refused:
        await bench.give(within_ms=400)
    assert load_key(bench.file) == OLD
    assert _told(device) == []
    assert load_key(bench.made).hex() not in str(refused.value)


async def test_run_that_was_cut_off_after_the_reader_took_the_key_goes_on(bench: Bench) -> None:
    bench.keep(OTHER, bench.made)
    bench.attach(OTHER)
    await bench.give()
    assert load_key(bench.file) == OTHER
    assert not bench.made.exists()


async def test_key_is_on_the_disk_before_it_is_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    device = bench.attach(None)
    seen: list[bool] = []
    installed = osdp_keying._Line.installed

    async def install(line: osdp_keying._Line, key: bytes) -> bool:
        seen.append(load_key(bench.made) == key)
        return await installed(line, key)

    monkeypatch.setattr(osdp_keying._Line, "installed", install)
    await bench.give()
    assert (seen, len(_told(device))) == ([True], 1)


async def test_line_that_the_agent_holds_is_named_with_what_to_stop(bench: Bench) -> None:
    port = SerialPort(bench.near, 9600, lambda: 0)
    try:
        with pytest.raises(HardwareError, match="systemctl stop doorstile-agent"):
            await bench.give()
    finally:
        port.close()


def test_what_root_writes_belongs_to_whoever_owns_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owners: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _fd, user, group: owners.append((user, group)))
    osdp_keying._write(tmp_path / "in.key", OLD)
    assert owners == [(tmp_path.stat().st_uid, tmp_path.stat().st_gid)]


PROFILE = """
name = "desk"
description = "A desk"
lock_type = "none"
[[readers]]
name = "in"
driver = "osdp"
direction = "in"
device = "/dev/ttyAMA0"
key_file = "KEY"
address = 5
[light]
driver = "none"
[buzzer]
driver = "none"
"""


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_command_says_where_the_key_is_and_not_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    keyed: list[str] = []

    async def give(part: OsdpReader) -> None:
        keyed.append(part.name)

    monkeypatch.setattr(osdp_keying, "give_key", give)
    path = tmp_path / "desk.toml"
    path.write_text(PROFILE.replace("KEY", str(tmp_path / "in.key")))
    result = CliRunner().invoke(doorstile, ["hardware", "--profile", str(path), "key", "in", *words])
    assert (result.exit_code, keyed) == (0, ["in"]), result.output
    assert f"in answers by its new key, which is in {tmp_path}/in.key" in result.stdout
    missing = CliRunner().invoke(doorstile, ["hardware", "--profile", str(path), "key", "out"])
    assert (missing.exit_code, "no OSDP reader 'out'; the profile has in" in missing.stderr) == (2, True)
