"""A USB card reader that is pulled out and plugged in while the agent runs."""

import asyncio
from typing import Final

from tests.device.ccid import NAME, UsbCardReader
from tests.device.door import CARD_READER, HEAD, OUTPUTS, Bench, GuestDoor
from tests.device.table import Scale, Table
from tests.fakes.virtual_card import uid_answer
from tests.processes.lab import need

TABLE: Final = Table()
PROFILE: Final = HEAD + CARD_READER.replace('match = "Virtual PCD"', f'match = "{NAME}"') + OUTPUTS
_GONE_WITHIN_S: Final = 60.0
_LIFTED_S: Final = 1.5
_OUT: Final = frozenset({"out_of_service"})
_IDLE: Final = frozenset({"idle"})


@TABLE.case(
    "reader-replug", "QEMU's USB card reader", "unplugged with a card on it: out of service; back: a card decides once"
)
async def replug(bench: Bench, scale: Scale) -> str:
    async with bench.door("reader", PROFILE) as door, asyncio.TaskGroup() as tasks:
        reader = UsbCardReader(door.guest.machine.monitor, door.folder)
        await reader.plug(tasks)
        await door.start()
        await _opens(door, reader, _LIFTED_S)
        for _ in range(scale.pulls):
            await _pulled_out(door, reader)
            after = len(door.page.seen)
            await reader.plug(tasks)
            await door.page.next_of(_IDLE, after=after, within_s=_GONE_WITHIN_S)
            await _opens(door, reader, _LIFTED_S)
        record, _ = await door.checked()
        await reader.close()
    decisions = len(list(record.of_kind("decision")))
    codes = [event["body"]["code"] for _, event in record.of_kind("alarm")]
    need(scale.pulls < decisions <= reader.laid, f"{decisions} decisions for {reader.laid} presentations")
    expected = ["reader_missing", "reader_back"] * scale.pulls
    need(codes in (expected, ["reader_back", *expected]), f"alarms: {codes}")
    return (
        f"{scale.pulls} times pulled out with a card on it: each an alarm and its end; {decisions} decisions for "
        f"{reader.laid} presentations"
    )


async def _opens(door: GuestDoor, reader: UsbCardReader, lifted_s: float) -> None:
    """Lay a card on the reader until it opened, and leave it there."""

    async def laid(uid: str) -> None:
        reader.lift()
        await asyncio.sleep(lifted_s)
        reader.lay(uid_answer(bytes.fromhex(uid)))

    await door.unlocks(laid)
    await door.rests()


async def _pulled_out(door: GuestDoor, reader: UsbCardReader) -> None:
    after = len(door.page.seen)
    await reader.unplug()
    await door.page.next_of(_OUT, after=after, within_s=_GONE_WITHIN_S)
