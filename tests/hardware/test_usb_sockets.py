"""Where a PC/SC reader is plugged in, from what its driver and sysfs say."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.readers.usb_sockets import socket_of, usb_address

pytestmark = pytest.mark.unit


def channel(kind: int, bus: int, address: int) -> bytes:
    return struct.pack("=I", kind << 16 | bus << 8 | address)


def plug(root: Path, socket: str, bus: str, address: str) -> None:
    (root / socket).mkdir()
    (root / socket / "busnum").write_text(bus)
    (root / socket / "devnum").write_text(address)


@given(st.integers(0, 255), st.integers(0, 255))
def test_bus_and_address_are_those_of_the_attribute(bus: int, address: int) -> None:
    assert usb_address(channel(0x20, bus, address)) == (bus, address)


@given(st.binary(max_size=8).filter(lambda told: len(told) != 4 or struct.unpack("=I", told)[0] >> 16 != 0x20))
def test_what_is_no_usb_device_has_no_address(told: bytes) -> None:
    assert usb_address(told) is None


def test_socket_is_the_one_that_has_the_address_now(tmp_path: Path) -> None:
    plug(tmp_path, "1-1.1", "1\n", "7\n")
    plug(tmp_path, "1-1.2", "1\n", "11\n")
    plug(tmp_path, "2-1", "2\n", "7\n")
    (tmp_path / "1-1.1:1.0").mkdir()
    assert [socket_of(*at, tmp_path) for at in ((1, 11), (2, 7), (1, 7), (3, 7))] == ["1-1.2", "2-1", "1-1.1", ""]
