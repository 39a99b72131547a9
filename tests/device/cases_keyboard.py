"""Scanners that type: keyboards that exist only in the kernel, and QEMU's USB keyboard, pulled out and plugged in."""

import asyncio
import contextlib
import random
from typing import Final

from tests.device.door import HEAD, OUTPUTS, RELAY, Bench, GuestDoor
from tests.device.guest import Guest
from tests.device.keyboards import CAPS_LOCK, KEYBOARDS, Stroke, random_code, strokes
from tests.device.table import Scale, Table
from tests.device.watching import Watching, faults, scans
from tests.processes.lab import ShortError, need

TABLE: Final = Table()
_PORT: Final = "usb-bench-1"
_OTHER: Final = "somebody's keyboard"
_PLAIN: Final = """
name = "scanner"
description = "A scanner alone"
lock_type = "none"

[light]
driver = "none"

[buzzer]
driver = "none"
"""
_USB_KEYBOARD: Final = "0627:0001"
_TRIES: Final = 4
_STROKE_S: Final = 0.02
"""A scanner presses a key every one to ten milliseconds; emulated, a reader that is given no time misses some."""
_KEY_PAUSE_S: Final = 0.02
_READ_WITHIN_S: Final = 10.0
_REST_S: Final = 3.0
_HALTED_S: Final = 1.9
"""What begins sooner after a torn code is taken for its rest."""


def _scanner(usb_id: str, layout: str = "us", *, port: str = _PORT, more: str = "") -> str:
    """Return a reader's section. Its gap is the longest: an emulated machine may pause in the middle of a code."""
    socket = f'usb_port = "{port}"' if port else ""
    return f"""
[[readers]]
name = "in"
driver = "evdev"
direction = "in"
usb_id = "{usb_id}"
{socket}
layout = "{layout}"
gap_ms = 500
per_second = 50
{more}
"""


async def _plug(guest: Guest, name: str = "scanner", product: int = 0x0035, port: str = _PORT) -> None:
    await guest.ask("plug", name=name, label=f"Bench {name}", vendor=0xFFFF, product=product, phys=f"{port}/input0")


async def _type(guest: Guest, keys: list[Stroke], name: str = "scanner") -> float:
    """Press keys; return the longest pause between two, in seconds."""
    return float(await guest.ask("press", name=name, strokes=keys, gap_s=_STROKE_S))


@TABLE.case("keyboard-layouts", "uinput", "what five countries' keyboards type is read as it is, CapsLock on or off")
async def layouts(bench: Bench, scale: Scale) -> str:
    chance = random.Random(7)
    async with bench.guest("layouts") as (guest, _):
        await _plug(guest)
        await _plug(guest, _OTHER, product=1, port="usb-bench-2")
        again = 0
        for layout in KEYBOARDS:
            watching = await Watching.start(guest, _PLAIN + _scanner("ffff:0035", layout))
            await watching.ready()
            again += await _all_read(guest, watching, layout, [random_code(chance) for _ in range(scale.codes)])
            await guest.sh("systemctl stop watcher")
    return (
        f"{len(KEYBOARDS)} layouts, {scale.codes} codes each, a third of them with CapsLock on: 0 errors; "
        f"{again} typed again because the emulated machine was too slow for its keyboard"
    )


async def _all_read(guest: Guest, watching: Watching, layout: str, codes: list[str]) -> int:
    """Type codes until all are read; return how many were typed again. A wrong one raises ShortError at once.

    The kernel keeps 64 events of a keyboard and says when it dropped some, which tears the code; nothing else may.
    Where the emulated machine stood still between two keys for so long that what follows is a presentation of its own
    for anybody, what was typed then proves nothing: it is typed again.
    """
    waiting, again = codes, 0
    for _ in range(_TRIES):
        before, halted = len(watching.told), list[str]()
        for number, code in enumerate(waiting):
            if number in (len(waiting) // 3, 2 * len(waiting) // 3):
                await _type(guest, [(CAPS_LOCK,)], _OTHER)
            if await _type(guest, strokes(layout, code)) > _HALTED_S:
                halted.append(code)
        await watching.quiet()
        told = watching.told[before:]
        unexpected = [fault for fault in faults(told) if not fault.startswith("torn_read")]
        rests = [code for code in scans(told) if any(each.endswith(code) for each in halted)]
        wrong = [code for code in scans(told) if code not in (*waiting, *rests)]
        need(len(unexpected) <= len(halted) and not wrong, f"{layout}: read {wrong[:2]}, reported {unexpected[:2]}")
        need(len(set(scans(told))) == len(scans(told)), f"{layout}: a code was read twice")
        waiting = [code for code in waiting if code not in scans(told)]
        need(bool(faults(told)) or not waiting, f"{layout}: {waiting[:2]} vanished without a word")
        if not waiting:
            return again
        again += len(waiting)
    raise ShortError(f"{layout}: {len(waiting)} codes were not read in {_TRIES} tries")


@TABLE.case("keyboard-console", "uinput, tty1", "nothing that a scanner types reaches the console")
async def console(bench: Bench, scale: Scale) -> str:
    async with bench.guest("console") as (guest, _):
        await _plug(guest)
        await guest.ask("console", wait_s=0.5)
        await _type(guest, strokes("us", "before"))
        heard = await guest.ask("console", wait_s=1.0)
        need(heard == "before\r", f"the console heard {heard!r} of a scanner that nobody grabbed: no proof of anything")
        watching = await Watching.start(guest, _PLAIN + _scanner("ffff:0035"))
        await watching.ready()
        for number in range(scale.codes):
            await _type(guest, strokes("us", f"reboot{number:06}"))
        await watching.read(scale.codes)
        leaked = await guest.ask("console", wait_s=1.0)
        need(leaked == "", f"{len(leaked)} characters reached the console")
        await guest.sh("systemctl stop watcher")
        await _type(guest, strokes("us", "after"))
        need(await guest.ask("console", wait_s=1.0) == "after\r", "the scanner was not let go")
    return f"{scale.codes} codes read, 0 characters on the console; it heard the same scanner before and afterwards"


@TABLE.case("keyboard-tap", "uinput, gpio-sim", "a card typed by a scanner opens; half a card does nothing")
async def tap(bench: Bench, _scale: Scale) -> str:
    more = 'medium = "card_uid"\nform = "hex"\ncharacters = "hex"'
    async with bench.door("typed", HEAD + _scanner("ffff:0035", more=more) + OUTPUTS) as door:
        await _plug(door.guest)
        await door.start()
        await _opens_by_scanner(door)
        await _type(door.guest, strokes("us", door.card())[:5])
        await door.guest.ask("unplug", name="scanner")
        await door.page.next_of(frozenset({"out_of_service"}), after=len(door.page.seen), within_s=30)
        await _plug(door.guest)
        await asyncio.sleep(2)
        await _opens_by_scanner(door)
        record, _ = await door.checked()
        decisions = len(list(record.of_kind("decision")))
        need(decisions == 2, f"{decisions} decisions for two whole cards and half a one")
    return "2 cards opened, half a card in between decided nothing; out of service while unplugged"


async def _opens_by_scanner(door: GuestDoor) -> None:
    async def scanned(uid: str) -> None:
        await _type(door.guest, strokes("us", uid))

    await door.unlocks(scanned)
    await door.rests()
    need(await door.guest.level(RELAY) == 0, "the relay's line is high")


@TABLE.case(
    "usb-replug",
    "QEMU's USB keyboard",
    "pulled out in mid-code and plugged in again: no read merged or invented",
)
async def replug(bench: Bench, scale: Scale) -> str:
    async with bench.guest("replug") as (guest, _):
        monitor = guest.machine.monitor
        watching = await Watching.start(guest, _PLAIN + _scanner(_USB_KEYBOARD, port="", more="min_length = 4"))
        expected: list[str] = []
        again = 0
        for number in range(scale.replugs):
            await monitor.do("device_add", driver="usb-kbd", id="keyboard", bus="usb.0")
            await watching.ready()
            whole, half = f"{number:06}", f"{number:06}"[: 1 + number % 5]
            again += await _typed_whole(guest, watching, whole)
            expected.append(whole)
            await _press(guest, half)
            await monitor.do("device_del", id="keyboard")
            await watching.until(lambda told: any("missing" in each.get("states", ()) for each in told), "missing")
        found = scans(watching.told)
        need(found == expected, f"read {found[-3:]}, typed {expected[-3:]}")
        torn = sum(fault.startswith("torn_read") for fault in faults(watching.told))
    return (
        f"{scale.replugs} times pulled out in mid-code: {len(found)} whole codes read, {torn} halves reported, "
        f"0 merged; {again} typed again because the emulated keyboard lost keys"
    )


async def _typed_whole(guest: Guest, watching: Watching, code: str) -> int:
    """Type a code until it is read; return how often it was typed in vain, which nobody but the emulator may cause.

    QEMU's keyboard keeps 16 events and drops the rest without a word while its guest is too slow to fetch them. What
    reaches the guest at all is told: as a code, as a torn one, or on the console where it was not kept from it.
    """
    await guest.ask("console", wait_s=0)
    for again in range(_TRIES):
        before = len(watching.told)
        await _press(guest, f"{code}\n")
        with contextlib.suppress(ShortError):
            await watching.until(lambda told: bool(scans(told)), code, within_s=_READ_WITHIN_S)
        told = watching.told[before:]
        if scans(told):
            return again
        unexpected = [fault for fault in faults(told) if not fault.startswith("torn_read")]
        leaked = await guest.ask("console", wait_s=0)
        need(not unexpected and not leaked, f"{code} was reported as {unexpected[:2]}, the console heard {leaked!r}")
        await asyncio.sleep(_REST_S)
    raise ShortError(f"{code} was not read in {_TRIES} tries; the last of it: {watching.told[-3:]}")


async def _press(guest: Guest, digits: str) -> None:
    """Press keys on QEMU's own keyboard, whose queue takes eight at a time."""
    for digit in digits:
        key = {"type": "qcode", "data": "ret" if digit == "\n" else digit}
        events = [{"type": "key", "data": {"down": is_down, "key": key}} for is_down in (True, False)]
        await guest.machine.monitor.do("input-send-event", events=events)
        await asyncio.sleep(_KEY_PAUSE_S)
