"""Which nodes belong to a scanner, read from a sysfs of our own."""

from pathlib import Path

import pytest

from hardware.readers.input_devices import InputDevice, input_devices, of_scanner

pytestmark = pytest.mark.unit

PORT = "usb-0000:01:00.0-1.2"


def node(
    root: Path, event: str, *, usb_id: str = "0c2e:0b61", phys: str = f"{PORT}/input0", ev: str = "120013"
) -> None:
    device = root / event / "device"
    (device / "id").mkdir(parents=True)
    (device / "capabilities").mkdir()
    vendor, _, product = usb_id.partition(":")
    for path, text in {
        "id/vendor": vendor, "id/product": product, "capabilities/ev": ev, "phys": phys, "name": "Honeywell Scanner",
    }.items():  # fmt: skip
        (device / path).write_text(text + "\n", encoding="utf-8")


def test_every_node_with_keys_at_one_socket_is_the_scanner_s(tmp_path: Path) -> None:
    node(tmp_path, "event10")
    node(tmp_path, "event2", phys=f"{PORT}/input1", ev="1f")
    node(tmp_path, "event3", phys=f"{PORT}/input2", ev="5")
    node(tmp_path, "event4", phys="usb-0000:01:00.0-1.3/input0")
    found = of_scanner(input_devices(tmp_path), "0c2e:0b61", PORT)
    assert [device.event for device in found] == ["event2", "event10"]
    assert found[0] == InputDevice("event2", "0c2e:0b61", PORT, "Honeywell Scanner", has_keys=True)


def test_without_a_socket_every_scanner_of_the_model_is_named(tmp_path: Path) -> None:
    node(tmp_path, "event1")
    node(tmp_path, "event2", phys="usb-0000:01:00.0-1.3/input0")
    node(tmp_path, "event3", usb_id="046d:c31c")
    assert len(of_scanner(input_devices(tmp_path), "0c2e:0b61", None)) == 2


def test_device_without_a_socket_or_that_vanishes_while_it_is_read_harms_nothing(tmp_path: Path) -> None:
    node(tmp_path, "event1", phys="")
    (tmp_path / "event2").mkdir()
    node(tmp_path, "event3", ev="what")
    (tmp_path / "mouse0").mkdir()
    assert [device.port for device in input_devices(tmp_path)] == [""]
    assert input_devices(tmp_path / "absent") == []
