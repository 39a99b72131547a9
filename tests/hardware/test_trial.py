"""Trying hardware out: a first read, both edges, and nothing shown that would copy a card."""

import asyncio

import pytest

from hardware import factory
from hardware.base import Hardware, InputChange, Medium, ReaderEvent, Scan, Signal, Tone
from hardware.inputs.simulated import SimInput
from hardware.outputs.simulated import SimDisplay
from hardware.profiles import load_profile, sensing_only
from hardware.sim import SimBuzzer, SimLight, SimReader
from hardware.trial import both_edges, first_read, masked, parade, watch
from tests.fakes.manual_time import settle

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("uid", "shown"),
    [
        ("04A1B2C3", "04 ** ** **"),
        ("04A1B2C3D4E5F6", "04 A1 ** ** ** ** F6"),
        ("04A1B2C3D4E5F6071829", "04 A1 ** ** ** ** ** ** ** 29"),
    ],
)
def test_card_is_masked(uid: str, shown: str) -> None:
    assert masked(Scan("in", Medium.CARD_UID, bytes.fromhex(uid), 1)) == shown


def test_code_is_masked() -> None:
    assert masked(Scan("in", Medium.QR, b"GYM-12345678", 1)) == "GY… 12 characters"


@pytest.fixture
def door() -> Hardware:
    return factory.build(sensing_only(load_profile("simulated")))


def reader(door: Hardware, name: str) -> SimReader:
    return next(part for part in door.readers if isinstance(part, SimReader) and part.name == name)


def contact(door: Hardware) -> SimInput:
    return next(part for part in door.inputs if isinstance(part, SimInput) and part.name == "contact")


def test_sensing_alone_claims_no_output(door: Hardware) -> None:
    assert (door.strike, door.turnstile, door.interlock, door.display) == (None, None, None, None)


@pytest.mark.parametrize(("wanted", "first"), [(None, "out"), ("out", "out"), ("in", "in")])
async def test_first_read_is_that_of_the_named_reader(door: Hardware, wanted: str | None, first: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        read = tasks.create_task(first_read(door, wanted, timeout_s=5))
        await settle()
        for name in ("out", "in", "out"):
            reader(door, name).torn()
            reader(door, name).tap(b"\x04\xa1\xb2\xc3")
    scan = read.result()
    assert scan is not None
    assert scan.reader == first


async def test_no_read_in_time_is_none_and_faults_are_heard(door: Hardware) -> None:
    heard: list[ReaderEvent] = []
    async with asyncio.TaskGroup() as tasks:
        read = tasks.create_task(first_read(door, None, timeout_s=0.05, heard=heard.append))
        await settle()
        reader(door, "in").torn()
    assert read.result() is None
    assert len(heard) == 1


async def test_both_edges_have_to_be_seen_and_the_first_state_is_none(door: Hardware) -> None:
    heard: list[InputChange] = []
    async with asyncio.TaskGroup() as tasks:
        edges = tasks.create_task(both_edges(door, ["contact"], timeout_s=5, heard=heard.append))
        await settle()
        contact(door).become(is_active=True)
        await settle()
        assert not edges.done()
        contact(door).become(is_active=False)
    assert edges.result() == {"contact": {True, False}}
    assert len(heard) == len(door.inputs) + 2


async def test_input_that_moved_one_way_only_is_short(door: Hardware) -> None:
    async with asyncio.TaskGroup() as tasks:
        edges = tasks.create_task(both_edges(door, ["contact", "rex"], timeout_s=0.05))
        await settle()
        contact(door).become(is_active=True)
    assert edges.result() == {"contact": {True}, "rex": frozenset()}


async def test_parade_shows_everything_and_ends_dark() -> None:
    light, buzzer, display = SimLight(), SimBuzzer(), SimDisplay()
    said: list[str] = []
    await parade(Hardware((), None, light, buzzer, display=display), each_s=0, announce=said.append)
    assert [shown.signal for shown in light.history] == [*Signal, Signal.OFF]
    assert [played.tone for played in buzzer.history] == list(Tone)
    assert len(said) == len(display.history) == len(Signal) + len(Tone)


async def test_watch_reports_both_kinds_until_it_is_stopped(door: Hardware) -> None:
    seen: list[ReaderEvent | InputChange] = []
    await watch(door, seen.append, for_s=0.01)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(door, seen.append, for_s=None))
        await settle()
        reader(door, "in").tap(b"\x04\xa1\xb2\xc3")
        contact(door).touch()
        watching.cancel()
    assert sum(isinstance(event, Scan) for event in seen) == 1
    assert sum(isinstance(event, InputChange) for event in seen) == 2 * len(door.inputs) + 2
